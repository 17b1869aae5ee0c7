"""Models in an engine in a process of its own.

Two engines in one process have been seen to deadlock, and their libraries write to the terminal.

``python -m vskd.engines.process ENGINE MODEL...`` is the other side of that process: windows come in on standard input
as an ``.npy``, logits leave on standard output as an ``.npz``.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.engines import open_engine
from vskd.errors import EngineError, VskdError

Float32 = NDArray[np.float32]

#: An engine that has not answered by then has deadlocked.
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Answer:
    """An engine's name and version, and its logits (windows, classes) of each model."""

    engine: str
    version: str
    logits: tuple[Float32, ...]


def infer_in_subprocess(engine: str, models: Sequence[Path], windows: Float32) -> Answer:
    """Run windows through models in a fresh process.

    Parameters
    ----------
    engine : as in ``vskd.engines.ENGINES``
    models : files of the engine's format
    windows : (windows, channels, samples), g

    Raises
    ------
    EngineError : the engine cannot load or run one of the models, or does not answer
    """
    source = io.BytesIO()
    np.save(source, np.ascontiguousarray(windows, dtype=np.float32))
    command = [sys.executable, "-m", "vskd.engines.process", engine, *map(str, models)]
    try:
        done = subprocess.run(
            command,
            input=source.getvalue(),
            capture_output=True,
            timeout=TIMEOUT_S,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{engine} did not answer within {TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineError(f"{engine} failed (exit code {done.returncode}): {last_line}")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
        logits = tuple(archive[f"logits_{index}"] for index in range(len(models)))
        return Answer(engine, str(archive["version"]), logits)


def _environment() -> dict[str, str]:
    """The environment of this process, where the child finds this very vskd even if it is not installed."""
    package_root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([package_root, *([inherited] if inherited else [])])}


def _serve(engine_name: str, models: Sequence[str]) -> int:
    """The child's side of ``infer_in_subprocess``; returns the exit code."""
    # Engines print on standard output; the answer gets a descriptor of its own.
    answer_channel = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    windows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    arrays: dict[str, Any] = {}
    try:
        for index, model in enumerate(models):
            engine = open_engine(engine_name, Path(model))
            arrays[f"logits_{index}"] = np.stack([engine.infer(window) for window in windows])
            arrays["version"] = np.array(engine.version)
    except (VskdError, RuntimeError, ValueError) as error:
        one_line = " ".join(str(error).split())
        sys.stderr.write(f"\n{one_line}\n")
        return 1
    with os.fdopen(answer_channel, "wb") as stream:
        stream.write(_npz(arrays))
    return 0


def _npz(arrays: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1], sys.argv[2:]))
