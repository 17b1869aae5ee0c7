"""Twelve of UTD-MHAD's actions as cycles of key poses of a body with joint angles.

A pose is one row of joint angles (``CHANNELS``, degrees). Anatomical conventions are those of the right arm; the left
arm is its mirror image. This module knows no subjects: the poses are those of an average one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

#: Groups of angles, degrees (``rise`` alone is in centimetres), with what a positive value does.
#: Arms: azimuth (direction of the swing: 0 forward, 90 sideways, negative across the body), elevation (0 hanging, 90
#: level), twist (upper arm inwards), flexion (elbow), pronation (palm backwards). Torso: pitch (forward), yaw (left),
#: roll (right). Legs: hip flexion, hip abduction, knee flexion. Rise: of the whole body, beyond what the legs explain.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "right": ("azimuth", "elevation", "twist", "flexion", "pronation"),
    "left": ("azimuth", "elevation", "twist", "flexion", "pronation"),
    "torso": ("pitch", "yaw", "roll"),
    "right_leg": ("hip_flexion", "hip_abduction", "knee_flexion"),
    "left_leg": ("hip_flexion", "hip_abduction", "knee_flexion"),
    "rise": ("rise_cm",),
}
CHANNELS: tuple[str, ...] = tuple(f"{group}.{name}" for group, names in GROUPS.items() for name in names)
_STARTS = np.cumsum([0, *(len(names) for names in GROUPS.values())])
SLICES = {group: slice(_STARTS[i], _STARTS[i + 1]) for i, group in enumerate(GROUPS)}


@dataclass(frozen=True)
class Key:
    """One key pose of a cycle.

    Attributes
    ----------
    phase : when in the cycle, 0..1
    pose : values of the groups that differ from ``NEUTRAL``, in the order of ``GROUPS``
    """

    phase: float
    pose: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Action:
    """A cycle of key poses.

    Attributes
    ----------
    period_s : length of a cycle in an average subject, s
    pause_s : mean rest between two cycles, s; 0 for a motion that does not stop
    keys : key poses in the order of their phases; the first is the pose that the amplitude scales the others about
    """

    period_s: float
    pause_s: float
    keys: tuple[Key, ...]


_NEUTRAL_ARM = (40.0, 7.0, 10.0, 14.0, 20.0)
NEUTRAL: Mapping[str, tuple[float, ...]] = {
    "right": _NEUTRAL_ARM,
    "left": _NEUTRAL_ARM,
    "torso": (2.0, 0.0, 0.0),
    "right_leg": (3.0, 3.0, 5.0),
    "left_leg": (3.0, 3.0, 5.0),
    "rise": (0.0,),
}


def _one_arm(*arms: tuple[float, ...]) -> tuple[Key, ...]:
    """The right arm through poses at equal phases."""
    return tuple(Key(index / len(arms), {"right": arm}) for index, arm in enumerate(arms))


def _two_arms(*arms: tuple[float, ...]) -> tuple[Key, ...]:
    """Both arms, mirrored, through poses at equal phases."""
    return tuple(Key(index / len(arms), {"right": arm, "left": arm}) for index, arm in enumerate(arms))


def _circle() -> tuple[Key, ...]:
    """The stretched right arm around a circle in front, clockwise as the subject sees it."""
    turns = [2 * math.pi * index / 8 for index in range(8)]
    return _one_arm(*((8.0 + 26.0 * math.sin(turn), 78.0 + 24.0 * math.cos(turn), 5.0, 22.0, 60.0) for turn in turns))


def _gait(*, hip: float, knee: tuple[float, float], arm: float, elbow: float, rise_cm: float) -> tuple[Key, ...]:
    """Two steps, arms against legs."""
    keys = []
    for index in range(4):
        swing = math.sin(math.pi / 2 * index)
        lift = math.cos(math.pi / 2 * index)
        right_leg = (5.0 + hip * swing, 3.0, knee[0] + knee[1] * max(0.0, lift))
        left_leg = (5.0 - hip * swing, 3.0, knee[0] + knee[1] * max(0.0, -lift))
        keys.append(
            Key(
                index / 4,
                {
                    "right": (0.0, 4.0 - arm * swing, 12.0, elbow - 8.0 * swing, 15.0),
                    "left": (0.0, 4.0 + arm * swing, 12.0, elbow + 8.0 * swing, 15.0),
                    "torso": (4.0, 6.0 * swing, 0.0),
                    "right_leg": right_leg,
                    "left_leg": left_leg,
                    "rise": (rise_cm * abs(lift),),
                },
            )
        )
    return tuple(keys)


_HELD_ARMS: Mapping[str, tuple[float, ...]] = {
    "right": (20.0, 12.0, 12.0, 25.0, 20.0),
    "left": (20.0, 12.0, 12.0, 25.0, 20.0),
}


def _down_and_up(low: Mapping[str, tuple[float, ...]]) -> tuple[Key, ...]:
    """From standing to a low pose, held for a moment, the arms kept at the sides."""
    pose = {**_HELD_ARMS, **low}
    return (Key(0.0, _HELD_ARMS), Key(0.4, pose), Key(0.55, pose))


_GUARD = (12.0, 40.0, 18.0, 118.0, 40.0)
_REACH = (0.0, 84.0, 8.0, 14.0, 80.0)
_ON_GUARD = (5.0, 0.0, 0.0)

#: Twelve of the 27 actions, by UTD-MHAD's names. Several share what the right wrist does and differ elsewhere:
#: swipe and clap in the other arm, front boxing and push in the other arm and the trunk, squat and lunge in the legs.
ACTIONS: Mapping[str, Action] = {
    "swipe_left": Action(1.4, 0.2, _one_arm((50.0, 66.0, 5.0, 32.0, 40.0), (-30.0, 72.0, 8.0, 38.0, 40.0))),
    "wave": Action(0.9, 0.0, _one_arm((85.0, 75.0, -55.0, 85.0, 20.0), (85.0, 75.0, -95.0, 75.0, 20.0))),
    "two_hand_front_clap": Action(1.2, 0.2, _two_arms((50.0, 66.0, 5.0, 35.0, 20.0), (-8.0, 72.0, 8.0, 30.0, 20.0))),
    "throw": Action(
        1.7,
        0.3,
        (
            Key(0.0, {}),
            Key(0.35, {"right": (80.0, 85.0, -80.0, 100.0, 40.0), "torso": (-3.0, -12.0, 0.0)}),
            Key(0.55, {"right": (5.0, 95.0, -10.0, 15.0, 70.0), "torso": (10.0, 10.0, 0.0)}),
        ),
    ),
    "draw_circle_clockwise": Action(1.6, 0.2, _circle()),
    "front_boxing": Action(
        1.3,
        0.1,
        (
            Key(0.0, {"right": _GUARD, "left": _GUARD, "torso": _ON_GUARD}),
            Key(0.25, {"right": _REACH, "left": _GUARD, "torso": (7.0, 10.0, 0.0)}),
            Key(0.5, {"right": _GUARD, "left": _GUARD, "torso": _ON_GUARD}),
            Key(0.75, {"right": _GUARD, "left": _REACH, "torso": (7.0, -10.0, 0.0)}),
        ),
    ),
    "push": Action(
        1.5,
        0.2,
        (
            Key(0.0, {"right": _GUARD, "left": _GUARD, "torso": _ON_GUARD}),
            Key(0.3, {"right": _REACH, "left": _REACH, "torso": (9.0, 0.0, 0.0)}),
            Key(0.65, {"right": _GUARD, "left": _GUARD, "torso": _ON_GUARD}),
        ),
    ),
    "arm_curl": Action(1.6, 0.2, _two_arms(_NEUTRAL_ARM, (20.0, 10.0, 5.0, 125.0, -40.0))),
    "jog": Action(0.8, 0.0, _gait(hip=26.0, knee=(22.0, 60.0), arm=24.0, elbow=75.0, rise_cm=3.0)),
    "walk": Action(1.1, 0.0, _gait(hip=22.0, knee=(8.0, 42.0), arm=20.0, elbow=22.0, rise_cm=0.0)),
    "lunge": Action(2.4, 0.2, _down_and_up({"right_leg": (78.0, 3.0, 82.0), "left_leg": (-12.0, 3.0, 72.0)})),
    "squat": Action(
        2.4,
        0.2,
        _down_and_up({"torso": (14.0, 0.0, 0.0), "right_leg": (72.0, 12.0, 100.0), "left_leg": (72.0, 12.0, 100.0)}),
    ),
}


def pose_row(pose: Mapping[str, tuple[float, ...]]) -> Float64:
    """A pose as a row of ``CHANNELS``; groups that it does not name are neutral."""
    return np.concatenate([np.asarray(pose.get(group, NEUTRAL[group]), dtype=np.float64) for group in GROUPS])
