"""A synthetic person: limbs, a way of moving, and twelve of UTD-MHAD's actions as key poses.

World axes: x to the person's right, y forward, z up, metres; the person stands at the origin and faces y.
A pose is one row of joint angles (``CHANNELS``, degrees). The way from an action to a motion:

1. An action is a cycle of key poses (``ACTIONS``). ``key_poses`` repeats it over a span of time, each repetition with
   its own tempo, amplitude and small errors, in this person's style.
2. ``smooth_track`` joins the key poses by straight lines and passes a Gaussian over them, as muscles do: the motion is
   smooth to any order, has no overshoot, and two actions in a row need no cut between them.
3. ``forward_kinematics`` turns angles into joints. The pelvis is as high as the legs reach and rests over the feet.

The body knows nothing of sensors or cameras. It is a doll: no balance, no contact of hands, no fatigue, and its people
differ only in the ways that ``Person`` and ``Style`` list. Anatomical conventions are those of the right arm; the left
arm is its mirror image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from vskd.errors import ConfigError, did_you_mean

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
_SLICES = {group: slice(_STARTS[i], _STARTS[i + 1]) for i, group in enumerate(GROUPS)}

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
    period_s : length of a cycle in an average person, s
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
    """The stretched right arm around a circle in front, clockwise as the person sees it."""
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
class Person:
    """What stays the same in everything that one person does.

    Attributes
    ----------
    limbs : lengths, m
    tempo : factor on the speed of every cycle
    amplitude : factor on the size of every movement
    rest : factor on the pauses between cycles
    smoothness_s : standard deviation of the Gaussian over the motion, s; small is abrupt
    left_share : size of the left arm's movement relative to the right one's
    pose_offset_deg : (channels,), the person's posture, added to every pose
    strap_rad : rotation vector of the sensor in the forearm's frame: where the strap sits
    """

    limbs: Limbs
    tempo: float
    amplitude: float
    rest: float
    smoothness_s: float
    left_share: float
    pose_offset_deg: Float64
    strap_rad: Float64


@dataclass(frozen=True)
class Style:
    """How one person does one action, beyond what ``Person`` says.

    Attributes
    ----------
    tempo, amplitude : factors
    pose_offset_deg : (channels,), added to every pose of the action
    """

    tempo: float
    amplitude: float
    pose_offset_deg: Float64


def draw_person(rng: np.random.Generator) -> Person:
    """A new person. The spreads are the difficulty of the data set between people."""
    size = 1.0 + 0.05 * _within_two(rng, 1)[0]
    lengths = size * (1.0 + 0.03 * _within_two(rng, len(vars(Limbs()))))
    limbs = Limbs(
        **{name: value * float(factor) for (name, value), factor in zip(vars(Limbs()).items(), lengths, strict=True)}
    )
    return Person(
        limbs=limbs,
        tempo=_factor(rng, 0.18),
        amplitude=_factor(rng, 0.16),
        rest=_factor(rng, 0.50),
        smoothness_s=0.065 * _factor(rng, 0.20),
        left_share=_factor(rng, 0.15),
        pose_offset_deg=_offsets(rng, 5.0),
        strap_rad=_within_two(rng, 3) * np.radians((18.0, 6.0, 6.0)),
    )


def draw_style(rng: np.random.Generator) -> Style:
    """A person's own way of doing one action."""
    return Style(tempo=_factor(rng, 0.12), amplitude=_factor(rng, 0.12), pose_offset_deg=_offsets(rng, 5.0))


def _factor(rng: np.random.Generator, spread: float) -> float:
    """A factor around 1 whose logarithm has this standard deviation, never beyond two of them."""
    return float(np.exp(spread * _within_two(rng, 1)[0]))


def _within_two(rng: np.random.Generator, count: int) -> Float64:
    """Standard normal numbers, cut off at two, so that no person of a small group lies far outside the others."""
    numbers: Float64 = np.clip(rng.normal(size=count), -2.0, 2.0)
    return numbers


#: How freely each group varies, relative to the arms. Legs and torso carry the person and vary less.
_FREEDOM: Float64 = np.concatenate(
    [
        np.full(len(names), {"right": 1.0, "left": 1.0, "torso": 0.4, "rise": 0.0}.get(group, 0.3))
        for group, names in GROUPS.items()
    ]
)


def _offsets(rng: np.random.Generator, spread_deg: float) -> Float64:
    offsets: Float64 = _within_two(rng, len(CHANNELS)) * spread_deg * _FREEDOM
    return offsets


