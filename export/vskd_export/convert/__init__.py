"""The student as ONNX and TFLite, and its other variants."""
