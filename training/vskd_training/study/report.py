"""What came out of a study: one document, a table and a plot of per-person differences.

Seeds are averaged within a person before anything is compared. This module reads run cards and trains nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vskd.closed import to_mapping
from vskd.writing import new_file, write_file
from vskd_training.study.statistics import LEVEL, bca_interval, compare
from vskd_training.study.study import Cell, Study, StudySpec, cards, write_json

RESULT, TABLE, PLOT = "result.json", "table.md", "differences.png"


def report_study(study: Study, out: Path) -> dict[str, Any]:
    """Write ``result.json``, ``table.md`` and ``differences.png`` beside a study's cells.

    Parameters
    ----------
    study : every cell of it finished
    out : its folder

    Returns
    -------
    the document, as written

    Raises
    ------
    DataError : a cell is not finished
    """
    document = summarise_study(study, out)
    write_json(out / RESULT, document)
    write_file(out / TABLE, table(document).encode())
    draw_differences(document, out / PLOT)
    return document


def summarise_study(study: Study, out: Path) -> dict[str, Any]:
    """Accuracies of every teacher and arm, and the comparisons, as plain values; no date, so equal runs are equal."""
    spec = study.spec
    teachers = {item.name: _item(cards(study, out, item.name), spec) for item in spec.trained_teachers}
    arms = {item.name: _item(cards(study, out, item.name), spec) for item in spec.arm}
    people = {name: item["by_subject"] for name, item in arms.items()}
    first = cards(study, out, spec.arm[0].name)[0][1]
    return {
        "study": to_mapping(spec),
        "sha256": study.sha256,
        "dataset": {key: first["data"][key] for key in ("dataset", "key", "defects")},
        "leaky": first["data"]["split"]["leaky"],
        "people": first["config"]["data"]["people"],
        "versions": first["versions"],
        "teachers": teachers,
        "arms": arms,
        "comparisons": [to_mapping(found) for found in compare(people, spec.pairs)] if spec.pairs else [],
    }


def _item(found: Sequence[tuple[Cell, dict[str, Any]]], spec: StudySpec) -> dict[str, Any]:
    """One arm or teacher: per cell as tested, and per person over its seeds."""
    rows = [_row(cell, card, spec) for cell, card in found]
    by_subject: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for person, accuracy in row["by_subject"].items():
            by_subject[person].append(accuracy)
    scores = ("accuracy", "macro_f1", "wrist_accuracy", "wrist_macro_f1", "window_accuracy")
    heard = [row["heard_accuracy"] for row in rows]
    people = {person: float(np.mean(values)) for person, values in sorted(by_subject.items())}
    return {
        **{score: float(np.mean([row[score] for row in rows])) for score in scores},
        "heard_accuracy": None if None in heard else float(np.mean(heard)),
        "accuracy_sd_over_cells": float(np.std([row["accuracy"] for row in rows])),
        "by_subject": people,
        "interval_over_people": bca_interval(np.array(list(people.values()))),
        "cells": rows,
    }


def _row(cell: Cell, card: dict[str, Any], spec: StudySpec) -> dict[str, Any]:
    tested = card["metrics"]["test"][spec.decisions]
    wrist = tested.get("wrist", tested["all"])
    chosen = wrist if spec.activities == "wrist" else tested["all"]
    heard = card.get("heard")  # of a student without a teacher there is none, and none in cards of older versions
    return {
        "fold": cell.fold,
        "seed": cell.seed,
        "accuracy": tested["all"]["accuracy"],
        "macro_f1": tested["all"]["macro_f1"],
        "wrist_accuracy": wrist["accuracy"],
        "wrist_macro_f1": wrist["macro_f1"],
        "window_accuracy": card["metrics"]["test"]["window"]["all"]["accuracy"],
        "heard_accuracy": None if heard is None else heard["test"][spec.decisions]["all"]["accuracy"],
        "by_subject": chosen["by_subject"],
        "people": {key: card["data"]["split"].get(key, []) for key in ("train", "unlabelled", "validation", "test")},
        "weights_sha256": card["weights_sha256"],
    }


def table(document: Mapping[str, Any]) -> str:
    """The document as Markdown."""
    spec = document["study"]
    only = f" Among people {', '.join(document['people'])} only." if document["people"] else ""
    leaky = " LEAKY: the people of the test are also in the training." if document["leaky"] else ""
    lines = [
        f"{spec['name']}, {document['dataset']['dataset']}: decisions per {spec['decisions']}, mean over "
        f"{len(spec['seeds'])} seeds and all folds.{only}{leaky}",
        "",
        "| | accuracy | sd over cells | 95 % over people | macro-F1 | wrist accuracy | wrist macro-F1 | worst person | "
        "per window | its teachers |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in ("teachers", "arms"):
        lines += [_line(name if kind == "arms" else f"teacher {name}", item) for name, item in document[kind].items()]
    if document["comparisons"]:
        lines += ["", *_comparison_lines(document["comparisons"])]
    return "\n".join(lines) + "\n"


def _line(name: str, item: Mapping[str, Any]) -> str:
    worst = min(item["by_subject"], key=lambda person: item["by_subject"][person])
    interval, heard = item["interval_over_people"], item["heard_accuracy"]
    cells = (
        name,
        *(f"{item[key]:.3f}" for key in ("accuracy", "accuracy_sd_over_cells")),
        "n/a" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
        *(f"{item[key]:.3f}" for key in ("macro_f1", "wrist_accuracy", "wrist_macro_f1")),
        f"{item['by_subject'][worst]:.3f} ({worst})",
        f"{item['window_accuracy']:.3f}",
        "" if heard is None else f"{heard:.3f}",
    )
    return f"| {' | '.join(cells)} |"


def _comparison_lines(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    count = len(comparisons[0]["by_subject"])
    lines = [
        f"Differences over {count} people (exact sign-flip test, 95 % BCa interval, Holm over {len(comparisons)} "
        f"comparisons). With {count} people no p is below {2 / 2**count:.3g}.",
        "",
        "| | mean, points | interval | better in | p | p, Holm | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in comparisons:
        better = sum(value > 0 for value in row["by_subject"].values())
        interval = "n/a" if row["low"] is None else f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
        verdict = "significant" if row["significant"] else "not significant"
        lines.append(
            f"| {row['arm']} - {row['against']} | {100 * row['mean']:+.1f} | {interval} | {better} of {count} "
            f"| {row['p']:.3g} | {row['p_holm']:.3g} | {verdict} |"
        )
    return lines


def draw_differences(document: Mapping[str, Any], path: Path) -> None:
    """Every comparison as a row: a dot per person, the mean, and its interval; PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = document["comparisons"]
    figure, axes = plt.subplots(figsize=(9, 1.4 + 0.7 * max(1, len(rows))), layout="constrained")
    for place, row in enumerate(rows):
        points = [100 * value for value in row["by_subject"].values()]
        axes.plot(points, [place] * len(points), "o", color="#6baed6", label="a person" if not place else None)
        for person, value in zip(row["by_subject"], points, strict=True):
            axes.annotate(person, (value, place), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=7)
        if row["low"] is not None:
            axes.plot([100 * row["low"], 100 * row["high"]], [place - 0.22] * 2, color="#08306b", linewidth=2)
        axes.plot(100 * row["mean"], place - 0.22, "D", color="#08306b", label=_MEAN if not place else None)
    names = [f"{row['arm']}\n- {row['against']}{'' if row['significant'] else ' (n. s.)'}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("difference in accuracy per person, points")
    axes.set_title(f"{document['study']['name']} (n. s.: not significant at {LEVEL})", fontsize=10)
    if rows:
        axes.legend(loc="best", fontsize=8)
    with new_file(path) as stream:
        figure.savefig(stream, format="png", dpi=110)
    plt.close(figure)


_MEAN = "mean, 95 % BCa interval"
