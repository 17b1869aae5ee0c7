"""One process of the benchmark: loads what it is told to and times it on command.

``python -m vskd_benchmarks.worker JOB``, where JOB is JSON. Commands come in on standard input and answers leave on
standard output, one JSON document a line; end of input ends the process. The parent lets one worker compute at a time,
in turns, so that all of them meet the same machine.

Jobs
    ``{"kind": "model", "bundle", "file", "engine", "threads"}``
    ``{"kind": "comparison", "bundle", "threads"}``
    ``{"kind": "baseline", "package"}``: an interpreter with numpy and an engine's library, for its memory
Commands
    ``{"do": "warm_up", "case", "rule"}``, the fields of ``WarmUpRule``
    ``{"do": "block", "case", "calls", "discard"}``: so many calls, after some that bring the caches back
    ``{"do": "memory"}``
Answers
    the first one says what was loaded; an error is ``{"error": {"kind", "message", "hint"}}``
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np

from vskd.bundle import Bundle
from vskd.errors import MissingExtraError, VskdError
from vskd_benchmarks.cases import Case, ModelCase
from vskd_benchmarks.measure import Clock, WarmUpRule, warm_up
from vskd_benchmarks.memory import peak_memory


class Worker:
    """The cases of one process and the commands on them.

    Parameters
    ----------
    cases : by name
    clock : nanoseconds; a test passes its own
    """

    def __init__(self, cases: Mapping[str, Case], *, clock: Clock = time.perf_counter_ns) -> None:
        self._cases = cases
        self._clock = clock

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a command says."""
        if command["do"] == "memory":
            return {"memory": peak_memory()}
        case = self._cases[command["case"]]
        if command["do"] == "warm_up":
            rule = WarmUpRule(**command["rule"])
            return warm_up(lambda: case.run_once(self._clock)[0], rule, self._clock).to_mapping()
        return self._block(case, command["calls"], command["discard"])

    def _block(self, case: Case, calls: int, discard: int) -> dict[str, Any]:
        for _ in range(discard):
            case.run_once(self._clock)
        wall_ns, busy_ns = self._clock(), time.process_time_ns()
        rows = [case.run_once(self._clock) for _ in range(calls)]
        busy_ns, wall_ns = time.process_time_ns() - busy_ns, self._clock() - wall_ns
        columns = np.array(rows, dtype=np.int64).T.tolist()
        return {"latency_ns": dict(zip(case.series, columns, strict=True)), "cpu_ns": busy_ns, "wall_ns": wall_ns}


def open_job(job: Mapping[str, Any]) -> tuple[dict[str, Case], dict[str, Any]]:
    """Load what a job names: the cases, and what to say of them.

    Raises
    ------
    VskdError : it cannot be loaded
    """
    if job["kind"] == "baseline":
        importlib.import_module(job["package"])
        return {}, {}
    bundle = Bundle.open(job["bundle"])
    if job["kind"] == "comparison":
        return _open_comparisons(bundle, job["threads"])
    entry = next(model for model in bundle.models if model.file == job["file"])
    case = ModelCase.open(bundle, entry, engine=job["engine"], threads=job["threads"])
    return {"model": case}, {"model": case.describe()}


def _open_comparisons(bundle: Bundle, threads: int) -> tuple[dict[str, Case], dict[str, Any]]:
    # Imported here: a model's worker must not carry what only the comparison needs.
    from vskd_benchmarks.comparison import COMPARISONS

    cases: dict[str, Case] = {}
    said: dict[str, Any] = {}
    for name, opener in COMPARISONS.items():
        try:
            cases[name] = opener(bundle, threads)
        except MissingExtraError as error:
            said[name] = {"not_installed": error.package, "hint": error.hint}
        else:
            said[name] = cases[name].describe()
    return cases, said


def serve(job: Mapping[str, Any], commands: TextIO, answers: TextIO) -> int:
    """Answer commands until they end; returns the exit code."""
    try:
        cases, said = open_job(job)
        _send(answers, {"ready": said})
        worker = Worker(cases)
        for line in commands:
            _send(answers, worker.answer(json.loads(line)))
    except VskdError as error:
        kind = type(error).__name__
        _send(answers, {"error": {"kind": kind, "message": error.message, "hint": error.hint}})
        return 1
    return 0


def _send(answers: TextIO, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document) + "\n")
    answers.flush()


def main() -> int:
    """Entry point of the process."""
    # Engines write on standard output as they like; the answers get a channel of their own.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return serve(json.loads(sys.argv[1]), sys.stdin, channel)


if __name__ == "__main__":
    sys.exit(main())