def pose_row(pose: Mapping[str, tuple[float, ...]]) -> Float64:
    """A pose as a row of ``CHANNELS``; groups that it does not name are neutral."""
    return np.concatenate([np.asarray(pose.get(group, NEUTRAL[group]), dtype=np.float64) for group in GROUPS])


def action_named(label: str) -> Action:
    """An action by its label.

    Raises
    ------
    ConfigError : there is none of that name
    """
    if label not in ACTIONS:
        raise ConfigError(f"there is no synthetic action {label!r}", hint=did_you_mean(label, ACTIONS))
    return ACTIONS[label]


def key_poses(
    label: str, person: Person, style: Style, *, start_s: float, end_s: float, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Repeat an action over a span of time, beginning anywhere in its cycle.

    Returns
    -------
    time_s : (keys,), strictly increasing, within the span
    poses : (keys, channels), degrees

    Raises
    ------
    ConfigError : an action that does not exist
    """
    action = action_named(label)
    phases, cycle = _personal_cycle(action, person, style)
    mean_period_s = action.period_s / (person.tempo * style.tempo)
    clock_s = start_s - float(rng.uniform()) * mean_period_s
    times, rows = [], []
    while clock_s < end_s:
        period_s = mean_period_s * _factor(rng, 0.08)
        times.append(clock_s + period_s * phases)
        rows.append(_repetition(cycle, rng))
        clock_s += period_s + action.pause_s * person.rest * float(rng.uniform(0.3, 1.7))
    time_s, poses = np.concatenate(times), np.concatenate(rows)
    inside = (time_s >= start_s) & (time_s <= end_s)
    return time_s[inside], poses[inside]


def _personal_cycle(action: Action, person: Person, style: Style) -> tuple[Float64, Float64]:
    """Phases (keys,) and poses (keys, channels) of a cycle, in this person's way."""
    keys = action.keys
    if action.pause_s > 0:
        # Without a pause the next repetition's first key closes the cycle.
        keys = (*keys, Key(1.0, keys[0].pose))
    poses = np.stack([pose_row(key.pose) for key in keys])
    # The legs carry the person: what they do varies less than what the arms do.
    amplitude = (person.amplitude * style.amplitude) ** _FREEDOM
    amplitude[_SLICES["left"]] *= person.left_share
    poses = poses[0] + (poses - poses[0]) * amplitude
    poses += person.pose_offset_deg + style.pose_offset_deg
    return np.array([key.phase for key in keys]), poses


def _repetition(cycle: Float64, rng: np.random.Generator) -> Float64:
    """One repetition of a cycle (keys, channels): a little larger or smaller, and a little off at every key."""
    errors = rng.normal(0.0, 1.0, cycle.shape) * (3.0 * _FREEDOM)
    repetition: Float64 = cycle[0] + (cycle - cycle[0]) * _factor(rng, 0.10) + errors
    return repetition


def smooth_track(time_s: Float64, poses: Float64, grid_s: Float64, *, smoothness_s: float) -> Float64:
    """A smooth motion through key poses.

    Parameters
    ----------
    time_s : (keys,), strictly increasing, s
    poses : (keys, channels), degrees
    grid_s : (instants,), a regular grid, s; beyond the keys the first and the last pose are held
    smoothness_s : standard deviation of the Gaussian, s

    Returns
    -------
    (instants, channels), degrees
    """
    lines = np.stack([np.interp(grid_s, time_s, poses[:, channel]) for channel in range(poses.shape[1])])
    sigma = smoothness_s / (grid_s[1] - grid_s[0])
    smooth = gaussian_filter1d(lines, sigma, axis=1, mode="nearest")
    return np.ascontiguousarray(smooth.T, dtype=np.float64)


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
    trunk = _trunk_rotation(track[:, _SLICES["torso"]])
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
    azimuth, elevation, twist, flexion, pronation = np.radians(track[:, _SLICES[side]]).T
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
    chains = {side: _leg(track[:, _SLICES[f"{side}_leg"]], limbs, side) for side in ("right", "left")}
    ankles = np.stack([chain["ankle"] for chain in chains.values()])
    pelvis = np.zeros((len(track), 3))
    # The feet stay under the body on average; the longer leg carries it. The soft maximum keeps the motion smooth.
    pelvis[:, :2] = -ankles[:, :, :2].mean(axis=0)
    pelvis[:, 2] = _SOFT_M * np.logaddexp.reduce(-ankles[:, :, 2] / _SOFT_M, axis=0)
    pelvis[:, 2] += 0.01 * track[:, _SLICES["rise"]][:, 0]
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
