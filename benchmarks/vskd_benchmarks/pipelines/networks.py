"""Networks that a bundle is compared with, written as ONNX files for one run: random weights, true latency.

resnet18
    torchvision's, as published, with the student's head; the image in
mobilenetv2-0.35
    torchvision's MobileNetV2 with a width of 0.35; the image in
cnn1d
    a plain 1-D convolutional network on the raw window: a stem of width 7, then four stages of two convolutions of
    width 5 whose channels double while the samples halve. Its width is chosen so that it needs as many
    multiply-accumulates as the bundle's model

int8 is made by ONNX Runtime's quantizer as in ``vskd export``: static, per channel, unsigned activations; the ranges
come from the windows of the benchmark's own signal. Says nothing of accuracy. torch, torchvision and onnx are imported
where they are used.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.encoders import encoder_for
from vskd.errors import MissingExtraError
from vskd_benchmarks.pipelines.wrist_signal import ready_windows, wrist_signal

Float32 = NDArray[np.float32]

EXTRA = {"pyts": "bench", "torch": "training", "torchvision": "training", "onnx": "export", "onnxruntime": "onnx"}

#: Windows that set the ranges of int8.
CALIBRATION_WINDOWS = 16

#: Channels of the stem that are tried for the 1-D network.
_STEM_CHANNELS = range(4, 513, 2)
_STAGES = 4
_STEM_KERNEL, _KERNEL = 7, 5


def require(package: str) -> None:
    """Refuse to go on without a package.

    Raises
    ------
    MissingExtraError
    """
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra=EXTRA[package], purpose="the comparison")


def make_networks(bundle: Bundle, folder: Path, *, macs: int | None) -> dict[str, Any]:
    """Write every network that this machine can make.

    Parameters
    ----------
    bundle : gives shapes and calibration windows
    folder : where to
    macs : of the bundle's model; None leaves out the 1-D network

    Returns
    -------
    ``NAME.RECIPE`` -> file, sha256, size_bytes, macs; or not_made, the reason
    """
    makers: dict[str, Callable[[], dict[str, Any]]] = {}
    if bundle.contract.raw is None:  # these take an image
        makers |= {
            "resnet18": lambda: _write_torch(resnet18(bundle.contract), bundle, folder / "resnet18", "image"),
            "mobilenetv2-0.35": lambda: _write_torch(mobilenet(bundle.contract), bundle, folder / "mobilenet", "image"),
        }
    if macs is not None:
        makers["cnn1d"] = lambda: _write_torch(cnn1d(bundle.contract, macs), bundle, folder / "cnn1d", "window")
    made: dict[str, Any] = {}
    for name, make in makers.items():
        try:
            made |= {f"{name}.{recipe}": network for recipe, network in make().items()}
        except MissingExtraError as error:
            made[name] = {"not_made": str(error)}
    return made


def resnet18(contract: Contract) -> Any:
    """ResNet18 of torchvision with the student's head, in eval mode."""
    torch = _torch()
    nn = torch.nn
    network = _torchvision_models(torch, "resnet").resnet18(weights=None)
    channels = contract.image_shape[0]
    if channels != 3:
        network.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network.fc = nn.Sequential(nn.Linear(512, 300), nn.ReLU(), nn.Linear(300, len(contract.labels)))
    return network.eval()


def mobilenet(contract: Contract) -> Any:
    """MobileNetV2 of torchvision with a width of 0.35, in eval mode."""
    torch = _torch()
    network = _torchvision_models(torch, "mobilenetv2").mobilenet_v2(
        weights=None, width_mult=0.35, num_classes=len(contract.labels)
    )
    stem = network.features[0][0]
    if contract.image_shape[0] != 3:
        network.features[0][0] = torch.nn.Conv2d(contract.image_shape[0], stem.out_channels, 3, 2, 1, bias=False)
    return network.eval()


