"""Quantized ONNX, the encoder in float: static int8 as QDQ, int8 weights alone, or half-precision weights.

Static int8 has signed weights per channel, and unsigned activations unless the recipe says ``a8s``. Measured on a
processor with VNNI, full width, 64 px: 1.3 ms, against 5.1 ms with signed activations, which ONNX Runtime's x86 kernels
do not cover; the logits are as near to float either way. Signed ones are the library's own advice for ARM (read, not
measured). What unsigned is not right for is an x86 processor *without* VNNI, whose 16-bit sums can saturate; the golden
vectors tell.

Where only weights change, nothing is calibrated: a node widens each weight back to float32. ONNX Runtime folds the cast
from half precision when it loads the file, and repeats the one from int8 in every run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd_export.convert.graph import INPUT_NAME
from vskd_export.convert.onnx import finish, onnx_network_start
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.ranges import Ranges
from vskd_export.subprocesses import call_in_subprocess

#: Type of the activations by recipe, as onnxruntime names it.
_STATIC = {"w8a8-static-pc": "QUInt8", "w8a8s-static-pc": "QInt8"}


def quantize_onnx(model: bytes, contract: Contract, calibration: WindowSet, recipe: str) -> bytes:
    """Quantize a float ONNX file.

    Parameters
    ----------
    model : what ``to_onnx`` gave
    contract : travels in the file
    calibration : windows that set the ranges of the activations
    recipe : ``w8a8-static-pc``, ``w8a8s-static-pc``, ``w8-pc`` or ``fp16``

    Raises
    ------
    MissingExtraError : the export extra is not installed
    VskdError : the quantizer failed
    """
    import onnx

    if recipe not in _STATIC:
        return finish(narrow_weights(onnx.load_from_string(model), half=recipe == "fp16"), contract)
    arguments = (model, _STATIC[recipe], calibration.windows)
    quantized = call_in_subprocess(_quantize, *arguments, purpose="quantizing ONNX", needs="onnxruntime").value
    return finish(onnx.load_from_string(quantized), contract)


def narrow_weights(proto: Any, *, half: bool) -> Any:
    """Store the network's weights in fewer bits, with a node behind each that widens it.

    Parameters
    ----------
    proto : onnx.ModelProto, float; changed in place
    half : half precision; otherwise int8, symmetric, one scale per output channel

    Returns
    -------
    ``proto``
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = proto.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    encoder = set(encoder_nodes(graph))
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm") and node.name not in encoder]
    for node in layers:
        name, wide = node.input[1], f"{node.input[1]}.wide"
        weights = numpy_helper.to_array(stored[name])
        narrow: NDArray[Any]
        if half:
            narrow = weights.astype(np.float16)
            widening = helper.make_node("Cast", [name], [wide], name=wide, to=TensorProto.FLOAT)
        else:
            narrow, scales = int8_per_channel(weights)
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scale"))
            widening = helper.make_node("DequantizeLinear", [name, f"{name}.scale"], [wide], name=wide, axis=0)
        stored[name].CopyFrom(numpy_helper.from_array(narrow, name))
        node.input[1] = wide
        graph.node.insert(0, widening)
    # The exporter wrote each weight's type down a second time; shape inference refuses one that is no longer true.
    narrowed = {node.input[1].removesuffix(".wide") for node in layers}
    for stale in [info for info in graph.value_info if info.name in narrowed]:
        graph.value_info.remove(stale)
    return proto


def int8_per_channel(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8, -127 to 127: weights (outputs, ...) -> integers of that shape, and scales (outputs,)."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    steps = largest / np.float32(127)
    # A channel of zeros, or of weights so small that their step would be none, becomes zeros with any step.
    scales: NDArray[np.float32] = np.where(steps >= np.finfo(np.float32).tiny, steps, np.float32(1)).astype(np.float32)
    integers = np.rint(weights / scales.reshape(-1, *[1] * (weights.ndim - 1)))
    return integers.clip(-127, 127).astype(np.int8), scales


def encoder_nodes(graph: Any) -> list[str]:
    """Names of the nodes that the network's input is made by.

    Parameters
    ----------
    graph : onnx.GraphProto, in topological order
    """
    producers = {output: node for node in graph.node for output in node.output}
    start = onnx_network_start(graph)
    waiting, found = [name for node in graph.node[start : start + 1] for name in node.input[:1]], set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return [node.name for node in graph.node if node.name in found]


class _Windows:
    """What onnxruntime's calibrator reads: one window at a time, then None."""

    def __init__(self, windows: NDArray[np.float32]) -> None:
        self._rest = iter(windows)

    def get_next(self) -> dict[str, Any] | None:
        window = next(self._rest, None)
        return None if window is None else {INPUT_NAME: window[np.newaxis]}


def _activation_ranges(model: Any, windows: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """Range of every tensor that the float model computes, over the calibration windows."""
    import onnx
    import onnxruntime

    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    computed = {output for node in model.graph.node for output in node.output}
    del observed.graph.output[:]
    observed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in sorted(computed))
    session = onnxruntime.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges, names = Ranges(), [port.name for port in session.get_outputs() if port.type == "tensor(float)"]
    for window in windows:
        ranges.add(dict(zip(names, session.run(names, {INPUT_NAME: window[np.newaxis]}), strict=True)))
    return ranges.found


def _quantize(model: bytes, activations: str, windows: NDArray[np.float32]) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as name:
        full, prepared, quantized = (Path(name, f"{step}.onnx") for step in ("full", "prepared", "quantized"))
        full.write_bytes(model)
        # Every shape is fixed, so symbolic inference has nothing to find.
        quant_pre_process(str(full), str(prepared), skip_symbolic_shape=True)
        proto = onnx.load(str(prepared))
        ranges = {
            name: [{"rmin": np.array(low, np.float32), "rmax": np.array(high, np.float32)}]
            for name, (low, high) in _activation_ranges(proto, windows).items()
        }
        quantize_static(
            str(prepared),
            str(quantized),
            _Windows(windows[:1]),  # asks for some; every range is given
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=False,
            activation_type=QuantType[activations],
            weight_type=QuantType.QInt8,
            nodes_to_exclude=encoder_nodes(proto.graph),
            extra_options={"TensorQuantOverrides": ranges},
        )
        return quantized.read_bytes()
