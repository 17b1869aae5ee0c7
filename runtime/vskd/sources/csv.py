"""Samples from CSV text, row by row, so that a pipe works like a file.

The header names the columns: one of ``time_s``, ``time_ms``, ``time_us``, ``time_ns``, and the axes ``ax, ay, az``.
Other columns are passed over. A row that is not numbers is refused with its line number; ``nan`` is a number, which
the stream drops and counts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd.stream import TimeUnit

TIME_COLUMNS: Mapping[str, TimeUnit] = {"time_s": "s", "time_ms": "ms", "time_us": "us", "time_ns": "ns"}
AXES = ("ax", "ay", "az")


@dataclass(frozen=True)
class Chunk:
    """Some rows: time (rows,), whole numbers as int64, and xyz (rows, 3) as float64."""

    time: NDArray[np.int64] | NDArray[np.float64]
    xyz: NDArray[np.float64]


class SampleReader:
    """CSV text whose header has been read; the rows are read as they come.

    Attributes
    ----------
    time_unit : of the column of times
    """

    def __init__(self, name: str, rows: _Rows, time_unit: TimeUnit, columns: list[int], width: int) -> None:
        self._name = name
        self._rows = rows
        self.time_unit = time_unit
        self._columns, self._width = columns, width

    @classmethod
    def open(cls, lines: Iterable[str], *, name: str) -> SampleReader:
        """Read the header.

        Parameters
        ----------
        lines : the text, header first
        name : of the file, for messages

        Raises
        ------
        DataError : nothing there, or a header that lacks a column
        """
        rows = _Rows(name, csv.reader(lines))
        first = next(iter(rows), None)
        if first is None:
            raise DataError(f"{name} is empty", hint="Its first line names the columns: time_s,ax,ay,az")
        # Spreadsheets put a byte-order mark before the first name.
        header = [column.strip().removeprefix("\ufeff") for column in first]
        times = [column for column in header if column in TIME_COLUMNS]
        if len(times) != 1 or any(axis not in header for axis in AXES):
            raise DataError(
                f"{name}, line 1: the header must hold time_s (or time_ms, time_us, time_ns), ax, ay and az, "
                f"got {','.join(header)!r}",
                hint="Add or rename the columns",
            )
        columns = [header.index(column) for column in (times[0], *AXES)]
        return cls(name, rows, TIME_COLUMNS[times[0]], columns, len(header))

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Chunks of so many rows, the last one shorter.

        Raises
        ------
        DataError : a row of another length, or one that is not numbers (names the line); no rows at all
        """
        pending: list[tuple[float | int, ...]] = []
        is_empty = True
        for row in self._rows:
            if row:
                pending.append(self._parse(row))
                is_empty = False
            if len(pending) == rows:
                yield _chunk(pending)
                pending = []
        if pending:
            yield _chunk(pending)
        if is_empty:
            raise DataError(f"{self._name} holds a header and no samples", hint="Give a recording")

    def _parse(self, row: list[str]) -> tuple[float | int, ...]:
        where = f"{self._name}, line {self._rows.line}"
        if len(row) != self._width:
            raise DataError(f"{where}: {len(row)} values, the header has {self._width}", hint="Mend or drop the row")
        time, *axes = (row[column].strip() for column in self._columns)
        try:
            return (_time(time), *map(float, axes))
        except ValueError as error:
            raise DataError(f"{where}: {error}", hint="Mend or drop the row") from error


class _Rows:
    """The rows of CSV text, each with its line number in messages."""

    def __init__(self, name: str, reader: Any) -> None:
        self._name = name
        self._reader = reader

    @property
    def line(self) -> int:
        line: int = self._reader.line_num
        return line

    def __iter__(self) -> Iterator[list[str]]:
        try:
            yield from self._reader
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{self._name}, after line {self.line}: {error}", hint="Give CSV text in UTF-8") from error


def _time(text: str) -> int | float:
    if not text.lstrip("-").isdigit():
        return float(text)
    if abs(whole := int(text)) >= 2**63:
        raise ValueError(f"the time {text} does not fit into 64 bits")
    return whole


def _chunk(rows: list[tuple[float | int, ...]]) -> Chunk:
    # A column of whole numbers stays int64: nanoseconds since 1970 do not fit into a float64.
    return Chunk(np.array([row[0] for row in rows]), np.array([row[1:] for row in rows], dtype=np.float64))
