"""What the runtime costs on this machine, against its goals.

For every bundle of sliding windows and every engine: the time from samples to event beyond the library's own call, with
its split, that of the signal's checks and of putting samples in order among them; the share of a core and the growth of
memory at one push a second; the cold start; the peak of memory over an interpreter that has numpy and the engine
loaded. For the first bundle with an image also the numpy encoder against pyts. And once a decision with a wearer's
examples, whose cost is numpy's whatever the model, and the time of ``vskd --help``.
Each measurement is a process of its own, one at a time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from research.document import Script, Verdict, judge, make_document, show
from vskd.bundle import Bundle
from vskd.engines import ENGINES, is_installed
from vskd.errors import EngineError
from vskd_benchmarks.goals import FULL_WIDTH_BYTES
from vskd_benchmarks.measure.processes import WorkerProcess, worker_command
from vskd_benchmarks.measure.startup import cold_start
from vskd_benchmarks.pipelines.cases import Clock

#: Fresh processes of each kind; there is no median below eleven.
STARTS = 11


def measure_engine(bundle: Path, engine: str, *, rounds: int, seconds: int) -> dict[str, Any]:
    """Everything about one bundle in one engine.

    Raises
    ------
    VskdError : a process failed, or the bundle is not one of sliding windows
    """
    job = {"bundle": str(bundle), "engine": engine}
    split = _part(f"the overhead on {engine}", {"kind": "overhead", **job, "rounds": rounds})
    paced = _part(f"one push a second on {engine}", {"kind": "paced", **job, "seconds": seconds})
    command = worker_command({"kind": "library", "package": ENGINES[engine].module})
    with WorkerProcess(f"import {engine}", command, threads=1) as process:
        empty = process.ask("memory")["memory"]
    start = cold_start(bundle, engine=engine, recipe=split["recipe"], threads=1, repeats=STARTS)
    over_bytes = paced["peak"]["bytes"] - empty["bytes"]
    return {"overhead": split, "paced": paced, "cold_start": start, "empty": empty, "peak_over_empty_bytes": over_bytes}


def verdicts(figures: Mapping[str, Any]) -> Iterator[Verdict]:
    """Every goal that applies."""
    for row in figures["engines"]:
        yield from engine_verdicts(row["bundle"], row["engine"], row)
    encoder = figures["encoder"]
    if "single" in encoder:  # pyts is installed
        yield judge("encoder_speed_up", encoder["single"]["ratio"])
        yield judge("encoder_batch_speed_up", encoder["batches"]["ratio"])
    for row in figures["examples"]["profiles"]:
        where = f"{row['features']} features{' and the spectrum' if row['spectrum'] else ''}"
        yield judge("decision_with_examples", row["with_examples"]["p50_ns"] / 1e3, where=where)
        yield judge("profile_size", row["profile_bytes"] / 1e3, where=where)
    yield judge("help", figures["help"]["median_ns"] / 1e6)


def engine_verdicts(name: str, engine: str, measured: Mapping[str, Any]) -> Iterator[Verdict]:
    """The goals that apply to one bundle in one engine."""
    split, where = measured["overhead"], f"{name}, {engine}"
    full_width = split["size_bytes"] >= FULL_WIDTH_BYTES
    yield judge("overhead", split["overhead"]["p50_ns"] / 1e3, where=where)
    yield judge("signal_checks", split["signal_checks"]["p50_ns"] / 1e3, where=where)
    if full_width:
        yield judge("overhead_share", split["share"] * 100, where=where)
    yield judge("one_push_a_second", measured["paced"]["cpu_share"] * 100, where=where)
    yield judge("memory_growth", measured["paced"]["growth_bytes"] / 1024, where=where)
    if engine == "litert" and not full_width:
        yield judge("start", measured["cold_start"]["median_ns"] / 1e6, where=where)
    yield judge("peak_memory", measured["peak_over_empty_bytes"] / 1e6, where=where)


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


def measure_encoder(bundles: Mapping[Path, Bundle], rounds: int) -> dict[str, Any]:
    """The numpy encoder against pyts, for the first bundle that has an image; without one, or pyts, why not."""
    images = [path for path, bundle in bundles.items() if bundle.contract.gaf is not None]
    if not images:
        return {"not_measured": "no bundle has an image"}
    if not all(map(find_spec, ("pyts", "numba"))):
        return {"not_installed": "pyts", "hint": "pip install 'vskd[dev]'"}
    return _part("the encoders", {"kind": "encoder", "bundle": str(images[0]), "rounds": rounds})


def measure(bundles: Sequence[Path], *, engines: Sequence[str], rounds: int, seconds: int) -> dict[str, Any]:
    """All figures, ready for JSON.

    Raises
    ------
    VskdError : something could not be measured
    """
    opened = {path: Bundle.open(path) for path in bundles}  # refuse before the first minute is spent
    measured = [
        {
            "bundle": path.name, "sha256": bundle.sha256(), "engine": engine,
            **measure_engine(path, engine, rounds=rounds, seconds=seconds),
        }
        for path, bundle in opened.items()
        for engine in engines
    ]  # fmt: skip
    examples = _part("decisions with examples", {"kind": "examples", "rounds": rounds})
    encoder = measure_encoder(opened, rounds)
    return {"engines": measured, "encoder": encoder, "examples": examples, "help": help_time(STARTS)}


def table(document: Mapping[str, Any]) -> Table:
    """The medians as a table."""
    split = Table(title="Medians a window, us", title_justify="left")
    parts = (
        "push", "signal_checks", "ordering", "infer", "decide", "bare_call", "overhead",
        "push_without_model", "decide_without_model",
    )  # fmt: skip
    for column in ("bundle", "engine", *(part.replace("_", " ") for part in parts), "share"):
        split.add_column(column, justify="left" if column in ("bundle", "engine") else "right")
    for row in document["engines"]:
        figures = [f"{row['overhead'][part]['p50_ns'] / 1e3:.1f}" for part in parts]
        split.add_row(row["bundle"], row["engine"], *figures, f"{row['overhead']['share']:.1%}")
    return split


@click.command(cls=Script, epilog="Example: python -m research.runtime_cost wrist.bundle --engine litert --seconds 60")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE...")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(list(ENGINES)),
    help="Repeatable; without it litert and onnxruntime.",
)
@click.option("--rounds", type=click.IntRange(11), default=1000, show_default=True, help="Decisions a model.")
@click.option("--seconds", type=click.IntRange(2), default=60, show_default=True, help="At one push a second.")
def main(bundles: tuple[Path, ...], engines: tuple[str, ...], rounds: int, seconds: int) -> None:
    """Measure what the runtime costs beside the engine on bundles of sliding windows, and set it against the goals."""
    chosen = engines or [name for name in ("litert", "onnxruntime") if is_installed(name)]
    document = make_document(
        "runtime_cost", lambda: measure(bundles, engines=chosen, rounds=rounds, seconds=seconds), verdicts
    )
    show(document, table(document))


if __name__ == "__main__":
    main()
