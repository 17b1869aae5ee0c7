"""A ``.tflite`` in the TensorFlow Lite Micro interpreter: does it run there, with which answers, in how much memory.

The interpreter runs on this machine with the reference kernels of a microcontroller, so answers and memory count, and
times do not. It prints its memory only on standard error, which is one reason for a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.errors import EngineError
from vskd_export.subprocesses import call_in_subprocess

PACKAGE = "tflite_micro"

#: Memory to run in; what was needed of it is the result.
_MEMORY_BYTES = 64 << 20

_ARENA = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True)
class MicroRun:
    """What the interpreter reported.

    Attributes
    ----------
    version : of tflite-micro
    arena_bytes : tensor arena that the model needs, buffers of the file not counted
    logits, embeddings : (n, classes) and (n, features)
    """

    version: str
    arena_bytes: int
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]


def is_installed() -> bool:
    """Whether tflite-micro is there; it has no wheel for some systems."""
    return importlib.util.find_spec(PACKAGE) is not None


def run_micro(model: bytes, windows: NDArray[np.float32]) -> MicroRun:
    """Run windows through a model in TensorFlow Lite Micro.

    Parameters
    ----------
    model : content of a ``.tflite`` with its weights inside the flatbuffer
    windows : (n, ...), what goes in: (n, channels, samples), g, or images

    Raises
    ------
    MissingExtraError : tflite-micro is not installed
    VskdError : the interpreter refuses the model, for example an operator that it does not have
    """
    done = call_in_subprocess(_run, model, windows, purpose="running TensorFlow Lite Micro", needs=PACKAGE)
    arena = _ARENA.search(done.log)
    if arena is None:
        raise EngineError("TensorFlow Lite Micro did not report its arena", hint="Try another tflite-micro")
    return MicroRun(importlib.metadata.version("tflite-micro"), int(arena.group(1)), *done.value)


def _run(model: bytes, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=_MEMORY_BYTES)
    logits, embeddings = [], []
    for window in windows:
        interpreter.set_input(window[np.newaxis], 0)
        interpreter.invoke()
        logits.append(interpreter.get_output(0)[0])
        embeddings.append(interpreter.get_output(1)[0])
    interpreter.print_allocations()
    return np.stack(logits), np.stack(embeddings)
