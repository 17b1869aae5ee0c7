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
    lines = [
        f"{spec.name}, {result.dataset['dataset']}: decisions per {spec.decisions}, mean over {seeds} and all folds."
        f"{only}{leaky}",
        "",
        "| | accuracy | sd over cells | 95 % over subjects | macro-F1 | wrist accuracy | wrist macro-F1 "
        "| worst subject | per window | teacher accuracy |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(f"teacher {name}", scores) for name, scores in result.teachers.items()),
        *(_line(name, scores) for name, scores in result.arms.items()),
    ]
    if result.comparisons:
        lines += ["", *_comparison_lines(result.comparisons)]
    return "\n".join(lines) + "\n"


def _line(name: str, scores: ItemScores) -> str:
    interval, worst = scores.interval_over_subjects, scores.worst_subject
    cells = (
        name,
        f"{scores.accuracy:.3f}",
        f"{scores.accuracy_sd_over_cells:.3f}",
        "n/a" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
        f"{scores.macro_f1:.3f}",
        f"{scores.wrist_accuracy:.3f}",
        f"{scores.wrist_macro_f1:.3f}",
        f"{scores.by_subject[worst]:.3f} ({worst})",
        f"{scores.window_accuracy:.3f}",
        "" if scores.teacher_accuracy is None else f"{scores.teacher_accuracy:.3f}",
    )
    return f"| {' | '.join(cells)} |"


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
