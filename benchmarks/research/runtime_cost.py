"""What the runtime costs on this machine, against its goals.

``python -m research.runtime_cost BUNDLE... [--engine NAME] [--rounds N] [--seconds S] [--no-encoder]``

For every bundle of sliding windows and every engine: the time from samples to event beyond the library's own call, with
its split; the share of a core and the growth of memory at one push a second; the cold start; the peak of memory over an
interpreter that has numpy and the engine loaded. For the first bundle also the numpy encoder against pyts. And once the
time of ``vskd --help``. Each measurement is a process of its own, one at a time.

A table goes to standard error, one JSON document is the last line of standard output. The exit code is 0 whether or not
the goals are met, 1 where something could not be measured, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from vskd.bundle import Bundle
from vskd.engines import ENGINES, is_installed
from vskd.errors import EngineError, VskdError
from vskd_benchmarks.device.environment import busy_cores, describe_machine, read_state
from vskd_benchmarks.goals import FULL_WIDTH_BYTES, Verdict, judge
from vskd_benchmarks.measure.processes import WorkerProcess
from vskd_benchmarks.measure.startup import cold_start
from vskd_benchmarks.pipelines.cases import Clock
from vskd_benchmarks.report.terminal import goal_table, show_script_result
from vskd_benchmarks.result.validity import reasons_of_a_script

_EMPTY_SCRIPT = """
import importlib, json, sys
import numpy
importlib.import_module(sys.argv[1])
from vskd_benchmarks.measure.memory import peak_memory
print(json.dumps({"ready": {"peak": peak_memory()}}), flush=True)
"""


def measure_engine(bundle: Path, engine: str, *, rounds: int, seconds: int, starts: int) -> dict[str, Any]:
    """Everything about one bundle in one engine.

    Raises
    ------
    VskdError : a process failed, or the bundle is not one of sliding windows
    """
    job = {"bundle": str(bundle), "engine": engine}
    split = _part(f"the overhead on {engine}", {"kind": "overhead", **job, "rounds": rounds})
    paced = _part(f"one push a second on {engine}", {"kind": "paced", **job, "seconds": seconds})
    command = [sys.executable, "-c", _EMPTY_SCRIPT, ENGINES[engine].module]
    with WorkerProcess("the empty interpreter", command, threads=1) as process:
        empty = process.ready["peak"]
    start = cold_start(bundle, engine=engine, recipe=split["recipe"], threads=1, repeats=starts)
    over_bytes = paced["peak"]["bytes"] - empty["bytes"]
    return {"overhead": split, "paced": paced, "cold_start": start, "empty": empty, "peak_over_empty_bytes": over_bytes}


def verdicts(name: str, engine: str, measured: Mapping[str, Any]) -> Iterator[Verdict]:
    """The goals that apply to one bundle in one engine."""
    split, where = measured["overhead"], f"{name}, {engine}"
    full_width = split["size_bytes"] >= FULL_WIDTH_BYTES
    yield judge("overhead", split["overhead"]["p50_ns"] / 1e3, where=where)
    if full_width:
        yield judge("overhead_share", split["share"] * 100, where=where)
    yield judge("one_push_a_second", measured["paced"]["cpu_share"] * 100, where=where)
    yield judge("memory_growth", measured["paced"]["growth_bytes"] / 1024, where=where)
    if engine == "litert" and not full_width:
        yield judge("start", measured["cold_start"]["median_ns"] / 1e6, where=where)
    yield judge("peak_memory", measured["peak_over_empty_bytes"] / 1e6, where=where)


def encoder_verdicts(encoder: Mapping[str, Any]) -> Iterator[Verdict]:
    """The goals of the numpy encoder; none where pyts is not installed."""
    if "single" in encoder:
        yield judge("encoder_speed_up", encoder["single"]["ratio"])
        yield judge("encoder_batch_speed_up", encoder["batches"]["ratio"])


def help_verdict(measured: Mapping[str, Any]) -> Verdict:
    """The goal of the command line."""
    return judge("help", measured["median_ns"] / 1e6)


def help_time(repeats: int, *, clock: Clock = time.perf_counter_ns) -> dict[str, Any]:
    """Time of a fresh process of ``vskd --help``, and the processor time of it, which other processes do not lengthen.

    Parameters
    ----------
    repeats : fresh processes that count

    Returns
    -------
    ``median_ns``, ``readings_ns`` and ``cpu_median_ns``

    Raises
    ------
    EngineError : it failed
    """
    elapsed, computed = [], []
    for _ in range(repeats + 1):
        before_s, start = _children_cpu_s(), clock()
        done = subprocess.run([sys.executable, "-m", "vskd", "--help"], capture_output=True, text=True, check=False)
        elapsed.append(clock() - start)
        computed.append(round((_children_cpu_s() - before_s) * 1e9))
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise EngineError(f"`vskd --help` ended with exit code {done.returncode}: {last}")
    return {
        "median_ns": int(np.median(elapsed[1:])),
        "readings_ns": elapsed[1:],
        "cpu_median_ns": int(np.median(computed[1:])),
    }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _part(what: str, job: Mapping[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "research.overhead", json.dumps(job)]
    with WorkerProcess(what, command, threads=1) as process:
        return process.ready


def _measure_encoder(bundle: Path, rounds: int) -> dict[str, Any]:
    if not all(map(_can_import, ("pyts", "numba"))):
        return {"not_installed": "pyts", "hint": "pip install 'vskd[dev]'"}
    return _part("the encoders", {"kind": "encoder", "bundle": str(bundle), "rounds": rounds})


def _can_import(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def measure(
    bundles: Sequence[Path], *, engines: Sequence[str], rounds: int, seconds: int, starts: int, with_encoder: bool
) -> dict[str, Any]:
    """The whole result, ready for JSON.

    Raises
    ------
    VskdError : something could not be measured
    """
    opened = {path: Bundle.open(path) for path in bundles}  # refuse before the first minute is spent
    before = {**read_state(), "busy_cores": busy_cores()}
    measured = [
        {
            "bundle": path.name, "sha256": bundle.sha256(), "engine": engine,
            **measure_engine(path, engine, rounds=rounds, seconds=seconds, starts=starts),
        }
        for path, bundle in opened.items()
        for engine in engines
    ]  # fmt: skip
    encoder = _measure_encoder(bundles[0], rounds) if with_encoder else {"left_out": "--no-encoder"}
    helped = help_time(starts)
    after = {**read_state(), "busy_cores": busy_cores()}
    goals = [goal for row in measured for goal in verdicts(row["bundle"], row["engine"], row)]
    goals += [*encoder_verdicts(encoder), help_verdict(helped)]
    machine = describe_machine()
    return {
        "benchmark": "runtime_cost",
        "machine": machine,
        "before": before,
        "after": after,
        "reasons_to_doubt": reasons_of_a_script(machine, before, after),
        "engines": measured,
        "encoder": encoder,
        "help": helped,
        "goals": [asdict(goal) for goal in goals],
    }


def tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """The result as tables."""
    split = Table(title="Medians a window, us", title_justify="left")
    parts = ("push", "infer", "decide", "bare_call", "overhead", "push_without_model", "decide_without_model")
    for column in ("bundle", "engine", *(part.replace("_", " ") for part in parts), "share"):
        split.add_column(column, justify="left" if column in ("bundle", "engine") else "right")
    for row in result["engines"]:
        figures = [f"{row['overhead'][part]['p50_ns'] / 1e3:.1f}" for part in parts]
        split.add_row(row["bundle"], row["engine"], *figures, f"{row['overhead']['share']:.1%}")
    yield split
    yield goal_table(result["goals"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m research.runtime_cost",
        description="Measure what the runtime costs beside the engine, and set it against the goals.",
        epilog="Example: python -m research.runtime_cost wrist.bundle --engine litert --seconds 60",
    )
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="of sliding windows")
    parser.add_argument(
        "--engine", action="append", choices=list(ENGINES), help="repeatable; without it litert and onnxruntime"
    )
    parser.add_argument("--rounds", type=_count, default=1000, help="decisions a model (default: 1000, at least 11)")
    parser.add_argument("--seconds", type=_seconds, default=60, help="at one push a second (default: 60)")
    parser.add_argument("--starts", type=_count, default=11, help="fresh processes (default: 11, at least 11)")
    parser.add_argument("--no-encoder", action="store_true", help="leave pyts out, whose compiler takes some seconds")
    return parser


def _count(text: str) -> int:
    return _at_least_so_many(text, 11)  # there is no median below


def _seconds(text: str) -> int:
    return _at_least_so_many(text, 2)  # memory is read at half and at the end


def _at_least_so_many(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    wanted, console = _parser().parse_args(arguments), Console(stderr=True)
    engines = wanted.engine or [name for name in ("litert", "onnxruntime") if is_installed(name)]
    try:
        result = measure(
            wanted.bundles, engines=engines, rounds=wanted.rounds, seconds=wanted.seconds, starts=wanted.starts,
            with_encoder=not wanted.no_encoder,
        )  # fmt: skip
    except VskdError as error:
        console.print(f"Error: {error}", markup=False)
        return 1
    show_script_result(result, tables(result), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
