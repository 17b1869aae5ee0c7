"""From joint angles to joints in space.

World axes: x to the subject's right, y forward, z up, metres; the subject stands at the origin and faces y. The pelvis
is as high as the legs reach and rests over the feet. This module knows no actions, sensors or cameras.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd_training.datasets.synthetic.actions import SLICES

Float64 = NDArray[np.float64]

JOINTS: tuple[str, ...] = (
    "pelvis", "neck", "head",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_hip", "right_knee", "right_ankle", "right_toe",
    "left_hip", "left_knee", "left_ankle", "left_toe",
)  # fmt: skip
_BONE_NAMES = (
    ("pelvis", "neck"), ("neck", "head"),
    ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ("right_wrist", "right_hand"),
    ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("left_wrist", "left_hand"),
    ("pelvis", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("right_ankle", "right_toe"),
    ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("left_ankle", "left_toe"),
)  # fmt: skip
#: Pairs of indices into ``JOINTS``.
BONES: tuple[tuple[int, int], ...] = tuple((JOINTS.index(a), JOINTS.index(b)) for a, b in _BONE_NAMES)
#: Half the thickness of each bone, m.
BONE_RADIUS_M: tuple[float, ...] = (
    0.13, 0.10,
    0.06, 0.05, 0.04, 0.035,
    0.06, 0.05, 0.04, 0.035,
    0.10, 0.075, 0.055, 0.04,
    0.10, 0.075, 0.055, 0.04,
)  # fmt: skip


@dataclass(frozen=True)
class Limbs:
    """Lengths in metres; the defaults are an adult of 1.72 m (Drillis & Contini's proportions, rounded)."""

    spine: float = 0.50
    head: float = 0.20
    half_shoulders: float = 0.20
    upper_arm: float = 0.30
    forearm: float = 0.26
    hand: float = 0.10
    half_hips: float = 0.10
    thigh: float = 0.42
    shin: float = 0.43
    foot: float = 0.16


@dataclass(frozen=True)
class Motion:
    """Where the body is.

    Attributes
    ----------
    joints_m : (instants, joints, 3), in the order of ``JOINTS``, m, world axes
    watch_to_world : (instants, 3, 3), rotation from the axes of a watch on the right wrist, without strap error: x
        towards the elbow, z out of the back of the wrist, y away from the wearer when the watch is read
    """

    joints_m: Float64
    watch_to_world: Float64


def forward_kinematics(track: Float64, limbs: Limbs) -> Motion:
    """Joint angles to joints.

    Parameters
    ----------
    track : (instants, channels), degrees, in the order of ``CHANNELS``
    limbs : lengths, m
    """
    joints: dict[str, Float64] = {}
    pelvis = _place_legs(track, limbs, joints)
    trunk = _trunk_rotation(track[:, SLICES["torso"]])
    joints["neck"] = pelvis + trunk @ (0.0, 0.0, limbs.spine)
    joints["head"] = joints["neck"] + trunk @ (0.0, 0.03, limbs.head)
    forearm = _place_arm("right", track, limbs, trunk, joints)
    _place_arm("left", track, limbs, trunk, joints)
    return Motion(np.stack([joints[name] for name in JOINTS], axis=1), forearm @ _WATCH_ON_FOREARM)


#: Columns: the watch's axes in the forearm's rest frame (hanging, palm to the thigh).
_WATCH_ON_FOREARM = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
_MIRROR = np.array([-1.0, 1.0, 1.0])


def _place_arm(side: str, track: Float64, limbs: Limbs, trunk: Float64, joints: dict[str, Float64]) -> Float64:
    """Add one arm's joints; returns the forearm's rotation, (instants, 3, 3), of the right arm's convention."""
    azimuth, elevation, twist, flexion, pronation = np.radians(track[:, SLICES[side]]).T
    # A pure swing towards the azimuth: without the last factor, the azimuth of a hanging arm would turn it.
    upper: Float64 = _about_z(-azimuth) @ _about_x(elevation) @ _about_z(azimuth + twist)
    forearm: Float64 = upper @ _about_x(flexion) @ _about_z(pronation)
    mirror = _MIRROR if side == "left" else np.ones(3)
    reach = np.array([limbs.half_shoulders, 0.0, -0.04])
    joints[f"{side}_shoulder"] = joints["neck"] + trunk @ (reach * mirror)
    steps = (
        ("shoulder", "elbow", upper[:, :, 2] * -limbs.upper_arm),
        ("elbow", "wrist", forearm[:, :, 2] * -limbs.forearm),
        ("wrist", "hand", forearm[:, :, 2] * -limbs.hand),
    )
    for start, end, step in steps:
        joints[f"{side}_{end}"] = joints[f"{side}_{start}"] + _turned(trunk, step * mirror)
    turned: Float64 = trunk @ forearm
    return turned


def _place_legs(track: Float64, limbs: Limbs, joints: dict[str, Float64]) -> Float64:
    """Add pelvis and legs; returns the pelvis, (instants, 3), m."""
    chains = {side: _leg(track[:, SLICES[f"{side}_leg"]], limbs, side) for side in ("right", "left")}
    ankles = np.stack([chain["ankle"] for chain in chains.values()])
    pelvis = np.zeros((len(track), 3))
    # The feet stay under the body on average; the longer leg carries it. The soft maximum keeps the motion smooth.
    pelvis[:, :2] = -ankles[:, :, :2].mean(axis=0)
    pelvis[:, 2] = _SOFT_M * np.logaddexp.reduce(-ankles[:, :, 2] / _SOFT_M, axis=0)
    pelvis[:, 2] += 0.01 * track[:, SLICES["rise"]][:, 0]
    joints["pelvis"] = pelvis
    for side, chain in chains.items():
        joints |= {f"{side}_{name}": pelvis + offset for name, offset in chain.items()}
    return pelvis


_SOFT_M = 0.02


def _leg(angles_deg: Float64, limbs: Limbs, side: str) -> dict[str, Float64]:
    """Joints of one leg from the pelvis, each (instants, 3), m."""
    hip_flexion, hip_abduction, knee_flexion = np.radians(angles_deg).T
    mirror = _MIRROR if side == "left" else np.ones(3)
    # Abduction turns about y so that a hanging leg moves outwards.
    thigh = _about_y(-hip_abduction) @ _about_x(hip_flexion)
    shin = thigh @ _about_x(-knee_flexion)
    hip = np.broadcast_to(np.array([limbs.half_hips, 0.0, 0.0]) * mirror, (len(angles_deg), 3))
    knee = hip + thigh[:, :, 2] * -limbs.thigh * mirror
    ankle = knee + shin[:, :, 2] * -limbs.shin * mirror
    return {"hip": hip, "knee": knee, "ankle": ankle, "toe": ankle + np.array([0.0, limbs.foot, 0.0])}


def _trunk_rotation(angles_deg: Float64) -> Float64:
    pitch, yaw, roll = np.radians(angles_deg).T
    rotation: Float64 = _about_z(yaw) @ _about_x(-pitch) @ _about_y(roll)
    return rotation


def _turned(rotation: Float64, vectors: Float64) -> Float64:
    """Each (instants, 3) vector under its own rotation."""
    turned: Float64 = np.einsum("tij,tj->ti", rotation, vectors)
    return turned


def _about_x(angle_rad: Float64) -> Float64:
    return _rotation(angle_rad, 1, 2)


def _about_y(angle_rad: Float64) -> Float64:
    return _rotation(angle_rad, 2, 0)


def _about_z(angle_rad: Float64) -> Float64:
    return _rotation(angle_rad, 0, 1)


def _rotation(angle_rad: Float64, first: int, second: int) -> Float64:
    """Right-handed rotations that turn axis ``first`` towards axis ``second``, (instants, 3, 3)."""
    matrix = np.zeros((len(angle_rad), 3, 3))
    matrix[:] = np.eye(3)
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    matrix[:, first, first] = matrix[:, second, second] = cosine
    matrix[:, second, first], matrix[:, first, second] = sine, -sine
    return matrix
