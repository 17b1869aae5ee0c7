"""Joints of a measured skeleton as the teacher sees them (view ``joints``), and back.

This module knows a ``Skeleton``, no data set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd_training.datasets.data_set import Skeleton

Float64 = NDArray[np.float64]


def relative_joints(joints_m: Float64, skeleton: Skeleton) -> NDArray[np.float32]:
    """Joints without the subject's place and size.

    Every joint is taken relative to the frame's hip, in units of the clip's median distance from hip to neck. The
    hip's own row, which would be 0, holds the way of the hip from its median place in the clip: jogging and squatting
    stay visible, standing elsewhere does not.

    Parameters
    ----------
    joints_m : (frames, joints, 3), m
    skeleton : which of them are hip and neck

    Returns
    -------
    (frames, joints, 3), without unit

    Raises
    ------
    DataError : hip and neck coincide
    """
    hip = joints_m[:, skeleton.hip]
    torso_m = float(np.median(np.linalg.norm(joints_m[:, skeleton.neck] - hip, axis=1)))
    if torso_m <= 0:
        raise DataError("hip and neck are in one place, so the body has no size")
    relative = joints_m - hip[:, np.newaxis]
    relative[:, skeleton.hip] = hip - np.median(hip, axis=0)
    return np.asarray(relative / torso_m, dtype=np.float32)


def joints_in_torsos(relative: NDArray[np.float32], skeleton: Skeleton) -> Float64:
    """The joints in space again, from ``relative_joints``: (frames, joints, 3), in lengths of the torso.

    The subject's place is lost, and so is the length of the torso in metres.
    """
    hip = relative[:, skeleton.hip].astype(np.float64)
    joints = relative + hip[:, np.newaxis]
    joints[:, skeleton.hip] = hip
    return joints
