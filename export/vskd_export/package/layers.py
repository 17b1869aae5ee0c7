"""How far a quantized model is from the float one, layer by layer: the signal-to-quantization-noise ratio.

``10 log10(sum of float^2 / sum of (float - quantized)^2)`` of every tensor behind the encoder that both models have, in
dB: 6 dB are one bit. Every tensor carries the error of all layers ahead of it, so a layer is bad where the ratio drops,
not where it is low. Nothing is judged here: a label is what counts, and this table shows where to look when one flips.

To be seen, a tensor has to be kept or made an output; the kernels are then not always the fused ones that ship.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.closed import to_mapping
from vskd.model_contract import ModelFormat
from vskd_export.convert.graph import INPUT_NAME
from vskd_export.convert.onnx import onnx_network_start
from vskd_export.convert.tflite_file import network_start, output_names, read_model
from vskd_export.quantize.recipes import FLOAT_RECIPE, RECIPES
from vskd_export.subprocesses import call_in_subprocess

#: The ratio of a layer without any error, dB.
MAX_SQNR_DB = 200.0

Tensors = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class LayerError:
    """One tensor.

    Attributes
    ----------
    layer : its name in the float model, in ONNX the path of its weights and what was done behind them
    sqnr_db : signal over noise
    """

    layer: str
    sqnr_db: float


def compare_layers(
    models: Sequence[ModelEntry], files: Mapping[str, bytes], windows: NDArray[np.float32]
) -> dict[str, dict[str, Any]]:
    """The table of every integer model.

    Parameters
    ----------
    models : of the bundle, the float ones among them
    files : model file -> content
    windows : (n, channels, samples), g

    Returns
    -------
    file -> ``windows``, and ``layers`` in the order in which they are computed
    """
    floats = {model.format: files[model.file] for model in models if model.recipe == FLOAT_RECIPE}
    tables = {}
    for model in models:
        if RECIPES[model.recipe].calibrated:
            errors = layer_errors(model.format, floats[model.format], files[model.file], windows)
            tables[model.file] = {
                "windows": len(windows),
                "layers": [to_mapping(error) for error in errors],
            }
    return tables


def layer_errors(
    model_format: ModelFormat, full: bytes, small: bytes, windows: NDArray[np.float32]
) -> tuple[LayerError, ...]:
    """Compare a quantized model with the float one, tensor by tensor, in the order in which they are computed.

    Parameters
    ----------
    model_format : of both
    full, small : content of the float and of the quantized model
    windows : (n, channels, samples), g

    Raises
    ------
    MissingExtraError : ONNX Runtime or LiteRT is not installed
    VskdError : a model does not run
    """
    needs = {"onnx": "onnxruntime", "tflite": "ai_edge_litert"}[model_format]
    arguments = (model_format, full, small, windows)
    return call_in_subprocess(_compare, *arguments, purpose="comparing layers", needs=needs).value


def sqnr_db(signal: float, noise: float) -> float:
    """The ratio of two sums of squares in dB, at most ``MAX_SQNR_DB``; 0 where there is neither signal nor error."""
    if noise == 0:
        return MAX_SQNR_DB if signal > 0 else 0.0
    return min(10 * math.log10(max(signal / noise, 1e-20)), MAX_SQNR_DB)


def onnx_paths(model: bytes) -> dict[str, str]:
    """Tensor -> where it is in the network: the exporter's own names (``getitem_36``) tell nobody.

    A layer with weights gives the path of its weights, and what follows adds its operator:
    ``trunk/layer1/0/conv2+add+relu``.

    Parameters
    ----------
    model : content of the float ``.onnx`` file
    """
    import onnx

    graph = onnx.load_from_string(model).graph
    stored = {tensor.name for tensor in graph.initializer}
    paths: dict[str, str] = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm") and node.input[1] in stored:
            path = node.input[1].removeprefix("student.").removesuffix(".weight").replace(".", "/")
        else:
            path = "+".join([*(paths[name] for name in node.input[:1] if name in paths), node.op_type.lower()])
        paths |= dict.fromkeys(node.output, path)
    return {name: path for name, path in paths.items() if name not in {port.name for port in graph.output}}


def _compare(
    model_format: ModelFormat, full_model: bytes, small_model: bytes, windows: NDArray[np.float32]
) -> tuple[LayerError, ...]:
    opened = _onnx_tensors if model_format == "onnx" else _tflite_tensors
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    for full, small in zip(opened(full_model, windows), opened(small_model, windows), strict=True):
        for name in full.keys() & small.keys():
            # Float graphs pad ahead of a maximum with minus infinity, for which int8 has only its lowest value.
            seen = np.isfinite(full[name]) & np.isfinite(small[name])
            exact, coarse = full[name][seen], small[name][seen]
            signal[name] = signal.get(name, 0.0) + float((exact**2).sum())
            noise[name] = noise.get(name, 0.0) + float(((exact - coarse) ** 2).sum())
        order = list(full)
    paths = onnx_paths(full_model) if model_format == "onnx" else {}
    return tuple(
        LayerError(paths.get(name, name), sqnr_db(signal[name], noise[name])) for name in order if name in signal
    )


def _tflite_tensors(model: bytes, windows: NDArray[np.float32]) -> Iterator[Tensors]:
    """Every tensor behind the encoder, as float, window by window."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    tree = read_model(model)
    behind = output_names(tree)[network_start(tree) :]
    details = {entry["name"]: entry for entry in interpreter.get_tensor_details()}
    source = interpreter.get_input_details()[0]["index"]
    for window in windows:
        interpreter.set_tensor(source, window[np.newaxis])
        interpreter.invoke()
        yield {name: _as_float(interpreter.get_tensor(details[name]["index"]), details[name]) for name in behind}


def _as_float(values: NDArray[Any], details: Mapping[str, Any]) -> NDArray[np.float64]:
    widened = values.astype(np.float64)
    scale, zero = details["quantization"]
    return (widened - zero) * scale if scale else widened


def _onnx_tensors(model: bytes, windows: NDArray[np.float32]) -> Iterator[Tensors]:
    """Every tensor behind the encoder, as float and under its name in the float model, window by window."""
    import onnx
    import onnxruntime

    proto = onnx.load_from_string(model)
    nodes = list(proto.graph.node)
    made = [output for node in nodes[onnx_network_start(proto.graph) :] for output in node.output]
    # What a layer hands on is what the quantized model made of it, where it quantizes it.
    handed_on = {name.removesuffix(_HANDED_ON): name for name in made if name.endswith(_HANDED_ON)}
    plain = {name: name for name in made if not name.endswith((_HANDED_ON, _STORED))}
    names = plain | {name: seen for name, seen in handed_on.items() if name in plain}
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names.values())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for window in windows:
        values = session.run(list(names.values()), {INPUT_NAME: window[np.newaxis]})
        yield {name: value.astype(np.float64) for name, value in zip(names, values, strict=True)}


#: How onnxruntime's quantizer names what it adds.
_HANDED_ON, _STORED = "_DequantizeLinear_Output", "_QuantizeLinear_Output"
