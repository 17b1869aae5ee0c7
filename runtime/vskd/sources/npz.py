"""Samples from an NPZ file: one array of times and the axes, as ``numpy.savez`` writes them.

The names are those of the CSV: one of ``time_s``, ``time_ms``, ``time_us``, ``time_ns``, and either ``ax, ay, az`` or
one array ``xyz`` (samples, 3). Other arrays are passed over.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError, StreamError
from vskd.sources.causes import JUDGED_TIMES, refuse_impossible_times
from vskd.sources.csv import AXES, TIME_COLUMNS, Chunk
from vskd.stream import TimeUnit, as_samples


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
            # np.load forgets to close a file that is cut short.
            with path.open("rb") as file:
                if not zipfile.is_zipfile(file):
                    raise DataError(f"{path} is no NPZ file", hint="Write it with numpy.savez")
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    return cls(path, *_samples(archive, path))
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}", hint="Give an NPZ file") from error
        except DataError:
            raise
        except Exception as error:  # numpy and zipfile refuse a broken file with exceptions of many kinds
            # numpy's own advice for an array of objects is to run whatever code the file holds.
            reason = "an array holds Python objects" if "allow_pickle" in str(error) else error
            hint = "Write arrays of numbers with numpy.savez"
            raise DataError(f"{path} is no NPZ file of numbers: {reason}", hint=hint) from error

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


def _samples(archive: np.lib.npyio.NpzFile, path: Path) -> tuple[TimeUnit, NDArray[Any], NDArray[np.float64]]:
    names = set(archive.files)
    times = sorted(names & set(TIME_COLUMNS))
    if len(times) != 1 or not ("xyz" in names or names.issuperset(AXES)):
        raise DataError(
            f"{path} must hold time_s (or time_ms, time_us, time_ns) and xyz, or ax, ay and az; "
            f"it holds {', '.join(sorted(names)) or 'nothing'}",
            hint="Add or rename the arrays",
        )
    xyz = archive["xyz"] if "xyz" in names else np.stack([archive[axis] for axis in AXES], axis=-1)
    unit = TIME_COLUMNS[times[0]]
    try:
        time, values = as_samples(archive[times[0]], xyz)
    except StreamError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from error
    refuse_impossible_times(time[:JUDGED_TIMES].tolist(), unit, where=f"{path}: {times[0]}")
    return unit, time, values
