"""The layout of a text file of samples, guessed from its first lines, each guess with its reason.

What is looked for: the separator and decimal sign under which most lines are rows of numbers; the line of names above
them; a column whose values are times at a rate that a sensor has; three columns of x, y, z whose length is gravity's.
This module knows text, and no folders.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import ConfigError, DataError
from vskd.sources.causes import SENSIBLE_HZ
from vskd.sources.layout import TIME_COLUMNS, Column, Layout, columns_of
from vskd.stream import per_second

#: So many lines are looked at.
LINES = 600

_TRIES = ((",", "."), (";", "."), (";", ","), ("tab", "."), ("tab", ","), ("blanks", "."))
_FORMATS = (
    "iso", "%d/%m/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S.%f", "%Y%m%d_%H:%M:%S.%f", "%Y/%m/%d %H:%M:%S.%f", "%H:%M:%S.%f",
)  # fmt: skip
_RATE = re.compile(r"(?:\bat\b|frequency|rate|sampling)[^\d\n]{0,30}(\d+(?:\.\d+)?)\s*(?:hz)?", re.IGNORECASE)
_TIME_NAME = re.compile(r"time|stamp|epoch|seconds|date", re.IGNORECASE)
_OTHER_SENSOR = re.compile(r"gyr|mag|rot|grav|orient|euler|quat|att|bias|^g$|linear|user", re.IGNORECASE)
_OF_GRAVITY = re.compile(r"grav", re.IGNORECASE)
_OF_USER = re.compile(r"user|linear", re.IGNORECASE)
#: Counts for 1 g of sensors that give raw numbers.
_COUNTS = (64, 256, 1000, 1024, 2048, 4096, 8192, 16384)

Table = list[list[str]]


@dataclass(frozen=True)
class Guess:
    """A layout and what the readings are, each with its reason.

    Attributes
    ----------
    layout : of the text
    unit, gravity : as in ``dataset.toml``
    names : of the columns; empty without a header
    rows : the first rows, as cells
    reasons : of a key of ``dataset.toml`` or ``[layout]`` -> why it was guessed
    """

    layout: Layout
    unit: str
    gravity: bool
    names: tuple[str, ...]
    rows: Table
    reasons: Mapping[str, str] = field(default_factory=dict)


def guess_layout(lines: Sequence[str]) -> Guess:
    """Guess a file's layout.

    Parameters
    ----------
    lines : its first ``LINES``

    Raises
    ------
    DataError : no columns of numbers, or no three that can be an accelerometer
    """
    layout, first, why = _separator(lines)
    layout, names, why_names = _names(lines, layout, first)
    rows = [layout.cells(line) for line in lines[_start(lines, layout, first) :] if line.strip()]
    rows = [row for row in rows if len(row) == len(rows[0])]
    layout, rows, why_rate = _stated_rate(lines, layout, rows)
    axes, why_axes = _axes(layout, names, rows)
    layout, why_time = _time(replace(layout, **axes), names, rows)
    layout, unit, gravity, why_unit = _unit(layout, names, rows)
    reasons = {**why, **why_names, **why_rate, **why_axes, **why_time, **why_unit}
    return Guess(layout, unit, gravity, tuple(names), rows, reasons)


def _start(lines: Sequence[str], layout: Layout, first: int) -> int:
    return max(first, layout.skip_lines + layout.header)


def _is_number(layout: Layout, cell: str) -> bool:
    try:
        return not math.isnan(layout.number(cell))
    except ValueError:
        return False


def _numbers(layout: Layout, line: str) -> tuple[int, int]:
    """How many cells a line has, and how many of them are numbers."""
    try:
        cells = layout.cells(line)
    except ValueError:
        return 0, 0
    return len(cells), sum(_is_number(layout, cell) for cell in cells)


def _separator(lines: Sequence[str]) -> tuple[Layout, int, dict[str, str]]:
    """The separator and decimal sign under which most lines are rows of numbers, and the first such line."""
    best, found = 0, (Layout(), 0, 0)
    for separator, decimal in _TRIES:
        layout = Layout(separator=separator, decimal=decimal)  # type: ignore[arg-type]  # of the Literals
        widths = [_numbers(layout, line) for line in lines]
        usual = Counter(width for width, numbers in widths if numbers >= 3).most_common(1)
        if not usual:
            continue
        rows = [index for index, (width, numbers) in enumerate(widths) if width == usual[0][0] and numbers >= 3]
        score = sum(widths[index][1] for index in rows)
        if score > best:
            best, found = score, (layout, rows[0], len(rows))
    layout, first, count = found
    if not best:
        raise DataError("no line holds three numbers", hint="Give text with one sample in each line")
    why = f"{count} of the first {len(lines)} lines are rows of numbers so"
    return layout, first, {"separator": why, "decimal": why}


def _names(lines: Sequence[str], layout: Layout, first: int) -> tuple[Layout, list[str], dict[str, str]]:
    """The names above the first row, or none; how many lines stand above them."""
    head = [line for line in lines[:first] if line.strip()]
    signs = {line.lstrip()[0] for line in head[:-1]} if len(head) > 1 else set()
    width = len(layout.cells(lines[first]))
    above = next((index for index in range(first - 1, -1, -1) if lines[index].strip()), None)
    cells = [cell.strip() for cell in lines_cells(layout, lines[above])] if above is not None else []
    has_names = len(cells) == width and sum(_is_number(layout, cell) for cell in cells) < 3 and all(cells)
    skipped = above if has_names and above is not None else first
    if skipped and signs and signs <= {"#", "%"} and len(signs) == 1:
        sign = signs.pop()
        return replace(layout, comment=sign, header=has_names), cells if has_names else [], {"comment": "lines above"}
    why = {"skip_lines": "lines above the " + ("names" if has_names else "first row")} if skipped else {}
    if not has_names:
        why["header"] = "no names above the first row"
    return replace(layout, skip_lines=skipped, header=has_names), cells if has_names else [], why


def lines_cells(layout: Layout, line: str) -> list[str]:
    """The cells of a line that may be no row: none where a quote is not closed."""
    try:
        return layout.cells(line)
    except ValueError:
        return []


def _stated_rate(lines: Sequence[str], layout: Layout, rows: Table) -> tuple[Layout, Table, dict[str, str]]:
    """A rate that stands above the rows: in words, or as Empatica's second line."""
    if not layout.header and len(rows) > 2 and all(len({cell.strip() for cell in row}) == 1 for row in rows[:2]):
        start, rate = (layout.number(row[0]) for row in rows[:2])
        if start > 1e9 and 1 <= rate <= SENSIBLE_HZ[1]:
            changed = replace(layout, skip_lines=layout.skip_lines + 2, rate_hz=rate)
            return changed, rows[2:], {"skip_lines": "start and rate", "rate_hz": "the second line"}
    match = _RATE.search("\n".join(lines[: layout.skip_lines]))
    if match and SENSIBLE_HZ[0] <= float(match[1]) <= SENSIBLE_HZ[1]:
        return replace(layout, rate_hz=float(match[1])), rows, {"rate_hz": f"the head says {match[0]!r}"}
    return layout, rows, {}


