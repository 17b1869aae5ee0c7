"""Accuracy against what it costs: latency, size of the file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vskd_benchmarks.report.plotting import COLOURS, MARKERS, WIDTH_IN, Chart, Numbered, plain_log_ticks, render
from vskd_benchmarks.report.tables import held_out
from vskd_benchmarks.result.records.result import Result

#: Of each plot: name, title, axis, and what a case costs, an attribute of ``Numbered``.
COSTS = (
    ("latency", "Accuracy and latency", "sensor to label, p50, ms", "p50_ms"),
    ("size", "Accuracy and size", "model file, MB", "size_mb"),
)

#: (x, y), points.
Place = NDArray[np.float64]

#: Of a mark, points squared.
MARK_AREA = 50


def accuracy_plots(cases: Sequence[Numbered], result: Result) -> Iterator[Chart]:
    """A plot for each cost that the result holds, of the bundles' own models.

    Parameters
    ----------
    cases : of the result
    result : its bundles tell the accuracy of their models
    """
    known = {each.number: found for each in cases if (found := held_out(result, each.case)) is not None}
    name = next((name for name, *_ in known.values()), "accuracy")
    shared = {cases[number - 1].case.bundle for number, (*_, is_own) in known.items() if not is_own}
    caption = f"{name} of each model itself, on its bundle's held-out windows. "
    if shared:
        caption += f"Of {', '.join(sorted(shared))} only the trained network's is known, which all recipes share. "
    caption += "A bundle's name is at its cheapest point; the line is the Pareto front."
    for key, title, axis, cost in COSTS:
        points = [
            _Point(each, value, 100 * known[each.number][1])
            for each in cases
            if each.number in known and (value := getattr(each, cost)) is not None
        ]
        if points:
            figure = _scatter(points, axis, f"held-out {name}, %")
            yield render(f"accuracy-{key}", title, caption, figure)


@dataclass(frozen=True)
class _Point:
    """A case by what it costs and what it gains."""

    each: Numbered
    cost: float
    gain: float

    @property
    def place(self) -> tuple[float, float]:
        return self.cost, self.gain


def _scatter(points: Sequence[_Point], axis: str, ordinate: str) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, 3.6))
    axes = figure.subplots()
    engines = list(dict.fromkeys(point.each.case.engine for point in points))
    recipes = list(dict.fromkeys(point.each.case.recipe for point in points))
    for point in points:
        colour = COLOURS[recipes.index(point.each.case.recipe) % len(COLOURS)]
        marker = MARKERS[engines.index(point.each.case.engine) % len(MARKERS)]
        # Hollow: files of one recipe are of nearly one size in every engine, and both marks must be seen.
        axes.scatter(*point.place, s=MARK_AREA, marker=marker, facecolors="none", edgecolors=colour, linewidths=1.5)
    front = pareto_front([point.place for point in points])
    axes.plot(*zip(*front, strict=True), color="#888888", linewidth=1, zorder=0)
    axes.set(xscale="log", xlabel=axis, ylabel=ordinate)
    # Never less than a factor of six: a zoom into a per cent would make a difference of nothing.
    axes.set_xlim(min(point.cost for point in points) / 2.5, max(point.cost for point in points) * 2.5)
    axes.margins(y=0.2)
    plain_log_ticks(axes, "x")
    handles = [
        axes.scatter([], [], facecolors="none", edgecolors="#333333", marker=MARKERS[i % len(MARKERS)], label=name)
        for i, name in enumerate(engines)
    ]
    handles += [axes.scatter([], [], color=COLOURS[i % len(COLOURS)], label=name) for i, name in enumerate(recipes)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    _name_bundles(figure, axes, points, front)
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


def _name_bundles(figure: Figure, axes: Axes, points: Sequence[_Point], front: Sequence[tuple[float, float]]) -> None:
    """Write each bundle's name near its cheapest mark, within the axes and on no mark, name or line.

    A thin line leads to the mark where another bundle's is nearer.
    """
    figure.draw_without_rendering()  # the scales are known only now
    scale = figure.dpi / 72
    inside = axes.bbox.get_points() / scale
    at = {p.place: np.asarray(axes.transData.transform(p.place), np.float64) / scale for p in points}
    taken = [(at[point.place], np.full(2, math.sqrt(MARK_AREA) / 2)) for point in points]
    taken += [
        (at[start] + share * (at[end] - at[start]), np.ones(2))
        for start, end in itertools.pairwise(front)
        for share in np.linspace(0, 1, 60)
    ]
    for name in dict.fromkeys(point.each.case.bundle for point in points):
        own = [point.place for point in points if point.each.case.bundle == name]
        others = [at[point.place] for point in points if point.place not in own]
        mark, half = at[min(own)], np.array([2.4 * len(name) + 2, 5.0])
        is_nearest, place = _place(mark, half, inside, taken, others)
        taken.append((place, half))
        lead = None if is_nearest else {"arrowstyle": "-", "color": "#888888", "linewidth": 0.6, "shrinkA": 0}
        axes.annotate(
            name, min(own), xytext=tuple(place - mark), textcoords="offset points", arrowprops=lead, ha="center",
            va="center", fontsize=8,
        )  # fmt: skip


def _place(
    mark: Place, half: Place, inside: NDArray[np.float64], taken: Sequence[tuple[Place, Place]], others: Sequence[Place]
) -> tuple[bool, Place]:
    """Where a name of half its size stands, and whether its own mark is the nearest there; what is taken it avoids."""
    for must_be_nearest in (True, False):
        for offset in _offsets(half[0]):
            place = mark + offset
            is_within = (np.abs(place - inside.mean(axis=0)) + half <= np.ptp(inside, axis=0) / 2).all()
            is_nearest = all(_gap(place, half, mark) < _gap(place, half, other) for other in others)
            if is_within and _is_free(place, half, taken) and is_nearest >= must_be_nearest:
                return is_nearest, place
    return False, mark + np.array([0.0, 12.0])


def _offsets(half: float) -> Iterator[tuple[float, float]]:
    """Where a name may stand around its mark, points, the best place first."""
    for away in (10.0, 20.0, 32.0):
        yield from ((0.0, away), (0.0, -away), (-half - away, 0.0), (half + away, 0.0))
        for aside in (half / 2, half + away / 2):
            yield from ((sign * aside, rise) for sign in (-1, 1) for rise in (away, -away))


def _gap(centre: Place, half: Place, mark: Place) -> float:
    """From the box of a name to a mark, points."""
    return float(np.linalg.norm(np.maximum(np.abs(centre - mark) - half, 0)))


def _is_free(centre: Place, half: Place, taken: Sequence[tuple[Place, Place]]) -> bool:
    return all((np.abs(centre - other) >= half + other_half).any() for other, other_half in taken)
