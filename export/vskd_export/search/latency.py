"""A short timing of int8 students in both engines on this machine.

It ranks students against each other; it is no benchmark (``vskd bench`` is one): nothing is pinned, and other work on
the machine counts in.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vskd.engines import ENGINES, open_engine
from vskd_export.subprocesses import call_in_subprocess

#: The engines that are timed, one for each format of files.
TIMED = ("litert", "onnxruntime")
_WARM_UP, _CALLS = 20, 300


def time_models(engine: str, models: Sequence[Path], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Median time of a call, us, of each model, one thread, in a process of its own.

    Parameters
    ----------
    engine : of ``TIMED``
    models : files of its format
    shape : of a window

    Raises
    ------
    MissingExtraError : the engine is not installed
    VskdError : it does not run a model
    """
    purpose, needs = f"timing {engine}", ENGINES[engine].package
    times: tuple[float, ...] = call_in_subprocess(_time, engine, models, shape, purpose=purpose, needs=needs).value
    return times


def _time(engine: str, models: Sequence[Path], shape: tuple[int, ...]) -> tuple[float, ...]:
    window = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    medians = []
    for path in models:
        opened = open_engine(engine, path)
        times_ns = []
        for _ in range(_WARM_UP + _CALLS):
            start_ns = time.perf_counter_ns()
            opened.infer(window)
            times_ns.append(time.perf_counter_ns() - start_ns)
        medians.append(float(np.median(times_ns[_WARM_UP:])) / 1000)
    return tuple(medians)


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(info) if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.is_file() else []
