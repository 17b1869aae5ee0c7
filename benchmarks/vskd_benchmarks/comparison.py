"""The pipeline that a user would write otherwise: pyts draws the image, torchvision's resnet18 reads it.

Two forms: the network in eager torch, and the same network in ONNX Runtime fp32 with the image as input. Beside them
the two encoders alone, vskd's in numpy against pyts. What is equal: the window, the fields, the size of the image, the
threads. What is not, and cannot be: pyts knows min-max scaling only, and the network is ResNet18 as published, of full
width, whatever the bundle holds. Weights are random; latency does not depend on them. The pipeline is handed a ready
window, so its windowing costs nothing here.

torch, torchvision, onnx and pyts are imported where they are used. A missing one leaves an empty slot in the result.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.errors import MissingExtraError
from vskd.gaf import GafEncoder
from vskd_benchmarks.cases import Case
from vskd_benchmarks.measure import Clock
from vskd_benchmarks.wrist_signal import ready_windows, wrist_signal

Float32 = NDArray[np.float32]

_EXTRA = {"pyts": "dev", "torch": "training", "torchvision": "training", "onnx": "export", "onnxruntime": "onnx"}
_PYTS_METHOD = {"gasf": "summation", "gadf": "difference"}
_NETWORK = "torchvision resnet18, as published"


class PytsEncoder:
    """Windows (channels, samples) to images (fields * channels, size, size) by pyts, min-max scaled."""

    def __init__(self, contract: Contract) -> None:
        field, spec = _import_pyts_image().GramianAngularField, contract.gaf
        self._fields = [field(image_size=spec.size, method=_PYTS_METHOD[name]) for name in spec.fields]
        channels, samples = contract.window_shape
        # numba compiles now, for some seconds, and not in the middle of the warm-up.
        self(np.tile(np.arange(samples, dtype=np.float32), (channels, 1)))

    def __call__(self, window: Float32) -> Float32:
        # The axes go in as three series of one call: pyts at its best.
        images = [field.fit_transform(window) for field in self._fields]
        return np.concatenate(images).astype(np.float32)


class EncoderPair:
    """vskd's numpy encoder and pyts on the same window, in turns."""

    series: tuple[str, ...] = ("vskd_numpy", "pyts")

    def __init__(self, contract: Contract, windows: Iterator[Float32]) -> None:
        self._numpy = GafEncoder(contract.gaf, contract.window.samples)
        self._pyts = PytsEncoder(contract)
        self._windows = windows
        self._scaling = contract.gaf.scaling
        self._numpy_first = False

    def describe(self) -> dict[str, Any]:
        return {"vskd_scaling": self._scaling, "pyts_scaling": "minmax", "pyts": _version("pyts")}

    def run_once(self, clock: Clock) -> tuple[int, ...]:
        window = next(self._windows)
        self._numpy_first = not self._numpy_first
        if self._numpy_first:
            numpy_ns = _timed(self._numpy, window, clock)
            return numpy_ns, _timed(self._pyts, window, clock)
        pyts_ns = _timed(self._pyts, window, clock)
        return _timed(self._numpy, window, clock), pyts_ns


class ImagePipeline:
    """pyts, then a network on the image, then softmax and the winning class.

    Parameters
    ----------
    contract : for the image
    windows : ready ones, without end
    network : (channels, size, size) -> logits (classes,)
    description : for the result
    """

    series: tuple[str, ...] = ("window_to_label", "encode", "infer", "decide")

    def __init__(
        self,
        contract: Contract,
        windows: Iterator[Float32],
        network: Callable[[Float32], Float32],
        description: dict[str, Any],
    ) -> None:
        self._encoder = PytsEncoder(contract)
        self._windows = windows
        self._network = network
        self._labels = contract.labels
        self._description = description

    def describe(self) -> dict[str, Any]:
        return {"network": _NETWORK, "scaling": "minmax", "weights": "random", **self._description}

    def run_once(self, clock: Clock) -> tuple[int, ...]:
        window = next(self._windows)
        start = clock()
        image = self._encoder(window)
        encoded = clock()
        logits = self._network(image)
        inferred = clock()
        _ = self._labels[int(softmax(logits).argmax())]
        decided = clock()
        return decided - start, encoded - start, inferred - encoded, decided - inferred


def open_encoder_pair(bundle: Bundle, threads: int) -> Case:
    """The encoders alone; ``threads`` is without meaning for both."""
    return EncoderPair(bundle.contract, _windows(bundle))


