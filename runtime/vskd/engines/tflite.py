"""The TensorFlow Lite interpreter as an engine, out of whichever package holds it."""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.engines import EngineKind, cannot_run, no_embedding, only_input
from vskd.errors import EngineError
from vskd.model_contract import EMBEDDING_NAME

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]


class TfliteEngine:
    """The interpreter, ready to run.

    ``set_tensor`` and ``get_tensor`` copy 6 KB at most; views of the interpreter's own memory (``tensor()``) were
    measured to be no faster with either int8 model, and a view that lives on stops the next call.
    """

    def __init__(
        self,
        name: str,
        version: str,
        content: bytes,
        interpreter: Any,
        ports: tuple[int, int],
        embedding: int | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self._content = content  # the interpreter may read it in place
        self._interpreter = interpreter
        self._input, self._output = ports
        self._embedding = embedding

    def infer(self, window: Float32) -> Float32:
        try:
            self._interpreter.set_tensor(self._input, window[np.newaxis])
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise cannot_run(self.name, window, error) from error
        logits: Float32 = self._interpreter.get_tensor(self._output)[0]
        return logits

    def infer_both(self, window: Float32) -> tuple[Float32, Float32]:
        if self._embedding is None:
            raise no_embedding(f"the model in {self.name}")
        return self.infer(window), self._interpreter.get_tensor(self._embedding)[0]


def load(name: str, kind: EngineKind, model: Path, threads: int) -> TfliteEngine:
    """Load a ``.tflite``.

    Raises
    ------
    EngineError : tflite-runtime beside numpy 2, or a model with several inputs
    """
    if name == "tflite-runtime" and int(np.__version__.split(".", maxsplit=1)[0]) >= 2:
        raise EngineError(
            f"tflite-runtime works only beside numpy 1.x, and numpy {np.__version__} is installed",
            hint="Use --engine litert, or pip install 'numpy<2' in an environment of its own",
        )
    module = importlib.import_module(kind.module)
    interpreter_class = module.lite.Interpreter if name == "tensorflow" else module.Interpreter
    version = module.__version__ if name == "tensorflow" else metadata.version(kind.distribution)
    # Given a path it maps the file, and the process dies when someone copies another one over it.
    content = model.read_bytes()
    interpreter = interpreter_class(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    first, *others = interpreter.get_output_details()
    embedding = next((port["index"] for port in others if port["name"] == EMBEDDING_NAME), None)
    ports = only_input(interpreter.get_input_details(), model)["index"], first["index"]
    return TfliteEngine(name, version, content, interpreter, ports, embedding)