def _column(layout: Layout, rows: Table, place: int) -> NDArray[np.float64]:
    values = [layout.number(row[place]) if _is_number(layout, row[place]) else math.nan for row in rows]
    return np.array(values)


def _axes(layout: Layout, names: Sequence[str], rows: Table) -> tuple[dict[str, Any], dict[str, str]]:
    """The three columns of the accelerometer."""
    if not names:
        places = _by_length(layout, rows)
        return dict(zip("xyz", (place + 1 for place in places), strict=True)), {"x": "three columns as long as gravity"}
    groups = _groups(names)
    if not groups:
        raise DataError(f"no three columns are called x, y and z: {', '.join(names)}", hint="Name them in [layout]")
    best = max(groups, key=lambda key: ("acc" in key.lower()) + (key.lower() in ("a", "")) - 3 * _is_other(key))
    gravity = next((key for key in groups if _OF_GRAVITY.search(key)), None)
    if _OF_USER.search(best) and gravity is not None:
        terms: dict[str, Any] = {
            axis: tuple(f"-{_written(groups[key][axis], names)}" for key in (gravity, best)) for axis in "xyz"
        }
        return terms, {"x": "minus (gravity and the user's acceleration): Apple's sign is opposite"}
    return {axis: _written(groups[best][axis], names) for axis in "xyz"}, {"x": "by name"}


