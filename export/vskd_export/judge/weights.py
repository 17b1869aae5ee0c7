"""How many bytes a model file spends on its weights: filters of the convolutions and matrices of the dense layers.

Biases, scales, the encoder's table and the graph are left out, so that two recipes compare by what they do to weights.
Both formats list their operators in the order in which they run, so the encoder is what lies ahead of the first
convolution.
"""

from __future__ import annotations

from typing import Any

from vskd_export.convert.tflite_file import operator_names, read_model

_ONNX_LAYERS = frozenset({"Conv", "Gemm"})
_TFLITE_LAYERS = frozenset({"CONV_2D", "FULLY_CONNECTED"})

#: Between a stored weight and its layer: what turns it back into float.
_ONNX_WIDENING = frozenset({"DequantizeLinear", "Cast", "Transpose"})


def weight_bytes(file: str, content: bytes) -> int:
    """Bytes of the weights in a model file.

    Parameters
    ----------
    file : its name; the ending tells the format
    content : of the file
    """
    return _in_onnx(content) if file.endswith(".onnx") else _in_tflite(content)


def _in_onnx(content: bytes) -> int:
    import onnx

    graph = onnx.load_from_string(content).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    first = next(index for index, node in enumerate(graph.node) if node.op_type == "Conv")
    layers = [node for node in graph.node[first:] if node.op_type in _ONNX_LAYERS]
    names = {_onnx_source(node.input[1], producers) for node in layers}
    return sum(onnx.numpy_helper.to_array(stored[name]).nbytes for name in names)


def _onnx_source(name: str, producers: dict[str, Any]) -> str:
    while name in producers and producers[name].op_type in _ONNX_WIDENING:
        name = producers[name].input[0]
    return name


def _in_tflite(content: bytes) -> int:
    model = read_model(content)
    graph = model.subgraphs[0]
    producers = {operator.outputs[0]: operator for operator in graph.operators}
    names = operator_names(model)
    behind = list(zip(graph.operators, names, strict=True))[names.index("CONV_2D") :]
    layers = [operator for operator, name in behind if name in _TFLITE_LAYERS]
    indices = {_tflite_source(operator.inputs[1], producers) for operator in layers}
    return sum(len(model.buffers[graph.tensors[index].buffer].data) for index in indices)


def _tflite_source(tensor: int, producers: dict[int, Any]) -> int:
    while tensor in producers:
        tensor = producers[tensor].inputs[0]
    return tensor
