"""How every plot of a report looks: colours, style, a case's number, and the files of a figure.

Drawn small enough to be read on a phone and in print. Colours are Okabe and Ito's, which colour-blind people can
distinguish; lines and markers differ as well. Needs matplotlib.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from vskd_benchmarks.result.records.case import Case

#: Okabe and Ito's colours without the yellow, which is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

WIDTH_IN = 4.3

#: What a tick of a logarithmic axis may begin with, the coarsest first; so many ticks are enough.
_DIGITS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_FEWEST_TICKS = 3

STYLE: Any = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False,
    "legend.fontsize": 9, "savefig.transparent": True,
    "svg.fonttype": "none", "svg.hashsalt": "vskd", "figure.constrained_layout.use": True,
}  # fmt: skip


@dataclass(frozen=True)
class Numbered:
    """A case with its number in this report."""

    number: int
    case: Case

    @property
    def label(self) -> str:
        """E.g. ``#3 litert fp32``; without the mark-up that matplotlib would find in it."""
        return f"#{self.number} {self.case.name}".replace("$", r"\$")

    @property
    def p50_ms(self) -> float | None:
        """Sensor to label; None where there is no such median."""
        path = self.case.sensor_to_label
        return None if path is None or path.p50_ns is None else path.p50_ns / 1e6

    @property
    def size_mb(self) -> float | None:
        """Of the model's file."""
        return None if self.case.model is None else self.case.model.size_bytes / 1e6


@dataclass(frozen=True)
class Chart:
    """One plot.

    Attributes
    ----------
    name : of its files, without suffix
    title, caption : for people; the caption also stands where an image cannot be seen
    svg, png : the image
    """

    name: str
    title: str
    caption: str
    svg: bytes
    png: bytes


def render(name: str, title: str, caption: str, figure: Figure) -> Chart:
    """The files of a figure."""
    svg, png = io.BytesIO(), io.BytesIO()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is found; finding it again for each format takes half of the time
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return Chart(name, title, caption, svg.getvalue(), png.getvalue())


def plain_log_ticks(axes: Axes, which: str) -> None:
    """Ticks such as 0.5, 1, 2, 5 instead of powers of ten, on a logarithmic axis."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    decades = 10.0 ** np.arange(np.floor(np.log10(max(low, 1e-12))), np.ceil(np.log10(high)) + 1)
    choices = [np.outer(decades, digits).ravel() for digits in _DIGITS]
    for ticks in (*choices, np.asarray(MaxNLocator(5).tick_values(low, high))):
        within = ticks[(low <= ticks) & (ticks <= high)]
        if len(within) >= _FEWEST_TICKS:
            break
    axis.set_major_locator(FixedLocator(within.tolist()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
