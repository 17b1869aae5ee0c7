"""What a run leaves behind: one JSON document, the raw latencies, and tables for people.

The document holds summaries; the raw nanoseconds lie beside it in a compressed ``.npz``, an array (rounds, calls) for
each ``case/series``. Both are written whole or not at all, the document last, with the hash of the other inside.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from vskd.bundle import CONTRACT, Bundle
from vskd.errors import ConfigError
from vskd_benchmarks.bench import ModelSubject, Run, Subject
from vskd_benchmarks.environment import reasons_to_doubt
from vskd_benchmarks.measure import median_with_interval, ratio_by_round, summarise

SCHEMA_VERSION = 1

ENCODER = "encoder"

#: What vskd promises of its speed and size. The first holds for 64-pixel images and one thread.
OVERHEAD_LIMIT_US = 60.0
SPEED_UP_GOAL = 20.0
ENCODER_GOAL = 15.0
IMPORT_LIMIT_MS = 30.0
SHRINK_GOAL = 3.9


def document(run: Run) -> dict[str, Any]:
    """Everything but the raw latencies, as plain values.

    Parameters
    ----------
    run : as ``vskd_benchmarks.bench.run_bench`` gives it
    """
    models = [_model(run.bundle, subject) for subject in run.models]
    comparison = [_comparison(subject) for subject in run.comparison]
    slots = [{"name": name, "installed": False, **said} for name, said in run.missing.items()]
    reasons = reasons_to_doubt(run.before, run.after, [*models, *comparison], threads=run.settings.threads)
    ratios = _ratios(run)
    return {
        "kind": "vskd-bench",
        "schema_version": SCHEMA_VERSION,
        "status": "degraded" if reasons else "valid",
        "reasons": reasons,
        "bundle": _bundle(run.bundle),
        "settings": _settings(run),
        "models": models,
        "not_measured": [{"engine": s.engine, "recipe": s.recipe, "reason": s.reason} for s in run.slots],
        "comparison": [*comparison, *slots],
        "ratios": ratios,
        "import_vskd": run.imports,
        "goals": _goals(run, models, ratios),
        "environment": {"machine": run.machine, "before": run.before, "after": run.after},
        "raw": None,
    }


def raw_latencies(run: Run) -> dict[str, NDArray[np.int64]]:
    """``case/series`` -> (rounds, calls), ns."""
    return {
        f"{subject.name}/{series}": np.stack([measured[series] for measured in subject.rounds])
        for subject in (*run.models, *run.comparison)
        for series in subject.series
    }


def check_out(out: Path) -> None:
    """Refuse a place where the result cannot be written, before minutes are spent on measuring it.

    Raises
    ------
    ConfigError
    """
    if out.suffix != ".json":
        raise ConfigError(f"--out must end in .json, got {out}", hint="The raw latencies go beside it, as .npz")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"cannot write {out}: {out.parent} is no folder that can be written to", hint="Make it first")


def write_result(out: Path, result: Mapping[str, Any], raw: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """Write the document and its raw latencies.

    Parameters
    ----------
    out : the document; the latencies go to the same name with ``.npz``
    result : as ``document`` gives it
    raw : as ``raw_latencies`` gives it

    Returns
    -------
    the document as written: with name and hash of the raw file

    Raises
    ------
    ConfigError : it cannot be written
    """
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **raw)
    content = stream.getvalue()
    raw_path = out.with_suffix(".npz")
    written = {**result, "raw": {"file": raw_path.name, "sha256": hashlib.sha256(content).hexdigest(), "unit": "ns"}}
    try:
        _write_whole(raw_path, content)
        _write_whole(out, (json.dumps(written, indent=2) + "\n").encode())
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}", hint="Give another --out") from error
    return written


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _bundle(bundle: Bundle) -> dict[str, Any]:
    contract = bundle.contract
    return {
        "name": bundle.path.name,
        "sha256": bundle.sha256(),
        "contract_sha256": bundle.files[CONTRACT].sha256,
        "trained_on": contract.trained_on,
        "window_mode": contract.window.mode,
        "window_samples": contract.window.samples,
        "hop_samples": contract.window.hop_samples,
        "rate_hz": contract.window.rate_hz,
        "image_shape": list(contract.image_shape),
        "scaling": contract.gaf.scaling,
        "classes": len(contract.labels),
    }


def _settings(run: Run) -> dict[str, Any]:
    effort = run.settings.effort
    return {
        "mode": "single-stream",
        "quick": run.settings.quick,
        "threads": run.settings.threads,
        "comparison": run.settings.comparison,
        "rounds": effort.rounds,
        "discarded_per_round": effort.discard,
        "delivery": "the samples that complete a window arrive in one batch; the encoder runs inside the model",
    }


def _measured(subject: Subject) -> dict[str, Any]:
    return {
        "name": subject.name,
        **subject.said,
        "warm_up": subject.warm_up,
        "cpu_share": round(subject.cpu_share, 4),
        "latency": {series: summarise(subject.latency_ns(series)) for series in subject.series},
    }


def _model(bundle: Bundle, subject: ModelSubject) -> dict[str, Any]:
    # Both readings of a pair lie within one call of the case, microseconds apart: their difference is the overhead.
    overhead = subject.latency_ns("sensor_to_label") - subject.latency_ns("bare_call")
    return {
        **_measured(subject),
        "engine": subject.engine,
        "recipe": subject.entry.recipe,
        "file": subject.entry.file,
        "size_bytes": bundle.files[subject.entry.file].size_bytes,
        "overhead": median_with_interval(overhead),
        "cold_start": subject.cold_start,
        "memory": subject.memory,
    }


def _comparison(subject: Subject) -> dict[str, Any]:
    measured = {**_measured(subject), "installed": True}
    if subject.name == ENCODER:
        vskd_rounds = [latency["vskd_numpy"] for latency in subject.rounds]
        measured["ratio"] = ratio_by_round([latency["pyts"] for latency in subject.rounds], vskd_rounds)
    return measured


def _ratios(run: Run) -> list[dict[str, Any]]:
    """How many times faster each model is, sensor -> label, than each usual pipeline is, window -> label."""
    return [
        {
            "model": model.name,
            "against": other.name,
            **ratio_by_round(_headline(other), _headline(model)),
        }
        for other in run.comparison
        if other.name != ENCODER
        for model in run.models
    ]


def _headline(subject: Subject) -> list[NDArray[np.int64]]:
    return [latency[subject.series[0]] for latency in subject.rounds]


def _goals(run: Run, models: list[dict[str, Any]], ratios: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The promises beside what was measured: the worst case of each; a promise not put to the test has no value."""
    integer = {model["name"] for model in models if model["recipe"].startswith("w8a8")}
    applies = run.settings.threads == 1 and run.bundle.contract.gaf.size == 64
    speed_ups = [r["ratio"] for r in ratios if applies and r["model"] in integer and r["against"] == "pyts+torch"]
    encoders = [_comparison(s)["ratio"]["ratio"] for s in run.comparison if s.name == ENCODER]
    overheads_us = [model["overhead"]["p50_ns"] / 1e3 for model in models]
    return [
        _at_least("int8 at 64 px, one thread, over pyts + eager torch (times)", SPEED_UP_GOAL, speed_ups),
        _at_most("runtime's overhead over the bare engine call (us)", OVERHEAD_LIMIT_US, overheads_us),
        _at_least("numpy encoder over pyts, one window (times)", ENCODER_GOAL, encoders),
        _at_most("import vskd over numpy (ms)", IMPORT_LIMIT_MS, [run.imports["median_ns"] / 1e6]),
        _at_least("int8 smaller than fp32 (times)", SHRINK_GOAL, _shrinks(run.bundle)),
    ]


