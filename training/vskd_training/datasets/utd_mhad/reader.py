"""UTD-MHAD, read from the tree as its authors publish it.

Chen, Jafari, Kehtarnavaz, "UTD-MHAD: A Multimodal Dataset for Human Action Recognition Utilizing a Depth Camera and a
Wearable Inertial Sensor", ICIP 2015: 27 actions x 8 subjects x 4 trials, 861 of the 864 recorded. Read are the
accelerometer and one of the camera's views. The gyroscope is left alone: the student sees the accelerometer only.

Timing. At their nominal rates (50 Hz and 30 frames/s) the two streams of a trial differ by 1.4 s on average, because
the Kinect ran at about 19 frames/s. Both were started and stopped together, so frames are stretched linearly over the
sensor's whole trial: the first frame at the first sample, the last frame at the last sample.

Views. ``frames`` says what each of them shows:

- ``depth``: cropped to the subject by one box for the whole clip; nearer is brighter.
- ``joints``: the 20 joints of the skeleton, relative to the hip and in units of the torso.
- ``rgb``: the whole image in grey; the background is in it, so there is no subject to crop to.

This module does not know windows, splits or caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd_training.datasets.collector import Collector
from vskd_training.datasets.files.matlab import read_array
from vskd_training.datasets.files.video import read_clip
from vskd_training.datasets.fingerprint import by_content, fingerprint
from vskd_training.datasets.recording import MISSING_TRIAL, BrokenFileError, Defect, Gravity, Recording, RecordingInfo
from vskd_training.datasets.skeleton_joints import relative_joints
from vskd_training.datasets.utd_mhad import ACTIONS, DATA_SET, SKELETON
from vskd_training.datasets.utd_mhad.frames import depth_frames

SUBJECTS = 8
TRIALS = 4
SENSOR_RATE_HZ = 50.0

#: Goes into the fingerprint. Raise it with every change to what ``recordings`` yields.
READER_VERSION = 1

_SENSOR = ("Inertial", "inertial.mat")
_SKELETON = ("Skeleton", "skeleton.mat")
_FOLDERS = {"rgb": ("RGB", "color.avi"), "depth": ("Depth", "depth.mat"), "joints": _SKELETON}


class _Trial(NamedTuple):
    action: int
    subject: int
    trial: int

    @property
    def id(self) -> str:
        return f"a{self.action}_s{self.subject}_t{self.trial}"


#: Of each stream the trials whose file is there, and files that are named otherwise.
_Present = dict[tuple[str, str], tuple[frozenset[_Trial], list[Path]]]


class UtdMhadSource:
    """The published tree: ``Inertial/`` and, for a view, one of ``RGB/``, ``Depth/``, ``Skeleton/``.

    The names of the files are read at once, their content only by ``recordings``. A recording whose content turns out
    to be broken is not yielded: from then on it is among ``defects`` and no longer among ``infos``. So once
    ``recordings`` has run to its end, ``infos`` is exactly what it yielded.

    Parameters
    ----------
    root : the folder that holds ``Inertial``
    view : what the camera's side shows; ``none`` reads the accelerometer alone
    height, width : of a frame, pixels

    Raises
    ------
    DataError : the root, its sensor folder or the view's folder is missing
    """

    name = DATA_SET.name
    labels: tuple[str, ...] = ACTIONS
    placement = "right wrist"
    gravity: Gravity = "included"

    def __init__(self, root: Path, *, view: str, height: int, width: int, present: _Present) -> None:
        self.root, self.view = root, view
        self.height, self.width = height, width
        self._present = present
        self._collector = Collector()

    @classmethod
    def open(cls, root: Path, *, view: str, height: int = 60, width: int = 80) -> UtdMhadSource:
        """Open the tree; parameters and errors are those of the class."""
        _check_tree(root, view)
        streams = (_SENSOR,) if view == "none" else (_SENSOR, _FOLDERS[view])
        present = {stream: _trials_in(root, stream) for stream in streams}
        return cls(root, view=view, height=height, width=width, present=present)

    @cached_property
    def _infos(self) -> dict[_Trial, RecordingInfo]:
        complete = frozenset.intersection(*(trials for trials, _ in self._present.values()))
        return {trial: _info(trial) for trial in sorted(complete)}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the files that ``recordings`` reads and of the settings; hashed anew on each call."""
        settings = {
            "reader": [self.name, READER_VERSION],
            "frames": [self.view, self.height, self.width],
            "defects": [[defect.where, defect.what] for defect in self._name_defects()],
        }
        paths = [self._path(stream, trial) for stream, (trials, _) in self._present.items() for trial in sorted(trials)]
        return fingerprint(settings, by_content(paths, self.root))

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording that is not known to be broken, by action, subject and trial."""
        return self._collector.kept(self._infos.values())

    def defects(self) -> tuple[Defect, ...]:
        """Missing trials, missing and misnamed files, and what ``recordings`` has found broken so far."""
        missing = tuple(Defect(trial, "this trial is missing", MISSING_TRIAL) for trial in self.missing_trials())
        return (*missing, *self._name_defects(), *self._collector.defects(self._infos.values()))

    def missing_trials(self) -> tuple[str, ...]:
        """Ids of the 864 trials of which there is no file; three in the tree as published."""
        present = self._partly_there()
        return tuple(trial.id for trial in _every_trial() if trial not in present)

    def files_by_stream(self) -> dict[str, int]:
        """How many trials each folder of the tree holds, whether it is read or not."""
        streams = dict.fromkeys((_SENSOR, *_FOLDERS.values()))
        return {stream[0]: len(_trials_in(self.root, stream)[0]) for stream in streams}

    def recordings(self) -> Iterator[Recording]:
        """Read and decode them one by one, by action, subject and trial; broken ones become defects."""
        for trial, info in self._infos.items():
            recording = self._collector.take(info, partial(self._read, trial))
            if recording:
                yield recording

    def skeletons(self) -> Iterator[tuple[RecordingInfo, NDArray[np.float64], NDArray[np.float64]]]:
        """Each recording with the frames' times (frames,), s, and the joints (frames, 20, 3), m, y up.

        For the view ``joints``; broken recordings become defects.
        """
        for trial, info in self._infos.items():
            skeleton = self._collector.take(info, partial(self._skeleton, trial))
            if skeleton:
                yield info, *skeleton

    def _skeleton(self, trial: _Trial) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[()]]:
        samples = len(self._acceleration_g(self._path(_SENSOR, trial)))
        joints_m = self._joints_m(self._path(_SKELETON, trial))
        return (frame_times_s(np.arange(samples) / SENSOR_RATE_HZ, len(joints_m)), joints_m), ()

    def _read(self, trial: _Trial) -> tuple[Recording, tuple[()]]:
        acceleration_g = self._acceleration_g(self._path(_SENSOR, trial))
        time_s = np.arange(len(acceleration_g)) / SENSOR_RATE_HZ
        frames = self._frames(trial)
        frame_time_s = frame_times_s(time_s, len(frames))
        return Recording(self._infos[trial], time_s, acceleration_g, frame_time_s, frames), ()

    def _acceleration_g(self, path: Path) -> NDArray[np.float64]:
        table = self._array(path, "d_iner", dims=2)
        if table.shape[1] != 6 or len(table) < 2:
            raise BrokenFileError(self._where(path), f"d_iner must be (samples >= 2, 6), got shape {table.shape}")
        return np.ascontiguousarray(table[:, :3], dtype=np.float64)

    def _frames(self, trial: _Trial) -> NDArray[Any]:
        size = {"height": self.height, "width": self.width}
        if self.view == "none":
            return np.empty((0, self.height, self.width), dtype=np.uint8)
        path = self._path(_FOLDERS[self.view], trial)
        if self.view == "rgb":
            return read_clip(path, where=self._where(path), **size).frames
        if self.view == "depth":
            return depth_frames(self._depth_mm(path), **size)
        return self._relative(self._joints_m(path), path)

    def _depth_mm(self, path: Path) -> NDArray[Any]:
        depth_mm = self._array(path, "d_depth", dims=3)
        if depth_mm.shape[2] < 2 or not depth_mm.any():
            what = f"d_depth must be (rows, columns, frames >= 2) and not empty, got shape {depth_mm.shape}"
            raise BrokenFileError(self._where(path), what if depth_mm.any() else f"{what}, all 0")
        return depth_mm

    def _joints_m(self, path: Path) -> NDArray[np.float64]:
        """The joints (frames, 20, 3), m; x to the right, y up, z away from the camera."""
        joints = self._array(path, "d_skel", dims=3)
        if joints.shape[:2] != (20, 3) or joints.shape[2] < 2:
            what = f"d_skel must be (20, 3, frames >= 2), got shape {joints.shape}"
            raise BrokenFileError(self._where(path), what)
        return np.moveaxis(joints, 2, 0).astype(np.float64)

    def _relative(self, joints_m: NDArray[np.float64], path: Path) -> NDArray[np.float32]:
        try:
            return relative_joints(joints_m, SKELETON)
        except DataError as error:
            raise BrokenFileError(self._where(path), str(error)) from error

    def _array(self, path: Path, key: str, *, dims: int) -> NDArray[Any]:
        return read_array(path, key, where=self._where(path), dims=dims)

    def _partly_there(self) -> frozenset[_Trial]:
        """Trials of which at least one file is there."""
        return frozenset().union(*(trials for trials, _ in self._present.values()))

    def _name_defects(self) -> tuple[Defect, ...]:
        """Misnamed files, and trials of which one file is there and the other is not."""
        misnamed = [
            Defect(self._where(path), f"is not named aA_sS_tT_{stream[1]} with A 1..27, S 1..8, T 1..4")
            for stream, (_, paths) in self._present.items()
            for path in paths
        ]
        incomplete = [
            Defect(self._where(self._path(stream, trial)), "is missing, though the trial's other file is there")
            for trial in sorted(self._partly_there())
            for stream, (trials, _) in self._present.items()
            if trial not in trials
        ]
        return (*misnamed, *incomplete)

    def _path(self, stream: tuple[str, str], trial: _Trial) -> Path:
        return self.root / stream[0] / f"{trial.id}_{stream[1]}"

    def _where(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def frame_times_s(time_s: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """When each frame was seen, on the sensor's clock: both streams stretched over the whole trial.

    Parameters
    ----------
    time_s : (samples,), the sensor's clock, s
    frames : how many frames there are

    Returns
    -------
    (frames,), s; the first is ``time_s[0]``, the last ``time_s[-1]``
    """
    return np.linspace(time_s[0], time_s[-1], frames)


def _info(trial: _Trial) -> RecordingInfo:
    return RecordingInfo(trial.id, str(trial.subject), ACTIONS[trial.action - 1], trial.trial)


def _every_trial() -> Iterator[_Trial]:
    for action in range(1, len(ACTIONS) + 1):
        for subject in range(1, SUBJECTS + 1):
            for trial in range(1, TRIALS + 1):
                yield _Trial(action, subject, trial)


def _trials_in(root: Path, stream: tuple[str, str]) -> tuple[frozenset[_Trial], list[Path]]:
    """Trials whose file is in a stream's folder, and files of that kind which are named otherwise."""
    folder, suffix = stream
    official = {f"{trial.id}_{suffix}": trial for trial in _every_trial()}
    present, misnamed = set(), []
    for path in sorted((root / folder).glob(f"*{Path(suffix).suffix}")):
        trial = official.get(path.name)
        if trial is None:
            misnamed.append(path)
        else:
            present.add(trial)
    return frozenset(present), misnamed


def _check_tree(root: Path, view: str) -> None:
    layout = "Give the folder that holds Inertial/ and one of RGB/, Depth/, Skeleton/, as UTD-MHAD is published"
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint=layout)
    sensor_folder = _SENSOR[0]
    if not (root / sensor_folder).is_dir():
        nearby = [root.parent, *(child for child in sorted(root.iterdir()) if child.is_dir())]
        found = [folder for folder in nearby if (folder / sensor_folder).is_dir()]
        hint = f"There is one in {found[0]}: give that folder" if found else layout
        raise DataError(f"{root} has no folder {sensor_folder}/", hint=hint)
    if view != "none" and not (root / _FOLDERS[view][0]).is_dir():
        there = [name for name, (folder, _) in _FOLDERS.items() if (root / folder).is_dir()]
        ways_out = f"Views whose folder is there: {', '.join([*there, 'none'])}"
        raise DataError(f"{root} has no folder {_FOLDERS[view][0]}/ for the view {view!r}", hint=ways_out)
