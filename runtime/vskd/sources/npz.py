"""Samples from an NPZ file: one array of times and the axes, as ``numpy.savez`` writes them.

The names are those of the CSV: one of ``time_s``, ``time_ms``, ``time_us``, ``time_ns``, and either ``ax, ay, az`` or
one array ``xyz`` (samples, 3). Other arrays are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError, StreamError
from vskd.sources.causes import JUDGED_TIMES, TextError, refuse_impossible_times
from vskd.sources.csv import AXES, TIME_COLUMNS, Chunk
from vskd.sources.live_text import OTHER_FILE
from vskd.stream import TimeUnit, as_samples
from vskd.untrusted.arrays import read_npz


class NpzReader:
    """The samples of a file, held in memory.

    Attributes
    ----------
    time_unit : of the array of times
    """

    def __init__(self, path: Path, time_unit: TimeUnit, time: NDArray[Any], xyz: NDArray[np.float64]) -> None:
        self._path = path
        self.time_unit = time_unit
        self._time, self._xyz = time, xyz

    @classmethod
    def open(cls, path: Path) -> NpzReader:
        """Read a file.

        Raises
        ------
        DataError : no such file, no NPZ, or one that lacks an array
        """
        try:
            with path.open("rb") as file:
                arrays = read_npz(file)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}", hint=OTHER_FILE) from error
        except ValueError as error:
            hint = "Write arrays of numbers with numpy.savez"
            raise DataError(f"{path} is no NPZ file of numbers: {error}", hint=hint) from error
        return cls(path, *_samples(arrays, path))

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Chunks of so many samples, the last one shorter.

        Raises
        ------
        DataError : there are none
        """
        if not len(self._time):
            raise DataError(f"{self._path} holds no samples", hint="Give a recording")
        for start in range(0, len(self._time), rows):
            yield Chunk(self._time[start : start + rows], self._xyz[start : start + rows])


def _samples(arrays: Mapping[str, NDArray[Any]], path: Path) -> tuple[TimeUnit, NDArray[Any], NDArray[np.float64]]:
    names = set(arrays)
    times = sorted(names & set(TIME_COLUMNS))
    if len(times) > 1 or ("xyz" in names and names & set(AXES)):
        twice = times if len(times) > 1 else sorted(names & {"xyz", *AXES})
        raise DataError(f"{path} holds {' and '.join(twice)}, which may differ", hint="Keep one of them")
    if not times or not ("xyz" in names or names.issuperset(AXES)):
        raise DataError(
            f"{path} must hold time_s (or time_ms, time_us, time_ns) and xyz, or ax, ay and az; "
            f"it holds {', '.join(sorted(names)) or 'nothing'}",
            hint="Add or rename the arrays",
        )
    unit = TIME_COLUMNS[times[0]]
    try:
        xyz = arrays["xyz"] if "xyz" in names else np.stack([arrays[axis] for axis in AXES], axis=-1)
        time, values = as_samples(arrays[times[0]], xyz)
    except (StreamError, ValueError) as error:
        raise DataError(f"{path}: {error}", hint="Write arrays of numbers with numpy.savez") from error
    try:
        refuse_impossible_times(time[:JUDGED_TIMES].tolist(), unit, where=f"{path}: {times[0]}")
    except TextError as error:  # an NPZ has no layout to describe
        raise DataError(error.message, hint="Write other times, under the name of their unit") from error
    return unit, time, values
