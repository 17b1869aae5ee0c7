"""The report of a search: ``result.json``, a table, a plot, and a preset for each budget."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vskd.closed import to_mapping
from vskd.writing import new_file, write_file
from vskd_export.search.latency import TIMED, processor
from vskd_export.search.plan import Search
from vskd_export.search.preset import write_preset
from vskd_export.search.result import BudgetResult, Candidate, SearchResult, summarise
from vskd_export.search.trial import Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULT, TABLE, PLOT = "result.json", "table.md", "pareto.png"


def preset_file(budget: str) -> str:
    """Name of a budget's preset."""
    return f"preset-{budget}.toml"


def report_search(search: Search, place: Place) -> SearchResult:
    """Write result, table, plot and presets into the search's folder."""
    result = summarise(search, place)
    content = {**to_mapping(result), "machine": {"processor": processor(), "python": platform.python_version()}}
    write_file(place.out / RESULT, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    write_file(place.out / TABLE, table(result).encode())
    draw(result, place.out / PLOT)
    for name, found in result.budgets.items():
        if found.winner:
            winner = result.candidate(found.winner)
            comment = _comment(result, name, found, winner)
            write_preset(place.out / preset_file(name), search.config(winner.set), comment)
    return result


def _comment(result: SearchResult, name: str, found: BudgetResult, winner: Candidate) -> list[str]:
    return [
        f"Found by the search {result.name!r} for the budget {name}: {winner.costs} (int8).",
        f"Accuracy {winner.scores.accuracy:.3f} over {len(result.subjects)} training subjects of {result.dataset}, "
        f"each left out of its training:",
        f"{', '.join(result.subjects)}. The best of {found.trials.get('finished', 0)} candidates, so it flatters;",
        f"the test subjects ({', '.join(result.left_out)}) took no part.",
        *(f"{key} = {value}" for key, value in winner.set.items()),
    ]


def table(result: SearchResult) -> str:
    """The Pareto set as Markdown."""
    winners = {found.winner: name for name, found in result.budgets.items() if found.winner}
    rows = [one for one in result.candidates if one.pareto or one.key in winners]
    columns = ("", "accuracy", "worst subject", "MMAC", "flash, kB", "arena, kB", "LiteRT, us", "ONNX Runtime, us")
    lines = [
        f"{result.name}, {result.dataset}: the Pareto set of {len(result.candidates)} finished candidates. Accuracy is "
        f"per {result.decisions}, mean over {len(result.subjects)} training subjects ({', '.join(result.subjects)}), "
        f"each left out of its training ({result.folds} folds, {len(result.seeds)} seed"
        f"{'s' if len(result.seeds) > 1 else ''}); the best of many flatters. Test subjects "
        f"({', '.join(result.left_out)}) took no part. Costs are of the int8 .tflite; latency is a short timing on "
        f"this machine ({processor()}), one thread, whatever else ran.",
        "",
        f"| {' | '.join(columns)} | |".replace("|  |", "| |", 1),
        "|---" * (len(columns) + 1) + "|",
        *(f"| {' | '.join(_cells(one))} | {_settings(one)} |" for one in rows),
        "",
    ]
    return "\n".join([*lines, *(_budget_line(result, name) for name in result.budgets)]) + "\n"


def _cells(one: Candidate) -> Sequence[str]:
    worst = min(one.scores.by_subject, key=lambda subject: one.scores.by_subject[subject])
    latency = one.latency_us or {}
    return (
        one.key,
        f"{one.scores.accuracy:.3f}",
        f"{one.scores.by_subject[worst]:.3f} ({worst})",
        f"{one.costs.macs / 1e6:.3g}",
        f"{one.costs.flash_bytes / 1000:.1f}",
        "n/a" if one.costs.arena_bytes is None else f"{one.costs.arena_bytes / 1000:.1f}",
        *(f"{latency[engine]:.0f}" if engine in latency else "" for engine in TIMED),
    )


def _settings(one: Candidate) -> str:
    values = {key: "+".join(value) if isinstance(value, list) else value for key, value in one.set.items()}
    return ", ".join(f"{key.partition('.')[2]} {value}" for key, value in values.items())


def _budget_line(result: SearchResult, name: str) -> str:
    found = result.budgets[name]
    counts = ", ".join(f"{count} {_STATES.get(state, state)}" for state, count in found.trials.items())
    if not found.winner:
        return f"{name}: no candidate is finished ({counts})."
    winner = result.candidate(found.winner)
    return f"{name}: {winner.key}, accuracy {winner.scores.accuracy:.3f}, in {preset_file(name)} ({counts})."


#: In words, the state of a trial.
_STATES = {"over": "over the budget", "pruned": "stopped early"}


def draw(result: SearchResult, path: Path) -> None:
    """Accuracy over multiply-accumulates, a point for each candidate; PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained", dpi=110)
    axes = figure.subplots()
    for marked, colour, label in ((False, "#bdbdbd", "other candidate"), (True, "#08306b", "Pareto set")):
        points = [one for one in result.candidates if one.pareto == marked]
        sizes = [18 + one.costs.flash_bytes / 4000 for one in points]
        mmac = [one.costs.macs / 1e6 for one in points]
        axes.scatter(mmac, [one.scores.accuracy for one in points], s=sizes, color=colour, label=label, alpha=0.8)
    _draw_winners(result, axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelsize=7)
    axes.set_xlabel("million multiply-accumulates per window (area of a point: flash)")
    axes.set_ylabel(f"accuracy per {result.decisions}, subjects left out in turn")
    axes.set_title(f"{result.name}: {len(result.candidates)} candidates on training subjects", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    with new_file(path) as stream:
        figure.savefig(stream, format="png")


def _draw_winners(result: SearchResult, axes: Axes) -> None:
    for name, found in result.budgets.items():
        if found.winner:
            one = result.candidate(found.winner)
            place = (one.costs.macs / 1e6, one.scores.accuracy)
            axes.plot(*place, "*", color="#d94801", markersize=12)
            axes.annotate(name, place, xytext=(0, 9), textcoords="offset points", ha="center", fontsize=7)
        if found.budget.mmac:
            axes.axvline(found.budget.mmac, color="#d94801", linewidth=0.8, linestyle="--")
