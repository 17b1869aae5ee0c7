"""A study's result in words and cells: the table in Markdown, and what the page shares with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vskd_training.study.result import ItemScores, StudyResult
from vskd_training.study.statistics import DRAWS, EXACT_SUBJECTS, Comparison


def table(result: StudyResult) -> str:
    """The result as Markdown."""
    spec = result.study
    seeds = "one seed" if len(spec.seeds) == 1 else f"{len(spec.seeds)} seeds"
    only = f" Among the subjects {', '.join(result.subjects)} only." if result.subjects else ""
    leaky = " LEAKY: the test subjects are also in training." if result.leaky else ""
    items = {**{f"teacher {name}": scores for name, scores in result.teachers.items()}, **result.arms}
    rows = [item_cells(name, scores) for name, scores in items.items()]
    columns = [name for name in rows[0] if name not in _OPTIONAL or any(row[name] for row in rows)] if rows else []
    lines = [
        f"{spec.name}, {result.dataset['dataset']}: decisions per {spec.decisions}, mean over {seeds} and all folds."
        f"{only}{leaky}",
        "",
        *_table_lines(columns, rows),
        *(f"\nNot finished: {line}." for line in unfinished_lines(result)),
        *(f"\nFailed: {line}." for line in failed_lines(result)),
    ]
    if result.comparisons:
        lines += ["", *_comparison_lines(result.comparisons)]
    return "\n".join(lines) + "\n"


def unfinished_lines(result: StudyResult) -> list[str]:
    """Of each arm or teacher that is not finished: how far it is, and the accuracy of its finished cells."""
    scores = {name: ", ".join(f"{row.accuracy:.3f}" for row in rows) for name, rows in result.finished_cells.items()}
    return [
        f"{name}, {done}" + (f" (accuracy {scores[name]})" if name in scores else "")
        for name, done in result.unfinished.items()
    ]


def failed_lines(result: StudyResult) -> list[str]:
    """Each cell that failed, and why, in one line."""
    return [f"{name}: {' '.join(error.split())}" for name, error in result.failed.items()]


def _table_lines(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    if not rows:
        return ["No arm is finished."]
    return [
        f"| {' | '.join(columns)} |".replace("|  |", "| |", 1),
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(row[name] for name in columns)} |" for row in rows),
    ]


def item_cells(name: str, scores: ItemScores) -> dict[str, str]:
    """What a table says of an arm or a teacher: column -> text, empty where there is nothing."""
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
        "MMAC": "" if scores.cost is None else f"{scores.cost['macs'] / 1e6:.2f}",
        "parameters": "" if scores.cost is None else f"{scores.cost['parameters']:,}",
    }


#: Only some data sets tell apart what was recorded at the wrist, and only students' cards know their cost.
_OPTIONAL = frozenset({"wrist accuracy", "wrist macro-F1", "MMAC", "parameters"})


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _comparison_lines(comparisons: Sequence[Comparison]) -> list[str]:
    return [
        how_compared(comparisons),
        "",
        "| | mean, points | interval | better in | p | p, Holm | |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(comparison_cells(row))} |" for row in comparisons),
    ]


def how_compared(comparisons: Sequence[Comparison]) -> str:
    """One sentence or two: the test, the interval, the adjustment, and the smallest p that can be."""
    counts = sorted({len(row.by_subject) for row in comparisons if row.p is not None})
    adjusted = f"95 % BCa interval, Holm over {len(comparisons)} comparisons"
    if not counts:
        return f"Differences over subjects ({adjusted}); none could be tested."
    over = " or ".join(map(str, counts))
    if counts[-1] > EXACT_SUBJECTS:
        drawn = f"{DRAWS:,} random sign vectors beyond {EXACT_SUBJECTS} subjects, with the standard error of p"
        return f"Differences over {over} subjects (sign-flip test, {drawn}; {adjusted})."
    smallest = f"With {counts[0]} subjects no p is below {2 / 2 ** counts[0]:.3g}."
    return f"Differences over {over} subjects (exact sign-flip test, {adjusted}). {smallest}"


def comparison_cells(row: Comparison) -> tuple[str, ...]:
    """What a table says of a comparison: names, mean, interval, better in, p, p after Holm, verdict."""
    interval = "n/a"
    if row.low is not None and row.high is not None:
        interval = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
    p = "n/a" if row.p is None else f"{row.p:.3g}"
    return (
        f"{row.arm} - {row.against}",
        "n/a" if row.mean is None else f"{100 * row.mean:+.1f}",
        interval,
        f"{row.better} of {len(row.by_subject)}" if row.by_subject else "n/a",
        p if row.p_standard_error is None else f"{p} (se {row.p_standard_error:.1g})",
        "n/a" if row.p_holm is None else f"{row.p_holm:.3g}",
        f"not tested: {row.reason}" if row.reason else "significant" if row.significant else "not significant",
    )
