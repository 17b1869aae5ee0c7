"""The files of an evaluation: its document, its page, confusion matrices and reliability diagrams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vskd import writing
from vskd.closed import to_mapping
from vskd.errors import DataError
from vskd_training.evaluation.evaluate import Evaluation
from vskd_training.evaluation.page import page
from vskd_training.evaluation.plots import draw_confusion, draw_reliability

DOCUMENT, PAGE, CONFUSION = "evaluation.json", "report.html", "confusion.png"


def write_evaluation(result: Evaluation, out: Path, *, title: str) -> list[Path]:
    """Write what ``evaluate`` found.

    The windows' confusion matrix is drawn where a recording holds more than one of them.

    Parameters
    ----------
    result : as returned
    out : folder; made if needed, other files in it stay
    title : of the plots

    Returns
    -------
    what was written

    Raises
    ------
    DataError : it cannot be written
    """
    metrics, labels = result.metrics, result.labels
    several = metrics["window"]["all"]["count"] != metrics["recording"]["all"]["count"]
    levels = ("window", "recording") if several else ("recording",)
    content = {
        DOCUMENT: (json.dumps(to_mapping(result), indent=1, sort_keys=True) + "\n").encode(),
        PAGE: page(result, title=title),
        CONFUSION: draw_confusion(metrics["confusion"], labels, title=f"{title}: recordings"),
        "reliability.png": draw_reliability(metrics["calibration"], levels, title=title),
    }
    if several:
        windows = draw_confusion(metrics["confusion_window"], labels, title=f"{title}: windows")
        content["confusion-windows.png"] = windows
    return [_write(out / name, data) for name, data in content.items()]


def draw_card(run: Path, card: dict[str, Any], *, title: str) -> Path:
    """Draw the confusion matrix of a run card's test recordings beside it.

    Raises
    ------
    DataError : it cannot be written
    """
    drawn = draw_confusion(card["metrics"]["test"]["confusion"], card["contract"]["labels"], title=title)
    return _write(run / CONFUSION, drawn)


def _write(path: Path, content: bytes) -> Path:
    with writing.disk_errors(path, DataError, hint="Give another --out, or make room"):
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.write_file(path, content)
    return path
