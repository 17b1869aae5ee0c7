"""int8 ONNX: static, QDQ, int8 weights per channel, uint8 activations, the encoder in float.

Activations are unsigned and weights signed. Measured on a processor with VNNI, full width, 64 px: 1.3 ms, against
5.1 ms with signed activations, which ONNX Runtime's x86 kernels do not cover; the logits are as near to float either
way. Its ARM kernels multiply unsigned by signed as well (QgemmU8X8KernelUdot; read, not measured). What this is not
right for is an x86 processor *without* VNNI, whose 16-bit sums can saturate; the golden vectors tell.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd_export.apart import run_apart
from vskd_export.calibrate import WindowSet
from vskd_export.convert_onnx import finish
from vskd_export.graph import INPUT_NAME


def quantize_onnx(model: bytes, contract: Contract, calibration: WindowSet) -> bytes:
    """Quantize a float ONNX file.

    Parameters
    ----------
    model : what ``to_onnx`` gave
    contract : travels in the file
    calibration : windows that set the ranges of the activations

    Raises
    ------
    MissingExtraError : the export extra is not installed
    VskdError : the quantizer failed
    """
    import onnx

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(model)
        np.save(folder / "calibration.npy", calibration.windows)
        run_apart("vskd_export.quantize_onnx", folder, purpose="quantizing ONNX", needs="onnxruntime")
        return finish(onnx.load(str(folder / "quantized.onnx")), contract)


def encoder_nodes(graph: Any) -> list[str]:
    """Names of the nodes that the first convolution's input is made by.

    Parameters
    ----------
    graph : onnx.GraphProto, in topological order
    """
    producers = {output: node for node in graph.node for output in node.output}
    first = next(node for node in graph.node if node.op_type == "Conv")
    waiting, found = [first.input[0]], set()
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


def _quantize(folder: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    # Every shape is fixed, so symbolic inference has nothing to find.
    quant_pre_process(str(folder / "model.onnx"), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(folder / "quantized.onnx"),
        _Windows(np.load(folder / "calibration.npy")),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=False,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=encoder_nodes(onnx.load(str(prepared)).graph),
    )


if __name__ == "__main__":
    _quantize(Path(sys.argv[1]))