def cnn1d(contract: Contract, macs: int) -> Any:
    """The 1-D network nearest to ``macs`` multiply-accumulates, in eval mode."""
    torch = _torch()
    nn = torch.nn
    axes, samples = contract.window_shape
    stem = stem_channels(axes, samples, len(contract.labels), macs)
    layers: list[Any] = [nn.Conv1d(axes, stem, _STEM_KERNEL, padding=_STEM_KERNEL // 2), nn.ReLU()]
    channels = stem
    for stage in range(_STAGES):
        if stage:
            layers.append(nn.MaxPool1d(2))
        wide = stem * 2**stage
        for before in (channels, wide):
            layers += [nn.Conv1d(before, wide, _KERNEL, padding=_KERNEL // 2), nn.ReLU()]
        channels = wide
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, len(contract.labels))]
    return nn.Sequential(*layers, *head).eval()


def stem_channels(axes: int, samples: int, classes: int, macs: int) -> int:
    """Channels of the 1-D network's stem for which it comes nearest to ``macs`` multiply-accumulates."""
    return min(_STEM_CHANNELS, key=lambda stem: abs(cnn1d_macs(axes, samples, classes, stem) - macs))


def cnn1d_macs(axes: int, samples: int, classes: int, stem: int) -> int:
    """Multiply-accumulates of the 1-D network with ``stem`` channels in its stem."""
    total, channels = samples * _STEM_KERNEL * axes * stem, stem
    for stage in range(_STAGES):
        wide = stem * 2**stage
        total += samples // 2**stage * _KERNEL * wide * (channels + wide)
        channels = wide
    return total + channels * classes


def count_macs(network: Any, example: Any) -> int:
    """Multiply-accumulates of a torch network's convolutions and linear layers for one input."""
    torch = importlib.import_module("torch")
    counter = importlib.import_module("torch.utils.flop_counter").FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(example)
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition each


def _write_torch(network: Any, bundle: Bundle, stem: Path, takes: str) -> dict[str, Any]:
    """The network as fp32 and int8 files; recipe -> file, sha256, size_bytes, macs."""
    for package in ("onnx", "onnxruntime"):
        require(package)
    torch = importlib.import_module("torch")
    shape = bundle.contract.image_shape if takes == "image" else bundle.contract.window_shape
    example = torch.zeros(1, *shape)
    macs = count_macs(network, example)
    stream = io.BytesIO()
    # The older exporter takes 2 s, its successor 8 s; for plain networks both write the same nodes.
    torch.onnx.export(network, (example,), stream, dynamo=False, input_names=[takes], output_names=["logits"])
    path = stem.with_suffix(".fp32.onnx")
    path.write_bytes(stream.getvalue())
    return {
        "fp32": _describe(path, macs),
        "w8a8-static-pc": _describe(_quantize(path, _calibration(bundle, takes)), macs),
    }


def _describe(path: Path, macs: int | None) -> dict[str, Any]:
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return {"file": str(path), "sha256": sha256, "size_bytes": len(content), "macs": macs}


def _calibration(bundle: Bundle, takes: str) -> Float32:
    windows = np.stack(ready_windows(bundle.contract, wrist_signal(bundle))[:CALIBRATION_WINDOWS])
    return windows if takes == "window" else encoder_for(bundle.contract)(windows)


class _Inputs:
    """What onnxruntime's calibrator reads: one input at a time, then None."""

    def __init__(self, name: str, inputs: Float32) -> None:
        self._name = name
        self._rest = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        item = next(self._rest, None)
        return None if item is None else {self._name: item[np.newaxis]}


def _quantize(model: Path, inputs: Float32) -> Path:
    onnx = importlib.import_module("onnx")
    quantization = importlib.import_module("onnxruntime.quantization")
    prepare = importlib.import_module("onnxruntime.quantization.shape_inference").quant_pre_process
    out = model.with_suffix("").with_suffix(".int8.onnx")
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name) / "prepared.onnx"
        prepare(str(model), str(prepared), skip_symbolic_shape=True)
        port = onnx.load(str(prepared)).graph.input[0].name
        quantization.quantize_static(
            str(prepared),
            str(out),
            _Inputs(port, inputs),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=False,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    return out


def _torch() -> Any:
    """torch, computing with one thread and always with the same random weights."""
    for package in ("torch", "torchvision"):
        require(package)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch


def _torchvision_models(torch: Any, module: str) -> ModuleType:
    """A module of ``torchvision.models``, also beside a CPU build of torch.

    There torchvision's compiled operators do not load and its import stops, because it registers fake kernels for two
    operators that do not exist. Declaring them lets it go on; nothing here calls them. The training package has
    the same few lines, but the benchmark imports the runtime alone.
    """
    name = f"torchvision.models.{module}"
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for operator in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", schema)
        return importlib.import_module(name)
