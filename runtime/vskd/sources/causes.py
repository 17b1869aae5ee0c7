"""Why a text cannot be read, in the words of its layout: semicolons, no header, milliseconds called seconds.

What is said here is a guess, and never acted upon.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd.sources.layout import AXES, PLACE, TIME_COLUMNS, Layout
from vskd.stream import TimeUnit, per_second

#: So many of the first samples tell whether the times can be.
JUDGED_TIMES = 200
#: With fewer samples nothing is said about the times.
_FEWEST_TIMES = 20
#: So many samples under each time are a packet's; if the times are further apart, s, they are no sampling times.
_SHARED, _LONGEST_PACKET_S = 2, 0.25
#: Rates that an accelerometer of a watch has, and the one most often meant, Hz.
SENSIBLE_HZ = (5.0, 1000.0)
_USUAL_HZ = 50.0


class TextError(DataError):
    """A text that cannot be read as samples.

    Parameters
    ----------
    where : the file, with the line where there is one
    what : is wrong, with the value and the limit
    kind : a few words by which such errors are counted
    hint : the way out
    """

    def __init__(self, where: str, what: str, *, kind: str, hint: str = "") -> None:
        super().__init__(f"{where}: {what}", hint=hint)
        self.where, self.what, self.kind = where, what, kind


_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks"}
_WORDS = {"\t": "tab", " ": "blanks"}
_TIME_NAME = re.compile(r"time|stamp|epoch|seconds|date", re.IGNORECASE)


def cause_of_header(line: str, layout: Layout) -> str:
    """What is wrong with a header, and the way out; empty if it cannot be told."""
    if line.startswith("\x1f") or "\0" in line:
        return "Give CSV text in UTF-8; a gzip file is read as a file, and in a pipe through zcat"
    try:
        cells = [cell.strip() for cell in layout.cells(line)]
    except ValueError:
        return "Close the quote"
    return _other_separator(line, len(cells)) or _other_cells(cells, layout)


def _other_separator(line: str, found: int) -> str:
    parts = {separator: line.split(None if separator == " " else separator) for separator in _SEPARATORS}
    known = sum(_is_number(part) or part in (*AXES, *TIME_COLUMNS) for part in parts[" "])
    if 2 * known < len(parts[" "]) or not known:
        del parts[" "]  # a sentence, or names with blanks: "Acceleration x"
    other = max(parts, key=lambda separator: len(parts[separator]))
    if len(parts[other]) < 3 or len(parts[other]) <= found:
        return ""
    comma = ', and decimal = "," if the numbers have a decimal comma' if other == ";" else ""
    nameless = "; there is no header: header = false" if all(_is_number(one) for one in parts[other]) else ""
    written = f'separator = "{_WORDS.get(other, other)}"'
    return f"The columns seem to be separated by {_SEPARATORS[other]}: write {written}{comma} into {PLACE}{nameless}"


def _other_cells(cells: Sequence[str], layout: Layout) -> str:
    if cells and all(_is_number(cell) for cell in cells):
        return f"This line holds numbers, so there is no header: header = false, and x = 2 (a number) in {PLACE}"
    if len(cells) < 3:
        return f"This line has {len(cells)} cells; if the columns are named further down, write skip_lines"
    times = [cell for cell in cells if _TIME_NAME.search(cell)]
    if layout.time == "" and times and not any(name in cells for name in TIME_COLUMNS):
        described = f"time = {times[0]!r}, time_unit, x, y, z in {PLACE}"
        return f"Rename the columns, or describe them ({described}); `vskd data init` guesses"
    return ""


def refuse_impossible_times(
    times: Sequence[float | int], time_unit: TimeUnit, *, where: str, rate_hz: float = 0.0
) -> None:
    """Refuse times that many samples share, and those that another unit would explain.

    Parameters
    ----------
    times : of the first samples, in ``time_unit``
    where : how a message names them
    rate_hz : as stated; with it, rows may share a time

    Raises
    ------
    DataError : they are not what they are said to be
    """
    seconds = np.array(times, dtype=np.float64) / per_second(time_unit)
    seconds = seconds[np.isfinite(seconds)]
    if len(seconds) < _FEWEST_TIMES:
        return
    shared = len(seconds) / len(np.unique(seconds))
    if shared >= _SHARED and not rate_hz and _step(seconds) > _LONGEST_PACKET_S:
        what = f"{_largest_group(seconds)} rows share a time"
        hint = f"State rate_hz in {PLACE} ({_largest_group(seconds) / _step(seconds):.3g}?): by it they are spread"
        raise TextError(where, what, kind="rows share a time", hint=hint)
    if not (step := _step(seconds)):
        return
    unit = likely_unit(1 / step, time_unit)
    if unit:
        what = f"in {time_unit} the rate is {1 / step:.3g} Hz; it looks like {unit}"
        hint = f"Name it time_{unit}, or write time_unit = '{unit}' into {PLACE}"
        raise TextError(where, what, kind=f"times look like {unit}", hint=hint)


def _step(seconds: NDArray[np.float64]) -> float:
    """The median step between two times that differ, s; 0 where there is none."""
    steps = np.diff(seconds)
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0


def likely_unit(rate_hz: float, time_unit: TimeUnit) -> str:
    """The unit of time that makes an impossible rate a sensible one; empty where the rate can be, or none does.

    Parameters
    ----------
    rate_hz : of the samples, if their times are in ``time_unit``
    """
    low, high = SENSIBLE_HZ
    if low / 10 <= rate_hz <= high * 10:
        return ""
    rates = {unit: rate_hz * per_second(unit) / per_second(time_unit) for unit in ("s", "ms", "us", "ns")}
    fitting = [unit for unit, rate in rates.items() if low <= rate <= high]
    return min(fitting, key=lambda unit: abs(math.log(rates[unit] / _USUAL_HZ)), default="")


def _largest_group(seconds: NDArray[np.float64]) -> int:
    return int(np.unique(seconds, return_counts=True)[1].max())


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|nan", text.strip(), re.IGNORECASE) is not None
