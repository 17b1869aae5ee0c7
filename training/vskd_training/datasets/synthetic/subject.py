"""Synthetic subjects: how each moves, and their way through the key poses of an action.

Every number that differs between two subjects is drawn here. Subjects differ only in the ways that ``Subject`` and
``Style`` list; there is no balance, no contact of hands and no fatigue.

1. ``key_poses`` repeats an action over a span of time, each repetition with its own tempo, amplitude and small errors,
   in this subject's style.
2. ``smooth_track`` joins the key poses by straight lines and passes a Gaussian over them, as muscles do: the motion is
   smooth to any order, has no overshoot, and two actions in a row need no cut between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from vskd_training.datasets.synthetic.actions import ACTIONS, CHANNELS, GROUPS, SLICES, Action, Key, pose_row
from vskd_training.datasets.synthetic.kinematics import Limbs

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """What stays the same in everything that one subject does.

    Attributes
    ----------
    limbs : lengths, m
    tempo : factor on the speed of every cycle
    amplitude : factor on the size of every movement
    rest : factor on the pauses between cycles
    smoothness_s : standard deviation of the Gaussian over the motion, s; small is abrupt
    left_share : size of the left arm's movement relative to the right one's
    pose_offset_deg : (channels,), the subject's posture, added to every pose
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
    """How one subject does one action, beyond what ``Subject`` says.

    Attributes
    ----------
    tempo, amplitude : factors
    pose_offset_deg : (channels,), added to every pose of the action
    """

    tempo: float
    amplitude: float
    pose_offset_deg: Float64


def draw_subject(rng: np.random.Generator) -> Subject:
    """A new subject. The spreads are the difficulty of the data set between subjects."""
    size = 1.0 + 0.05 * _within_two(rng, 1)[0]
    lengths = size * (1.0 + 0.03 * _within_two(rng, len(vars(Limbs()))))
    limbs = Limbs(
        **{name: value * float(factor) for (name, value), factor in zip(vars(Limbs()).items(), lengths, strict=True)}
    )
    return Subject(
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
    """A subject's own way of doing one action."""
    return Style(tempo=_factor(rng, 0.12), amplitude=_factor(rng, 0.12), pose_offset_deg=_offsets(rng, 5.0))


def _factor(rng: np.random.Generator, spread: float) -> float:
    """A factor around 1 whose logarithm has this standard deviation, never beyond two of them."""
    return float(np.exp(spread * _within_two(rng, 1)[0]))


def _within_two(rng: np.random.Generator, count: int) -> Float64:
    """Standard normal numbers, cut off at two, so that no subject of a small group lies far outside the others."""
    numbers: Float64 = np.clip(rng.normal(size=count), -2.0, 2.0)
    return numbers


#: How freely each group varies, relative to the arms. Legs and torso carry the subject and vary less.
_FREEDOM: Float64 = np.concatenate(
    [
        np.full(len(names), {"right": 1.0, "left": 1.0, "torso": 0.4, "rise": 0.0}.get(group, 0.3))
        for group, names in GROUPS.items()
    ]
)


def _offsets(rng: np.random.Generator, spread_deg: float) -> Float64:
    offsets: Float64 = _within_two(rng, len(CHANNELS)) * spread_deg * _FREEDOM
    return offsets


def key_poses(
    label: str, subject: Subject, style: Style, *, start_s: float, end_s: float, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Repeat an action over a span of time, beginning anywhere in its cycle.

    Returns
    -------
    time_s : (keys,), strictly increasing, within the span
    poses : (keys, channels), degrees
    """
    action = ACTIONS[label]
    phases, cycle = _own_cycle(action, subject, style)
    mean_period_s = action.period_s / (subject.tempo * style.tempo)
    clock_s = start_s - float(rng.uniform()) * mean_period_s
    times, rows = [], []
    while clock_s < end_s:
        period_s = mean_period_s * _factor(rng, 0.08)
        times.append(clock_s + period_s * phases)
        rows.append(_repetition(cycle, rng))
        clock_s += period_s + action.pause_s * subject.rest * float(rng.uniform(0.3, 1.7))
    time_s, poses = np.concatenate(times), np.concatenate(rows)
    inside = (time_s >= start_s) & (time_s <= end_s)
    return time_s[inside], poses[inside]


def _own_cycle(action: Action, subject: Subject, style: Style) -> tuple[Float64, Float64]:
    """Phases (keys,) and poses (keys, channels) of a cycle, in this subject's way."""
    keys = action.keys
    if action.pause_s > 0:
        # Without a pause the next repetition's first key closes the cycle.
        keys = (*keys, Key(1.0, keys[0].pose))
    poses = np.stack([pose_row(key.pose) for key in keys])
    # The legs carry the subject: what they do varies less than what the arms do.
    amplitude = (subject.amplitude * style.amplitude) ** _FREEDOM
    amplitude[SLICES["left"]] *= subject.left_share
    poses = poses[0] + (poses - poses[0]) * amplitude
    poses += subject.pose_offset_deg + style.pose_offset_deg
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
