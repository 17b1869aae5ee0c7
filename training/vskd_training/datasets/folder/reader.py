"""A user's own recordings: a table of clips, one CSV of samples for each, and video where there is.

The layout stands in ``table``. A mistake in its two files is an error; a recording whose own files are broken is
left out and becomes a defect, so that one bad afternoon does not stop a study. What was dropped within a recording
(samples without a number, repeated or backward times) is a defect too, and the recording is kept.

Two recordings with the same samples are one recording: the second is left out, since a copy under another name could
lie on the other side of a split.

A clip without a label is read like any other, if it has what the view shows: it may be used in distillation.

Views: ``video`` and ``joints`` (a labelled clip without one has no frames: a student learns from it by its label, and
is tested on it; a clip with neither is left out, and counted), ``sensors`` (the accelerometer beside the gyroscope's
columns gx, gy, gz, which every file must have then), ``none`` (every clip, for a student without a teacher).

This module does not know windows, splits or caches. Clips may be long; windows are cut from them after the split.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.sources.layout import Described
from vskd.stream import AxisMap, to_g
from vskd_training.datasets.collector import Collector, refuse_implausible
from vskd_training.datasets.files.sensor_csv import FEWEST_SAMPLES, SensorTable, read_sensor
from vskd_training.datasets.files.video import on_sensor_clock, read_clip
from vskd_training.datasets.fingerprint import by_content, fingerprint
from vskd_training.datasets.folder.skeleton import JOINTS, read_joints
from vskd_training.datasets.folder.table import DESCRIPTION, TABLE, ClipRow, Description, read_description, read_table
from vskd_training.datasets.recording import BrokenFileError, Defect, Gravity, Recording, RecordingInfo

Float64 = NDArray[np.float64]

#: Goes into the fingerprint. Raise it with every change to what ``recordings`` yields.
READER_VERSION = 2

_GYROSCOPE = ("gx", "gy", "gz")
#: Views that are files of a clip, by the columns of the table that name them.
_SHOWN = ("video", "joints")
#: ``end_s`` may lie so far behind the last sample, s.
_PART_BEYOND_S = 1.0

#: A rate in ``dataset.toml`` may differ from the timestamps' by this share.
_RATE_TOLERANCE = 0.2
#: A mean reading of at least this is gravity's: no motion of a wrist keeps it up. g
_GRAVITY_SHOWS_G = 0.5
_DROP = "drop this clip, or mend its file"


class FolderSource:
    """The folder as a ``Source``.

    The two describing files are read at once, the recordings only by ``recordings``. A recording that turns out to be
    broken is not yielded: from then on it is among ``defects`` and no longer among ``infos``.

    Parameters
    ----------
    root : the folder that holds ``dataset.toml`` and ``clips.csv``
    view : what the camera's side shows
    height, width : of a frame, pixels

    Raises
    ------
    DataError, ConfigError : a mistake in one of the two files
    """

    def __init__(
        self, root: Path, *, view: str, height: int, width: int, description: Description, table: tuple[ClipRow, ...]
    ) -> None:
        self.root, self.view = root, view
        self.height, self.width = height, width
        self.description, self.table = description, table
        self.name, self.placement = description.name, description.placement
        self.labels = description.labels or tuple(sorted({row.label for row in table if row.label}))
        self.gravity: Gravity = "included" if description.gravity else "removed"
        self.files = Described(description.layout, description.unit, description.axes, description.rate_hz)
        self._infos = _infos(table)
        self._collector = Collector()
        self._last: dict[tuple[Path, str], SensorTable] = {}

    @classmethod
    def open(cls, root: Path, *, view: str, height: int = 60, width: int = 80) -> FolderSource:
        """Open the folder; parameters and errors are those of the class."""
        description = read_description(root)
        table = read_table(root, description)
        return cls(root, view=view, height=height, width=width, description=description, table=table)

    @property
    def _used(self) -> list[ClipRow]:
        """Clips that have what the view shows. Of two copies the first is kept: let it be the one with a label."""
        in_order = sorted(self.table, key=lambda row: not row.label)
        return [row for row in in_order if row.label or self._is_seen(row)]

    def _is_seen(self, row: ClipRow) -> bool:
        """Whether a clip has what the view shows."""
        return self.view not in _SHOWN or bool(getattr(row, self.view))

    @property
    def _unseen(self) -> tuple[Defect, ...]:
        return tuple(_not_seen(row, self.view) for row in self.table if not self._is_seen(row))

    def fingerprint(self) -> str:
        """SHA-256 (hex) of every file that ``recordings`` reads and of the settings; hashed anew on each call."""
        settings = {
            "reader": ["folder", READER_VERSION],
            "frames": [self.view, self.height, self.width],
            # What is said about the recordings changes none of them.
            "description": {key: value for key, value in to_mapping(self.description).items() if key != "about"},
            "clips": [list(row) for row in self.table],
        }
        shown = [getattr(row, self.view) for row in self._used if self.view in _SHOWN]
        names = dict.fromkeys(name for name in (*(row.sensor for row in self._used), *shown) if name)
        paths = [path for name in names for path in _files(self.root / name)]
        return fingerprint(settings, by_content(paths, self.root))

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every clip that is not known to be broken, in the order of the table, those without a label last."""
        return self._collector.kept(self._infos[row.clip] for row in self._used)

    def defects(self) -> tuple[Defect, ...]:
        """Clips without video, and what ``recordings`` has found broken or passed over so far."""
        return (*self._unseen, *self._collector.defects(self._infos[row.clip] for row in self._used))

    def files_by_stream(self) -> dict[str, int]:
        """Clips of the table that name a file of each kind."""
        shown = {name: sum(bool(getattr(row, name)) for row in self.table) for name in _SHOWN}
        return {"sensor": len(self.table), **{name: count for name, count in shown.items() if count or name == "video"}}

    def axes_of(self, subject: str) -> str:
        """The map of a subject's sensor axes, e.g. ``"-y,x,z"``."""
        return self.description.axes_of(subject).map

    def recordings(self) -> Iterator[Recording]:
        """Read and decode them one by one, in the order of ``infos``; broken ones become defects."""
        seen: dict[bytes, ClipRow] = {}
        for row in self._used:
            note = f" (clip {row.clip!r}, {TABLE}, line {row.line})"
            recording = self._collector.take(self._infos[row.clip], partial(self._read, row, seen), note=note)
            if recording:
                yield recording

    def _read(self, row: ClipRow, seen: dict[bytes, ClipRow]) -> tuple[Recording, tuple[Defect, ...]]:
        path = self.root / row.sensor
        if not path.is_file():
            raise BrokenFileError(row.sensor, "does not exist; mend the path, or drop the line", kind="missing sensor")
        table = _part_of(self._table(path, row.sensor, row.rows), row)
        acceleration_g = to_g(table.xyz, unit=self.description.unit, axes=self.axes_of(row.subject))
        _check_readings(acceleration_g, self.description, where=row.sensor)
        _refuse_copy(acceleration_g, row, seen)
        defects = [*table.defects, *_rate_defects(table, self.description, row.sensor)]
        frame_time_s, frames, of_frames = self._frames(row, table, acceleration_g)
        recording = Recording(self._infos[row.clip], table.time_s, acceleration_g, frame_time_s, frames)
        return recording, (*defects, *of_frames)

    def _table(self, path: Path, where: str, only: str) -> SensorTable:
        """The samples of a file; the last one is kept, since clips that share a file follow each other."""
        if (path, only) not in self._last:
            further = _GYROSCOPE if self.view == "sensors" else ()
            table = read_sensor(path, where=where, layout=self.description.text, further=further, only=only)
            self._last = {(path, only): table}
        return self._last[path, only]

    def _frames(
        self, row: ClipRow, table: SensorTable, acceleration_g: Float64
    ) -> tuple[Float64, NDArray[Any], tuple[Defect, ...]]:
        """What the teacher sees, when, and what was passed over."""
        if self.view == "none":
            return np.empty(0), np.empty((0, self.height, self.width), dtype=np.uint8), ()
        if self.view == "sensors":
            rates = AxisMap.parse(self.axes_of(row.subject))(table.further)
            return table.time_s, np.stack([acceleration_g, rates], axis=1).astype(np.float32), ()
        if self.view == "joints":
            return self._joints(row, table)
        if not row.video:
            return np.empty(0), np.empty((0, self.height, self.width), dtype=np.uint8), ()
        clip = read_clip(self.root / row.video, where=row.video, height=self.height, width=self.width)
        frame_time_s, differs = on_sensor_clock(clip, table.time_s, where=row.video)
        return frame_time_s, clip.frames, (*clip.defects, *differs)

    def _joints(self, row: ClipRow, table: SensorTable) -> tuple[Float64, NDArray[Any], tuple[Defect, ...]]:
        if not row.joints:
            return np.empty(0), np.empty((0, len(JOINTS), 3), dtype=np.float32), ()
        found = read_joints(self.root / row.joints, self.description.skeleton, where=row.joints)
        frame_time_s, differs = on_sensor_clock(found, table.time_s, where=row.joints)
        return frame_time_s, found.joints, (*found.defects, *differs)


