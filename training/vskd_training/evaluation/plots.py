"""Plots of an evaluation: confusion matrix and reliability diagram, as the bytes of a PNG.

Takes plain values, as a run card holds them, and writes no file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 120
#: Room for a class, and for the names of all of them, inches.
_CELL, _NAMES = 0.3, 2.6
_BLUE, _DARK, _RED = "#6baed6", "#08306b", "#cb181d"


def draw_confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str], *, title: str) -> bytes:
    """A confusion matrix: numbers are counts, the colour is their share of the row.

    Parameters
    ----------
    matrix : (classes, classes); rows are the truth
    labels : (classes,)
    title : above it
    """
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = _NAMES + _CELL * len(labels)
    figure, axes = _figure(side + 0.8, side)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    # Lines between the cells lead the eye from a name to its row.
    for edge in np.arange(len(labels) + 1) - 0.5:
        axes.axhline(edge, color="0.9", linewidth=0.5)
        axes.axvline(edge, color="0.9", linewidth=0.5)
    right = int(np.trace(counts))
    axes.set_title(f"{title}\n{right} of {int(counts.sum())} right", fontsize=9)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    figure.colorbar(image, ax=axes, shrink=0.5, label="share of the row")
    return _png(figure)


def draw_reliability(calibration: Mapping[str, Any], levels: Sequence[str], *, title: str) -> bytes:
    """Accuracy against confidence, before and after the temperature, with the number of predictions in each bin.

    Parameters
    ----------
    calibration : as ``report`` makes it
    levels : ``window``, ``recording`` or both; a row of panels each
    title : above them
    """
    temperature = calibration["temperature"]
    columns = {"temperature 1": calibration["before"]}
    if calibration["after"] is not None:
        fitted_on = temperature["source"] == "validation subjects"
        source = "fitted on validation subjects" if fitted_on else "set in the config"
        columns[f"temperature {temperature['value']:.3f}, {source}"] = calibration["after"]
    figure, grid = _figure(4.2 * len(columns), 4.4 * len(levels), rows=len(levels), columns=len(columns))
    for row, level in enumerate(levels):
        for column, (name, found) in enumerate(columns.items()):
            _reliability(grid[row, column], found[level], f"per {level}, {name}")
    fitted = "" if calibration["after"] is not None else "\nno temperature was fitted: there are no validation subjects"
    figure.suptitle(f"{title}{fitted}", fontsize=9)
    return _png(figure)


def _reliability(axes: Axes, found: Mapping[str, Any], name: str) -> None:
    some = [one for one in found["bins"] if one["count"]]
    left = [one["low"] for one in some]
    width = [one["high"] - one["low"] for one in some]
    axes.bar(left, [one["accuracy"] for one in some], width, align="edge", color=_BLUE, edgecolor="white")
    for one in some:
        centre = (one["low"] + one["high"]) / 2
        axes.text(centre, 0.01, str(one["count"]), ha="center", va="bottom", fontsize=6, rotation=90)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    confidence, accuracy = ([one[key] for one in some] for key in ("confidence", "accuracy"))
    axes.vlines(confidence, confidence, accuracy, color=_RED, linewidth=1, label="gap")
    axes.plot(confidence, accuracy, ".", color=_DARK, label="a bin; its count at the bottom")
    axes.set(
        xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="highest probability", ylabel="share of right predictions"
    )
    scores = f"ECE {found['ece']:.3f}, NLL {found['nll']:.3f}, Brier {found['brier']:.3f}"
    axes.set_title(f"{name}\n{scores}", fontsize=8)
    axes.legend(loc="upper left", fontsize=7)


def _figure(width: float, height: float, *, rows: int = 0, columns: int = 0) -> tuple[Figure, Any]:
    """A figure that no window shows; one panel, or an array (rows, columns) of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=_DPI)
    if not rows:
        return figure, figure.subplots()
    return figure, figure.subplots(rows, columns, squeeze=False)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
