"""The plots of a result: accuracy against cost, distributions, latency over time, the split.

Drawn small enough to be read on a phone and in print. Colours are Okabe and Ito's, which colour-blind people tell
apart; lines and markers differ as well. Every case has its number, the same as in the tables. What was not measured is
not drawn. Needs matplotlib, so this module is imported only where a report is written.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.records.case import Case, Stage
from vskd_benchmarks.result.records.conditions import MeasuredBundle, Reading
from vskd_benchmarks.result.records.result import Result

#: Okabe and Ito's colours without the yellow, which is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STAGE_COLOURS: dict[Stage, str] = {"resample": "#56B4E9", "encode": "#009E73", "infer": "#0072B2", "decide": "#E69F00"}
STAGE_HATCHES: dict[Stage, str] = {"resample": "//", "encode": "..", "infer": "", "decide": "xx"}

#: Lines in one plot, and bars in one.
MOST_LINES = 7
MOST_BARS = 12

#: Points that a line of many readings is drawn with; its slowest readings are drawn one by one.
POINTS, SLOWEST = 300, 40

WIDTH_IN = 4.3
STYLE: Any = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False,
    "legend.fontsize": 9, "svg.fonttype": "none", "svg.hashsalt": "vskd", "figure.constrained_layout.use": True,
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


def charts(result: Result, raws: Mapping[str, Raw]) -> dict[str, list[Chart]]:
    """Every plot that the result holds the numbers for, by the section where it belongs.

    Parameters
    ----------
    result : ``result.json``
    raws : case id -> its arrays
    """
    cases = [Numbered(number, case) for number, case in enumerate(result.cases, start=1)]
    on_path = [each for each in cases if each.case.sensor_to_label is not None]
    with mpl.rc_context(STYLE):
        return {
            "pareto": list(_pareto(cases, result.bundles)),
            "distribution": list(_distributions(on_path, raws)),
            "time": [*_over_time(on_path, raws, result.environment.readings), *_memory(on_path)],
            "split": list(_splits(on_path)),
        }


def _chart(name: str, title: str, caption: str, figure: Figure) -> Chart:
    svg, png = io.BytesIO(), io.BytesIO()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is found; finding it again for each format takes half of the time
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return Chart(name, title, caption, svg.getvalue(), png.getvalue())


def _groups(cases: Sequence[Numbered], most: int) -> Iterator[tuple[str, list[Numbered]]]:
    """Cases for one plot each: a bundle's own models, then what ran beside it."""
    for bundle in dict.fromkeys(each.case.bundle for each in cases):
        for own in (True, False):
            chosen = [e for e in cases if e.case.bundle == bundle and (e.case.kind == "bundle") == own]
            for start in range(0, len(chosen), most):
                yield f"{bundle}" if own else f"beside {bundle}", chosen[start : start + most]


# --- accuracy against what it costs


def held_out(bundle: MeasuredBundle) -> tuple[str, float] | None:
    """Name and value of the accuracy that a bundle's report tells; macro-F1 where it is there."""
    accuracy = bundle.accuracy or {}
    for key, name in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        if key in accuracy:
            return name, float(accuracy[key])
    return None


def _pareto(cases: Sequence[Numbered], bundles: Sequence[MeasuredBundle]) -> Iterator[Chart]:
    told = {bundle.id: held_out(bundle) for bundle in bundles}
    own = [each for each in cases if each.case.kind == "bundle" and told[each.case.bundle]]
    threads = min((each.case.threads for each in own), default=1)
    own = [each for each in own if each.case.threads == threads]
    accuracy = {each.number: 100 * (told[each.case.bundle] or ("", 0.0))[1] for each in own}
    name = next((said[0] for said in told.values() if said), "accuracy")
    note = f"The {name} is the trained network's on held-out subjects; recipes of one bundle share it."
    for key, title, axis, cost in (
        ("latency", "Accuracy and latency", "sensor to label, p50, ms", _p50_ms),
        ("size", "Accuracy and size", "model file, MB", _size_mb),
        ("battery", "Accuracy and battery", "of the battery a day, %", _battery_percent),
    ):
        points = [_Point(each, value, accuracy[each.number]) for each in own if (value := cost(each.case)) is not None]
        if points:
            figure = _scatter(points, axis, f"held-out {name}, %", by_size=key == "latency")
            caption = f"{note} A name stands by its bundle's cheapest mark; the line joins "
            caption += f"what nothing else beats in both. Threads: {threads}."
            caption += " The area of a mark grows with the model's file." if key == "latency" else ""
            yield _chart(f"accuracy-{key}", title, caption, figure)


def _p50_ms(case: Case) -> float | None:
    path = case.sensor_to_label
    return None if path is None or path.p50_ns is None else path.p50_ns / 1e6


def _battery_percent(case: Case) -> float | None:
    """As measured; a model's figure has no place in a plot of measurements, nor one below zero on its axis."""
    energy, battery = case.energy, case.battery
    if energy is None or battery is None or not energy.measured or battery.percent_per_day <= 0:
        return None
    return float(battery.percent_per_day)


