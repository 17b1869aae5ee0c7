"""The plot of ``training_speed``. Needs matplotlib, so this module is imported only where the plot is written."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vskd_benchmarks.report.charts import COLOURS, MARKERS, STYLE, WIDTH_IN


def speed_chart(result: Mapping[str, Any], names: Mapping[str, str]) -> bytes:
    """PNG: useful images a second in every round, on a logarithmic axis.

    Parameters
    ----------
    result : of ``training_speed.measure``
    names : of each kind of training, for people
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 0.7 * WIDTH_IN), layout="constrained")
        axes = figure.add_subplot()
        numbers = range(1, len(result["rounds"]) + 1)
        for (kind, name), colour, marker in zip(names.items(), COLOURS, MARKERS, strict=False):
            values = [each[kind]["images"] / each[kind]["elapsed_s"] for each in result["rounds"]]
            axes.semilogy(numbers, values, color=colour, marker=marker, label=name)
        ratio = result["ratio"]
        axes.set_title(f"{ratio['median']:.1f} times ({ratio['lowest']:.1f} to {ratio['highest']:.1f})")
        axes.set_xlabel("round")
        axes.set_ylabel("useful images a second")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return png.getvalue()
