"""A ``.tflite`` in the TensorFlow Lite Micro interpreter: does it run there, with which answers, in how much memory.

The interpreter runs on this machine with the reference kernels of a microcontroller, so answers and memory count, and
times do not. It prints its memory only on standard error, which is one reason for a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.errors import EngineError
from vskd_export.convert.subprocesses import run_in_subprocess

PACKAGE = "tflite_micro"

#: Room to run in; what was needed of it is the result.
_ROOM_BYTES = 64 << 20

_ARENA = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True)
class MicroRun:
    """What the interpreter said.

    Attributes
    ----------
    version : of tflite-micro
    arena_bytes : tensor arena that the model needs, buffers of the file not counted
    logits : (n, classes)
    """

    version: str
    arena_bytes: int
    logits: NDArray[np.float32]


def is_installed() -> bool:
    """Whether tflite-micro is there; it has no wheel for some systems."""
    return importlib.util.find_spec(PACKAGE) is not None


def run_micro(model: bytes, windows: NDArray[np.float32]) -> MicroRun:
    """Run windows through a model in TensorFlow Lite Micro.

    Parameters
    ----------
    model : content of a ``.tflite`` with its weights inside the flatbuffer
    windows : (n, channels, samples), g

    Raises
    ------
    MissingExtraError : tflite-micro is not installed
    VskdError : the interpreter refuses the model, for example an operator that it does not have
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(model)
        np.save(folder / "windows.npy", windows)
        arena_bytes = _arena_apart(folder)
        logits = np.load(folder / "logits.npy")
    return MicroRun(importlib.metadata.version("tflite-micro"), arena_bytes, logits)


def measure_arena(model: bytes) -> int:
    """Arena that a model of any one input needs in TensorFlow Lite Micro, bytes; it runs once, on zeros.

    Parameters
    ----------
    model : content of a ``.tflite`` with its weights inside the flatbuffer

    Raises
    ------
    MissingExtraError : tflite-micro is not installed
    VskdError : the interpreter refuses the model
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(model)
        return _arena_apart(folder)


def _arena_apart(folder: Path) -> int:
    said = run_in_subprocess("vskd_export.judge.micro", folder, purpose="running TensorFlow Lite Micro", needs=PACKAGE)
    found = _ARENA.search(said)
    if found is None:
        raise EngineError("TensorFlow Lite Micro did not report its arena", hint="Try another tflite-micro")
    return int(found.group(1))


def _run(folder: Path) -> None:
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(folder / "model.tflite"), arena_size=_ROOM_BYTES)
    if not (folder / "windows.npy").exists():
        port = interpreter.get_input_details(0)
        interpreter.set_input(np.zeros(port["shape"], port["dtype"]), 0)
        interpreter.invoke()
        interpreter.print_allocations()
        return
    logits = []
    for window in np.load(folder / "windows.npy"):
        interpreter.set_input(window[np.newaxis], 0)
        interpreter.invoke()
        logits.append(interpreter.get_output(0)[0])
    np.save(folder / "logits.npy", np.stack(logits))
    interpreter.print_allocations()


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