def open_torch_pipeline(bundle: Bundle, threads: int) -> Case:
    """The usual pipeline in eager torch."""
    network = _resnet18(bundle.contract, threads)
    torch = importlib.import_module("torch")

    def infer(image: Float32) -> Float32:
        with torch.inference_mode():
            logits: Float32 = network(torch.from_numpy(image[np.newaxis]))[0].numpy()
        return logits

    versions = {name: _version(name) for name in ("pyts", "torch", "torchvision")}
    return ImagePipeline(bundle.contract, _windows(bundle), infer, versions)


def open_onnxruntime_pipeline(bundle: Bundle, threads: int) -> Case:
    """The usual pipeline in ONNX Runtime, fp32, the image as input."""
    for package in ("onnx", "onnxruntime"):
        _require(package)
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    model = _image_model(bundle.contract, threads)
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def infer(image: Float32) -> Float32:
        logits: Float32 = session.run(None, {"image": image[np.newaxis]})[0][0]
        return logits

    description = {"pyts": _version("pyts"), "onnxruntime": runtime.__version__, "size_bytes": len(model)}
    return ImagePipeline(bundle.contract, _windows(bundle), infer, description)


#: What can be set beside a bundle: name -> (bundle, threads) -> Case. Each raises MissingExtraError where it cannot.
COMPARISONS: Mapping[str, Callable[[Bundle, int], Case]] = {
    "encoder": open_encoder_pair,
    "pyts+torch": open_torch_pipeline,
    "pyts+onnxruntime": open_onnxruntime_pipeline,
}


def _windows(bundle: Bundle) -> Iterator[Float32]:
    return itertools.cycle(ready_windows(bundle.contract, wrist_signal(bundle)))


def _timed(encoder: Callable[[Float32], Float32], window: Float32, clock: Clock) -> int:
    start = clock()
    encoder(window)
    return clock() - start


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra=_EXTRA[package], purpose="the comparison")


def _version(package: str) -> str:
    version: str = importlib.import_module("importlib.metadata").version(package)
    return version


def _import_pyts_image() -> ModuleType:
    """``pyts.image``, its compiled functions compiled when they are first called.

    pyts 0.14 names every type of every function to numba, which compiles them all while pyts is imported: 25 s and
    more of computing, most of it for functions that are never called here. Without the list numba compiles the same
    source for the types it meets, in a few seconds. The speed of a call was measured to be the same.
    """
    _require("pyts")
    numba: Any = importlib.import_module("numba")
    eager = numba.njit

    def lazy(*args: Any, **options: Any) -> Any:
        decorates_directly = bool(args) and callable(args[0])
        return eager(*args, **options) if decorates_directly else eager(**options)

    numba.njit = lazy
    try:
        return importlib.import_module("pyts.image")
    finally:
        numba.njit = eager


def _resnet18(contract: Contract, threads: int) -> Any:
    """ResNet18 of torchvision with the student's head, in eval mode."""
    for package in ("torch", "torchvision", "pyts"):
        _require(package)
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    nn = torch.nn
    network = _torchvision_resnet(torch).resnet18(weights=None)
    channels = contract.image_shape[0]
    if channels != 3:
        network.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network.fc = nn.Sequential(nn.Linear(512, 300), nn.ReLU(), nn.Linear(300, len(contract.labels)))
    return network.eval()


def _torchvision_resnet(torch: ModuleType) -> ModuleType:
    """``torchvision.models.resnet``, also beside a CPU build of torch.

    There torchvision's compiled operators do not load and its import stops, because it registers fake kernels for two
    operators that do not exist. Declaring them lets it go on; nothing here calls them. The workshop has the same few
    lines, but the benchmark imports the runtime alone.
    """
    try:
        return importlib.import_module("torchvision.models.resnet")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", schema)
        return importlib.import_module("torchvision.models.resnet")


def _image_model(contract: Contract, threads: int) -> bytes:
    """The same network as ONNX, image in, logits out."""
    network = _resnet18(contract, threads)
    torch = importlib.import_module("torch")
    stream = io.BytesIO()
    example = torch.zeros(1, *contract.image_shape)
    # The older exporter takes 2 s, its successor 8 s; for a plain ResNet18 both write the same nodes.
    torch.onnx.export(network, (example,), stream, dynamo=False, input_names=["image"], output_names=["logits"])
    return stream.getvalue()
