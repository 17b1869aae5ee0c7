"""The portable model: an int8 network as a list of steps, executed with numpy alone.

``tflite`` reads the file, ``lower`` makes the plan (``steps``), ``encode`` turns a window into its first tensor, and
``kernels`` execute it. It is the reference of every port, and an engine where no engine's wheel exists.
"""
