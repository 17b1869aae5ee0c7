"""Real smartwatch recordings inside the package `seglearn`: seven shoulder exercises, ten subjects, both wrists.

Burns et al., "Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch",
Physiological Measurement 2018 (arXiv 1802.01489): 140 recordings of accelerometer and gyroscope at 50 Hz, 81 minutes.
There is no video. The cross-modal case is a *privileged sensor*: in the view ``sensors`` the teacher sees accelerometer
and gyroscope, and the student the accelerometer alone.

The file is a pickle. It is read by ``files.numpy_pickle``, which builds arrays of numbers and plain values and nothing
else, so that a file which was exchanged can neither run code nor take hold of memory. `seglearn` itself is never
imported.

This module does not know windows, splits or caches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.closed import from_mapping, to_mapping
from vskd.errors import DataError
from vskd_training.datasets.files.in_child import Reading, read_in_child
from vskd_training.datasets.files.numpy_pickle import read_mapping
from vskd_training.datasets.fingerprint import fingerprint
from vskd_training.datasets.recording import BrokenFileError, Defect, Gravity, Recording, RecordingInfo
from vskd_training.datasets.shoulder_watch import DATA_SET

#: As the file abbreviates them, in its order.
EXERCISES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward_elevation",
    "IR": "internal_rotation",
    "ER": "external_rotation",
    "TRAP": "lower_trapezius_row",
    "ROW": "bent_over_row",
}
SIDES = ("left", "right")
SENSOR_RATE_HZ = 50.0
FILE = "watch_dataset.npy"

#: Goes into the fingerprint. Raise it with every change to what ``recordings`` yields.
READER_VERSION = 1

_COLUMNS = ["ax", "ay", "az", "wx", "wy", "wz"]
_WAY_OUT = "Install the package again: pip install 'vskd[shoulder-watch]'"


class ShoulderWatchSource:
    """The recordings as a ``Source``.

    Parameters
    ----------
    folder : holds ``watch_dataset.npy``
    view : what the teacher sees

    Raises
    ------
    DataError : the file is missing, or is not what it should be
    """

    name = DATA_SET.name
    labels: tuple[str, ...] = tuple(EXERCISES.values())
    placement = "left or right wrist"
    gravity: Gravity = "included"

    def __init__(
        self, *, view: str, digest: str, tables: list[NDArray[np.floating[Any]]], infos: list[RecordingInfo]
    ) -> None:
        self.view = view
        self._digest, self._tables, self._infos = digest, tables, infos

    @classmethod
    def open(cls, folder: Path, *, view: str = "sensors") -> ShoulderWatchSource:
        """Read the file; parameters and errors are those of the class."""
        path = folder / FILE
        tables, infos = _read(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(view=view, digest=digest, tables=tables, infos=infos)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the file and of the settings."""
        settings = {"reader": [self.name, READER_VERSION], "view": self.view, "file": self._digest}
        return fingerprint(settings)

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording, by exercise, subject and side; ``groups`` hold the side."""
        return tuple(self._infos)

    def defects(self) -> tuple[Defect, ...]:
        """None: the file is whole, or it is refused."""
        return ()

    def recordings(self) -> Iterator[Recording]:
        """One by one; in the view ``sensors`` frames are (samples, 2, 3): acceleration, g; angular velocity, rad/s."""
        for info, table in zip(self._infos, self._tables, strict=True):
            time_s = np.arange(len(table)) / SENSOR_RATE_HZ
            acceleration_g = np.ascontiguousarray(table[:, :3], dtype=np.float64)
            if self.view == "sensors":
                frames = np.ascontiguousarray(table.reshape(-1, 2, 3), dtype=np.float32)
                yield Recording(info, time_s, acceleration_g, time_s, frames)
            else:
                yield Recording(info, time_s, acceleration_g, np.empty(0), np.empty((0, 2, 3), dtype=np.float32))


def _read(path: Path) -> tuple[list[NDArray[np.floating[Any]]], list[RecordingInfo]]:
    """The file's recordings, unpickled in a child process."""
    try:
        tables, infos = read_in_child(load_recordings, path, where=str(path))
    except BrokenFileError as error:
        raise DataError(str(error), hint=_WAY_OUT) from error
    return list(tables), [from_mapping(RecordingInfo, info, where=FILE) for info in infos]


def load_recordings(path: Path) -> Reading:
    """The file's recordings, in the process that calls it: tables (samples, 6), and whose they are."""
    tables, infos = _checked(read_mapping(path, way_out=_WAY_OUT), path)
    return Reading(tuple(tables), [to_mapping(info) for info in infos])


def _checked(content: dict[str, Any], path: Path) -> tuple[list[NDArray[np.floating[Any]]], list[RecordingInfo]]:
    """Tables (samples, 6) and whose they are, by exercise, subject and side."""
    try:
        rows = list(zip(content["X"], content["y"], content["subject"], content["side"], strict=True))
        names, columns = _words(content["y_labels"]), _words(content["X_labels"])
        if names != list(EXERCISES) or columns != _COLUMNS:
            raise ValueError(f"columns {columns[:9]} and exercises {names[:9]}")
        found = sorted((int(y), int(subject), int(side), number) for number, (_, y, subject, side) in enumerate(rows))
        infos = [_info(*one[:3]) for one in found]
        tables = [_table(rows[number][0]) for *_, number in found]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not the recordings of shoulder exercises ({error})", hint=_WAY_OUT) from error
    return tables, infos


def _words(values: Any) -> list[str]:
    """Short texts, out of a list or an array."""
    return [str(value)[:20] if isinstance(value, str) else type(value).__name__ for value in values]


def _info(exercise: int, subject: int, side: int) -> RecordingInfo:
    label = ShoulderWatchSource.labels[exercise]
    return RecordingInfo(f"{label}_s{subject}_{SIDES[side]}", str(subject), label, side + 1, {"side": SIDES[side]})


def _table(values: Any) -> NDArray[np.floating[Any]]:
    table = np.asarray(values)
    if table.dtype.kind != "f" or table.ndim != 2 or table.shape[1] != len(_COLUMNS) or len(table) < 2:
        raise ValueError(f"a recording is {table.dtype} {table.shape}, not numbers (samples, {len(_COLUMNS)})")
    if not np.isfinite(table).all():
        raise ValueError("a recording holds NaN or infinity")
    return table