def _is_other(key: str) -> bool:
    return _OTHER_SENSOR.search(key) is not None


def _written(place: int, names: Sequence[str]) -> Column:
    """A column's name, or its number where others have the name, too."""
    return names[place] if names.count(names[place]) == 1 else place + 1


def _groups(names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Names that differ in x, y, z alone -> where the three stand."""
    groups: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        base = re.sub(r"[\(\[].*?[\)\]]", "", name).strip()
        match = re.search(r"(?<![A-Za-z])[xyzXYZ](?![A-Za-z])|[xyzXYZ]$|^[xyzXYZ](?=[_\- ])", base)
        if match:
            key = base[: match.start()] + base[match.end() :]
            groups.setdefault(key, {}).setdefault(match[0].lower(), place)
    return {key: axes for key, axes in groups.items() if len(axes) == 3}


def _by_length(layout: Layout, rows: Table) -> tuple[int, int, int]:
    """Three neighbouring columns that are 1 g long together, in g or m/s^2; else in counts."""
    columns = [_column(layout, rows, place) for place in range(len(rows[0]))]
    lengths = [
        float(np.median(np.sqrt(sum(column**2 for column in columns[place : place + 3]))))
        for place in range(len(columns) - 2)
    ]
    for units in ((1.0, STANDARD_GRAVITY_M_S2), _COUNTS):
        for place, length in enumerate(lengths):
            if any(0.7 <= length / unit <= 1.4 for unit in units):
                return place, place + 1, place + 2
    raise DataError("no three neighbouring columns are as long as gravity", hint="Write x, y and z in [layout]")


def _time(layout: Layout, names: Sequence[str], rows: Table) -> tuple[Layout, dict[str, str]]:
    """The most regular column of times, and its unit."""
    axes = {abs(int(one)) - 1 for terms in layout.axes for one in terms if isinstance(one, int)}
    places = [place for place in range(len(rows[0])) if place not in axes]
    named = [place for place in places if names and _TIME_NAME.search(names[place])]
    found = [one for place in named if (one := _clock_of(layout, names, rows, place))]
    # A clock may have any name ("t", "elapsed"): values that go up at a sensor's rate are times.
    found = found or [one for place in places if (one := _clock_of(layout, names, rows, place))]
    if not found:
        if not layout.rate_hz:
            raise DataError("there is no column of times, and no rate", hint="State rate_hz in dataset.toml")
        return layout, {}
    _, place, unit, rate_hz, why = min(found, key=lambda one: (round(one[0], 2), one[1]))
    column = _written(place, names) if names else place + 1
    shared: dict[str, Any] = {"rate_hz": rate_hz} if rate_hz else {}
    if column in TIME_COLUMNS and TIME_COLUMNS[str(column)] == unit and sum(one in TIME_COLUMNS for one in names) == 1:
        return replace(layout, **shared), {"rate_hz": why}
    time: dict[str, Any] = {"rate_hz": 0.0, **shared, "time": column, "time_unit": unit}
    return replace(layout, **time), {"time": why, "rate_hz": why}


def _clock_of(
    layout: Layout, names: Sequence[str], rows: Table, place: int
) -> tuple[float, int, str, float, str] | None:
    """Jitter, place, unit, rate (where rows share a time) and reason of a column of times; None if it is none."""
    if (unit := _dated(rows, place, _FORMATS)) is not None:
        probe = replace(layout, time=_written(place, names) if names else place + 1, time_unit=unit, rate_hz=0.0)
        columns = columns_of(probe, list(names) or [""] * len(rows[0]))
        seconds = np.array([columns.clock(row[place].strip()) for row in rows if row[place].strip()]) / 1e6
        found = _steps(seconds, place, unit)
        other = unit.replace("%d/%m", "%m/%d")
        if found is None or other == unit or _dated(rows, place, (other,)) is None:
            return found
        text = rows[0][place].strip()
        return (*found[:4], f"{found[4]}; day before month: NOT SURE, {text} may be the other way round ({other})")
    values = _column(layout, rows, place)
    values = values[np.isfinite(values)]
    steps = np.diff(values)
    if len(steps) < 10 or (steps < 0).mean() > 0.1 or not (steps > 0).any() or _counts_rows(values, steps):
        return None
    usual = float(np.median(steps[steps > 0]))
    shared = len(values) / len(np.unique(values))
    for unit in ("s", "ms", "us", "ns"):
        if SENSIBLE_HZ[0] <= shared * per_second(unit) / usual < SENSIBLE_HZ[1]:
            return _steps(values / per_second(unit), place, unit)
    return None


def _counts_rows(values: NDArray[np.float64], steps: NDArray[np.float64]) -> bool:
    return bool((steps == 1).all() and values[0] in (0, 1))


def _steps(seconds: NDArray[np.float64], place: int, unit: str) -> tuple[float, int, str, float, str] | None:
    steps = np.diff(seconds)
    if not (steps > 0).any():
        return None
    usual_s = float(np.median(steps[steps > 0]))
    group = int(np.unique(seconds, return_counts=True)[1].max())
    jitter = float(np.median(np.abs(steps[steps > 0] / usual_s - 1))) + (steps <= 0).mean()
    if group >= 10:
        return jitter, place, unit, round(group / usual_s, 3), f"{group} rows share a time"
    return jitter, place, unit, 0.0, f"{1 / usual_s:.4g} Hz in {unit}"


def _dated(rows: Table, place: int, formats: Sequence[str]) -> str | None:
    """The first of these formats that a column of dates has throughout, None if there is none."""
    texts = [text for row in rows if (text := row[place].strip())]
    if not any(":" in text for text in texts[:20]):
        return None
    for unit in formats:
        columns = columns_of(Layout(header=False, time=1, time_unit=unit, x=1, y=1, z=1), [""])
        try:
            for text in texts:
                columns.clock(text)
        except ValueError:
            continue
        return unit
    return None


def _unit(layout: Layout, names: Sequence[str], rows: Table) -> tuple[Layout, str, bool, dict[str, str]]:
    """What the readings are, from their length and from what stands in brackets behind the names."""
    columns = columns_of(replace(layout, rate_hz=layout.rate_hz or 1.0), list(names) or [""] * len(rows[0]))
    vectors = np.array([_vector(columns.row(row, 0)) for row in rows if _is_sample(columns, row)])
    length = float(np.median(np.linalg.norm(vectors, axis=1)))
    mean = float(np.linalg.norm(vectors.mean(axis=0)))
    named = " ".join(names[place] for terms in columns.axes for place, _ in terms if names).lower()
    why = {"unit": f"the median |a| is {length:.4g}", "gravity": f"the mean reading is {mean:.3g} long"}
    one_g = STANDARD_GRAVITY_M_S2
    if "(m/s" in named or "[m/s" in named or (0.7 <= length / one_g <= 1.4 and "(g)" not in named):
        return layout, "m/s^2", mean > one_g / 2, why
    if 0.7 <= length <= 1.4 or "(g)" in named or "[g]" in named:
        return layout, "g", mean > 0.5, why
    counts = next((one for one in _COUNTS if 0.7 <= length / one <= 1.4), None)
    if counts:
        scale = {"scale": f"the median |a| is {length:.4g}, and 1 g may be {counts}"}
        return replace(layout, scale=1 / counts), "g", True, {**why, **scale}
    return layout, "m/s^2" if length < one_g else "g", False, {**why, "unit": f"{why['unit']}: NOT SURE"}


def _vector(row: Sequence[float]) -> list[float]:
    return [float(value) for value in row[1:4]]


def _is_sample(columns: Any, row: list[str]) -> bool:
    try:
        return bool(np.isfinite(_vector(columns.row(row, 0))).all())
    except (ValueError, ConfigError):
        return False
