from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import cumulative_simpson
from scipy.spatial.transform import Rotation

from vskd.contract import STANDARD_GRAVITY_M_S2 as G
from vskd_training.datasets.synthetic.kinematics import JOINTS, forward_kinematics
from vskd_training.datasets.synthetic.subject import draw_style, draw_subject, key_poses, smooth_track
from vskd_training.datasets.synthetic.virtual_sensor import sampling_times, specific_force_g, with_errors

TIME_S = np.arange(0, 601) / 300
seeds = st.integers(0, 2**32 - 1)


def upright(count: int = len(TIME_S)):
    return np.broadcast_to(np.eye(3), (count, 3, 3))


def some_motion(seed: int, label: str = "throw"):
    """(time, wrist, watch to world) of a real movement of the synthetic body."""
    rng = np.random.default_rng(seed)
    subject, style = draw_subject(rng), draw_style(rng)
    times, poses = key_poses(label, subject, style, start_s=-1.0, end_s=3.0, rng=rng)
    track = smooth_track(times, poses, TIME_S, smoothness_s=subject.smoothness_s)
    motion = forward_kinematics(track, subject.limbs)
    return TIME_S, motion.joints_m[:, JOINTS.index("right_wrist")], motion.watch_to_world


@given(seeds)
@settings(max_examples=25)
def test_a_still_wrist_reads_one_g_along_up(seed):
    orientation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    position = np.tile([0.3, -0.2, 1.1], (len(TIME_S), 1))
    rotations = np.broadcast_to(orientation, (len(TIME_S), 3, 3))
    reading = specific_force_g(TIME_S, position, rotations, at_s=TIME_S[::7])
    up_in_sensor = orientation.T @ [0.0, 0.0, 1.0]
    np.testing.assert_allclose(reading, np.tile(up_in_sensor, (len(reading), 1)), atol=1e-9)


def test_free_fall_reads_nothing():
    position = np.zeros((len(TIME_S), 3))
    position[:, 2] = 5.0 - 0.5 * G * TIME_S**2
    reading = specific_force_g(TIME_S, position, upright(), at_s=TIME_S)
    np.testing.assert_allclose(reading, 0.0, atol=1e-7)


def test_a_circle_reads_its_centripetal_acceleration():
    radius_m, rate_rad_s = 0.4, 7.0
    angle = rate_rad_s * TIME_S
    position = radius_m * np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    # The sensor turns with the circle: x points outwards, so the reading does not change.
    rotations = Rotation.from_euler("z", angle[:, np.newaxis]).as_matrix()
    at_s = np.linspace(0.05, 1.95, 97)
    reading = specific_force_g(TIME_S, position, rotations, at_s=at_s)
    expected = np.tile([-radius_m * rate_rad_s**2 / G, 0.0, 1.0], (len(at_s), 1))
    np.testing.assert_allclose(reading, expected, atol=1e-5)


@pytest.mark.parametrize("label", ["throw", "jog", "draw_circle_clockwise"])
def test_integrating_twice_returns_the_path(label):
    time_s, wrist_m, watch_to_world = some_motion(5, label)
    reading_g = specific_force_g(time_s, wrist_m, watch_to_world, at_s=time_s)
    acceleration = np.einsum("tij,tj->ti", watch_to_world, reading_g) * G - [0.0, 0.0, G]
    # The start comes from the path; where the wrist is two seconds later comes from the readings alone.
    start_velocity = np.gradient(wrist_m[:5], time_s[:5], axis=0, edge_order=2)[0]
    velocity = cumulative_simpson(acceleration, x=time_s, axis=0, initial=0) + start_velocity
    path = cumulative_simpson(velocity, x=time_s, axis=0, initial=0) + wrist_m[0]
    assert np.ptp(wrist_m, axis=0).max() > 0.2
    np.testing.assert_allclose(path, wrist_m, atol=2e-3)


@given(seeds, seeds)
@settings(max_examples=20)
def test_turning_the_world_and_gravity_with_it_changes_nothing(motion_seed, turn_seed):
    time_s, wrist_m, watch_to_world = some_motion(motion_seed)
    turn = Rotation.random(rng=np.random.default_rng(turn_seed)).as_matrix()
    before = specific_force_g(time_s, wrist_m, watch_to_world, at_s=time_s[::5])
    gravity = tuple(float(value) for value in turn @ [0.0, 0.0, -G])
    after = specific_force_g(time_s, wrist_m @ turn.T, turn @ watch_to_world, at_s=time_s[::5], gravity_m_s2=gravity)
    np.testing.assert_allclose(after, before, atol=1e-8)


def test_turning_the_world_without_gravity_is_noticed():
    time_s, wrist_m, watch_to_world = some_motion(1)
    turn = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    before = specific_force_g(time_s, wrist_m, watch_to_world, at_s=time_s)
    after = specific_force_g(time_s, wrist_m @ turn.T, turn @ watch_to_world, at_s=time_s)
    assert np.abs(after - before).max() > 0.5


@given(seeds, st.floats(0.0, 10.0), st.sampled_from([25.0, 50.0, 200.0, 1000.0]))
@settings(max_examples=60)
def test_jittered_timestamps_strictly_increase(seed, duration_s, rate_hz):
    times = sampling_times(duration_s, rate_hz, rng=np.random.default_rng(seed))
    assert (np.diff(times) > 0).all()
    grid = np.arange(len(times)) / rate_hz
    assert np.abs(times - grid).max() <= 0.45 / rate_hz + 1e-12
    assert grid[-1] <= duration_s + 1e-9 < grid[-1] + 1 / rate_hz + 2e-9


def test_the_sensor_s_errors_are_those_of_a_cheap_one():
    recordings = np.stack([with_errors(np.zeros((400, 3)), np.random.default_rng(seed)) for seed in range(300)])
    assert recordings.mean(axis=1).std() == pytest.approx(0.03, rel=0.1)
    assert recordings.std(axis=1).mean() == pytest.approx(0.02, rel=0.02)
    saturated = with_errors(np.array([[-9.0, 0.5, 8.5]]), np.random.default_rng(0))
    assert (saturated[0, 0], saturated[0, 2]) == (-8.0, 8.0)
    times = sampling_times(200.0, 50.0, rng=np.random.default_rng(0))
    assert (times - np.arange(10_001) / 50).std() == pytest.approx(0.002, rel=0.05)
