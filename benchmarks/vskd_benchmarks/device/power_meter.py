"""The CSV file of a power meter, aligned with the run by its timestamps.

Columns: ``time_s``, Unix time, and either ``power_w`` or both ``voltage_v`` and ``current_a``; others are ignored.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd_benchmarks.device.power_trace import PowerTrace

TIME, POWER, VOLTAGE, CURRENT = "time_s", "power_w", "voltage_v", "current_a"

#: Unix times are above this since September 2001; a meter that counts from its start stays below for 31 years.
UNIX_SINCE_S = 1e9


def read_power_meter(path: Path, *, unix_ns: int) -> PowerTrace:
    """The readings of a power meter since the start of the run.

    Parameters
    ----------
    path : CSV file
    unix_ns : start of the run

    Raises
    ------
    DataError : not readable, a column is missing, a value is no number, or time does not rise
    """
    time_s, power_w = _parse(path)
    if time_s[0] < UNIX_SINCE_S:
        raise DataError(
            f"{path}: {TIME} starts at {time_s[0]:g} s, which is no Unix time",
            hint=f"Add the Unix time of the meter's zero to {TIME}",
        )
    # Seconds since the start are taken before the product: 1.8e18 ns are beyond a float's 53 bits.
    return PowerTrace(np.rint((time_s - unix_ns / 1e9) * 1e9).astype(np.int64), power_w)


def _parse(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", hint="Give the CSV file of a power meter") from error
    # A logger that still writes, or was stopped, leaves its last line unfinished.
    rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
    names = [name.strip() for name in next(rows, [])]
    columns = [name for name in (TIME, *((POWER,) if POWER in names else (VOLTAGE, CURRENT))) if name not in names]
    if columns:
        raise DataError(
            f"{path} has no column {columns[0]}, it has {', '.join(names) or 'none'}",
            hint=f"Its first line must name {TIME} and {POWER}, or {TIME}, {VOLTAGE} and {CURRENT}",
        )
    # An array of doubles: ten minutes at 10 kHz are six million readings, and as many tuples would take a gigabyte.
    found = array("d", itertools.chain.from_iterable(_readings(path, rows, names)))
    if not found:
        raise DataError(f"{path} holds no readings", hint="Start the meter before the run")
    pairs = np.array(found, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _readings(path: Path, rows: Iterator[list[str]], names: list[str]) -> Iterator[tuple[float, float]]:
    wanted = (TIME, POWER) if POWER in names else (TIME, VOLTAGE, CURRENT)
    places = [names.index(name) for name in wanted]
    before = -math.inf
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            time_s, *factors = (float(row[place]) for place in places)
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}, line {number}: {','.join(row)!r} holds no number for each of {wanted}") from error
        if not all(math.isfinite(value) for value in (time_s, *factors)):
            raise DataError(f"{path}, line {number}: {','.join(row)!r} is not finite")
        if time_s <= before:
            raise DataError(
                f"{path}, line {number}: {TIME} is {time_s!r} after {before!r}: time does not rise",
                hint="Remove what comes of a clock that was set, or of two logs in one file",
            )
        before = time_s
        yield time_s, math.prod(factors)
