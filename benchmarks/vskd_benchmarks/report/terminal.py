"""A result for people, on a terminal: latency, split, start and memory, pacing, ratios, promises, reasons."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def print_tables(result: Mapping[str, Any], console: Console) -> None:
    """The document for people.

    Parameters
    ----------
    result : as ``vskd_benchmarks.result.document.derive`` gives it
    console : where to
    """
    measured = (_latency_table, _split_table, _start_table, _processor_table, _energy_table)
    makers = (*measured, _ratio_table, _audit_table, _goal_table)
    for table in (make(result) for make in makers):
        if table.row_count:
            console.print(table)
    for slot in result["not_measured"]:
        console.print(f"not measured: {slot['name']}: {slot['reason']}", markup=False)
    machine = result["environment"]["machine"]
    console.print(f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['features'])}", markup=False)
    for line in result.get("energy", {}).get("assumptions", ()):
        console.print(f"energy: {line}", markup=False)
    if "profile" in result:
        _print_profile(result["profile"], console)
    console.print(f"result: {result['validity']['status']}", style="bold")
    for text, names in _reasons(result).items():
        console.print(f"  {'; '.join(names)}: {text}", markup=False)


def tell(result: Mapping[str, Any], tables: Iterable[Table], console: Console) -> None:
    """Show a benchmark's tables and what is to be doubted of it to people; its document goes to stdout."""
    for table in tables:
        console.print(table)
    for reason in result["reasons_to_doubt"]:
        console.print(f"{reason['severity']}: {reason['message']}", markup=False)
    sys.stdout.write(json.dumps(result) + "\n")


def goal_table(goals: Iterable[Mapping[str, Any]]) -> Table:
    """A research script's goals beside what it measured, as ``vskd_benchmarks.goals.Verdict`` has them."""
    table = Table(title="Goals", title_justify="left")
    for column in ("", "goal", "measured", "unit", "verdict"):
        table.add_column(column, justify="right" if column in ("goal", "measured") else "left")
    for goal in goals:
        verdict = "[green]met[/]" if goal["met"] else "[red]missed[/]"
        table.add_row(goal["what"], f"{goal['goal']:g}", f"{goal['measured']:g}", goal["unit"], verdict)
    return table


def _print_profile(profile: Mapping[str, Any], console: Console) -> None:
    console.print(f"profile {profile['name']}: {profile['statement']}", markup=False)
    for held in profile["applied"]:
        console.print(f"  {held['setting']} {held['got']}: by {held['means']}", markup=False)


