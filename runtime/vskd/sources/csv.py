"""Samples from text, row by row, so that a pipe works like a file; the training reader reads by the same rows.

``Layout`` says where things stand; by default the header names one of ``time_s``, ``time_ms``, ``time_us``,
``time_ns``, and the axes ``ax, ay, az``, and other columns are passed over.

One rule for bad lines, wherever they come from. A line that is no row of numbers is dropped and counted. More than
``MOST_BAD`` of the last ``JUDGED`` lines end the reading, and so does a file of which less than half are samples. An
empty cell and ``nan`` are NaN, which the stream drops and counts. A complete file with a quote that is not closed, or
with a NUL, was damaged or means something else: it is refused; from a pipe such a line is a bad one. A header that can
be understood in two ways is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError
from vskd.sources.causes import JUDGED_TIMES, TextError, cause_of_header, refuse_impossible_times
from vskd.sources.layout import AXES, PLACE, TIME_COLUMNS, Columns, Layout, columns_of
from vskd.stream import TimeUnit, per_second

__all__ = ["AXES", "JUDGED", "MOST_BAD", "TIME_COLUMNS", "BadLines", "Chunk", "Row", "SampleReader"]

#: Of so many lines so many may be bad.
JUDGED, MOST_BAD = 200, 20
#: Of a file at least so much must be samples.
LEAST_KEPT = 0.5
#: Rows that share a time may run ahead of the next time by this share of theirs, at a rate that is stated too low.
_AHEAD = 0.1


@dataclass(frozen=True)
class Chunk:
    """Some rows: time (rows,), whole numbers as int64, and xyz (rows, 3) as float64."""

    time: NDArray[np.int64] | NDArray[np.float64]
    xyz: NDArray[np.float64]


class Row(NamedTuple):
    """One sample: its line, counted from 1, and time, x, y, z and the further columns."""

    line: int
    values: tuple[float | int, ...]


@dataclass
class BadLines:
    """Lines that were no samples.

    Attributes
    ----------
    name : of the file, for messages
    count : how many there were
    first : line and reason of the first one
    """

    name: str
    count: int = 0
    first: str = ""
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=JUDGED))

    def judge(self, line: int, reason: str) -> None:
        """Take in whether a line was bad; an empty reason means that it was not.

        Raises
        ------
        TextError : too many of the last lines are bad
        """
        self._recent.append(bool(reason))
        if not reason:
            return
        self.count += 1
        self.first = self.first or f"line {line}: {reason}"
        bad = sum(self._recent)
        if bad > MOST_BAD:
            self._refuse(f"{bad} of the last {len(self._recent)} lines")

    def finish(self, kept: int) -> None:
        """Judge a text that has ended.

        Raises
        ------
        TextError : less than half of it are samples
        """
        if self.count and kept < LEAST_KEPT * (kept + self.count):
            self._refuse(f"{self.count} of {kept + self.count} lines")

    def _refuse(self, share: str) -> None:
        what = f"{share} are no samples, the first is {self.first}"
        raise TextError(self.name, what, kind="mostly broken lines", hint=f"Mend or drop the rows, or {PLACE}")

    def __str__(self) -> str:
        return f"{self.count} lines were no samples and were dropped, the first is {self.first}"


class SampleReader:
    """Text whose header has been read; the rows are read as they come.

    Attributes
    ----------
    time_unit : of the times
    bad : the lines that were no samples, so far
    """

    def __init__(self, text: _Text, columns: Columns, pending: Sequence[str], note: Callable[[str], object]) -> None:
        self._text, self._columns, self._pending, self._note = text, columns, pending, note
        self.time_unit: TimeUnit = columns.time_unit
        self.bad = BadLines(text.name)

    @classmethod
    def open(
        cls,
        lines: Iterable[str],
        *,
        name: str,
        layout: Layout = Layout(),  # noqa: B008  # it is frozen
        further: Sequence[str] = (),
        only: str = "",
        is_live: bool = False,
        note: Callable[[str], object] = lambda text: None,
    ) -> SampleReader:
        """Read the header.

        Parameters
        ----------
        lines : the text, header first
        name : of the file, for messages
        layout : of the text
        further : columns wanted beside the axes
        only : rows that are read, as ``column=value;column=value``: of a file that holds those of many people
        is_live : a damaged line is dropped, where a file would be refused
        note : gets a sentence about the first line that is dropped

        Raises
        ------
        TextError : nothing there, or a header that lacks a column or has it twice
        """
        text = _Text(name, iter(lines), layout, is_live)
        line = text.first()
        try:
            cells = [cell.strip() for cell in layout.cells(line)]
            names = cells if layout.header else [""] * len(cells)
            columns = columns_of(layout, names, further, only)
        except (ConfigError, ValueError) as error:
            raise _bad_header(f"{name}, line {text.line}", line, layout, error) from error
        return cls(text, columns, [] if layout.header else [line], note)

    def rows(self) -> Iterator[Row]:
        """The samples one by one.

        Raises
        ------
        TextError : too many bad lines, times that cannot be, a damaged file, or no samples at all
        """
        index = kept = 0
        spread = _Spread(self._columns)
        times: list[float | int] = []
        for number, line in self._text.rest(self._pending):
            if not line.strip():
                continue
            try:
                self._text.check(line)
                cells = self._columns.layout.cells(line)
                if not self._columns.takes(cells):
                    continue
                values = self._columns.row(cells, index)
            except ValueError as error:
                self._drop(number, str(error))
            else:
                self.bad.judge(number, "")
                if len(times) < JUDGED_TIMES:
                    times.append(values[0])
                    self._judge_times(times, at=JUDGED_TIMES)
                kept += 1
                yield Row(number, (spread(values[0]), *values[1:]))
            index += 1
        self._judge_times(times, at=len(times))
        self.bad.finish(kept)
        if not kept:
            raise TextError(self._text.name, "holds no samples", kind="too few samples", hint="Give a recording")

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Chunks of so many rows, the last one shorter; errors as ``rows``."""
        pending: list[tuple[float | int, ...]] = []
        is_refused = False  # which says the same
        try:
            for row in self.rows():
                pending.append(row.values)
                if len(pending) == rows:
                    yield _chunk(pending)
                    pending = []
            if pending:
                yield _chunk(pending)
        except TextError:
            is_refused = True
            raise
        finally:
            if self.bad.count > 1 and not is_refused:
                self._note(f"{self._text.name}: {self.bad}")

    def _drop(self, line: int, reason: str) -> None:
        self.bad.judge(line, reason)
        if self.bad.count == 1:
            self._note(f"{self._text.name}, line {line} is no sample and was dropped: {reason}")

    def _judge_times(self, times: Sequence[float | int], *, at: int) -> None:
        columns = self._columns
        if len(times) == at and columns.time is not None:
            where = f"{self._text.name}: the column of the time"
            refuse_impossible_times(times, columns.time_unit, where=where, rate_hz=columns.layout.rate_hz)


