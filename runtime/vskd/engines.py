"""Engines: what runs a model file. One window in, logits out.

Every engine is configured for a wearable: one thread unless told otherwise, and no spinning between windows (ONNX
Runtime's idle threads would otherwise burn a core). An engine is named by the user or by the bundle's stated
preference, never swapped for another. Each library is imported where it is used; a missing one is an error that names
its extra. This module knows nothing of bundles, streams or decisions.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from vskd.errors import ConfigError, EngineError, MissingExtraError, did_you_mean

if TYPE_CHECKING:  # slow to import, see vskd.stream
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

ModelFormat = Literal["onnx", "tflite"]


class Engine(Protocol):
    """A model, ready to run.

    Attributes
    ----------
    name : as in ``ENGINES``
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


class OnnxRuntimeEngine:
    """ONNX Runtime on the CPU.

    Input and output are bound once, to buffers of this object: a call is then 2 % shorter than ``session.run`` with
    the quarter-width and the full-width int8 model.
    """

    name = "onnxruntime"

    def __init__(self, model: Path, *, threads: int) -> None:
        runtime = importlib.import_module("onnxruntime")
        self.version: str = runtime.__version__
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        source, target = _only_input(self._session.get_inputs(), model), self._session.get_outputs()[0]
        self._input: str = source.name
        self._outputs = [target.name]
        self._window, self._logits = _fixed_buffer(source, model), _fixed_buffer(target, model)
        self._binding = self._session.io_binding()
        self._binding.bind_input(source.name, "cpu", 0, np.float32, self._window.shape, self._window.ctypes.data)
        self._binding.bind_output(target.name, "cpu", 0, np.float32, self._logits.shape, self._logits.ctypes.data)

    def infer(self, window: Float32) -> Float32:
        # Assigning to the buffer would broadcast another shape and round another type.
        if window.shape != self._window.shape[1:] or window.dtype != np.float32:
            raise _cannot_run(self.name, window, f"the model takes float32 of shape {self._window.shape[1:]}")
        self._window[0] = window
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            raise _cannot_run(self.name, window, error) from error
        logits: Float32 = self._logits[0].copy()  # the next window overwrites the buffer
        return logits


