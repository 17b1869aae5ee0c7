"""What a bundle's models are compared with: the usual pipeline, the same network behind an image, other networks.

pyts-torch, pyts-onnxruntime
    pyts draws the image, torchvision's ResNet18 reads it, as a user would write it: full width, random weights (latency
    does not depend on them), min-max scaling (pyts knows no other), softmax and the winning class. Windowing is vskd's,
    because a scope is compared with an equal scope only.
image-input
    the bundle's own network without its encoder (``vskd export --variants``), behind vskd's numpy encoder
students
    other networks at the same input, see ``vskd_benchmarks.pipelines.networks``

torch, torchvision, onnx and pyts are imported where they are used. Where one is missing the case is skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.encoders.gaf import GafEncoder
from vskd.engines import open_engine
from vskd.errors import MissingExtraError
from vskd.stream import Window
from vskd_benchmarks.pipelines.cases import Network, PipelineCase, engine_network
from vskd_benchmarks.pipelines.networks import require, resnet18
from vskd_benchmarks.pipelines.wrist_signal import wrist_signal

Float32 = NDArray[np.float32]

_PYTS_METHOD = {"gasf": "summation", "gadf": "difference"}


def pyts_encoder(contract: Contract) -> Callable[[Float32], Float32]:
    """Windows (channels, samples) to images (fields * channels, size, size) by pyts, min-max scaled."""
    field, spec = _import_pyts_image().GramianAngularField, contract.image_spec
    fields = [field(image_size=spec.size, method=_PYTS_METHOD[name]) for name in spec.fields]

    def encode(window: Float32) -> Float32:
        # The axes go in as three series of one call: pyts at its best.
        return np.concatenate([field.fit_transform(window) for field in fields]).astype(np.float32)

    channels, samples = contract.window_shape
    # numba compiles now, for some seconds, and not in the middle of the warm-up.
    encode(np.tile(np.arange(samples, dtype=np.float32), (channels, 1)))
    return encode


def open_torch_pipeline(bundle: Bundle, threads: int) -> PipelineCase:
    """The usual pipeline in eager torch."""
    require("pyts")
    network = resnet18(bundle.contract)
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)

    def infer(image: Float32) -> Float32:
        with torch.inference_mode():
            logits: Float32 = network(torch.from_numpy(image[np.newaxis]))[0].numpy()
        return logits

    return PipelineCase(
        bundle,
        Network(
            infer=infer,
            engine_version=torch.__version__,
            encode=pyts_encoder(bundle.contract),
            decide=_winner(bundle.contract),
            options={"num_threads": torch.get_num_threads()},
            trained=False,
        ),
        wrist_signal(bundle),
    )


def open_network(bundle: Bundle, file: Path, *, encoder: str, threads: int, trained: bool) -> PipelineCase:
    """An ONNX file in ONNX Runtime.

    Parameters
    ----------
    bundle : gives contract and signal
    file : takes an image, or the window where ``encoder`` is ``"none"``
    encoder : ``"numpy"``, ``"none"``, or ``"pyts"`` for the usual pipeline, which takes the winning class
    threads : computing threads
    trained : whether it is the bundle's network
    """
    engine = open_engine("onnxruntime", file, threads=threads)
    return PipelineCase(
        bundle,
        engine_network(
            engine,
            threads,
            encode=_encoder(bundle.contract, encoder),
            decide=_winner(bundle.contract) if encoder == "pyts" else None,
            trained=trained,
        ),
        wrist_signal(bundle),
    )


def open_image_signature(bundle: Bundle, file: str, threads: int) -> PipelineCase:
    """The signature ``image`` of a file of the bundle's variants in LiteRT, behind the numpy encoder."""
    from importlib.metadata import version

    module = importlib.import_module("ai_edge_litert.interpreter")
    content = bundle.checked_path(file).read_bytes()
    interpreter = module.Interpreter(model_content=content, num_threads=threads)
    runner = interpreter.get_signature_runner("image")
    (port,) = runner.get_input_details()

    def infer(image: Float32) -> Float32:
        logits: Float32 = runner(**{port: image[np.newaxis]})["logits"][0]
        return logits

    encode = _encoder(bundle.contract, "numpy")
    network = Network(infer, version("ai-edge-litert"), encode, options={"num_threads": threads})
    return PipelineCase(bundle, network, wrist_signal(bundle))


def _encoder(contract: Contract, name: str) -> Callable[[Float32], Float32] | None:
    if name == "none":
        return None
    return pyts_encoder(contract) if name == "pyts" else GafEncoder(contract.image_spec, contract.window.samples)


def _winner(contract: Contract) -> Callable[[Float32, Window], str]:
    labels = contract.labels
    return lambda logits, _: labels[int(softmax(logits).argmax())]


def _import_pyts_image() -> ModuleType:
    """``pyts.image``, its compiled functions compiled when they are first called.

    pyts 0.14 names every type of every function to numba, which compiles them all while pyts is imported: 25 s and
    more of computing, most of it for functions that are never called here. Without the list numba compiles the same
    source for the types it meets, in a few seconds. The speed of a call was measured to be the same. Where the parent
    names a folder for it (``NUMBA_CACHE_DIR``), the compiled code is kept for the other processes of the run.
    """
    require("pyts")
    numba: Any = importlib.import_module("numba")
    eager = numba.njit
    kept = {"cache": True} if os.environ.get("NUMBA_CACHE_DIR") else {}

    def lazy(*args: Any, **options: Any) -> Any:
        decorates_directly = bool(args) and callable(args[0])
        return eager(*args, **options) if decorates_directly else eager(**{**options, **kept})

    numba.njit = lazy
    try:
        return importlib.import_module("pyts.image")
    finally:
        numba.njit = eager


def missing_packages(*packages: str) -> MissingExtraError | None:
    """The error that the first missing package would raise; None if all are installed."""
    for package in packages:
        try:
            require(package)
        except MissingExtraError as error:
            return error
    return None
