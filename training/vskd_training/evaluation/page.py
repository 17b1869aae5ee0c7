"""``report.html`` of an evaluation: one file that needs nothing else, for any width, light and dark.

It shows what ``evaluation.json`` holds: who and what is recognised worst comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vskd.pages import Table, number_of, parts
from vskd_training.evaluation.evaluate import Evaluation
from vskd_training.evaluation.metrics import Confusion
from vskd_training.evaluation.tables import calibration_table, evaluation_sentences, metrics_table, unknown_table

_TEMPLATE = Path(__file__).with_name("page.html.j2")
#: Mistakes to name.
_PAIRS = 12
#: Side of a reliability diagram, in its own units.
_SIDE = 200


def page(result: Evaluation, *, title: str) -> bytes:
    """The page, UTF-8.

    Parameters
    ----------
    result : as ``evaluate`` returns it
    title : what was tested
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    metrics, per = result.metrics, "recording"
    confusion = Confusion(result.labels, np.array(metrics["confusion"], np.int64))
    environment = Environment(
        loader=DictLoader(parts()), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        result=result,
        sentences=list(evaluation_sentences(result)),
        figures=list(_figures(metrics)),
        scores=metrics_table("", {"test": metrics}),
        subjects=_subjects(metrics),
        classes=_classes(confusion, metrics["by_class"][per]),
        pairs=_pairs(confusion),
        confusion=confusion,
        diagrams=list(_diagrams(metrics["calibration"])),
        side=_SIDE,
        calibration=calibration_table(metrics["calibration"]),
        unknown=unknown_table(metrics["unknown"]) if "unknown" in metrics else None,
    )
    return text.encode()


def _figures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The figures to see first: what they are, and they."""
    scores = metrics["recording"]["all"]
    yield f"accuracy of {number_of(scores['count'], 'recording')}", f"{100 * scores['accuracy']:.1f} %"
    yield "macro-F1", f"{100 * scores['macro_f1']:.1f} %"
    if len(scores["by_subject"]) > 1:
        yield f"accuracy of subject {scores['worst_subject']}, the worst", f"{100 * scores['worst_accuracy']:.1f} %"
    windows = metrics["window"]["all"]
    yield f"accuracy of {number_of(windows['count'], 'window')}", f"{100 * windows['accuracy']:.1f} %"


def _subjects(metrics: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Name, and accuracy per recording and per window, %; the worst first."""
    recordings, windows = (metrics[per]["all"]["by_subject"] for per in ("recording", "window"))
    worst = sorted(recordings, key=lambda name: (recordings[name], name))
    return [(name, round(100 * recordings[name], 1), round(100 * windows[name], 1)) for name in worst]


def _classes(confusion: Confusion, by_class: list[Mapping[str, Any]]) -> Table:
    scores = {row["label"]: row for row in by_class}
    rows = tuple(
        (label, taken, f"{found:.3f}", *(_score(scores[label][key]) for key in ("precision", "f1")), str(count))
        for label, found, count, taken in confusion.worst(len(confusion.labels))
    )
    headings = ("activity", "most taken for", "recall", "precision", "F1", "recordings")
    return Table("", "Recall: share of its recordings that are found.", headings, rows, names=2)


def _score(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _pairs(confusion: Confusion) -> Table:
    rows = tuple(
        (truth, decided, str(count), f"{100 * share:.0f} %") for truth, decided, count, share in confusion.pairs(_PAIRS)
    )
    return Table("", "", ("there was", "decided", "recordings", "of its recordings"), rows, names=2)


def _diagrams(calibration: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Per recording, before and after the temperature: bars of accuracy, and where the mean confidence lies."""
    value = calibration["temperature"]["value"]
    for name, told in (("before", "temperature 1"), ("after", f"temperature {value:.3f}")):
        found = calibration[name]
        if found is None:
            continue
        filled = [one for one in found["recording"]["bins"] if one["count"]]
        bars = [
            {
                "x": round(_SIDE * one["low"], 1),
                "width": round(_SIDE * (one["high"] - one["low"]) - 1, 1),
                "height": round(_SIDE * one["accuracy"], 1),
                "confidence": round(_SIDE * one["confidence"], 1),
                "told": f"{number_of(one['count'], 'recording')}, right {one['accuracy']:.2f}, "
                f"confidence {one['confidence']:.2f}",
            }
            for one in filled
        ]
        yield {"title": f"{name}: {told}", "ece": f"{found['recording']['ece']:.3f}", "bars": bars}
