"""What a model file is made of: its operators, and the scales with which it turns integer and back.

The encoder is float in every recipe and so are both ports, so the scales stand inside: at the image, which is the
network's input, and at the logits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vskd.bundle import ModelEntry
from vskd.engines import ModelFormat
from vskd_export.recipes import RECIPES
from vskd_export.tflite_file import operator_names, read_model

#: Scale and zero point: real value = (integer - zero point) * scale.
Step = dict[str, float]


def describe_models(models: Sequence[ModelEntry], files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """File -> its recipe in words, whether it was calibrated, and what ``describe_model`` tells."""
    return {
        model.file: {
            "recipe": model.recipe,
            "meaning": RECIPES[model.recipe].meaning,
            "calibrated": RECIPES[model.recipe].calibrated,
            **describe_model(model.format, files[model.file]),
        }
        for model in models
    }


def describe_model(model_format: ModelFormat, content: bytes) -> dict[str, Any]:
    """Operators and scales of a model file.

    Parameters
    ----------
    model_format : of the file
    content : of the file

    Returns
    -------
    ``operators``: name -> how many; ``image`` and ``logits``: scale and zero point, None where they stay float
    """
    return _describe_onnx(content) if model_format == "onnx" else _describe_tflite(content)


def _describe_onnx(content: bytes) -> dict[str, Any]:
    import onnx

    graph = onnx.load_from_string(content).graph
    values = {tensor.name: tensor for tensor in graph.initializer}

    def step(node: Any) -> Step | None:
        if node is None:
            return None
        scale, zero = (float(onnx.numpy_helper.to_array(values[name]).ravel()[0]) for name in node.input[1:3])
        return {"scale": scale, "zero_point": zero}

    into = next((node for node in graph.node if node.op_type == "QuantizeLinear"), None)
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    return {
        "operators": dict(sorted(Counter(node.op_type for node in graph.node).items())),
        "image": step(into),
        "logits": step(last if last.op_type == "DequantizeLinear" else None),
    }


def _describe_tflite(content: bytes) -> dict[str, Any]:
    model = read_model(content)
    graph, names = model.subgraphs[0], operator_names(model)

    def step(index: int | None) -> Step | None:
        if index is None:
            return None
        found = graph.tensors[index].quantization
        return {"scale": float(found.scale[0]), "zero_point": float(found.zeroPoint[0])}

    into = next((op.outputs[0] for op, name in zip(graph.operators, names, strict=True) if name == "QUANTIZE"), None)
    last = graph.operators[-1]
    return {
        "operators": dict(sorted(Counter(names).items())),
        "image": step(into),
        "logits": step(last.inputs[0] if names[-1] == "DEQUANTIZE" else None),
    }
