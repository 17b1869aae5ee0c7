"""A camera that stands in front of a synthetic subject and sees nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vskd_training.datasets.synthetic.kinematics import BONE_RADIUS_M, BONES
from vskd_training.datasets.synthetic.render import draw_bones

Float64 = NDArray[np.float64]

FRAME_HEIGHT = 48
FRAME_WIDTH = 64

#: The camera stands in front, at this distance and height, m.
_CAMERA_DISTANCE_M = 3.4
_CAMERA_HEIGHT_M = 0.98
_FOCAL_PX = 80.0
#: Subjects turn a little to their left, so that the camera sees what the arms do to the front.
_HEADING_DEG = 20.0
_HEADING_SPREAD_DEG = 8.0
#: Brightness of a bone at the distance of the subject's middle, and how much nearer ones gain, per metre.
_BRIGHTNESS = 150.0
_BRIGHTNESS_PER_M = 180.0


def frames_of(joints_m: Float64, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw joints (frames, joints, 3) as a camera in front of the subject sees them."""
    heading_rad = np.radians(rng.normal(_HEADING_DEG, _HEADING_SPREAD_DEG))
    shift_m = rng.normal(0.0, 1.0, 3) * (0.06, 0.08, 0.02)
    turn = Rotation.from_rotvec((0.0, 0.0, heading_rad)).as_matrix()
    world = joints_m @ turn.T + shift_m
    distance_m = np.maximum(_CAMERA_DISTANCE_M - world[:, :, 1], 0.5)
    scale = _FOCAL_PX / distance_m
    # The camera looks against y: the subject's right is on the image's left.
    x_px = FRAME_WIDTH / 2 - world[:, :, 0] * scale
    y_px = FRAME_HEIGHT / 2 - (world[:, :, 2] - _CAMERA_HEIGHT_M) * scale
    first, second = np.array(BONES).T
    nearness_m = _CAMERA_DISTANCE_M - (distance_m[:, first] + distance_m[:, second]) / 2
    return draw_bones(
        np.stack([x_px, y_px], axis=2),
        BONES,
        radius_px=np.array(BONE_RADIUS_M) * _FOCAL_PX / _CAMERA_DISTANCE_M,
        brightness=np.clip(_BRIGHTNESS + _BRIGHTNESS_PER_M * nearness_m, 60.0, 255.0),
        height=FRAME_HEIGHT,
        width=FRAME_WIDTH,
    )
