"""Cold start: from the start of a process to its first label, and what importing vskd costs over numpy.

Every reading is a fresh process. The disk's cache is warm and Python's compiled files are there: the first process of
each kind is not counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vskd_benchmarks.measure import Clock
from vskd_benchmarks.processes import WorkerProcess

_IMPORT_SCRIPT = """
import time
import numpy
start_ns = time.perf_counter_ns()
import vskd
print('{"ready": {"import_ns": %d}}' % (time.perf_counter_ns() - start_ns), flush=True)
"""


def import_time(repeats: int, *, threads: int) -> dict[str, Any]:
    """Time to import vskd into a fresh process that has imported numpy, ns.

    Parameters
    ----------
    repeats : fresh processes that count
    threads : computing threads
    """
    command = [sys.executable, "-c", _IMPORT_SCRIPT]
    readings = [_first_answer("import vskd", command, threads)["import_ns"] for _ in range(repeats + 1)][1:]
    return {"median_ns": int(np.median(readings)), "readings_ns": readings}


def cold_start(
    bundle: Path, *, engine: str, recipe: str, threads: int, repeats: int, clock: Clock = time.perf_counter_ns
) -> dict[str, Any]:
    """Time from the start of a process to its first label.

    Parameters
    ----------
    bundle : the folder
    engine, recipe : which model
    threads : computing threads
    repeats : fresh processes that count

    Returns
    -------
    ``median_ns`` of the whole and ``readings_ns``; medians of the parts ``import_ns``, ``open_ns``, ``first_window_ns``

    Raises
    ------
    EngineError : a process failed
    """
    command = [sys.executable, "-m", "vskd_benchmarks.first_label", str(bundle), engine, recipe, str(threads)]
    readings: list[int] = []
    stages: list[dict[str, int]] = []
    for _ in range(repeats + 1):
        start = clock()
        stages.append(_first_answer(f"the cold start of {recipe} on {engine}", command, threads))
        readings.append(stages[-1].pop("answered_ns") - start)
    medians = {name: int(np.median([stage[name] for stage in stages[1:]])) for name in stages[0]}
    return {"median_ns": int(np.median(readings[1:])), "readings_ns": readings[1:], **medians}


def _first_answer(what: str, command: Sequence[str], threads: int) -> dict[str, int]:
    """What a process says first, and the clock when it was read."""
    with WorkerProcess(what, command, threads=threads) as process:
        answered_ns = time.perf_counter_ns()
        return {**process.ready, "answered_ns": answered_ns}