def _shrinks(bundle: Bundle) -> list[float]:
    size = {(model.format, model.recipe): bundle.files[model.file].size_bytes for model in bundle.models}
    return [
        size[model_format, "fp32"] / bytes_
        for (model_format, recipe), bytes_ in size.items()
        if recipe.startswith("w8a8") and (model_format, "fp32") in size
    ]


def _at_least(goal: str, limit: float, values: Iterable[float]) -> dict[str, Any]:
    worst = min(values, default=None)
    return _goal(goal, f">= {limit:g}", worst, None if worst is None else worst >= limit)


def _at_most(goal: str, limit: float, values: Iterable[float]) -> dict[str, Any]:
    worst = max(values, default=None)
    return _goal(goal, f"<= {limit:g}", worst, None if worst is None else worst <= limit)


def _goal(goal: str, limit: str, worst: float | None, met: bool | None) -> dict[str, Any]:
    return {"goal": goal, "limit": limit, "worst": None if worst is None else round(worst, 2), "met": met}


def print_tables(result: Mapping[str, Any], console: Console) -> None:
    """The document for people.

    Parameters
    ----------
    result : as ``document`` gives it
    console : where to
    """
    tables = (_latency_table, _split_table, _start_table, _comparison_table, _goal_table)
    for table in (make(result) for make in tables):
        if table.row_count:
            console.print(table)
    for slot in result["not_measured"]:
        console.print(f"not measured: {slot['recipe']} on {slot['engine']}: {slot['reason']}", markup=False)
    machine = result["environment"]["machine"]
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['features'])}", markup=False)
    console.print(f"result: {result['status']}", style="bold")
    for reason in result["reasons"]:
        console.print(f"  {reason['code']}: {reason['detail']}", markup=False)


