"""Engines: what runs a model file. One window in, logits and embedding out. ``ENGINES`` is the one list of the
libraries, ``OWN_ENGINE`` needs none.

Every engine is configured for a wearable: one thread by default, and no spinning between windows (ONNX
Runtime's idle threads would otherwise burn a core). An engine is named by the user or chosen by what is installed,
and whoever runs a model says which it was. Each library is imported where it is used; a missing one is an error that
names its extra. This module loads neither a library nor numpy, so that options and help can name the engines. It does
not depend on bundles, streams or decisions.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vskd.errors import ConfigError, EngineError, MissingExtraError, did_you_mean
from vskd.model_contract import ModelFormat

if TYPE_CHECKING:  # slow to import
    import numpy as np
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

#: Features of an embedding: the widest student has a quarter of them.
MOST_FEATURES = 4096


class Engine(Protocol):
    """A model, ready to run.

    Attributes
    ----------
    name : as in ``ENGINE_NAMES``
    version : of the library
    """

    name: str
    version: str

    def infer(self, window: Float32) -> Float32:
        """Logits (classes,) of one window (channels, samples), g.

        The logits are the caller's to keep. An engine serves one caller at a time: it reuses its buffers.

        Raises
        ------
        EngineError : the model does not take such a window
        """
        ...

    def infer_both(self, window: Float32) -> tuple[Float32, Float32]:
        """Logits (classes,) of one window (channels, samples), g, and its embedding (features,), without unit.

        Both are the caller's to keep. An engine that says nothing else, in a class that names this one as its base,
        has no embedding.

        Raises
        ------
        EngineError : the model has no embedding, or does not take such a window
        """
        raise no_embedding(self.name)


@dataclass(frozen=True)
class EngineKind:
    """What vskd knows of an engine before loading it.

    Attributes
    ----------
    format : of the model files that it runs
    module : what is imported to run them
    distribution : name of the package in an index
    extra : of vskd, which installs it
    load : (name, kind, model, threads) -> Engine
    """

    format: ModelFormat
    module: str
    distribution: str
    extra: str
    load: Callable[[str, EngineKind, Path, int], Engine]

    @property
    def package(self) -> str:
        """Import name of the package."""
        return self.module.partition(".")[0]


def _load_onnxruntime(name: str, kind: EngineKind, model: Path, threads: int) -> Engine:
    from vskd.engines.onnxruntime import load

    return load(name, kind, model, threads)


def _load_tflite(name: str, kind: EngineKind, model: Path, threads: int) -> Engine:
    from vskd.engines.tflite import load

    return load(name, kind, model, threads)


def _load_plan(name: str, kind: EngineKind, model: Path, threads: int) -> Engine:
    from vskd.engines.plan import load

    return load(name, kind, model, threads)


#: Libraries, in the order of preference where a bundle and the user leave the choice open.
ENGINES: Mapping[str, EngineKind] = {
    "litert": EngineKind("tflite", "ai_edge_litert.interpreter", "ai-edge-litert", "litert", _load_tflite),
    "onnxruntime": EngineKind("onnx", "onnxruntime", "onnxruntime", "onnx", _load_onnxruntime),
    "tflite-runtime": EngineKind(
        "tflite", "tflite_runtime.interpreter", "tflite-runtime", "tflite-runtime", _load_tflite
    ),
    "tensorflow": EngineKind("tflite", "tensorflow", "tensorflow-cpu", "tensorflow", _load_tflite),
}

#: vskd's own, which needs numpy alone: int8 models of TensorFlow Lite, bit by bit as on a microcontroller, and slow. It
#: runs where it is asked for by name, or nothing else can.
OWN_ENGINE = "vskd"
_OWN = EngineKind("tflite", "vskd.engines.plan", "vskd", "", _load_plan)

#: What a user can name.
ENGINE_NAMES = (*ENGINES, OWN_ENGINE)


def engine_kind(name: str) -> EngineKind:
    """What is known of the engine of this name.

    Raises
    ------
    ConfigError : no such engine
    """
    if name == OWN_ENGINE:
        return _OWN
    if name not in ENGINES:
        raise ConfigError(f"there is no engine {name!r}", hint=did_you_mean(name, ENGINE_NAMES))
    return ENGINES[name]


def is_installed(name: str) -> bool:
    """Whether the engine's package can be found (it is not imported)."""
    return importlib.util.find_spec(engine_kind(name).package) is not None


def installed_engines() -> tuple[str, ...]:
    """Names of the libraries that are installed, most preferred first."""
    return tuple(name for name in ENGINES if is_installed(name))


def missing_engine(name: str | None, *, purpose: str) -> MissingExtraError:
    """The error for an engine that is not installed; None stands for any."""
    if name is None:
        return MissingExtraError("an engine", extra=next(iter(ENGINES.values())).extra, purpose=purpose)
    kind = engine_kind(name)
    return MissingExtraError(kind.package, extra=kind.extra, purpose=purpose)


def open_engine(name: str, model: Path, *, threads: int = 1) -> Engine:
    """Load a model file into the engine of this name.

    Parameters
    ----------
    name : as in ``ENGINE_NAMES``
    model : a file of the engine's format
    threads : computing threads

    Raises
    ------
    ConfigError : no such engine
    MissingExtraError : the engine is not installed
    EngineError : the engine refuses the file
    """
    kind = engine_kind(name)
    if model.suffix != f".{kind.format}":
        raise EngineError(f"{name} runs .{kind.format} files, not {model.name}")
    if not is_installed(name):
        raise missing_engine(name, purpose=f"the engine {name}")
    try:
        return kind.load(name, kind, model, threads)
    except ImportError as error:
        raise EngineError(f"{kind.package} is installed but cannot be imported: {error}") from error
    except EngineError:
        raise
    except Exception as error:  # each library refuses a file with exceptions of its own, ONNX Runtime's without a base
        raise EngineError(
            f"{name} cannot load {model.name}: {_one_line(error)}", hint="Copy or export it again"
        ) from error


def only_input(ports: Sequence[Any], model: Path) -> Any:
    """The one input of a model, as its engine describes it.

    Raises
    ------
    EngineError : there are several
    """
    if len(ports) != 1:
        raise EngineError(f"{model.name} has {len(ports)} inputs; a model takes one, the window")
    return ports[0]


def no_embedding(name: str) -> EngineError:
    """The error for a model (or engine) that gives logits alone."""
    return EngineError(
        f"{name} gives logits and no embedding, by which examples are compared",
        hint="Export the run again: `vskd export RUN --out NAME.bundle` writes models that have it",
    )


def cannot_run(name: str, window: Float32, reason: Exception | str) -> EngineError:
    """The error for a window that an engine refuses."""
    return EngineError(f"{name} cannot run a {window.dtype} window of shape {window.shape}: {_one_line(reason)}")


def _one_line(error: Exception | str) -> str:
    return " ".join(str(error).split()).rstrip(".")
