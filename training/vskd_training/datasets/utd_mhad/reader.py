"""UTD-MHAD, read from the tree as its authors publish it.

Chen, Jafari, Kehtarnavaz, "UTD-MHAD: A Multimodal Dataset for Human Action Recognition Utilizing a Depth Camera and a
Wearable Inertial Sensor", ICIP 2015: 27 actions x 8 subjects x 4 trials, 861 of the 864 recorded. Read are the
accelerometer and one of the camera's views. The gyroscope is left alone: the student sees the accelerometer only.

Timing. At their nominal rates (50 Hz and 30 frames/s) the two streams of a trial differ by 1.4 s on average, because
the Kinect ran at about 19 frames/s. Both were started and stopped together, so frames are stretched linearly over the
sensor's whole trial: the first frame at the first sample, the last frame at the last sample.

Views. Each shows where limbs are and not where the person stood, because a new person stands elsewhere:

- ``depth``: cropped to the person by one box for the whole clip, so that motion within the clip stays; depth is coded
  relative to the clip's median, nearer is brighter. The same for any resolution of the file.
- ``skeleton``: the 20 joints drawn as limbs, cropped and coded in the same way.
- ``joints``: the 20 joints themselves, as numbers, relative to the hip and in units of the torso.
- ``rgb``: the whole picture in grey; the background is in it, so there is no person to crop to.

This module does not know windows, splits or caches.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from vskd.errors import DataError
from vskd_training.datasets.files.images import Crop, picture_frame, to_uint8
from vskd_training.datasets.fingerprint import content_lines, fingerprint
from vskd_training.datasets.recording import BrokenFileError, Defect, Gravity, Recording, RecordingInfo
from vskd_training.datasets.synthetic.render import draw_bones
from vskd_training.datasets.utd_mhad import ACTIONS, DATA_SET

Float32 = NDArray[np.float32]

SUBJECTS = 8
TRIALS = 4
SENSOR_RATE_HZ = 50.0

#: Goes into the fingerprint. Raise it with every change to what ``recordings`` yields.
READER_VERSION = 1

#: Depth within this distance of the clip's median is told apart; an arm's reach. The rest saturates.
DEPTH_SPAN_MM = 750.0

#: Share of the foreground that may lie outside each side of the crop: single pixels of noise must not widen it.
_CROP_TAIL = 1e-4

_SENSOR = ("Inertial", "inertial.mat")
_SKELETON = ("Skeleton", "skeleton.mat")
_FOLDERS = {"rgb": ("RGB", "color.avi"), "depth": ("Depth", "depth.mat"), "skeleton": _SKELETON, "joints": _SKELETON}
#: Rows of the joints, from 0.
_NECK, _HIP = 1, 3

#: What scipy raises on a damaged MATLAB file; found by truncating and flipping bits.
_UNREADABLE = (MatReadError, OSError, EOFError, ValueError, TypeError, LookupError, zlib.error)
#: How the published files start. scipy takes whatever starts otherwise for a MATLAB 4 file and finds nonsense in it.
_MATLAB_5 = b"MATLAB 5.0"

#: A torso and a head are wider than a limb. Joints in the order of Skeleton_joint_order.txt, from 0; radii in metres.
_BONES: tuple[tuple[tuple[int, int], float], ...] = (
    *(((0, 0), 0.10), ((0, 1), 0.05), ((1, 2), 0.12), ((2, 3), 0.12)),
    *(((1, 4), 0.05), ((4, 5), 0.05), ((5, 6), 0.05), ((6, 7), 0.05)),
    *(((1, 8), 0.05), ((8, 9), 0.05), ((9, 10), 0.05), ((10, 11), 0.05)),
    *(((3, 12), 0.07), ((12, 13), 0.07), ((13, 14), 0.06), ((14, 15), 0.05)),
    *(((3, 16), 0.07), ((16, 17), 0.07), ((17, 18), 0.06), ((18, 19), 0.05)),
)
_SKELETON_MARGIN_M = 0.12


class _Trial(NamedTuple):
    action: int
    subject: int
    trial: int

    @property
    def id(self) -> str:
        return f"a{self.action}_s{self.subject}_t{self.trial}"


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
    ConfigError : an unknown view, or frames without a pixel
    """

    name = DATA_SET.name
    labels: tuple[str, ...] = ACTIONS
    placement = "right wrist"
    gravity: Gravity = "included"

    def __init__(self, root: Path, *, view: str, height: int = 60, width: int = 80) -> None:
        DATA_SET.check_view(view, height=height, width=width)
        _check_tree(root, view)
        self.root = root
        self.view = view
        self.height = height
        self.width = width
        self._streams = (_SENSOR,) if view == "none" else (_SENSOR, _FOLDERS[view])
        self._present, misnamed = self._scan()
        self._name_defects = (*misnamed, *self._incomplete())
        self._broken: dict[_Trial, Defect] = {}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the files that ``recordings`` reads and of the settings; hashed anew on each call."""
        settings = {
            "reader": [self.name, READER_VERSION],
            "frames": [self.view, self.height, self.width],
            "defects": [[defect.where, defect.what] for defect in self._name_defects],
        }
        paths = [self._path(stream, trial) for stream in self._streams for trial in sorted(self._present[stream])]
        return fingerprint(settings, "".join(content_lines(paths, self.root)), sort_keys=False)

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording that is not known to be broken, by action, subject and trial."""
        return tuple(_info(trial) for trial in self._complete() if trial not in self._broken)

    def defects(self) -> tuple[Defect, ...]:
        """Missing trials, missing and misnamed files, and what ``recordings`` has found broken so far."""
        missing = tuple(Defect(trial, "this trial is missing") for trial in self.missing_trials())
        return (*missing, *self._name_defects, *(self._broken[trial] for trial in sorted(self._broken)))

    def missing_trials(self) -> tuple[str, ...]:
        """Ids of the 864 trials of which there is no file; three in the tree as published."""
        present = set().union(*self._present.values())
        return tuple(trial.id for trial in _every_trial() if trial not in present)

    def files_by_stream(self) -> dict[str, int]:
        """How many trials each folder of the tree holds, whether it is read or not."""
        streams = dict.fromkeys((_SENSOR, *_FOLDERS.values()))
        return {stream[0]: len(_trials_in(self.root, stream)[0]) for stream in streams}

    def recordings(self) -> Iterator[Recording]:
        """Read and decode them one by one, by action, subject and trial; broken ones become defects."""
        for trial in self._complete():
            try:
                recording = self._read(trial)
            except BrokenFileError as error:
                self._broken[trial] = error.defect
                continue
            yield recording

    def skeletons(self) -> Iterator[tuple[RecordingInfo, NDArray[np.float64], NDArray[np.float64]]]:
        """Each recording with the frames' times (frames,), s, and the joints (frames, 20, 3), m, y up.

        For the views ``skeleton`` and ``joints``; broken recordings become defects.
        """
        for trial in self._complete():
            try:
                samples = len(self._acceleration_g(self._path(_SENSOR, trial)))
                joints_m = np.moveaxis(self._joints_m(self._path(_SKELETON, trial)), 2, 0).astype(np.float64)
            except BrokenFileError as error:
                self._broken[trial] = error.defect
                continue
            yield _info(trial), frame_times_s(np.arange(samples) / SENSOR_RATE_HZ, len(joints_m)), joints_m

    def _read(self, trial: _Trial) -> Recording:
        acceleration_g = self._acceleration_g(self._path(_SENSOR, trial))
        time_s = np.arange(len(acceleration_g)) / SENSOR_RATE_HZ
        frames = self._frames(trial)
        return Recording(_info(trial), time_s, acceleration_g, frame_times_s(time_s, len(frames)), frames)

    def _acceleration_g(self, path: Path) -> NDArray[np.float64]:
        table = self._variable(path, "d_iner", dims=2)
        if table.shape[1] != 6 or len(table) < 2:
            raise BrokenFileError(self._where(path), f"d_iner must be (samples >= 2, 6), got shape {table.shape}")
        return np.ascontiguousarray(table[:, :3], dtype=np.float64)

    def _frames(self, trial: _Trial) -> NDArray[Any]:
        if self.view == "none":
            return np.empty((0, self.height, self.width), dtype=np.uint8)
        path = self._path(_FOLDERS[self.view], trial)
        if self.view == "rgb":
            return self._decode(path)
        if self.view == "skeleton":
            return skeleton_frames(self._joints_m(path), height=self.height, width=self.width)
        if self.view == "joints":
            return self._relative(path)
        depth = self._variable(path, "d_depth", dims=3)
        if depth.shape[2] < 2 or not depth.any():
            what = f"d_depth must be (rows, columns, frames >= 2) and hold a person, got shape {depth.shape}"
            raise BrokenFileError(self._where(path), what if depth.any() else f"{what}, all 0")
        return depth_frames(depth, height=self.height, width=self.width)

    def _joints_m(self, path: Path) -> NDArray[Any]:
        joints = self._variable(path, "d_skel", dims=3)
        if joints.shape[:2] != (20, 3) or joints.shape[2] < 2:
            shape = joints.shape
            raise BrokenFileError(self._where(path), f"d_skel must be (20, 3, frames >= 2), got shape {shape}")
        return joints

    def _relative(self, path: Path) -> NDArray[np.float32]:
        try:
            return relative_joints(self._joints_m(path))
        except DataError as error:
            raise BrokenFileError(self._where(path), str(error)) from error

    def _variable(self, path: Path, key: str, *, dims: int) -> NDArray[Any]:
        """One numeric array of a MATLAB file, finite and not empty."""
        where = self._where(path)
        try:
            with path.open("rb") as file:
                if file.read(len(_MATLAB_5)) != _MATLAB_5:
                    raise BrokenFileError(where, f"is not a MATLAB 5 file ({path.stat().st_size} bytes)")
            content = loadmat(path, appendmat=False, variable_names=[key])
        except _UNREADABLE as error:
            raise BrokenFileError(where, f"cannot be read as a MATLAB file ({error})") from error
        if key not in content:
            raise BrokenFileError(where, f"holds no variable {key}")
        array = content[key]
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != dims or not array.size:
            raise BrokenFileError(where, f"{key} must hold numbers in {dims} dimensions, got {_describe(array)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int(array.size - np.isfinite(array).sum())
            raise BrokenFileError(where, f"{key} holds {count} values that are NaN or infinite")
        return array

    def _decode(self, path: Path) -> NDArray[np.uint8]:
        try:
            with av.open(str(path)) as container:
                promised = container.streams.video[0].frames if container.streams.video else 0
                decoded = [
                    picture_frame(frame.to_ndarray(format="gray"), height=self.height, width=self.width)
                    for frame in (container.decode(video=0) if container.streams.video else ())
                ]
        except (av.FFmpegError, OSError, ValueError) as error:
            raise BrokenFileError(self._where(path), f"cannot be read as a video ({error})") from error
        # A clip that was cut short would be stretched over the whole trial. Headers may be off by a frame or two.
        if len(decoded) < max(2, 0.9 * promised):
            raise BrokenFileError(self._where(path), f"holds {len(decoded)} frames of {max(2, promised)}")
        return np.stack(decoded)

    def _scan(self) -> tuple[dict[tuple[str, str], frozenset[_Trial]], list[Defect]]:
        present, defects = {}, []
        for stream in self._streams:
            present[stream], misnamed = _trials_in(self.root, stream)
            defects += [
                Defect(self._where(path), f"is not named aA_sS_tT_{stream[1]} with A 1..27, S 1..8, T 1..4")
                for path in misnamed
            ]
        return present, defects

    def _incomplete(self) -> list[Defect]:
        """Trials of which one file is there and the other is not."""
        some = set().union(*self._present.values())
        return [
            Defect(self._where(self._path(stream, trial)), "is missing, though the trial's other file is there")
            for trial in sorted(some)
            for stream in self._streams
            if trial not in self._present[stream]
        ]

    def _complete(self) -> list[_Trial]:
        return sorted(frozenset.intersection(*self._present.values()))

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


def depth_frames(depth_mm: NDArray[Any], *, height: int, width: int) -> NDArray[np.uint8]:
    """Depth pictures to frames that show the person alone, whatever the distance and the place in the picture.

    A foreground pixel at depth d becomes 128 + 127 (m - d) / 750 mm, clipped to 1..255, with m the median depth of the
    clip's foreground: nearer is brighter, and walking towards the camera stays visible. The background is 0. Pixels
    are then averaged by area, so that a thin forearm fades instead of flickering.

    Parameters
    ----------
    depth_mm : (rows, columns, frames), mm, 0 where there is nothing; any resolution
    height, width : of a frame, pixels

    Returns
    -------
    (frames, height, width)
    """
    # MATLAB stores frames last and columns first, so this view is the contiguous one: (frames, columns, rows).
    clip = depth_mm.transpose(2, 1, 0)
    seen = clip > 0
    left, right = _extent(np.count_nonzero(seen, axis=(0, 2)))
    top, bottom = _extent(np.count_nonzero(seen, axis=(0, 1)))
    inside = clip[:, left:right, top:bottom].astype(np.float32)
    foreground = inside > 0
    middle = np.float32(np.median(inside[foreground]))
    nearness = (middle - inside) * np.float32(127 / DEPTH_SPAN_MM) + np.float32(128)
    code = np.where(foreground, np.clip(nearness, 1, 255), np.float32(0))
    crop = Crop.around(top, bottom, left, right, height=height, width=width)
    rows = crop.rows(bottom - top, first=top, count=height)
    columns = crop.columns(right - left, first=left, count=width)
    return np.ascontiguousarray(to_uint8(columns @ (code @ rows.T)).transpose(0, 2, 1))


def skeleton_frames(joints_m: NDArray[Any], *, height: int, width: int) -> NDArray[np.uint8]:
    """The 20 joints of the Kinect drawn as limbs, seen from the camera without perspective.

    Nearer limbs are brighter: 160 + 95 (m - z) / 0.75 m, clipped to 65..255, with m the clip's median distance.

    Parameters
    ----------
    joints_m : (20, 3, frames), m; x to the right, y up, z away from the camera
    height, width : of a frame, pixels

    Returns
    -------
    (frames, height, width)
    """
    joints = np.moveaxis(joints_m, 2, 0).astype(np.float64)
    plane = joints[:, :, :2] * (1.0, -1.0)
    left, top = plane.min(axis=(0, 1)) - _SKELETON_MARGIN_M
    right, bottom = plane.max(axis=(0, 1)) + _SKELETON_MARGIN_M
    crop = Crop.around(top, bottom, left, right, height=height, width=width)
    bones = [bone for bone, _ in _BONES]
    radius_px = np.maximum([radius_m / crop.scale for _, radius_m in _BONES], 0.5)
    away_m = joints[:, bones, 2].mean(axis=2)
    nearness = 160 + 95 * (np.median(joints[:, :, 2]) - away_m) * (1000 / DEPTH_SPAN_MM)
    joints_px = (plane - (crop.left, crop.top)) / crop.scale
    brightness = np.clip(nearness, 65, 255)
    return draw_bones(joints_px, bones, radius_px=radius_px, brightness=brightness, height=height, width=width)


def relative_joints(joints_m: NDArray[Any]) -> NDArray[np.float32]:
    """The Kinect's joints without the person's place and size.

    Every joint is taken relative to the frame's hip, in units of the clip's median distance from hip to neck. The
    hip's own row, which would be 0, holds the way of the hip from its median place in the clip: jogging and squatting
    stay visible, standing elsewhere does not.

    Parameters
    ----------
    joints_m : (20, 3, frames), m

    Returns
    -------
    (frames, 20, 3), without unit

    Raises
    ------
    DataError : hip and neck coincide
    """
    joints = np.moveaxis(joints_m, 2, 0).astype(np.float64)
    hip = joints[:, _HIP]
    torso_m = float(np.median(np.linalg.norm(joints[:, _NECK] - hip, axis=1)))
    if torso_m <= 0:
        raise DataError("d_skel has hip and neck in one place, so the body has no size")
    relative = joints - hip[:, np.newaxis]
    relative[:, _HIP] = hip - np.median(hip, axis=0)
    return np.asarray(relative / torso_m, dtype=np.float32)


def joints_in_torsos(relative: NDArray[np.float32]) -> NDArray[np.float64]:
    """The joints in space again, from ``relative_joints``: (frames, 20, 3), in lengths of the torso.

    The person's place is lost, and so is the length of the torso in metres.
    """
    hip = relative[:, _HIP].astype(np.float64)
    joints = relative + hip[:, np.newaxis]
    joints[:, _HIP] = hip
    return joints


def _extent(counts: NDArray[np.intp]) -> tuple[int, int]:
    """First and one past the last index that hold the foreground, all but ``_CROP_TAIL`` of it on each side."""
    share = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(share, _CROP_TAIL, side="right"))
    last = int(np.searchsorted(share, 1 - _CROP_TAIL, side="left"))
    return first, last + 1


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


def _describe(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
