"""The plots of a result: accuracy against cost, distributions, latency and memory over time.

Every case has its number, the same as in the tables. What was not measured is not drawn. Needs matplotlib, so this
module is imported only where a report is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vskd_benchmarks.report.pareto import accuracy_plots
from vskd_benchmarks.report.plotting import (
    COLOURS,
    LINES,
    MARKERS,
    STYLE,
    WIDTH_IN,
    Chart,
    Numbered,
    plain_log_ticks,
    render,
)  # fmt: skip
from vskd_benchmarks.report.tables import in_order
from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.records.conditions import Reading
from vskd_benchmarks.result.records.result import Result

#: Lines in one plot.
MOST_LINES = 7

#: Points that a line of many readings is drawn with; its slowest readings are drawn one by one.
POINTS, SLOWEST = 300, 40


def charts(result: Result, raws: Mapping[str, Raw]) -> dict[str, list[Chart]]:
    """Every plot that the result holds the numbers for, by the section where it belongs.

    Parameters
    ----------
    result : ``result.json``
    raws : case id -> its arrays
    """
    cases = [Numbered(number, case) for number, case in enumerate(in_order(result), start=1)]
    on_path = [each for each in cases if each.case.sensor_to_label is not None]
    with mpl.rc_context(STYLE):
        return {
            "pareto": list(accuracy_plots(cases, result)),
            "distribution": list(_distributions(on_path, raws)),
            "time": [*_over_time(on_path, raws, result.environment.readings), *_memory(on_path)],
        }


def _groups(cases: Sequence[Numbered], most: int) -> Iterator[tuple[str, list[Numbered]]]:
    """Cases for one plot each: a bundle's own models, then what was measured with it."""
    for bundle in dict.fromkeys(each.case.bundle for each in cases):
        for own in (True, False):
            chosen = [e for e in cases if e.case.bundle == bundle and (e.case.kind == "bundle") == own]
            for start in range(0, len(chosen), most):
                yield f"{bundle}" if own else f"the pipelines compared with {bundle}", chosen[start : start + most]


# --- distributions


def _distributions(cases: Sequence[Numbered], raws: Mapping[str, Raw]) -> Iterator[Chart]:
    for index, (group, chosen) in enumerate(_groups(cases, MOST_LINES), start=1):
        figure = Figure(figsize=(WIDTH_IN, 2.9 + 0.19 * len(chosen)))
        axes = figure.subplots()
        for each, colour, line in zip(chosen, cycle(COLOURS), cycle(LINES), strict=False):
            latency_ms, share = _ecdf(raws[each.case.id]["sensor_to_label"])
            axes.plot(latency_ms, share, color=colour, linestyle=line, drawstyle="steps-post", label=each.label)
        axes.set(xscale="log", xlabel="sensor to label, ms", ylabel="windows at or below, %", ylim=(0, 104))
        axes.set_yticks([0, 25, 50, 75, 90, 99])
        plain_log_ticks(axes, "x")
        figure.legend(loc="outside lower left")
        caption = "Share of the windows with this latency or less. Every measurement counts; no outlier is removed."
        yield render(f"distribution-{index}", f"Latency of {group}", caption, figure)


def _ecdf(latency_ns: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latency, ms, and the share of readings at or below it, %; of many readings not every one, but all of the tail."""
    values = np.sort(latency_ns, axis=None)
    ranks = np.unique(np.linspace(0, values.size - 1, POINTS).astype(int))
    ranks = np.union1d(ranks, np.arange(max(0, values.size - SLOWEST), values.size))
    return values[ranks] / 1e6, 100 * (ranks + 1) / values.size


# --- over time


def _over_time(cases: Sequence[Numbered], raws: Mapping[str, Raw], readings: Sequence[Reading]) -> Iterator[Chart]:
    panels_of = [
        key
        for key in ("temperature_c", "frequency_khz")
        if any(getattr(reading, key) is not None for reading in readings)
    ]
    for index, (group, chosen) in enumerate(_groups(cases, MOST_LINES), start=1):
        figure = Figure(figsize=(WIDTH_IN, 2.9 + 0.19 * len(chosen) + 1.0 * len(panels_of)))
        heights = [3.0, *[1.2] * len(panels_of)]
        panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for each, colour, marker in zip(chosen, cycle(COLOURS), cycle(MARKERS), strict=False):
            _draw_course(panels[0], raws[each.case.id], each.label, colour, marker)
        panels[0].set(yscale="log", ylabel="sensor to label, ms")
        plain_log_ticks(panels[0], "y")
        for panel, key in zip(panels[1:], panels_of, strict=True):
            _draw_readings(panel, readings, key)
        panels[-1].set_xlabel("since the start of the run, s")
        figure.legend(loc="outside lower left")
        caption = "Marks are medians of successive calls, bars their minimum and maximum. "
        slope = "A trend points to heat or a changing clock frequency."
        caption += slope if panels_of else "The machine reports neither temperature nor clock."
        yield render(f"over-time-{index}", f"Latency of {group} over time", caption, figure)


def _draw_course(axes: Axes, raw: Raw, label: str, colour: str, marker: str) -> None:
    at_s, low, middle, high = (np.array(column) for column in zip(*_course(raw), strict=True))
    axes.vlines(at_s, low, high, color=colour, alpha=0.35, linewidth=1)
    axes.plot(at_s, middle, color=colour, marker=marker, markersize=3, linewidth=0.7, label=label)


def _course(raw: Raw) -> Iterator[tuple[float, float, float, float]]:
    """Of some successive calls each: when, s, and the least, median and greatest latency, ms."""
    latency_ns, started_ns = raw["sensor_to_label"], raw["started"]
    parts = 1 if latency_ns.shape[0] > 50 else max(1, min(8, latency_ns.shape[1] // 25))
    for readings, starts in zip(latency_ns, started_ns, strict=True):
        for some, when in zip(np.array_split(readings, parts), np.array_split(starts, parts), strict=True):
            yield when.mean() / 1e9, some.min() / 1e6, float(np.median(some)) / 1e6, some.max() / 1e6


def _draw_readings(axes: Axes, readings: Sequence[Reading], key: str) -> None:
    known = [(each.at_s, getattr(each, key)) for each in readings if getattr(each, key) is not None]
    at_s, values = (np.array(column, np.float64) for column in zip(*known, strict=True))
    clock = key == "frequency_khz"
    axes.plot(at_s, values / 1e3 if clock else values, color="#555555", linewidth=1)
    axes.set_ylabel("clock, MHz" if clock else "hottest, °C")


def _memory(cases: Sequence[Numbered]) -> Iterator[Chart]:
    """Resident memory of soaks."""
    soaked = [each for each in cases if each.case.soak is not None]
    for index, (group, chosen) in enumerate(_groups(soaked, MOST_LINES), start=1):
        figure = Figure(figsize=(WIDTH_IN, 2.6 + 0.19 * len(chosen)))
        axes = figure.subplots()
        for each, colour, line in zip(chosen, cycle(COLOURS), cycle(LINES), strict=False):
            if each.case.soak is not None:
                resident_mb = np.array(each.case.soak.resident_bytes) / 1e6
                axes.plot(each.case.soak.at_s, resident_mb, color=colour, linestyle=line, label=each.label)
        axes.set(xlabel="since the start of the run, s", ylabel="resident memory, MB")
        figure.legend(loc="outside lower left")
        caption = "After each round of a soak. Steady growth is a memory leak."
        yield render(f"memory-{index}", f"Memory of {group} over time", caption, figure)
