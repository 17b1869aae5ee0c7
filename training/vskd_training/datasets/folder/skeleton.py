"""Measured skeletons of one's own: a file of joints for each clip, turned into the joints that the teacher knows.

``[skeleton]`` of ``dataset.toml`` names the joints of the files, in their order::

    [skeleton]
    joints = ["head", "neck", "left_shoulder", "right_shoulder", "left_elbow", "-", ...]  # "-" is not used
    [skeleton.axes]  # only where the file's axes are not x right, y up, z away from the camera
    y = "z"
    z = "-y"

A file is an ``.npz`` with ``joints`` (frames, joints, 3), in any unit of length, and, on the sensor's clock, ``time_s``
(frames,); or a ``.csv`` with the columns ``NAME_x,NAME_y,NAME_z`` and perhaps ``time_s``. Joints that a file lacks are
put where the body has them: the neck between the shoulders, the hip between the hips, a hand at its wrist. Frames with
a joint that is no number are dropped and counted.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.sources.causes import TextError
from vskd.sources.layout import AxisNames, Layout
from vskd.sources.text_file import file_lines
from vskd.stream import AxisMap
from vskd.untrusted.arrays import read_npz
from vskd_training.datasets.data_set import Skeleton
from vskd_training.datasets.recording import BrokenFileError, Defect
from vskd_training.datasets.skeleton_joints import relative_joints

Float64 = NDArray[np.float64]

#: The joints that the teacher knows, in its order: the Kinect's.
JOINTS = (
    "head", "neck", "spine", "hip", "left_shoulder", "left_elbow", "left_wrist", "left_hand", "right_shoulder",
    "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "right_hip",
    "right_knee", "right_ankle", "right_foot",
)  # fmt: skip
#: Joints that may be missing -> the joints in whose middle they are put, which come earlier here or are never missing.
_BETWEEN: Mapping[str, tuple[str, ...]] = {
    "neck": ("left_shoulder", "right_shoulder"),
    "left_hip": ("hip",),
    "right_hip": ("hip",),
    "hip": ("left_hip", "right_hip"),
    "spine": ("neck", "hip"),
    "head": ("neck",),
    "left_hand": ("left_wrist",),
    "right_hand": ("right_wrist",),
    "left_knee": ("left_hip",),
    "right_knee": ("right_hip",),
    "left_ankle": ("left_knee",),
    "right_ankle": ("right_knee",),
    "left_foot": ("left_ankle",),
    "right_foot": ("right_ankle",),
}
_ARMS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist"))
_SKELETON = Skeleton(hip=JOINTS.index("hip"), neck=JOINTS.index("neck"), limbs={}, wrist_labels=(), up=(0, 1, 0))
_FEWEST_FRAMES = 2


@dataclass(frozen=True)
class OwnSkeleton:
    """What ``[skeleton]`` says.

    Attributes
    ----------
    joints : names of the files' joints, in their order; ``-`` is not used
    axes : for x (right), y (up) and z (away from the camera) the file's axis, with its sign
    """

    joints: tuple[str, ...] = ()
    axes: AxisNames = field(default_factory=AxisNames)

    def __post_init__(self) -> None:
        named = [name for name in self.joints if name != "-"]
        for name in named:
            if name not in JOINTS:
                hint = f"{did_you_mean(name, JOINTS)}; or '-' for one that is not used"
                raise ConfigError(f"skeleton.joints: there is no joint {name!r}", hint=hint)
            if named.count(name) > 1:
                raise ConfigError(f"skeleton.joints names {name!r} twice", hint="Keep one of them")
        needed = {*_ARMS, *(() if "hip" in named else ("left_hip", "right_hip"))}
        if named and (missing := [name for name in JOINTS if name in needed and name not in named]):
            raise ConfigError(f"skeleton.joints lacks {', '.join(missing)}", hint="The teacher cannot do without")


@dataclass(frozen=True)
class JointFrames:
    """The joints of one clip.

    Attributes
    ----------
    joints : (frames, 20, 3), float32, as ``relative_joints`` gives them
    position : (frames,), s on the sensor's clock, or the number of the frame
    clock : ``sensor`` or ``none``
    defects : what was dropped
    """

    joints: NDArray[np.float32]
    position: Float64
    clock: str
    defects: tuple[Defect, ...]


def read_joints(path: Path, skeleton: OwnSkeleton, *, where: str) -> JointFrames:
    """Read one clip's file of joints.

    Parameters
    ----------
    path : ``.npz`` or ``.csv``
    skeleton : names its joints
    where : how a defect names it

    Raises
    ------
    BrokenFileError : it cannot be read, or does not hold these joints
    """
    if not path.is_file():
        raise BrokenFileError(where, "does not exist; mend the path, or leave it empty", kind="missing joints")
    if not skeleton.joints:
        raise BrokenFileError(where, "name its joints under [skeleton] in dataset.toml", kind="joints without names")
    joints, time_s = _npz(path, where) if path.suffix.lower() == ".npz" else _csv(path, skeleton, where)
    expected = (len(skeleton.joints), 3)
    if joints.ndim != 3 or joints.shape[1:] != expected:
        what = f"joints must be (frames, {expected[0]}, 3), as [skeleton] names them, got {joints.shape}"
        raise BrokenFileError(where, what, kind="unreadable")
    clock = "none" if time_s is None else "sensor"
    position = np.arange(len(joints), dtype=np.float64) if time_s is None else time_s
    if position.shape != joints.shape[:1]:
        what = f"time_s must be {len(joints)} numbers, one for each frame, got {position.shape}"
        raise BrokenFileError(where, what, kind="unreadable")
    kept = np.isfinite(joints).all(axis=(1, 2)) & np.isfinite(position)
    defects = () if kept.all() else (_dropped(kept, where),)
    if kept.sum() < max(_FEWEST_FRAMES, len(kept) / 2):
        raise BrokenFileError(where, f"{kept.sum()} of {len(kept)} frames are usable", kind="no frames")
    if not (np.diff(position[kept]) > 0).all():
        raise BrokenFileError(where, "time_s must increase", kind="backward timestamps")
    return JointFrames(_known(joints[kept], skeleton, where), position[kept], clock, defects)


def _dropped(kept: NDArray[np.bool_], where: str) -> Defect:
    what = f"{(~kept).sum()} frames hold a joint that is no number and were dropped, the first is {int(kept.argmin())}"
    return Defect(where, what, "frames without a joint", left_out=False)


def _known(joints: Float64, skeleton: OwnSkeleton, where: str) -> NDArray[np.float32]:
    """The joints that the teacher knows, the missing ones put in their places."""
    turned = AxisMap.parse(skeleton.axes.map)(joints.reshape(-1, 3)).reshape(joints.shape)
    found = {name: turned[:, place] for place, name in enumerate(skeleton.joints) if name != "-"}
    for name, around in _BETWEEN.items():
        if name not in found and all(other in found for other in around):
            found[name] = np.mean([found[other] for other in around], axis=0)
    try:
        return relative_joints(np.stack([found[name] for name in JOINTS], axis=1), _SKELETON)
    except DataError as error:
        raise BrokenFileError(where, str(error), kind="implausible joints") from error


def _npz(path: Path, where: str) -> tuple[Float64, Float64 | None]:
    try:
        with path.open("rb") as file:
            content = read_npz(file)
    except (OSError, ValueError) as error:
        raise BrokenFileError(where, f"cannot be read as .npz ({error})", kind="unreadable") from error
    arrays = {name: content[name] for name in ("joints", "time_s") if name in content}
    if "joints" not in arrays or any(array.dtype.kind not in "fiu" for array in arrays.values()):
        got = ", ".join(f"{name} {array.dtype}" for name, array in content.items()) or "no array"
        what = f"must hold joints, and perhaps time_s, as numbers, got {got}"
        raise BrokenFileError(where, what, kind="unreadable")
    numbers = {name: array.astype(np.float64) for name, array in arrays.items()}
    return numbers["joints"], numbers.get("time_s")


def _csv(path: Path, skeleton: OwnSkeleton, where: str) -> tuple[Float64, Float64 | None]:
    """Any broken line makes the frames' order unknown, where they have no times: the file is refused."""
    try:
        rows = list(csv.reader(file_lines(path, name=where), strict=True))
    except (TextError, csv.Error) as error:
        raise BrokenFileError(where, str(error), kind="unreadable") from error
    header = [name.strip() for name in rows[0]] if rows else []
    names = [f"{joint}_{axis}" for joint in skeleton.joints if joint != "-" for axis in "xyz"]
    if missing := [name for name in names if header.count(name) != 1]:
        raise BrokenFileError(f"{where}, line 1", f"lacks {missing[0]!r}, or has it twice", kind="missing column")
    timed = ["time_s"] if "time_s" in header else []
    columns = [header.index(name) for name in (*timed, *names)]
    try:
        table = np.array([[Layout().number(row[column]) for column in columns] for row in rows[1:] if row])
    except (ValueError, IndexError) as error:
        raise BrokenFileError(where, f"a line is no row of numbers ({error})", kind="broken lines") from error
    joints = np.full((len(table), len(skeleton.joints), 3), 0.0)
    used = [place for place, name in enumerate(skeleton.joints) if name != "-"]
    joints[:, used] = table[:, len(timed) :].reshape(len(table), -1, 3)
    return joints, table[:, 0] if timed else None