def _not_seen(row: ClipRow, view: str) -> Defect:
    where = f"{TABLE}, line {row.line}"
    if row.label:
        what = f"has no {view} ({where}): it has its label in training and test, and no teacher"
        return Defect(row.clip, what, f"no {view}", left_out=False)
    what = f"has neither label nor {view} ({where}), so it cannot be used"
    return Defect(row.clip, what, f"neither label nor {view}")


def _part_of(table: SensorTable, row: ClipRow) -> SensorTable:
    """The samples of a clip's part of its file."""
    if row.start_s == 0 and row.end_s == math.inf:
        return table
    elapsed_s = table.time_s - table.time_s[0]
    last_s = float(elapsed_s[-1])
    if row.start_s > last_s or (row.end_s < math.inf and row.end_s > last_s + _PART_BEYOND_S):
        what = f"start_s and end_s are {row.start_s:g} and {row.end_s:g}, and the file lasts {last_s:.2f} s"
        raise BrokenFileError(row.sensor, f"{what}; they count from its first sample", kind="part outside its file")
    kept = (elapsed_s >= row.start_s) & (elapsed_s < row.end_s)
    if kept.sum() < FEWEST_SAMPLES:
        what = f"holds {kept.sum()} samples between {row.start_s:g} and {row.end_s:g} s"
        raise BrokenFileError(row.sensor, what, kind="too few samples")
    return SensorTable(table.time_s[kept], table.xyz[kept], table.further[kept], table.defects)


