"""Berkeley MHAD, read from the tree as its authors publish it.

Ofli, Chaudhry, Kurillo, Vidal, Bajcsy, "Berkeley MHAD: A Comprehensive Multimodal Human Action Database", WACV 2013:
11 actions x 12 subjects x 5 repetitions, of which s04_a08_r05 was never published; six accelerometers at about 30 Hz,
twelve cameras, two Kinects. A twelfth action, the T-pose, is a calibration and is left out.

Sensors. 1 is the left wrist, 2 the right one. Loaders disagree on which of 3 to 6 are hips and which ankles, so they
keep their numbers. The unit of the files is not published: it is found from gravity, over all files at once, and
counted in the check.

Views. ``rgb`` is camera 1 of cluster 1: raw Bayer images (grbg), of which every 2 x 2 pixels become a grey one.
``depth`` is Kinect 1: nearer is brighter, 1 m is white and 5 m is black; the room is in it. Images carry numbers and
no times; they are stretched over the recording, whose sensor ran alongside.

This module does not know windows, splits or caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import DataError
from vskd_training.datasets.berkeley_mhad import DATA_SET, BerkeleySettings
from vskd_training.datasets.collector import Collector, refuse_implausible
from vskd_training.datasets.files.images import LUMA, image_frame
from vskd_training.datasets.files.pgm import read_pgm
from vskd_training.datasets.files.sensor_csv import SensorTable, read_lines
from vskd_training.datasets.files.video import Clip, on_sensor_clock
from vskd_training.datasets.fingerprint import by_content, by_size_and_time, fingerprint
from vskd_training.datasets.recording import MISSING_TRIAL, BrokenFileError, Defect, Gravity, Recording, RecordingInfo

#: The official numbering: action 1 is the first.
ACTIONS = (
    "jumping_in_place",
    "jumping_jacks",
    "bending",
    "punching",
    "waving_two_hands",
    "waving_one_hand",
    "clapping",
    "throwing",
    "sit_down_stand_up",
    "sit_down",
    "stand_up",
)
T_POSE = 12
SUBJECTS = 12
REPETITIONS = 5

#: Goes into the fingerprint. Raise it with every change to what ``recordings`` yields.
READER_VERSION = 2

#: What gravity reads in each unit that the files may be in.
_UNITS = {"g": 1.0, "m/s^2": STANDARD_GRAVITY_M_S2, "mg": 1000.0}
#: The median |a| of a data set lies within this factor of gravity.
_NEAR = 2.0
_NEAREST_MM, _FARTHEST_MM = 1000.0, 5000.0
_SENSOR = re.compile(r"acc_h(\d\d)_s(\d\d)_a(\d\d)_r(\d\d)\.txt")
_LAYOUT = "Give the folder that holds Accelerometer/ and one of Camera/, Kinect/, as Berkeley MHAD is published"


_BY_DEFAULT = BerkeleySettings()


class _Trial(NamedTuple):
    subject: int
    action: int
    repetition: int

    @property
    def id(self) -> str:
        return f"s{self.subject:02}_a{self.action:02}_r{self.repetition:02}"

    @property
    def folder(self) -> str:
        return f"S{self.subject:02}/A{self.action:02}/R{self.repetition:02}"


class _Files(NamedTuple):
    """What is in the sensor's folder: trials, how many T-poses, and files named otherwise."""

    trials: tuple[_Trial, ...]
    t_poses: int
    misnamed: tuple[Defect, ...]


