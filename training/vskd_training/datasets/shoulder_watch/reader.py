"""Real smartwatch recordings inside the package `seglearn`: seven shoulder exercises, ten subjects, both wrists.

Burns et al., "Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch",
Physiological Measurement 2018 (arXiv 1802.01489): 140 recordings of accelerometer and gyroscope at 50 Hz, 81 minutes.
There is no video. The cross-modal case is a *privileged sensor*: in the view ``sensors`` the teacher sees accelerometer
and gyroscope, and the student the accelerometer alone.

The file is a pickle. It is read by an unpickler that can build numpy arrays and plain values and nothing else, so that
a file which was exchanged cannot run code. `seglearn` itself is never imported.

This module does not know windows, splits or caches.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.closed import from_mapping, to_mapping
from vskd.errors import DataError
from vskd_training.datasets.files.in_child import Reading, read_in_child
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
    tables, infos = _checked(read_arrays(path), path)
    return Reading(tuple(tables), [to_mapping(info) for info in infos])


def read_arrays(path: Path) -> dict[str, Any]:
    """The mapping inside an .npy file of one pickled object, without running anything but numpy's own constructors.

    Parameters
    ----------
    path : the file

    Returns
    -------
    arrays, lists, strings and numbers by name

    Raises
    ------
    DataError : no such file, not an .npy file of one object, or a pickle that asks for anything else
    """
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if version != (1, 0) or shape != () or dtype != np.dtype(object):
                raise DataError(f"{path} holds {dtype} {shape}, not one object", hint=_WAY_OUT)
            content = _NumpyOnly(stream).load()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint=_WAY_OUT) from error
    except _CANNOT_BE_UNPICKLED as error:
        raise DataError(f"{path} cannot be read: {error}", hint=_WAY_OUT) from error
    # numpy pickles an object array of no dimensions, which holds the mapping.
    mapping = content.item() if isinstance(content, np.ndarray) and content.shape == () else content
    if not isinstance(mapping, dict):
        raise DataError(f"{path} holds a {type(mapping).__name__}, not a mapping of arrays", hint=_WAY_OUT)
    return mapping


#: What a damaged pickle, or one that asks for what it may not have, is refused with.
_CANNOT_BE_UNPICKLED = (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError)


def _latin_1(text: str, encoding: str) -> bytes:
    """How Python 2's bytes travel in a pickle."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


#: numpy's own function, by the way it names itself: its module has moved between versions.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin_1,
}


class _NumpyOnly(pickle.Unpickler):
    """Builds arrays and plain values; whatever else a pickle names is refused before it is looked up."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, and only numpy arrays are read")
        return _ALLOWED[module_name, global_name]


def _checked(content: dict[str, Any], path: Path) -> tuple[list[NDArray[np.floating[Any]]], list[RecordingInfo]]:
    """Tables (samples, 6) and whose they are, by exercise, subject and side."""
    try:
        rows = list(zip(content["X"], content["y"], content["subject"], content["side"], strict=True))
        names, columns = list(content["y_labels"]), list(content["X_labels"])
        if names != list(EXERCISES) or columns != _COLUMNS:
            raise ValueError(f"columns {columns} and exercises {names}")
        found = sorted((int(y), int(subject), int(side), number) for number, (_, y, subject, side) in enumerate(rows))
        infos = [_info(*one[:3]) for one in found]
        tables = [_table(rows[number][0]) for *_, number in found]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not the recordings of shoulder exercises ({error})", hint=_WAY_OUT) from error
    return tables, infos


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