def _infos(table: tuple[ClipRow, ...]) -> dict[str, RecordingInfo]:
    """By clip. Trials are counted for each subject and activity, in the order of the table."""
    trials: dict[tuple[str, str], int] = {}
    infos = {}
    for row in table:
        trial = trials[row.subject, row.label] = trials.get((row.subject, row.label), 0) + 1
        infos[row.clip] = RecordingInfo(row.clip, row.subject, row.label, trial, row.groups)
    return infos


def _check_readings(acceleration_g: Float64, description: Description, *, where: str) -> None:
    """Refuse readings that cannot be in the unit, or hold gravity where the description says it holds none."""
    if not description.gravity:
        mean_g = float(np.linalg.norm(acceleration_g.mean(axis=0)))
        if mean_g > _GRAVITY_SHOWS_G:
            what = f"the mean reading is {mean_g:.2f} g long, so gravity is in it"
            if_most = f"set gravity = true in {DESCRIPTION}"
            raise BrokenFileError(
                where, what, kind="gravity where there should be none", way_out=_DROP, if_most=if_most
            )
        return
    if_most = f"mend unit ({description.unit!r}) or gravity in {DESCRIPTION}"
    refuse_implausible(acceleration_g, where=where, way_out=_DROP, if_most=if_most)


def _rate_defects(table: SensorTable, description: Description, where: str) -> list[Defect]:
    """Timestamps decide; a stated rate that contradicts them is worth a word."""
    measured_hz = (len(table.time_s) - 1) / float(table.time_s[-1] - table.time_s[0])
    stated_hz = description.rate_hz
    if not stated_hz or abs(measured_hz / stated_hz - 1) <= _RATE_TOLERANCE:
        return []
    what = f"timestamps give {measured_hz:.1f} Hz and {DESCRIPTION} says {stated_hz:g} Hz; the timestamps are used"
    return [Defect(where, what, "another rate than stated", left_out=False)]


def _refuse_copy(acceleration_g: Float64, row: ClipRow, seen: dict[bytes, ClipRow]) -> None:
    content = hashlib.sha256(np.ascontiguousarray(acceleration_g).tobytes()).digest()
    original = seen.setdefault(content, row)
    if original is not row:
        differs = [
            f"of the {name} {getattr(original, name)!r}, here {getattr(row, name)!r}"
            for name in ("subject", "label")
            if getattr(original, name) and getattr(row, name) not in ("", getattr(original, name))
        ]
        what = ", ".join([f"holds the same samples as the clip {original.clip!r}", *differs])
        way_out = "drop the line or give the right file"
        raise BrokenFileError(row.sensor, what, kind="copy of another clip", way_out=way_out)


def _files(path: Path) -> list[Path]:
    """The file, or every file in the folder; nothing where there is neither, which ``recordings`` finds out."""
    try:
        if path.is_dir():
            return sorted(child for child in path.iterdir() if child.is_file())
        return [path] if path.is_file() else []
    except OSError:  # a name that is too long: ``recordings`` says so
        return []