class BerkeleyMhadSource:
    """The published tree as a ``Source``; a recording that turns out to be broken becomes a defect.

    Parameters
    ----------
    root : the folder that holds ``Accelerometer``
    view : what the camera's side shows
    settings : which sensor
    height, width : of a frame, pixels

    Raises
    ------
    DataError : the root or a folder is missing
    """

    name = DATA_SET.name
    labels: tuple[str, ...] = ACTIONS
    gravity: Gravity = "included"

    def __init__(self, root: Path, *, view: str, settings: BerkeleySettings, height: int, width: int) -> None:
        self.root, self.view, self.settings = root, view, settings
        self.height, self.width = height, width
        number = settings.shimmer
        self.placement = {1: "left wrist", 2: "right wrist"}.get(number, f"Shimmer {number}, no wrist")
        self._sensors = root / "Accelerometer" / f"Shimmer{number:02}"
        self._collector = Collector()

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        view: str = "none",
        settings: BerkeleySettings = _BY_DEFAULT,
        height: int = 60,
        width: int = 80,
    ) -> BerkeleyMhadSource:
        """Open the tree; parameters and errors are those of the class."""
        source = cls(root, view=view, settings=settings, height=height, width=width)
        _check_tree(root, source._sensors, source._images_root if view != "none" else None)
        return source

    @cached_property
    def _files(self) -> _Files:
        return _scan(self.root, self._sensors, self.settings.shimmer)

    @cached_property
    def _infos(self) -> dict[_Trial, RecordingInfo]:
        return {trial: _info(trial) for trial in self._files.trials}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the sensor files, of names, sizes and times of the images, and of the settings."""
        settings = {
            "reader": [self.name, READER_VERSION],
            "frames": [self.view, self.height, self.width],
            "settings": to_mapping(self.settings),
            "trials": [trial.id for trial in self._files.trials],
            "sensors": by_content([self._path(trial) for trial in self._files.trials], self.root),
        }
        if self.view != "none":
            images = (path for trial in self._files.trials for _, path in self._images(trial))
            settings["images"] = by_size_and_time(images, self.root)
        return fingerprint(settings)

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording that is not known to be broken, by subject, action and repetition."""
        return self._collector.kept(self._infos.values())

    def defects(self) -> tuple[Defect, ...]:
        """Missing trials, misnamed files, and what ``recordings`` has found so far."""
        missing = tuple(Defect(trial, "this trial is missing", MISSING_TRIAL) for trial in self.missing_trials())
        return (*missing, *self._files.misnamed, *self._collector.defects(self._infos.values()))

    def missing_trials(self) -> tuple[str, ...]:
        """Ids of the 660 trials of which there is no sensor file; one in the tree as published."""
        return tuple(trial.id for trial in _every_trial() if trial not in self._infos)

    def files_by_stream(self) -> dict[str, int]:
        """Files of the sensor, with what was left out on purpose, and its unit."""
        streams = {self._sensors.name: len(self._files.trials), "T-pose, left out": self._files.t_poses}
        if self._files.trials:
            streams[f"unit found from gravity: {self._unit}"] = len(self._files.trials)
        return streams

    def recordings(self) -> Iterator[Recording]:
        """Read and decode them one by one; broken ones become defects."""
        for trial, info in self._infos.items():
            recording = self._collector.take(info, partial(self._read, trial))
            if recording:
                yield recording

    def _read(self, trial: _Trial) -> tuple[Recording, Sequence[Defect]]:
        path = self._path(trial)
        where = self._where(path)
        table = _read_table(path, where)
        acceleration_g = table.xyz / _UNITS[self._unit]
        way_out = f"the other files are in {self._unit}; look at this one"
        refuse_implausible(acceleration_g, where=where, way_out=way_out)
        frame_time_s, frames, lost = self._frames(trial, table.time_s)
        recording = Recording(self._infos[trial], table.time_s, acceleration_g, frame_time_s, frames)
        return recording, (*table.defects, *lost)

    def _frames(
        self, trial: _Trial, time_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8], tuple[Defect, ...]]:
        if self.view == "none":
            return np.empty(0), np.empty((0, self.height, self.width), dtype=np.uint8), ()
        folder = self._images_root / trial.folder
        where = self._where(folder)
        images = self._images(trial)
        if len(images) < 2:
            what = f"holds {len(images)} images of this view, a clip needs 2"
            raise BrokenFileError(where, what if folder.is_dir() else "is missing", kind="missing camera")
        read = self._grey if self.view == "rgb" else self._nearness
        frames = np.stack([read(path) for _, path in images])
        clip = Clip(frames, np.array([number for number, _ in images], dtype=np.float64), "none")
        lost = images[-1][0] - images[0][0] + 1 - len(images)
        frame_time_s, _ = on_sensor_clock(clip, time_s, where=where)
        what = f"{lost} images are missing; the others keep their times"
        return frame_time_s, frames, (Defect(where, what, "missing images", left_out=False),) if lost else ()

    def _grey(self, path: Path) -> NDArray[np.uint8]:
        raw = read_pgm(path, where=self._where(path))
        if raw.dtype != np.uint8 or any(side % 2 for side in raw.shape):
            what = f"holds {raw.dtype} {raw.shape}, and a Bayer image has bytes and even sides"
            raise BrokenFileError(self._where(path), what, kind="unreadable")
        green = (raw[::2, ::2].astype(np.float32) + raw[1::2, 1::2]) / 2
        colours = np.stack([raw[::2, 1::2], green, raw[1::2, ::2]], axis=2).astype(np.float32)
        return image_frame(colours @ LUMA, height=self.height, width=self.width)

    def _nearness(self, path: Path) -> NDArray[np.uint8]:
        depth_mm = read_pgm(path, where=self._where(path)).astype(np.float32)
        near = 255 * (_FARTHEST_MM - depth_mm) / (_FARTHEST_MM - _NEAREST_MM)
        code = np.where(depth_mm > 0, np.clip(near, 0, 255), 0)
        return image_frame(code, height=self.height, width=self.width)

    @property
    def _images_root(self) -> Path:
        if self.view == "depth":
            return self.root / "Kinect" / "Kin01"
        return self.root / "Camera" / "Cluster01" / "Cam01"

    def _images(self, trial: _Trial) -> list[tuple[int, Path]]:
        """Numbers and paths of a trial's images, in order."""
        kind = "depth_" if self.view == "depth" else ""
        name = re.compile(rf"(?:kin|img)_\w+_{trial.id}_{kind}(\d+)\.pgm")
        folder = self._images_root / trial.folder
        found = (name.fullmatch(path.name) for path in folder.glob("*.pgm"))
        return sorted((int(match[1]), folder / match[0]) for match in found if match)

    @cached_property
    def _unit(self) -> str:
        """The unit in which the median |a| over all readable files is nearest to gravity."""
        medians = []
        for trial in self._files.trials:
            try:
                table = _read_table(self._path(trial), "")
            except BrokenFileError:
                continue  # becomes a defect when it is read
            medians.append(float(np.median(np.linalg.norm(table.xyz, axis=1))))
        median = float(np.median(medians)) if medians else 1.0
        for unit, gravity in _UNITS.items():
            if gravity / _NEAR <= median <= gravity * _NEAR:
                return unit
        raise DataError(
            f"{self._sensors}: the median |a| is {median:.4g}, which is gravity in none of {', '.join(_UNITS)}",
            hint="Are these the files of the accelerometer as published?",
        )

    def _path(self, trial: _Trial) -> Path:
        return self._sensors / f"acc_h{self.settings.shimmer:02}_{trial.id}.txt"

    def _where(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _scan(root: Path, folder: Path, number: int) -> _Files:
    trials, t_poses, misnamed = [], 0, []
    for path in sorted(folder.glob("*.txt")):
        match = _SENSOR.fullmatch(path.name)
        shimmer, *rest = (int(digits) for digits in match.groups()) if match else (0, 0, 0, 0)
        trial = _Trial(*rest)
        if shimmer == number and trial in _EVERY_TRIAL:
            trials.append(trial)
        elif shimmer == number and trial.action == T_POSE:
            t_poses += 1
        else:
            what = f"is not named acc_h{number:02}_s01..12_a01..12_r01..05.txt"
            misnamed.append(Defect(path.relative_to(root).as_posix(), what, "misnamed file"))
    return _Files(tuple(sorted(trials)), t_poses, tuple(misnamed))


def _read_table(path: Path, where: str) -> SensorTable:
    return read_lines(path, where=where, parse=_parse)


def _parse(line: str) -> tuple[float, float, float, float]:
    x, y, z, time_s = (float(value) for value in line.split())
    return time_s, x, y, z


def _info(trial: _Trial) -> RecordingInfo:
    return RecordingInfo(trial.id, str(trial.subject), ACTIONS[trial.action - 1], trial.repetition)


def _every_trial() -> Iterator[_Trial]:
    for subject in range(1, SUBJECTS + 1):
        for action in range(1, len(ACTIONS) + 1):
            for repetition in range(1, REPETITIONS + 1):
                yield _Trial(subject, action, repetition)


_EVERY_TRIAL = frozenset(_every_trial())


def _check_tree(root: Path, sensors: Path, images: Path | None) -> None:
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint=_LAYOUT)
    for folder in (sensors, images):
        if folder is not None and not folder.is_dir():
            beside = sorted(child.name for child in folder.parent.iterdir()) if folder.parent.is_dir() else []
            there = f"{folder.parent.name}/ holds {', '.join(beside)}" if beside else _LAYOUT
            raise DataError(f"{root} has no folder {folder.relative_to(root).as_posix()}/", hint=there)
