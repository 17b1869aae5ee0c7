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

from vskd_benchmarks.measure.processes import OnStart, WorkerProcess
from vskd_benchmarks.pipelines.cases import Clock

_IMPORT_SCRIPT = """
import time
import numpy
start_ns = time.perf_counter_ns()
import vskd
vskd.Classifier  # loads what a watch needs; the import alone loads next to nothing
print('{"ready": {"import_ns": %d}}' % (time.perf_counter_ns() - start_ns), flush=True)
"""


def import_time(repeats: int, *, threads: int, on_start: OnStart | None = None) -> dict[str, Any]:
    """Time to import vskd into a fresh process that has imported numpy, ns.

    Parameters
    ----------
    repeats : fresh processes that count
    threads : computing threads
    on_start : see ``WorkerProcess``
    """
    command = [sys.executable, "-c", _IMPORT_SCRIPT]
    answers = [_first_answer("import vskd", command, threads, on_start=on_start)[1] for _ in range(repeats + 1)]
    readings = [answer["import_ns"] for answer in answers[1:]]
    return {"median_ns": int(np.median(readings)), "readings_ns": readings}


def cold_start(
    bundle: Path,
    *,
    engine: str,
    recipe: str,
    threads: int,
    repeats: int,
    on_start: OnStart | None = None,
    clock: Clock = time.perf_counter_ns,
) -> dict[str, Any]:
    """Time from the start of a process to its first label.

    Parameters
    ----------
    bundle : the folder
    engine, recipe : which model
    threads : computing threads
    repeats : fresh processes that count
    on_start : see ``WorkerProcess``

    Returns
    -------
    ``median_ns`` of the whole and ``readings_ns``; medians of the parts ``import_ns``, ``open_ns``, ``first_window_ns``

    Raises
    ------
    EngineError : a process failed
    """
    command = [sys.executable, "-m", "vskd_benchmarks.measure.first_label", str(bundle), engine, recipe, str(threads)]
    what = f"the cold start of {recipe} on {engine}"
    starts = [_first_answer(what, command, threads, clock, on_start) for _ in range(repeats + 1)][1:]
    readings = [elapsed for elapsed, _ in starts]
    parts = {name: int(np.median([answer[name] for _, answer in starts])) for name in starts[0][1]}
    return {"median_ns": int(np.median(readings)), "readings_ns": readings, **parts}


def _first_answer(
    what: str,
    command: Sequence[str],
    threads: int,
    clock: Clock = time.perf_counter_ns,
    on_start: OnStart | None = None,
) -> tuple[int, dict[str, int]]:
    """Nanoseconds from the start of a process to its first answer, and the answer."""
    start = clock()
    with WorkerProcess(what, command, threads=threads, on_start=on_start) as process:
        return clock() - start, process.ready
