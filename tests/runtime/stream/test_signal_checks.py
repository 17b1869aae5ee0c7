"""The rules of physics on stretches of samples, against float64 numpy and against what a sensor can and cannot give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.stream.signal_checks import (
    GRAVITY_G,
    SlowPart,
    angle_deg,
    equal_axes,
    flat_axes,
    gravity_problem,
    held_share,
    mean_direction,
    saturated_share,
    slow_part,
    zero_share,
)


def wrist(samples: int = 128, *, swing_g: float = 0.0, noise_g: float = 0.02, seed: int = 0) -> np.ndarray:
    """(3, samples), g: gravity along a fixed direction, the sensor's noise, and a swing of 1.5 Hz at 50 Hz."""
    rng = np.random.default_rng(seed)
    swing = swing_g * np.sin(2 * np.pi * 1.5 * np.arange(samples) / 50)
    up = np.array([0.3, -0.62, 0.72])[:, None]
    return up / np.linalg.norm(up) + rng.normal(0, noise_g, (3, samples)) + swing * np.array([[0.8], [0.5], [0.3]])


readings = st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, -1.0])] * 3), min_size=2, max_size=40).map(
    lambda rows: np.array(rows, dtype=np.float32).T
)


def longest(flags: list[bool]) -> int:
    return max((sum(1 for _ in run) for value, run in itertools.groupby(flags) if value), default=0)


@given(readings)
def test_shares_and_axes_follow_their_definitions(samples):
    rows = samples.T.tolist()
    held = longest([one == other for one, other in itertools.pairwise(rows)])
    assert held_share(samples) == (held + 1 if held else 0) / len(rows)
    zeros = longest([row == [0, 0, 0] for row in rows])
    assert zero_share(samples) == (zeros if zeros > 1 else 0) / len(rows)
    moving = [axis for axis in range(3) if len({row[axis] for row in rows}) > 1]
    assert flat_axes(samples) == tuple(axis for axis in range(3) if axis not in moving)
    pairs = {(a, b) for a, b in itertools.combinations(moving, 2) if all(row[a] == row[b] for row in rows)}
    assert set(equal_axes(samples)) == {axis for pair in pairs for axis in pair}
    beyond = [row for row in rows if max(map(abs, row)) >= 0.75]
    assert saturated_share(samples, range_g=0.75) == pytest.approx(len(beyond) / len(rows))


@given(st.integers(2, 200), st.integers(0, 2**32 - 1))
def test_the_slow_part_is_the_mean_and_the_mean_square_in_float64(count, seed):
    samples = np.random.default_rng(seed).normal(0.3, 1.0, (3, count)).astype(np.float32)
    slow = slow_part(samples)
    exact = samples.astype(np.float64)
    assert slow.mean == pytest.approx(exact.mean(axis=1), abs=1e-14)
    assert slow.square == pytest.approx((exact**2).sum(axis=0).mean(), rel=1e-14)
    assert slow.square - slow.length_g**2 == pytest.approx(exact.var(axis=1).sum(), abs=1e-7)


@pytest.mark.parametrize("swing_g", [0.0, 0.3, 1.5])
@pytest.mark.parametrize("scale", [0.85, 1.0, 1.15])
def test_a_wrist_with_gravity_is_believed_and_without_it_refused(swing_g, scale):
    samples = scale * wrist(swing_g=swing_g)
    assert gravity_problem(slow_part(samples), included=True) == ""
    assert "as with gravity" in gravity_problem(slow_part(samples), included=False) or swing_g > 1
    free = samples - samples.mean(axis=1, keepdims=True)
    assert gravity_problem(slow_part(free), included=False) == ""
    assert gravity_problem(slow_part(free), included=True) != ""
    assert gravity_problem(slow_part(9.80665 * free), included=True) != ""


@pytest.mark.parametrize("scale", [0.05, 0.5, 0.75, 1.3, 2.0, 9.80665, 1000.0])
def test_a_wrong_scale_is_refused_at_rest(scale):
    assert "1 g" in gravity_problem(slow_part(scale * wrist()), included=True)


def test_the_limits_themselves_are_believed():
    for length in GRAVITY_G:
        still = np.tile([[0.0], [0.0], [length]], 16)
        assert gravity_problem(slow_part(still), included=True) == ""
        assert gravity_problem(slow_part(still * (1.001 if length > 1 else 0.999)), included=True) != ""


@pytest.mark.parametrize(
    ("length_g", "spread_g", "is_steady"), [(1.0, 1.5, False), (0.5, 0.2, False), (1.0, 0.4, True), (0.3, 0.05, True)]
)
def test_without_gravity_a_long_mean_is_told_by_its_steadiness(length_g, spread_g, is_steady):
    slow = SlowPart((0.0, 0.0, length_g), length_g**2 + spread_g**2)
    assert (gravity_problem(slow, included=False) != "") == is_steady


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_mean_direction_is_of_the_summed_means(count, seed):
    slow = [slow_part(wrist(seed=seed % 1000 + index, swing_g=0.5)) for index in range(count)]
    summed = np.sum([each.mean for each in slow], axis=0)
    direction = mean_direction(slow)
    assert direction == pytest.approx(summed / np.linalg.norm(summed))
    flipped = tuple(-value for value in direction)
    assert angle_deg(direction, direction) == pytest.approx(0, abs=1e-5)
    assert angle_deg(direction, flipped) == pytest.approx(180, abs=1e-5)
    assert angle_deg((1, 0, 0), (0, 0, -1)) == pytest.approx(90)


def test_calm_stretches_alone_give_the_direction_where_one_in_ten_is_calm():
    calm, wild = slow_part(wrist()), slow_part(-wrist(swing_g=2.0))
    assert mean_direction([calm] + [wild] * 9) == pytest.approx(np.array(calm.mean) / calm.length_g)
    assert angle_deg(mean_direction([calm] + [wild] * 10), mean_direction([wild])) < 1
    assert mean_direction([calm, slow_part(-wrist())]) is None
    assert mean_direction([]) is None