class _Spread:
    """Rows that share a time follow each other at the stated rate; without a stated rate they are left as they are."""

    def __init__(self, columns: Columns) -> None:
        layout = columns.layout
        is_used = columns.time is not None and layout.rate_hz > 0
        self._step = per_second(columns.time_unit) / layout.rate_hz if is_used else 0.0
        self._stamp: float | int | None = None
        self._last: float | int = 0
        self._rows = 0  # that have shared the last stamp

    def __call__(self, stamp: float | int) -> float | int:
        """The time of the next row."""
        if not self._step:
            return stamp
        # Whole nanoseconds stay whole.
        step = int(self._step) if isinstance(stamp, int) and self._step.is_integer() else self._step
        is_shared = stamp == self._stamp
        # A second of 51 rows at 50 Hz ends where the next one begins, and the one after that a little later.
        ahead = self._last - stamp if self._rows > 1 and stamp > (self._stamp or 0) else -1
        runs_ahead = 0 <= ahead <= step * max(1, _AHEAD * self._rows)
        self._last = self._last + step if is_shared or runs_ahead else stamp
        self._rows = self._rows + 1 if is_shared else 1
        self._stamp = stamp
        return self._last


class _Text:
    """Lines with their numbers; a damaged one is refused in a file, and bad in a pipe."""

    def __init__(self, name: str, lines: Iterator[str], layout: Layout, is_live: bool) -> None:
        self.name, self.line = name, 0
        self._lines, self._layout, self._is_live = lines, layout, is_live

    def first(self) -> str:
        """The header, or the first row where there is none."""
        for number, line in enumerate(self._lines, start=1):
            self.line = number
            if number > self._layout.skip_lines and not self._is_comment(line):
                if self._is_live and "\ufffd" in line:
                    where = f"{self.name}, line {number}"
                    raise TextError(where, "no text in UTF-8", kind="unreadable", hint="Give CSV text in UTF-8")
                return line.removeprefix("\ufeff")  # spreadsheets put a byte-order mark there
        if self.line:
            what = f"has {self.line} lines, and skip_lines is {self._layout.skip_lines}"
            raise TextError(self.name, what, kind="empty file", hint="Lower skip_lines")
        hint = "Its first line names the columns: time_s,ax,ay,az"
        raise TextError(self.name, "is empty", kind="empty file", hint=hint)

    def rest(self, pending: Sequence[str]) -> Iterator[tuple[int, str]]:
        """The lines that follow, with their numbers, after a first row that was read already."""
        yield from ((self.line, line) for line in pending)
        for line in self._lines:
            self.line += 1
            if not self._is_comment(line):
                yield self.line, line

    def check(self, line: str) -> None:
        """Raise for a damaged line: ``DataError`` in a file, ``ValueError`` in a pipe."""
        quote, nul = '"' in line and line.count('"') % 2, "\0" in line
        if not (quote or nul):
            return
        what = "a quote is not closed" if quote else "it holds NUL, as a file does that was not written to its end"
        if self._is_live:
            raise ValueError(what)
        where = f"{self.name}, line {self.line}"
        raise TextError(where, what, kind="damaged line", hint="Mend the line, or drop it")

    def _is_comment(self, line: str) -> bool:
        return bool(self._layout.comment) and line.lstrip().startswith(self._layout.comment)


def _bad_header(where: str, line: str, layout: Layout, error: Exception) -> TextError:
    what, hint = (error.message, error.hint) if isinstance(error, ConfigError) else (str(error), "")
    got = f"{what}, got {line.strip()[:200]!r}"
    return TextError(where, got, kind="missing column", hint=cause_of_header(line, layout) or hint)


def _chunk(rows: list[tuple[float | int, ...]]) -> Chunk:
    # A column of whole numbers stays int64: nanoseconds since 1970 do not fit into a float64.
    return Chunk(np.array([row[0] for row in rows]), np.array([row[1:4] for row in rows], dtype=np.float64))