def _size_mb(case: Case) -> float | None:
    return None if case.model is None else case.model.size_bytes / 1e6


@dataclass(frozen=True)
class _Point:
    """A case by what it costs and what it gains."""

    each: Numbered
    cost: float
    gain: float

    @property
    def place(self) -> tuple[float, float]:
        return self.cost, self.gain

    def area(self, *, by_size: bool) -> float:
        """Of its mark, points squared."""
        return 16 + 2 * (_size_mb(self.each.case) or 0.0) if by_size else 50.0


def _scatter(points: Sequence[_Point], axis: str, ordinate: str, *, by_size: bool) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, 3.6))
    axes = figure.subplots()
    engines = list(dict.fromkeys(point.each.case.engine for point in points))
    recipes = list(dict.fromkeys(point.each.case.recipe for point in points))
    for point in points:
        colour = COLOURS[recipes.index(point.each.case.recipe) % len(COLOURS)]
        marker = MARKERS[engines.index(point.each.case.engine) % len(MARKERS)]
        area = point.area(by_size=by_size)
        # Hollow: files of one recipe are of nearly one size in every engine, and both marks must be seen.
        axes.scatter(*point.place, s=area, marker=marker, facecolors="none", edgecolors=colour, linewidths=1.5)
    front = pareto_front([point.place for point in points])
    axes.plot(*zip(*front, strict=True), color="#888888", linewidth=1, zorder=0)
    axes.set(xscale="log", xlabel=axis, ylabel=ordinate)
    # Never less than a factor of six: a zoom into a per cent would make a difference of nothing.
    axes.set_xlim(min(point.cost for point in points) / 2.5, max(point.cost for point in points) * 2.5)
    axes.margins(y=0.2)
    _plain_log_ticks(axes, "x")
    handles = [
        axes.scatter([], [], facecolors="none", edgecolors="#333333", marker=MARKERS[i % len(MARKERS)], label=name)
        for i, name in enumerate(engines)
    ]
    handles += [axes.scatter([], [], color=COLOURS[i % len(COLOURS)], label=name) for i, name in enumerate(recipes)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    _name_bundles(figure, axes, points, by_size=by_size)
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats: (cost, gain), less cost and more gain is better; cheapest first.

    Parameters
    ----------
    points : (cost, gain)
    """
    front: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or gain > front[-1][1]:
            front.append((cost, gain))
    return front


def _name_bundles(figure: Figure, axes: Axes, points: Sequence[_Point], *, by_size: bool) -> None:
    """Write each bundle's name beside its cheapest mark, where neither a mark nor another name stands."""
    figure.draw_without_rendering()  # the scales are known only now
    scale = figure.dpi / 72
    at = {p.place: np.asarray(axes.transData.transform(p.place), np.float64) / scale for p in points}
    taken = [(at[point.place], np.full(2, math.sqrt(point.area(by_size=by_size)) / 2)) for point in points]
    for name in dict.fromkeys(point.each.case.bundle for point in points):
        cheapest = min(point.place for point in points if point.each.case.bundle == name)
        half = np.array([2.4 * len(name) + 2, 5.0])
        offset = next((o for o in _offsets(half[0]) if _is_free(at[cheapest] + o, half, taken)), (0.0, 12.0))
        taken.append((at[cheapest] + offset, half))
        axes.annotate(name, cheapest, xytext=offset, textcoords="offset points", ha="center", va="center", fontsize=8)


def _offsets(half: float) -> Iterator[tuple[float, float]]:
    """Where a name may stand around its mark, points, the best place first."""
    for away in (10.0, 20.0, 32.0):
        yield from ((0.0, away), (0.0, -away), (-half - away, 0.0), (half + away, 0.0))
        yield from ((sign * (half + away / 2), rise) for sign in (-1, 1) for rise in (away, -away))


def _is_free(
    centre: NDArray[np.float64],
    half: NDArray[np.float64],
    taken: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> bool:
    return all((np.abs(centre - other) >= half + other_half).any() for other, other_half in taken)


# --- distributions


def _distributions(cases: Sequence[Numbered], raws: Mapping[str, Raw]) -> Iterator[Chart]:
    for index, (group, chosen) in enumerate(_groups(cases, MOST_LINES), start=1):
        figure = Figure(figsize=(WIDTH_IN, 2.9 + 0.19 * len(chosen)))
        axes = figure.subplots()
        for each, colour, line in zip(chosen, cycle(COLOURS), cycle(LINES), strict=False):
            latency_ms, share = _ecdf(raws[each.case.id]["sensor_to_label"])
            axes.plot(latency_ms, share, color=colour, linestyle=line, drawstyle="steps-post", label=each.label)
        for percent in (50, 90, 99):
            axes.axhline(percent, color="#bbbbbb", linewidth=0.8, linestyle=":")
            axes.annotate(f"p{percent}", (1, percent), xycoords=("axes fraction", "data"), fontsize=9, va="bottom",
                          ha="right", color="#555555")  # fmt: skip
        axes.set(xscale="log", xlabel="sensor to label, ms", ylabel="windows at or below, %", ylim=(0, 104))
        _plain_log_ticks(axes, "x")
        figure.legend(loc="outside lower left")
        caption = "Share of the windows that took so long or less. Every reading counts; nothing is clipped."
        yield _chart(f"distribution-{index}", f"Latency of {group}", caption, figure)


def _ecdf(latency_ns: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latency, ms, and the share of readings at or below it, %; of many readings not every one, but all of the tail."""
    values = np.sort(latency_ns, axis=None)
    ranks = np.unique(np.linspace(0, values.size - 1, POINTS).astype(int))
    ranks = np.union1d(ranks, np.arange(max(0, values.size - SLOWEST), values.size))
    return values[ranks] / 1e6, 100 * (ranks + 1) / values.size


# --- over time


def _over_time(cases: Sequence[Numbered], raws: Mapping[str, Raw], readings: Sequence[Reading]) -> Iterator[Chart]:
    told = [
        key
        for key in ("temperature_c", "frequency_khz")
        if any(getattr(reading, key) is not None for reading in readings)
    ]
    for index, (group, chosen) in enumerate(_groups(cases, MOST_LINES), start=1):
        figure = Figure(figsize=(WIDTH_IN, 2.9 + 0.19 * len(chosen) + 1.0 * len(told)))
        heights = [3.0, *[1.2] * len(told)]
        panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for each, colour, marker in zip(chosen, cycle(COLOURS), cycle(MARKERS), strict=False):
            _draw_course(panels[0], raws[each.case.id], each.label, colour, marker)
        panels[0].set(yscale="log", ylabel="sensor to label, ms")
        _plain_log_ticks(panels[0], "y")
        for panel, key in zip(panels[1:], told, strict=True):
            _draw_readings(panel, readings, key)
        panels[-1].set_xlabel("since the start of the run, s")
        figure.legend(loc="outside lower left")
        caption = "Marks are medians of successive calls, lines reach from the quickest to the slowest of them. "
        caption += "A slope is heat or a changing clock." if told else "The machine told neither temperature nor clock."
        yield _chart(f"over-time-{index}", f"Latency of {group} over time", caption, figure)


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
        caption = "After each round of a soak. A slope that goes on is a leak."
        yield _chart(f"memory-{index}", f"Memory of {group} over time", caption, figure)


# --- split


def _splits(cases: Sequence[Numbered]) -> Iterator[Chart]:
    shown = [each for each in cases if any(_stage_ns(each.case, stage) for stage in STAGE_COLOURS)]
    for index, start in enumerate(range(0, len(shown), MOST_BARS), start=1):
        chosen = shown[start : start + MOST_BARS]
        figure = Figure(figsize=(WIDTH_IN, 0.8 + 0.42 * len(chosen)))
        axes = figure.subplots()
        for row, each in enumerate(chosen):
            _draw_split(axes, row, each)
        axes.set(xlim=(0, 100), ylim=(len(chosen) - 0.3, -0.75), xlabel="share of the stages' medians, %", yticks=[])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        handles = [
            axes.bar(0, 0, color=colour, hatch=STAGE_HATCHES[stage], edgecolor="white", linewidth=0, label=stage)
            for stage, colour in STAGE_COLOURS.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        caption = (
            "Over each bar its case and the median of the whole. Without encode: drawn inside the model, in infer."
        )
        yield _chart(f"split-{index}", "Where the time goes", caption, figure)


def _draw_split(axes: Axes, row: int, each: Numbered) -> None:
    parts = {stage: _stage_ns(each.case, stage) for stage in STAGE_COLOURS}
    total, left = sum(parts.values()), 0.0
    for stage, part in parts.items():
        share = 100 * part / total
        axes.barh(row, share, 0.4, left, color=STAGE_COLOURS[stage], hatch=STAGE_HATCHES[stage], edgecolor="white",
                  linewidth=0)  # fmt: skip
        left += share
    p50_ms = _p50_ms(each.case)
    axes.text(0, row - 0.28, each.label, fontsize=9, va="bottom")
    axes.text(100, row - 0.28, "n/a" if p50_ms is None else f"{p50_ms:.3g} ms", fontsize=9, va="bottom", ha="right")


def _stage_ns(case: Case, stage: Stage) -> int:
    statistics = case.stages[stage]
    return 0 if statistics is None else statistics.p50_ns or 0


def _plain_log_ticks(axes: Axes, which: str) -> None:
    """Ticks such as 0.5, 1, 2, 5 instead of powers of ten, on a logarithmic axis."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    decades = np.log10(high / max(low, 1e-12))
    digits = (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3.5 else (1.0,)
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
