"""One recording's sensor file, read whole, with every line that cannot be used counted and named.

The lines are those of ``vskd.sources.csv.SampleReader``, by the same ``Layout``: what is a sample in ``vskd run`` is
one here, and one rule says which lines are dropped. Samples that hold NaN, an infinity or an empty cell are dropped,
and so are samples whose time repeats or is wild; others are sorted (``clock``); each kind becomes one counted defect,
and the recording is kept, unless more than half of it would be lost.

This module knows neither units nor data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.sources.causes import TextError
from vskd.sources.csv import LEAST_KEPT, SampleReader
from vskd.sources.layout import Layout
from vskd.sources.text_file import file_lines
from vskd.stream import LARGEST, per_second
from vskd_training.datasets.files.clock import put_right, shared_too_long, spread_packets
from vskd_training.datasets.recording import BrokenFileError, Defect

Float64 = NDArray[np.float64]

#: A recording needs as many samples to be one.
FEWEST_SAMPLES = 2


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


def read_sensor(path: Path, *, where: str, layout: Layout, further: Sequence[str] = (), only: str = "") -> SensorTable:
    """Read a sensor file.

    Parameters
    ----------
    path : text, plain or gzip
    where : how a defect names it
    layout : of the text
    further : columns wanted beside the axes
    only : of a file of many recordings the rows of this one, as ``SampleReader.open`` takes it

    Raises
    ------
    BrokenFileError : it cannot be read, lacks a column, holds too many lines that are no samples, or fewer than two
        samples
    """
    try:
        lines = file_lines(path, name=where)
        reader = SampleReader.open(lines, name=where, layout=layout, further=further, only=only)
        rows = list(reader.rows())
    except TextError as error:
        hint = f"; {error.hint[0].lower()}{error.hint[1:]}" if error.hint else ""
        raise BrokenFileError(error.where, f"{error.what}{hint}", kind=error.kind) from error
    dropped = [Defect(where, str(reader.bad), "broken lines", left_out=False)] if reader.bad.count else []
    seconds = np.array([row.values[0] for row in rows]) / per_second(reader.time_unit)
    values = np.array([row.values[1:] for row in rows], dtype=np.float64)
    return _usable(seconds, values, [row.line for row in rows], where, dropped)


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
    if len(rows) < LEAST_KEPT * (len(rows) + len(broken)):
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
    if why := shared_too_long(seconds[numbers]):
        raise BrokenFileError(where, why, kind="samples that share a time")
    clock = put_right(seconds[numbers])
    rows, time_s = clock.rows, clock.time_s
    spread = repeated = np.zeros(0, dtype=np.intp)
    if (np.diff(time_s) == 0).any():
        apart = spread_packets(time_s, values[numbers[rows], :3])
        spread, repeated = (numbers[rows[apart.fates.get(fate, [])]] for fate in ("spread", "repeated"))
        rows, time_s = rows[apart.rows], np.array(apart.time_s)
    found = (
        (np.flatnonzero(~finite), "hold NaN, infinity or an empty cell", "values that are no numbers"),
        (numbers[clock.wild], "have a time far from all others and were dropped", "wild timestamps"),
        (repeated, "repeat the time of the one before", "repeated timestamps"),
        (spread, "share a time with others and were spread up to the next time", "packets that share a time"),
        (numbers[clock.backward], "go back in time", "backward timestamps"),
        (numbers[clock.out_of_order], "came after later ones and were sorted by time", "samples out of order"),
        (numbers[clock.resets], "follow a clock that started anew, and begin a segment each", "clock resets"),
    )
    defects = [
        Defect(where, f"{len(bad)} samples {what}, the first in line {lines[int(bad.min())]}", kind, left_out=False)
        for bad, what, kind in found
        if len(bad)
    ]
    return time_s, values[numbers[rows]], defects


def _lines(path: Path, where: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
        raise BrokenFileError(where, f"cannot be read ({reason}); give CSV text in UTF-8", kind="unreadable") from error
    if not any(line.strip() for line in lines):
        raise BrokenFileError(where, "is empty; record it again or drop the clip", kind="empty file")
    return lines


def _usable(
    seconds: Float64, values: Float64, lines: Sequence[int], where: str, defects: Sequence[Defect]
) -> SensorTable:
    if len(seconds) < FEWEST_SAMPLES:
        what = f"holds {len(seconds)} samples, a recording needs {FEWEST_SAMPLES}; record it again or drop the clip"
        raise BrokenFileError(where, what, kind="too few samples")
    kept_s, kept, dropped = drop_bad_samples(seconds, values, where=where, lines=lines)
    if len(kept_s) < max(FEWEST_SAMPLES, LEAST_KEPT * len(seconds)):
        reasons = "; ".join(defect.what for defect in dropped)
        what = f"{len(kept_s)} of {len(seconds)} samples are usable: {reasons}"
        raise BrokenFileError(where, what, kind="mostly unusable samples")
    return SensorTable(kept_s, kept[:, :3].copy(), kept[:, 3:].copy(), (*defects, *dropped))
