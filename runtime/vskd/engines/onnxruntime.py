"""ONNX Runtime on the CPU as an engine."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.engines import EngineKind, cannot_run, no_embedding, only_input
from vskd.errors import EngineError
from vskd.model_contract import EMBEDDING_NAME

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]


class OnnxRuntimeEngine:
    """A session, ready to run.

    Input and outputs are bound once, to buffers of this object: a call is then 2 % shorter than ``session.run`` with
    the quarter-width and the full-width int8 model. What is not bound is not computed.
    """

    def __init__(
        self, name: str, version: str, session: Any, window: Float32, logits: Float32, embedding: Float32 | None
    ) -> None:
        self.name = name
        self.version = version
        self._session = session
        self._window, self._logits, self._embedding = window, logits, embedding
        self._input: str = session.get_inputs()[0].name
        self._outputs: list[str] = [session.get_outputs()[0].name]
        self._binding = self._bound({self._outputs[0]: logits})
        self._both = None if embedding is None else self._bound({self._outputs[0]: logits, EMBEDDING_NAME: embedding})

    def _bound(self, buffers: Mapping[str, Float32]) -> Any:
        binding = self._session.io_binding()
        binding.bind_input(self._input, "cpu", 0, np.float32, self._window.shape, self._window.ctypes.data)
        for name, buffer in buffers.items():
            binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        return binding

    def infer(self, window: Float32) -> Float32:
        self._run(window, self._binding)
        logits: Float32 = self._logits[0].copy()  # the next window overwrites the buffer
        return logits

    def infer_both(self, window: Float32) -> tuple[Float32, Float32]:
        if self._embedding is None:
            raise no_embedding(f"the model in {self.name}")
        self._run(window, self._both)
        return self._logits[0].copy(), self._embedding[0].copy()

    def _run(self, window: Float32, binding: Any) -> None:
        # Assigning to the buffer would broadcast another shape and round another type.
        if window.shape != self._window.shape[1:] or window.dtype != np.float32:
            raise cannot_run(self.name, window, f"the model takes float32 of shape {self._window.shape[1:]}")
        self._window[0] = window
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:
            raise cannot_run(self.name, window, error) from error


def load(name: str, kind: EngineKind, model: Path, threads: int) -> OnnxRuntimeEngine:
    """Load an ``.onnx``.

    Raises
    ------
    EngineError : a model with several inputs, or without a fixed shape
    """
    library = importlib.import_module(kind.module)
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    session = library.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    window = _fixed_buffer(only_input(session.get_inputs(), model), model)
    first, *others = session.get_outputs()
    embedding = next((_fixed_buffer(port, model) for port in others if port.name == EMBEDDING_NAME), None)
    return OnnxRuntimeEngine(name, library.__version__, session, window, _fixed_buffer(first, model), embedding)


def _fixed_buffer(port: Any, model: Path) -> Float32:
    """Memory for a port's one window, its logits or its embedding."""
    if port.type != "tensor(float)" or not all(isinstance(length, int) for length in port.shape):
        raise EngineError(
            f"{port.name} of {model.name} is {port.type} of shape {port.shape}; "
            "a model takes and gives float32 of a fixed shape",
            hint="Export it with one window as the example and without dynamic axes",
        )
    return np.zeros(port.shape, dtype=np.float32)
