"""Samples from an NPZ file: one array of times and the axes, as ``numpy.savez`` writes them.

The names are those of the CSV: one of ``time_s``, ``time_ms``, ``time_us``, ``time_ns``, and either ``ax, ay, az`` or
one array ``xyz`` (samples, 3). Other arrays are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vskd.errors import DataError, StreamError
from vskd.sources.csv import AXES, TIME_COLUMNS, Chunk
from vskd.stream import as_samples


class NpzReader:
    """Reads the file at once; samples are held in memory.

    Parameters
    ----------
    path : of the file

    Attributes
    ----------
    time_unit : as the name of the times says

    Raises
    ------
    DataError : no such file, no NPZ, or one that lacks an array
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # np.load forgets to close a file that is cut short.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                self._read(archive)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}", hint="Give an NPZ file") from error
        except DataError:
            raise
        except Exception as error:  # numpy and zipfile refuse a broken file with exceptions of many kinds
            raise DataError(f"{path} is no NPZ file of numbers: {error}", hint="Write it with numpy.savez") from error

    def _read(self, archive: np.lib.npyio.NpzFile) -> None:
        names = set(archive.files)
        times = sorted(names & set(TIME_COLUMNS))
        if len(times) != 1 or not ("xyz" in names or names.issuperset(AXES)):
            raise DataError(
                f"{self._path} must hold time_s (or time_ms, time_us, time_ns) and xyz, or ax, ay and az; "
                f"it holds {', '.join(sorted(names)) or 'nothing'}",
                hint="Add or rename the arrays",
            )
        self.time_unit = TIME_COLUMNS[times[0]]
        xyz = archive["xyz"] if "xyz" in names else np.stack([archive[axis] for axis in AXES], axis=-1)
        try:
            self._time, self._xyz = as_samples(archive[times[0]], xyz)
        except StreamError as error:
            raise DataError(f"{self._path}: {error.message}", hint=error.hint) from error

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