def _table(title: str, headings: Sequence[str], *, names: int = 1, caption: str | None = None) -> Table:
    """A table whose first columns are names and whose others are numbers."""
    table = Table(title=title, caption=caption, box=box.SIMPLE, title_justify="left", caption_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < names else "right")
    return table


def _latency_table(result: Mapping[str, Any]) -> Table:
    table = _table(
        "Latency of one window, sensor -> label, ms",
        ("case", "windows", "p50", "p90", "p99", "own overhead, us"),
        caption="n/a: too few windows for this percentile. Overhead: over the bare engine call, with 95 % interval.",
    )
    for model in result["models"]:
        overhead = [f"{model['overhead'][name] / 1e3:.0f}" for name in ("p50_ns", "low_ns", "high_ns")]
        table.add_row(
            model["name"],
            *_percentiles(model["latency"]["sensor_to_label"]),
            f"{overhead[0]} ({overhead[1]} to {overhead[2]})",
        )
    for other in result["comparison"]:
        if "window_to_label" in other.get("latency", {}):
            table.add_row(other["name"], *_percentiles(other["latency"]["window_to_label"]))
    return table


def _split_table(result: Mapping[str, Any]) -> Table:
    table = _table(
        "Where it goes, p50, ms",
        ("case", "resample", "encode", "infer", "decide", "model only", "bare call"),
        caption="vskd encodes inside the model, so within infer. Model only and bare call: the same window again.",
    )
    for model in result["models"]:
        before, *after = _medians(model, ("resample", "infer", "decide", "model_only", "bare_call"))
        table.add_row(model["name"], before, "", *after)
    for other in result["comparison"]:
        if "window_to_label" in other.get("latency", {}):
            table.add_row(other["name"], "", *_medians(other, ("encode", "infer", "decide")))
    return table


def _percentiles(summary: Mapping[str, int | None]) -> list[str]:
    return [str(summary["windows"]), *(_ms(summary[f"p{percent}_ns"]) for percent in (50, 90, 99))]


def _medians(case: Mapping[str, Any], series: Sequence[str]) -> list[str]:
    return [_ms(case["latency"][name]["p50_ns"]) for name in series]


def _start_table(result: Mapping[str, Any]) -> Table:
    table = _table(
        "Start (ms), memory and size (MB)",
        ("case", "cold start", "import", "open", "first window", "peak", "over library", "file"),
        caption="Cold start: from the start of a process to its first label, files in the disk's cache.",
    )
    for model in result["models"]:
        cold, memory = model["cold_start"], model["memory"]
        times = [f"{cold[n] / 1e6:.1f}" for n in ("median_ns", "import_ns", "open_ns", "first_window_ns")]
        sizes = [memory["peak_bytes"], memory["over_library_bytes"], model["size_bytes"]]
        table.add_row(model["name"], *times, *(f"{size / 1e6:.1f}" for size in sizes))
    return table


def _comparison_table(result: Mapping[str, Any]) -> Table:
    headings = ("case", "against", "times", "lowest", "highest")
    table = _table("Times faster than the usual pipeline, round by round", headings, names=2)
    for ratio in result["ratios"]:
        table.add_row(ratio["model"], ratio["against"], *_ratio(ratio))
    for other in result["comparison"]:
        if not other["installed"]:
            table.add_row("", other["name"], f"{other['not_installed']} not installed")
        elif other["name"] == ENCODER:
            table.add_row("numpy encoder alone", "pyts", *_ratio(other["ratio"]))
    return table


def _ratio(ratio: Mapping[str, float]) -> list[str]:
    return [f"{ratio[name]:.1f}" for name in ("ratio", "lowest", "highest")]


def _goal_table(result: Mapping[str, Any]) -> Table:
    degraded = "The run was degraded: see the reasons below." if result["reasons"] else None
    table = _table("What vskd promises", ("promise", "limit", "worst case here", ""), caption=degraded)
    for goal in result["goals"]:
        worst = "not measured" if goal["worst"] is None else f"{goal['worst']:.1f}"
        table.add_row(goal["goal"], goal["limit"], worst, {True: "met", False: "missed", None: ""}[goal["met"]])
    return table


def _ms(latency_ns: int | None) -> str:
    return "n/a" if latency_ns is None else f"{latency_ns / 1e6:.3f}"
