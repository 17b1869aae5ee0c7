"""``report.html`` of a study: one file that needs nothing else, for any width, light and dark.

It shows what ``result.json`` holds, and the confusion matrices of the run cards, summed over an arm's cells. There is
no date in it, so equal studies give equal pages.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vskd.pages import parts
from vskd_training.evaluation.metrics import Confusion
from vskd_training.study.cells import open_cell
from vskd_training.study.plan import Study
from vskd_training.study.result import ItemScores, StudyResult
from vskd_training.study.statistics import Comparison
from vskd_training.study.tables import comparison_cells, failed_lines, how_compared, item_cells, unfinished_lines

_TEMPLATE = Path(__file__).with_name("page.html.j2")
#: Size of a mark in the plot of costs on a phone, percent of its width and height.
_MARK = (7.0, 9.0)


def page(study: Study, result: StudyResult, out: Path) -> bytes:
    """The page, UTF-8.

    Parameters
    ----------
    study, result : as they are
    out : the study's folder, with the cells
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader(parts()), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        result=result,
        rows=_rows(result),
        unfinished=unfinished_lines(result),
        failed=failed_lines(result),
        compared=how_compared(result.comparisons) if result.comparisons else "",
        comparisons=[(comparison_cells(row), row, _strip(row, result.comparisons)) for row in result.comparisons],
        limit=_limit(result.comparisons),
        costs=list(_costs(result)),
        confusions={name: _confusion(study, name, out) for name in result.arms},
    )
    return text.encode()


def _rows(result: StudyResult) -> list[dict[str, str]]:
    """Rows of the arms' table, without columns that nobody fills; arms have the numbers of the plot."""
    named = {f"teacher {name}": scores for name, scores in result.teachers.items()}
    named |= {f"{number} {name}": scores for number, (name, scores) in enumerate(result.arms.items(), start=1)}
    rows = [item_cells(name, scores) for name, scores in named.items()]
    return [{key: text for key, text in row.items() if any(one[key] for one in rows)} for row in rows]


def _limit(comparisons: Sequence[Comparison]) -> int:
    """Points to either side of 0 that the strips show."""
    values = [abs(value) for row in comparisons for value in (*row.by_subject.values(), row.low or 0, row.high or 0)]
    return max(5, 5 * math.ceil(20 * max(values, default=0.0) - 1e-9))


def _strip(row: Comparison, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Where the dots of a comparison are, in percent of the strip's width."""
    limit = _limit(comparisons)

    def place(value: float) -> float:
        return round(50 + 50 * 100 * value / limit, 2)

    dots = [(subject, f"{100 * value:+.1f}", place(value)) for subject, value in row.by_subject.items()]
    interval = (
        None if row.low is None or row.high is None else (place(row.low), round(place(row.high) - place(row.low), 2))
    )
    return {"dots": dots, "mean": None if row.mean is None else place(row.mean), "interval": interval}


def _costs(result: StudyResult) -> Iterator[dict[str, Any]]:
    """Arms whose cost is known: where each is in the plot, percent of its width and height."""
    known: list[tuple[int, str, ItemScores, Mapping[str, int]]] = [
        (number, name, scores, scores.cost)
        for number, (name, scores) in enumerate(result.arms.items(), start=1)
        if scores.cost
    ]
    if not known:
        return
    logs = [math.log10(max(1, cost["macs"])) for *_, cost in known]
    accuracies = [scores.accuracy for _, _, scores, _ in known]
    places = _apart(
        [(_spread(log, logs), _spread(gain, accuracies)) for log, gain in zip(logs, accuracies, strict=True)]
    )
    for (number, name, scores, cost), (x, y) in zip(known, places, strict=True):
        yield {
            "number": number,
            "name": name,
            "mmac": f"{cost['macs'] / 1e6:.2f}",
            "parameters": f"{cost['parameters']:,}",
            "accuracy": f"{scores.accuracy:.3f}",
            "x": x,
            "y": y,
        }


def _apart(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Marks that would hide another one, percent of width and height, beside it; towards the middle of the plot."""
    found: list[tuple[float, float]] = []
    for x, y in places:
        beside = (round(x + number * (_MARK[0] if x <= 50 else -_MARK[0]), 2) for number in itertools.count())
        found.append((next(place for place in beside if _is_free(place, y, found)), y))
    return found


def _is_free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> bool:
    return all(abs(x - other) >= _MARK[0] or abs(y - height) >= _MARK[1] for other, height in taken)


def _spread(value: float, values: Sequence[float]) -> float:
    """From 6 to 94 percent, the middle where all are equal."""
    low, high = min(values), max(values)
    return 50.0 if high == low else round(6 + 88 * (value - low) / (high - low), 2)


def _confusion(study: Study, arm: str, out: Path) -> Confusion:
    key = "confusion" if study.spec.decisions == "recording" else "confusion_window"
    cards = [open_cell(out, cell).card for cell in study.cells_of(arm)]
    labels = tuple(dict.fromkeys(label for card in cards for label in card["contract"]["labels"]))
    matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for card in cards:
        places = [labels.index(label) for label in card["contract"]["labels"]]
        matrix[np.ix_(places, places)] += np.array(card["metrics"]["test"][key], dtype=np.int64)
    return Confusion(labels, matrix)
