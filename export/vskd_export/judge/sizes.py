"""The size of a quantized model: of its weights, and of the whole file, against the float model of its format.

The weights are the filters of the convolutions and the matrices of the dense layers. Biases, scales, the encoder's
table and the graph are left out, so that two recipes compare by what they do to weights. Both formats list their
operators in the order in which they run, so the encoder is what lies ahead of the first convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vskd.bundle import ModelEntry
from vskd_export.convert.onnx import onnx_network_start
from vskd_export.convert.tflite_file import CONVOLUTIONS, network_start, operator_names, read_model
from vskd_export.judge.limits import SIZE_RATIO_BITS, WHOLE_FILE_BYTES
from vskd_export.judge.violations import Violation, ViolationCode
from vskd_export.quantize.recipes import FLOAT_RECIPE, RECIPES, entry

_ONNX_LAYERS = frozenset({"Conv", "Gemm"})
_TFLITE_LAYERS = CONVOLUTIONS | {"FULLY_CONNECTED"}

#: Between a stored weight and its layer: what turns it back into float.
_ONNX_WIDENING = frozenset({"DequantizeLinear", "Cast", "Transpose"})


def check_sizes(
    files: Mapping[str, bytes], models: Sequence[ModelEntry]
) -> tuple[dict[str, dict[str, float]], tuple[Violation, ...]]:
    """Compare the size of every quantized model with the float one of its format.

    Parameters
    ----------
    files : model file -> content
    models : which of them are what

    Returns
    -------
    file -> ratios of the weights and of the whole files, and the limit; the violations
    """
    table: dict[str, dict[str, float]] = {}
    violations: list[Violation] = []
    for model in models:
        if model.recipe != FLOAT_RECIPE:
            table[model.file], found = _check_size(model, files)
            violations += found
    return table, tuple(violations)


def _check_size(model: ModelEntry, files: Mapping[str, bytes]) -> tuple[dict[str, float], list[Violation]]:
    reference = entry(model.format, FLOAT_RECIPE).file
    full, small = files[reference], files[model.file]
    limit = SIZE_RATIO_BITS / RECIPES[model.recipe].weight_bits
    weights = weight_bytes(reference, full) / weight_bytes(model.file, small)
    whole = len(full) / len(small)
    violations = []
    if weights < limit:
        violations.append(_too_large("weights-size", f"the weights of {model.file} are", model.file, weights, limit))
    if whole < limit and len(full) >= WHOLE_FILE_BYTES:
        violations.append(_too_large("file-size", f"{model.file} is", model.file, whole, limit))
    return {"weights_ratio": weights, "file_ratio": whole, "ratio_limit": limit}, violations


def _too_large(code: ViolationCode, what: str, file: str, ratio: float, limit: float) -> Violation:
    message = f"{what} smaller than the float ones by a factor of {ratio:.2f}, at least {limit:.2f} is needed"
    return Violation(code=code, component=file, engine="", value=ratio, limit=limit, message=message)


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
    layers = [node for node in graph.node[onnx_network_start(graph) :] if node.op_type in _ONNX_LAYERS]
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
    behind = list(zip(graph.operators, names, strict=True))[network_start(model) :]
    layers = [operator for operator, name in behind if name in _TFLITE_LAYERS]
    indices = {_tflite_source(operator.inputs[1], producers) for operator in layers}
    return sum(len(model.buffers[graph.tensors[index].buffer].data) for index in indices)


def _tflite_source(tensor: int, producers: dict[int, Any]) -> int:
    while tensor in producers:
        tensor = producers[tensor].inputs[0]
    return tensor