def _reasons(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Why -> who, notes left out; cases with the same words share a line."""
    lines: dict[str, list[str]] = {}
    owners = [("machine", result["validity"]), *((case["name"], case["validity"]) for case in result["cases"])]
    for name, validity in owners:
        for reason in validity["reasons"]:
            if reason["severity"] != "note":
                lines.setdefault(f"{reason['severity']}, {reason['code']}: {reason['message']}", []).append(name)
    return lines


def _table(title: str, headings: Sequence[str], *, names: int = 1, caption: str | None = None) -> Table:
    """A table whose first columns are names and whose others are numbers."""
    table = Table(title=title, caption=caption, box=box.SIMPLE, title_justify="left", caption_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < names else "right")
    return table


def _on_the_path(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [case for case in result["cases"] if "sensor_to_label" in case["scopes"]]


def _latency_table(result: Mapping[str, Any]) -> Table:
    table = _table(
        f"Latency of one window, sensor -> label, ms ({result['configuration']['mode']})",
        ("case", "windows", "p50", "p90", "p99", "own overhead, us", "status"),
        caption="n/a: too few windows for this percentile. Overhead: over the bare engine call, with 95 % interval.",
    )
    for case in _on_the_path(result):
        summary = case["scopes"]["sensor_to_label"]
        percentiles = [_ms(summary[f"p{percent}_ns"]) for percent in (50, 90, 99)]
        overhead = _overhead(case["overhead"] if case["kind"] == "bundle" else None)
        status = case["validity"]["status"]
        table.add_row(case["name"], str(summary["windows"]), *percentiles, overhead, status)
    return table


def _overhead(overhead: Mapping[str, int | None] | None) -> str:
    values = [] if overhead is None else [overhead[name] for name in ("p50_ns", "low_ns", "high_ns")]
    readings = [f"{value / 1e3:.0f}" for value in values if value is not None]
    return f"{readings[0]} ({readings[1]} to {readings[2]})" if len(readings) == 3 else ""


def _split_table(result: Mapping[str, Any]) -> Table:
    table = _table(
        "Where it goes, p50, ms",
        ("case", "resample", "encode", "infer", "decide", "model only", "bare call"),
        caption="Empty encode: inside the model, so within infer. Model only and bare call: the same input again.",
    )
    for case in _on_the_path(result):
        stages = [case["stages"][name] for name in ("resample", "encode", "infer", "decide")]
        scopes = [case["scopes"].get(name) for name in ("model_only", "bare_call")]
        table.add_row(case["name"], *("" if part is None else _ms(part["p50_ns"]) for part in (*stages, *scopes)))
    return table


def _start_table(result: Mapping[str, Any]) -> Table:
    table = _table(
        "Start (ms), memory and size (MB)",
        ("case", "cold start", "import", "open", "first window", "peak", "over library", "file"),
        caption="Cold start: from the start of a process to its first label, files in the disk's cache.",
    )
    for case in result["cases"]:
        cold, memory = case["cold_start"], case["memory"]
        if cold is not None:
            times = [f"{cold[n] / 1e6:.1f}" for n in ("median_ns", "import_ns", "open_ns", "first_window_ns")]
            sizes = [memory["peak_bytes"], memory["over_library_bytes"], case["model"]["size_bytes"]]
            table.add_row(case["name"], *times, *(f"{size / 1e6:.1f}" for size in sizes))
    return table


def _processor_table(result: Mapping[str, Any]) -> Table:
    """Only where a pace or a duration makes it mean something."""
    configuration = result["configuration"]
    headings = ("case", "share of a core", "wake-ups a window", "memory growth, kB")
    table = _table(f"Processor and memory over {configuration['duration_s']} s", headings)
    for case in result["cases"] if configuration["mode"] != "single-stream" else ():
        windows = case["rounds"] * case["calls_per_round"]
        growth = "" if case["soak"] is None else f"{case['soak']['growth_bytes'] / 1e3:.0f}"
        wakes = f"{case['cpu']['voluntary_switches'] / windows:.1f}"
        table.add_row(case["name"], f"{case['cpu']['share']:.2%}", wakes, growth)
    return table


def _energy_table(result: Mapping[str, Any]) -> Table:
    """Only where energy was asked for; a model is called one in every line."""
    energy = result.get("energy", {"source": "", "detail": "", "of": ""})
    headings = ("case", "source", "mJ an inference", "+-", "mJ with idle", "% of battery a day", "+-")
    table = _table("Energy, sensor -> label", headings, names=2, caption=f"Source: {energy['detail']}.")
    source = f"{energy['source']}, of {energy['of'].replace('-', ' ')}"
    for case in result["cases"]:
        if case.get("energy") is not None:
            figures, battery = case["energy"], case["battery"] or {}
            values = [figures[name] for name in ("per_inference_mj", "uncertainty_mj", "total_per_inference_mj")]
            values += [battery.get("percent_per_day"), battery.get("uncertainty_percent")]
            table.add_row(case["name"], source, *("" if value is None else f"{value:.3g}" for value in values))
    return table


def _ratio_table(result: Mapping[str, Any]) -> Table:
    headings = ("case", "against", "times", "lowest", "highest")
    table = _table("Times faster, sensor -> label, round by round", headings, names=2)
    name_of = {case["id"]: case["name"] for case in result["cases"]}
    for ratio in result["ratios"]:
        values = [f"{ratio[name]:.2f}" for name in ("ratio", "lowest", "highest")]
        table.add_row(name_of[ratio["case"]], name_of[ratio["against"]], *values)
    return table


def _audit_table(result: Mapping[str, Any]) -> Table:
    caption = "Outputs: as in a run of its own. Repeated input: its latency against varied ones, -10 % at most."
    table = _table("Audits", ("case", "outputs", "repeated input", "golden windows"), names=4, caption=caption)
    words = {True: "pass", False: "FAILED", None: "-"}
    for case in result["cases"]:
        audits = [case["audits"][name] for name in ("outputs", "repeated_input", "accuracy")]
        outputs, repeated, accuracy = (words[audit["passed"]] for audit in audits)
        agreement = audits[2]["agreement"]
        agreeing = "" if agreement is None else f" ({agreement:.1%} agree)"
        table.add_row(case["name"], outputs, f"{repeated} ({-audits[1]['faster']:+.1%})", accuracy + agreeing)
    return table


def _goal_table(result: Mapping[str, Any]) -> Table:
    status = result["validity"]["status"]
    caption = None if status == "valid" else f"The run was {status}: see the reasons below."
    table = _table("What vskd promises", ("promise", "limit", "worst case here", ""), caption=caption)
    for goal in result["goals"]:
        worst = "not measured" if goal["worst"] is None else f"{goal['worst']:.1f}"
        table.add_row(goal["goal"], goal["limit"], worst, {True: "met", False: "missed", None: ""}[goal["met"]])
    return table


def _ms(latency_ns: int | None) -> str:
    return "n/a" if latency_ns is None else f"{latency_ns / 1e6:.3f}"
