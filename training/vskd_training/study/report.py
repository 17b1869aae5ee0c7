"""A study's report: the result as JSON, a table in Markdown, and a plot of the differences of each subject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vskd.closed import to_mapping
from vskd.writing import new_file, write_file
from vskd_training.study.plan import Study
from vskd_training.study.result import ItemScores, StudyResult, summarise
from vskd_training.study.statistics import LEVEL, Comparison

RESULT, TABLE, PLOT = "result.json", "table.md", "differences.png"


def report_study(study: Study, out: Path) -> StudyResult:
    """Write ``result.json``, ``table.md`` and ``differences.png`` beside a study's cells.

    Parameters
    ----------
    study : every cell of it finished
    out : its folder

    Raises
    ------
    DataError : a cell is not finished, or of an older version
    """
    result = summarise(study, out)
    write_file(out / RESULT, (json.dumps(to_mapping(result), indent=1, sort_keys=True) + "\n").encode())
    write_file(out / TABLE, table(result).encode())
    draw_differences(result, out / PLOT)
    return result


def table(result: StudyResult) -> str:
    """The result as Markdown."""
    spec = result.study
    seeds = "one seed" if len(spec.seeds) == 1 else f"{len(spec.seeds)} seeds"
    only = f" Among the subjects {', '.join(result.subjects)} only." if result.subjects else ""
    leaky = " LEAKY: the test subjects are also in training." if result.leaky else ""
    items = {**{f"teacher {name}": scores for name, scores in result.teachers.items()}, **result.arms}
    rows = [_cells(name, scores) for name, scores in items.items()]
    # Only some data sets tell apart what was recorded at the wrist.
    columns = [name for name in rows[0] if not name.startswith("wrist") or any(row[name] for row in rows)]
    lines = [
        f"{spec.name}, {result.dataset['dataset']}: decisions per {spec.decisions}, mean over {seeds} and all folds."
        f"{only}{leaky}",
        "",
        f"| {' | '.join(columns)} |".replace("|  |", "| |", 1),
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(row[name] for name in columns)} |" for row in rows),
    ]
    if result.comparisons:
        lines += ["", *_comparison_lines(result.comparisons)]
    return "\n".join(lines) + "\n"


def _cells(name: str, scores: ItemScores) -> dict[str, str]:
    interval, worst = scores.interval_over_subjects, scores.worst_subject
    return {
        "": name,
        "accuracy": _share(scores.accuracy),
        "sd over cells": _share(scores.accuracy_sd_over_cells),
        "95 % over subjects": "n/a" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
        "macro-F1": _share(scores.macro_f1),
        "wrist accuracy": _share(scores.wrist_accuracy),
        "wrist macro-F1": _share(scores.wrist_macro_f1),
        "worst subject": f"{scores.by_subject[worst]:.3f} ({worst})",
        "per window": _share(scores.window_accuracy),
        "teacher accuracy": _share(scores.teacher_accuracy),
    }


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _comparison_lines(comparisons: Sequence[Comparison]) -> list[str]:
    count = len(comparisons[0].by_subject)
    lines = [
        f"Differences over {count} subjects (exact sign-flip test, 95 % BCa interval, Holm over {len(comparisons)} "
        f"comparisons). With {count} subjects no p is below {2 / 2**count:.3g}.",
        "",
        "| | mean, points | interval | better in | p | p, Holm | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in comparisons:
        better = sum(value > 0 for value in row.by_subject.values())
        interval = "n/a"
        if row.low is not None and row.high is not None:
            interval = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
        verdict = "significant" if row.significant else "not significant"
        lines.append(
            f"| {row.arm} - {row.against} | {100 * row.mean:+.1f} | {interval} | {better} of {count} "
            f"| {row.p:.3g} | {row.p_holm:.3g} | {verdict} |"
        )
    return lines


def draw_differences(result: StudyResult, path: Path) -> None:
    """Every comparison as a row: a dot per subject, the mean, and its interval; PNG."""
    from matplotlib.figure import Figure

    rows = result.comparisons
    figure = Figure(figsize=(9, 1.4 + 0.7 * max(1, len(rows))), layout="constrained", dpi=110)
    axes = figure.subplots()
    for place, row in enumerate(rows):
        points = [100 * value for value in row.by_subject.values()]
        axes.plot(points, [place] * len(points), "o", color="#6baed6", label=None if place else "a subject")
        for subject, value in zip(row.by_subject, points, strict=True):
            axes.annotate(subject, (value, place), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=7)
        if row.low is not None and row.high is not None:
            axes.plot([100 * row.low, 100 * row.high], [place - 0.22] * 2, color="#08306b", linewidth=2)
        axes.plot(100 * row.mean, place - 0.22, "D", color="#08306b", label=None if place else _MEAN)
    names = [f"{row.arm}\n- {row.against}{'' if row.significant else ' (n. s.)'}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("difference in accuracy per subject, points")
    axes.set_title(f"{result.study.name} (n. s.: not significant at {LEVEL})", fontsize=10)
    if rows:
        axes.legend(loc="best", fontsize=8)
    with new_file(path) as stream:
        figure.savefig(stream, format="png")


_MEAN = "mean, 95 % BCa interval"
