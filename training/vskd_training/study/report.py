"""A study's report: the result as JSON, a table in Markdown, a plot of each subject's differences, and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vskd.closed import to_mapping
from vskd.writing import new_file, write_file
from vskd_training.study.cells import Outcome
from vskd_training.study.page import page
from vskd_training.study.plan import Study
from vskd_training.study.result import StudyResult, summarise
from vskd_training.study.statistics import LEVEL
from vskd_training.study.tables import table

RESULT, TABLE, PLOT, PAGE = "result.json", "table.md", "differences.png", "report.html"


def report_study(study: Study, out: Path, failed: Sequence[Outcome] = ()) -> StudyResult:
    """Write ``result.json``, ``table.md``, ``differences.png`` and ``report.html`` beside a study's cells.

    Parameters
    ----------
    study : at least one cell of it finished
    out : its folder
    failed : cells that could not be trained

    Raises
    ------
    DataError : no cell is finished, or one is of an older version
    """
    result = summarise(study, out, failed)
    write_file(out / RESULT, (json.dumps(to_mapping(result), indent=1, sort_keys=True) + "\n").encode())
    write_file(out / TABLE, table(result).encode())
    draw_differences(result, out / PLOT)
    write_file(out / PAGE, page(study, result, out))
    return result


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
        if row.mean is not None:
            axes.plot(100 * row.mean, place - 0.22, "D", color="#08306b", label=None if place else _MEAN)
    names = [f"{row.arm}\n- {row.against}{'' if row.significant else ' (n. s.)'}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("difference in accuracy per subject, points")
    axes.set_title(f"{result.study.name} (n. s.: not significant at {LEVEL})", fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=8)
    with new_file(path) as stream:
        figure.savefig(stream, format="png")


_MEAN = "mean, 95 % BCa interval"
