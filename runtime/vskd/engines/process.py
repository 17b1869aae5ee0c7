"""Models in an engine in a process of its own.

Two engines in one process have been seen to deadlock, and their libraries write to the terminal.

``python -m vskd.engines.process ENGINE MOST_VALUES logits|both MODEL...`` is the other side of that process: windows
come in on standard input as an ``.npy``, logits (and embeddings) leave on standard output as an ``.npz``.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import MOST_LABELS
from vskd.engines import MOST_FEATURES, open_engine
from vskd.errors import EngineError, VskdError

Float32 = NDArray[np.float32]

#: An engine that has not answered by then has deadlocked.
TIMEOUT_S = 600.0

#: Addresses that the process gets at least; the libraries take a good part of it on any machine.
LEAST_MEMORY_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Answer:
    """An engine's name and version, and of each model its logits (windows, classes) and, where they were asked for, its
    embeddings (windows, features).
    """

    engine: str
    version: str
    logits: tuple[Float32, ...]
    embeddings: tuple[Float32, ...] = ()


def infer_in_subprocess(
    engine: str,
    models: Sequence[Path],
    windows: Float32,
    *,
    timeout_s: float = TIMEOUT_S,
    most_values: int = MOST_LABELS,
    embeddings: bool = False,
) -> Answer:
    """Run windows through models in a fresh process.

    Parameters
    ----------
    engine : as in ``vskd.engines.ENGINE_NAMES``
    models : files of the engine's format
    windows : (windows, channels, samples), g
    timeout_s : how long the process may take
    most_values : that a model may give for a window, its embedding apart
    embeddings : ask every model for its embedding, too

    Raises
    ------
    EngineError : the engine cannot load or run one of the models, or does not answer; a model has no embedding
    """
    source = io.BytesIO()
    np.save(source, np.ascontiguousarray(windows, dtype=np.float32))
    command = [sys.executable, "-m", "vskd.engines.process", engine, str(most_values)]
    command += ["both" if embeddings else "logits", *map(str, models)]
    try:
        done = subprocess.run(
            command,
            input=source.getvalue(),
            capture_output=True,
            timeout=timeout_s,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{engine} did not answer within {timeout_s:.0f} s") from error
    except OSError as error:
        raise EngineError(f"no process can be started for {engine}: {error.strerror or error}") from error
    if done.returncode != 0:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        how = f"exit code {done.returncode}" if done.returncode > 0 else signal.Signals(-done.returncode).name
        raise EngineError(f"{engine} failed ({how}): {last_line or 'it said nothing'}")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
        logits, given = (
            tuple(archive[f"{what}_{index}"] for index in range(len(models)) if f"{what}_{index}" in archive)
            for what in ("logits", "embedding")
        )
        return Answer(engine, str(archive["version"]), logits, given)


def _environment() -> dict[str, str]:
    """The environment of this process, where the child finds this very vskd even if it is not installed."""
    package_root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([package_root, *([inherited] if inherited else [])])}


def _serve(engine_name: str, most_values: int, outputs: str, models: Sequence[str]) -> int:
    """The child's side of ``infer_in_subprocess``; returns the exit code."""
    _limit_memory()
    # Engines print on standard output; the answer gets a descriptor of its own.
    answer_channel = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    windows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    arrays: dict[str, Any] = {}
    try:
        for index, model in enumerate(models):
            engine = open_engine(engine_name, Path(model))
            if outputs == "logits":
                arrays[f"logits_{index}"] = np.stack([_held(engine.infer(window), most_values) for window in windows])
            else:
                pairs = [_both(*engine.infer_both(window), most_values) for window in windows]
                logits, embeddings = zip(*pairs, strict=True)
                arrays |= {f"logits_{index}": np.stack(logits), f"embedding_{index}": np.stack(embeddings)}
            arrays["version"] = np.array(engine.version)
    except (VskdError, RuntimeError, ValueError, MemoryError) as error:
        one_line = " ".join(str(error).split())
        sys.stderr.write(f"\n{one_line}\n")
        return 1
    with os.fdopen(answer_channel, "wb") as stream:
        stream.write(_npz(arrays))
    return 0


def _held(values: Float32, most_values: int) -> Float32:
    """What a model gives for a window, if it is numbers and not more than the parent takes memory for."""
    if values.dtype.kind not in "iuf" or values.size > most_values:
        raise EngineError(
            f"a window gives {values.size} values of {values.dtype}, at most {most_values} numbers are taken"
        )
    return values


def _both(logits: Float32, embedding: Float32, most_values: int) -> tuple[Float32, Float32]:
    return _held(logits, most_values), _held(embedding, MOST_FEATURES)


def _limit_memory() -> None:
    """A model may ask for any amount; an address space that ends makes that an error instead of a full machine."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = max(LEAST_MEMORY_BYTES, physical // 2)
    if sys.maxsize > limit:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _npz(arrays: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
