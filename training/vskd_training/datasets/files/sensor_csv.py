"""One recording's sensor file: CSV with a header, read whole, with every line that cannot be used counted and named.

The header names the columns: one of ``time_s``, ``time_ms``, ``time_us``, ``time_ns``, the axes ``ax, ay, az``, and any
others. Samples that hold NaN, an infinity or an empty cell are dropped, and so are samples whose time repeats or is
wild; others are sorted (``clock``); each kind becomes one counted defect, and the recording is kept. A line that is no
row of numbers makes the recording unusable, because what else went wrong there is unknown; only a last line that was
cut short, as a logger leaves it that lost its power, is dropped alone.

This module knows neither units nor data sets.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.errors import did_you_mean
from vskd.sources.csv import AXES, TIME_COLUMNS
from vskd.stream import LARGEST, per_second
from vskd_training.datasets.files.clock import put_right
from vskd_training.datasets.recording import BrokenFileError, Defect

Float64 = NDArray[np.float64]

#: A recording needs as many samples to be one.
FEWEST_SAMPLES = 2
#: Where more than half of a file has to be dropped, what the rest is cannot be known.
_LEAST_KEPT = 0.5


@dataclass(frozen=True)
class SensorTable:
    """The usable samples of one file.

    Attributes
    ----------
    time_s : (samples,), strictly increasing, s
    xyz : (samples, 3), in the file's unit and axes
    further : (samples, columns), the further columns that were wanted
    defects : what was dropped, one for each kind
    """

    time_s: Float64
    xyz: Float64
    further: Float64
    defects: tuple[Defect, ...]


def read_sensor(path: Path, *, where: str, rate_hz: float | None, further: Sequence[str] = ()) -> SensorTable:
    """Read a sensor file.

    Parameters
    ----------
    path : the CSV
    where : how a defect names it
    rate_hz : of a file without a time column; None refuses such a file
    further : columns wanted beside the axes

    Raises
    ------
    BrokenFileError : it cannot be read, lacks a column, holds a line that is not numbers, or fewer than two samples
    """
    lines = _lines(path, where)
    header = [name.strip().removeprefix("\ufeff") for name in next(csv.reader(lines[:1]), [])]
    time = _time_column(header, where, rate_hz)
    names = [*([time] if time else []), *AXES, *further]
    _check_columns(header, names, where)
    rows, numbers, cut_short = _numbers(lines, header, names, where)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    values = table[:, 1:] if time else table
    seconds = table[:, 0] / per_second(TIME_COLUMNS[time]) if time else np.arange(len(table)) / (rate_hz or math.nan)
    return _usable(seconds, values, numbers, where, cut_short)


def read_lines(path: Path, *, where: str, parse: Callable[[str], Sequence[float]]) -> SensorTable:
    """Read a published file without a header, in which a broken line is a known defect: dropped, and counted.

    Parameters
    ----------
    path : text
    where : how a defect names it
    parse : a line to time, s, and x, y, z; raises ValueError for a broken one

    Raises
    ------
    BrokenFileError : it cannot be read, is empty, or less than half of it is usable
    """
    lines = _lines(path, where)
    rows: list[Sequence[float]] = []
    numbers: list[int] = []
    broken: list[int] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(parse(line))
            numbers.append(number)
        except ValueError:
            broken.append(number)
    if len(rows) < _LEAST_KEPT * (len(rows) + len(broken)):
        what = f"{len(broken)} of {len(rows) + len(broken)} lines are broken, the first is line {broken[0]}"
        raise BrokenFileError(where, what, kind="mostly broken lines")
    what = f"{len(broken)} lines are broken and were dropped, the first is line {(broken or [0])[0]}"
    defects = [Defect(where, what, "broken lines", left_out=False)] if broken else []
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return _usable(table[:, 0], table[:, 1:], numbers, where, defects)


def drop_bad_samples(
    seconds: Float64, values: Float64, *, where: str, lines: Sequence[int]
) -> tuple[Float64, Float64, list[Defect]]:
    """Drop samples that are no numbers, and put the times right (``clock``): each sample has one, and they increase.

    Parameters
    ----------
    seconds : (samples,), s
    values : (samples, columns)
    where : how a defect names the file
    lines : (samples,), in which each of them stands

    Returns
    -------
    what is left of both, in the order of time, and one defect for each kind
    """
    # As in the stream: what float32 cannot hold is no number. A comparison with NaN is false.
    finite = (np.abs(values) <= LARGEST).all(axis=1) & (np.abs(seconds) <= LARGEST)
    numbers = np.flatnonzero(finite)
    clock = put_right(seconds[numbers])
    repeated = np.concatenate(([False], np.diff(clock.time_s) == 0)) if len(clock.rows) else np.zeros(0, dtype=bool)
    found = (
        (np.flatnonzero(~finite), "hold NaN, infinity or an empty cell", "values that are no numbers"),
        (numbers[clock.wild], "have a time far from all others and were dropped", "wild timestamps"),
        (numbers[clock.rows[repeated]], "repeat the time of the one before", "repeated timestamps"),
        (numbers[clock.backward], "go back in time", "backward timestamps"),
        (numbers[clock.out_of_order], "came after later ones and were sorted by time", "samples out of order"),
        (numbers[clock.resets], "follow a clock that started anew, and begin a segment each", "clock resets"),
    )
    defects = [
        Defect(where, f"{len(rows)} samples {what}, the first in line {lines[int(rows.min())]}", kind, left_out=False)
        for rows, what, kind in found
        if len(rows)
    ]
    return clock.time_s[~repeated], values[numbers[clock.rows[~repeated]]], defects


def _lines(path: Path, where: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
        raise BrokenFileError(where, f"cannot be read ({reason}); give CSV text in UTF-8", kind="unreadable") from error
    if not any(line.strip() for line in lines):
        raise BrokenFileError(where, "is empty; record it again or drop the clip", kind="empty file")
    return lines


def _time_column(header: Sequence[str], where: str, rate_hz: float | None) -> str | None:
    times = [name for name in header if name in TIME_COLUMNS]
    if len(times) > 1:
        raise BrokenFileError(f"{where}, line 1", f"has {len(times)} time columns: {', '.join(times)}; keep one")
    if not times and rate_hz is None:
        way_out = "name the time column time_s, or give rate_hz in dataset.toml"
        raise BrokenFileError(f"{where}, line 1", f"has no time column in {','.join(header)!r}; {way_out}")
    return times[0] if times else None


def _check_columns(header: Sequence[str], names: Sequence[str], where: str) -> None:
    for name in names:
        if header.count(name) != 1:
            what = f"names the column {name!r} {header.count(name)} times" if name in header else f"lacks {name!r}"
            raise BrokenFileError(f"{where}, line 1", f"{what}. {did_you_mean(name, header)}", kind="missing column")


def _numbers(
    lines: Sequence[str], header: Sequence[str], names: Sequence[str], where: str
) -> tuple[list[list[float]], list[int], list[Defect]]:
    """Rows of the columns asked for and their lines; a last line that was cut short becomes a defect."""
    columns = [header.index(name) for name in names]
    last = max(number for number, line in enumerate(lines, start=1) if line.strip())
    rows: list[list[float]] = []
    numbers: list[int] = []
    for number, row in _rows(lines, where):
        place = f"{where}, line {number}"
        if len(row) < len(header) and number == last:
            cut_short = Defect(place, "the last line is cut short and was dropped", "last line cut short", False)
            return rows, numbers, [cut_short]
        if len(row) != len(header):
            what = f"{len(row)} values, the header has {len(header)}; mend or drop the line"
            raise BrokenFileError(place, what, kind="broken line")
        try:
            rows.append([float(row[column].strip() or "nan") for column in columns])
        except ValueError as error:
            raise BrokenFileError(place, f"{error}; mend or drop the line", kind="broken line") from error
        numbers.append(number)
    return rows, numbers, []


def _rows(lines: Sequence[str], where: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of every line that is not blank, without the header."""
    reader = csv.reader(lines)
    next(reader)
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise BrokenFileError(f"{where}, after line {reader.line_num}", str(error), kind="broken line") from error


def _usable(
    seconds: Float64, values: Float64, lines: Sequence[int], where: str, defects: Sequence[Defect]
) -> SensorTable:
    if len(seconds) < FEWEST_SAMPLES:
        what = f"holds {len(seconds)} samples, a recording needs {FEWEST_SAMPLES}; record it again or drop the clip"
        raise BrokenFileError(where, what, kind="too few samples")
    kept_s, kept, dropped = drop_bad_samples(seconds, values, where=where, lines=lines)
    if len(kept_s) < max(FEWEST_SAMPLES, _LEAST_KEPT * len(seconds)):
        reasons = "; ".join(defect.what for defect in dropped)
        what = f"{len(kept_s)} of {len(seconds)} samples are usable: {reasons}"
        raise BrokenFileError(where, what, kind="mostly unusable samples")
    return SensorTable(kept_s, kept[:, :3].copy(), kept[:, 3:].copy(), (*defects, *dropped))