class TfliteEngine:
    """The TensorFlow Lite interpreter, out of whichever package holds it.

    ``set_tensor`` and ``get_tensor`` copy 6 KB at most; views of the interpreter's own memory (``tensor()``) were
    measured to be no faster with either int8 model, and a view that lives on stops the next call.
    """

    def __init__(self, model: Path, *, threads: int, name: str, interpreter: Any, version: str) -> None:
        self.name = name
        self.version = version
        # Given a path it maps the file, and the process dies when someone copies another one over it.
        self._content = model.read_bytes()  # the interpreter may read it in place
        self._interpreter = interpreter(model_content=self._content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input: int = _only_input(self._interpreter.get_input_details(), model)["index"]
        self._output: int = self._interpreter.get_output_details()[0]["index"]

    def infer(self, window: Float32) -> Float32:
        try:
            self._interpreter.set_tensor(self._input, window[np.newaxis])
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise _cannot_run(self.name, window, error) from error
        logits: Float32 = self._interpreter.get_tensor(self._output)[0]
        return logits


def _only_input(ports: Sequence[Any], model: Path) -> Any:
    if len(ports) != 1:
        raise EngineError(f"{model.name} has {len(ports)} inputs; a model takes one, the window")
    return ports[0]


def _fixed_buffer(port: Any, model: Path) -> Float32:
    """Memory for a port's one window or its logits."""
    if port.type != "tensor(float)" or not all(isinstance(length, int) for length in port.shape):
        raise EngineError(
            f"{port.name} of {model.name} is {port.type} of shape {port.shape}; "
            "a model takes and gives float32 of a fixed shape",
            hint="Export it with one window as the example and without dynamic axes",
        )
    return np.zeros(port.shape, dtype=np.float32)


def _cannot_run(name: str, window: Float32, reason: Exception | str) -> EngineError:
    return EngineError(f"{name} cannot run a {window.dtype} window of shape {window.shape}: {_one_line(reason)}")


def _one_line(error: Exception | str) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _open_litert(model: Path, threads: int) -> Engine:
    from importlib import metadata  # slow to import, so not before it is needed

    module = importlib.import_module("ai_edge_litert.interpreter")
    version = metadata.version("ai-edge-litert")
    return TfliteEngine(model, threads=threads, name="litert", interpreter=module.Interpreter, version=version)


def _open_tflite_runtime(model: Path, threads: int) -> Engine:
    if int(np.__version__.split(".", maxsplit=1)[0]) >= 2:
        raise EngineError(
            f"tflite-runtime works only beside numpy 1.x, and numpy {np.__version__} is installed",
            hint="Use --engine litert, or pip install 'numpy<2' in an environment of its own",
        )
    from importlib import metadata

    module = importlib.import_module("tflite_runtime.interpreter")
    version = metadata.version("tflite-runtime")
    return TfliteEngine(model, threads=threads, name="tflite-runtime", interpreter=module.Interpreter, version=version)


def _open_tensorflow(model: Path, threads: int) -> Engine:
    module = importlib.import_module("tensorflow")
    return TfliteEngine(
        model, threads=threads, name="tensorflow", interpreter=module.lite.Interpreter, version=module.__version__
    )


def _open_onnxruntime(model: Path, threads: int) -> Engine:
    return OnnxRuntimeEngine(model, threads=threads)


@dataclass(frozen=True)
class EngineKind:
    """What vskd knows of an engine before loading it.

    Attributes
    ----------
    format : of the model files that it runs
    package : import name
    extra : of vskd, which installs it
    open : (model, threads) -> Engine
    """

    format: ModelFormat
    package: str
    extra: str
    open: Callable[[Path, int], Engine]


#: In the order of preference where a bundle and the user leave the choice open.
ENGINES: Mapping[str, EngineKind] = {
    "litert": EngineKind("tflite", "ai_edge_litert", "litert", _open_litert),
    "onnxruntime": EngineKind("onnx", "onnxruntime", "onnx", _open_onnxruntime),
    "tflite-runtime": EngineKind("tflite", "tflite_runtime", "tflite-runtime", _open_tflite_runtime),
    "tensorflow": EngineKind("tflite", "tensorflow", "tensorflow", _open_tensorflow),
}


def engine_kind(name: str) -> EngineKind:
    """What is known of the engine of this name.

    Raises
    ------
    ConfigError : no such engine
    """
    if name not in ENGINES:
        raise ConfigError(f"there is no engine {name!r}", hint=did_you_mean(name, ENGINES))
    return ENGINES[name]


def is_installed(name: str) -> bool:
    """Whether the engine's package can be found (it is not imported)."""
    return importlib.util.find_spec(engine_kind(name).package) is not None


def installed_engines() -> tuple[str, ...]:
    """Names of the engines whose packages are installed, most preferred first."""
    return tuple(name for name in ENGINES if is_installed(name))


def open_engine(name: str, model: Path, *, threads: int = 1) -> Engine:
    """Load a model file into the engine of this name.

    Parameters
    ----------
    name : as in ``ENGINES``
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
        raise MissingExtraError(kind.package, extra=kind.extra, purpose=f"the engine {name}")
    try:
        return kind.open(model, threads)
    except ImportError as error:
        raise EngineError(f"{kind.package} is installed but cannot be imported: {error}") from error
    except EngineError:
        raise
    except Exception as error:  # each library refuses a file with exceptions of its own, ONNX Runtime's without a base
        raise EngineError(
            f"{name} cannot load {model.name}: {_one_line(error)}", hint="Copy or export it again"
        ) from error
