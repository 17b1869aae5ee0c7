from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd_training.datasets.synthetic.actions import ACTIONS, CHANNELS, pose_row
from vskd_training.datasets.synthetic.kinematics import BONES, JOINTS, Limbs, forward_kinematics
from vskd_training.datasets.synthetic.subject import draw_style, draw_subject, key_poses, smooth_track

GRID_S = np.arange(0, 901) / 300
LIMBS = Limbs()
STRAIGHT = {
    "right": (0.0,) * 5,
    "left": (0.0,) * 5,
    "torso": (0.0,) * 3,
    "right_leg": (0.0,) * 3,
    "left_leg": (0.0,) * 3,
}
seeds = st.integers(0, 2**32 - 1)
labels = st.sampled_from(sorted(ACTIONS))


def posed(**groups):
    """Joints by name and the watch's rotation, of one pose."""
    track = pose_row({**STRAIGHT, **groups})[np.newaxis]
    motion = forward_kinematics(track, LIMBS)
    return dict(zip(JOINTS, motion.joints_m[0], strict=True)), motion.watch_to_world[0]


def performed(seed: int, label: str):
    rng = np.random.default_rng(seed)
    subject, style = draw_subject(rng), draw_style(rng)
    times, poses = key_poses(label, subject, style, start_s=-1.0, end_s=4.0, rng=rng)
    track = smooth_track(times, poses, GRID_S, smoothness_s=subject.smoothness_s)
    return subject, track, forward_kinematics(track, subject.limbs)


@pytest.mark.parametrize(
    ("arm", "elbow", "wrist"),
    [
        ((0, 0, 0, 0, 0), (0, 0, -0.30), (0, 0, -0.56)),
        ((0, 90, 0, 0, 0), (0, 0.30, 0), (0, 0.56, 0)),
        ((90, 90, 0, 0, 0), (0.30, 0, 0), (0.56, 0, 0)),
        ((77, 0, 0, 90, 0), (0, 0, -0.30), (0, 0.26, -0.30)),
        ((0, 0, 90, 90, 0), (0, 0, -0.30), (-0.26, 0, -0.30)),
        ((90, 90, -90, 90, 0), (0.30, 0, 0), (0.30, 0, 0.26)),
        ((0, 90, 0, 90, 30), (0, 0.30, 0), (0, 0.30, 0.26)),
    ],
)
def test_an_arm_goes_where_its_angles_say(arm, elbow, wrist):
    for side, mirror in (("right", (1, 1, 1)), ("left", (-1, 1, 1))):
        joints, _ = posed(**{side: tuple(float(angle) for angle in arm)})
        shoulder = joints[f"{side}_shoulder"]
        np.testing.assert_allclose(joints[f"{side}_elbow"] - shoulder, np.multiply(elbow, mirror), atol=1e-12)
        np.testing.assert_allclose(joints[f"{side}_wrist"] - shoulder, np.multiply(wrist, mirror), atol=1e-12)


def test_the_subject_stands_upright_with_the_right_side_at_positive_x():
    joints, _ = posed()
    assert joints["pelvis"][2] == pytest.approx(LIMBS.thigh + LIMBS.shin, abs=0.02)
    assert joints["neck"][2] - joints["pelvis"][2] == pytest.approx(LIMBS.spine)
    assert joints["right_shoulder"][0] == pytest.approx(LIMBS.half_shoulders)
    assert joints["left_shoulder"][0] == pytest.approx(-LIMBS.half_shoulders)
    assert joints["right_toe"][1] > joints["right_ankle"][1]


@pytest.mark.parametrize(
    ("torso", "direction"), [((90, 0, 0), (0, 1, 0)), ((0, 0, 90), (1, 0, 0)), ((0, 90, 0), (0, 0, 1))]
)
def test_the_trunk_leans_forward_and_to_the_right(torso, direction):
    joints, _ = posed(torso=tuple(float(angle) for angle in torso))
    np.testing.assert_allclose(joints["neck"] - joints["pelvis"], np.multiply(direction, LIMBS.spine), atol=1e-12)


def test_yaw_turns_the_shoulders_to_the_left():
    joints, _ = posed(torso=(0.0, 90.0, 0.0))
    assert joints["right_shoulder"][1] - joints["left_shoulder"][1] == pytest.approx(2 * LIMBS.half_shoulders)


def test_bent_legs_lower_the_body_over_its_feet():
    bent = (60.0, 0.0, 120.0)
    joints, _ = posed(right_leg=bent, left_leg=bent)
    # Thigh and shin both lie 60 degrees off the vertical, one forward and one backward.
    height = 0.5 * (LIMBS.thigh + LIMBS.shin)
    assert joints["pelvis"][2] == pytest.approx(height, abs=0.02)
    assert joints["right_knee"][1] - joints["pelvis"][1] == pytest.approx(LIMBS.thigh * np.sin(np.pi / 3))
    assert joints["right_ankle"][1] == pytest.approx(0.0, abs=1e-12)


def test_rise_lifts_the_body_by_centimetres():
    assert posed(rise=(7.0,))[0]["pelvis"][2] - posed()[0]["pelvis"][2] == pytest.approx(0.07)


def test_the_watch_sits_on_the_back_of_the_right_wrist():
    # Hanging, palm to the thigh: x up to the elbow, z to the right, y backward.
    np.testing.assert_allclose(posed()[1], [[0, 0, 1], [0, -1, 0], [1, 0, 0]], atol=1e-12)
    # Forearm across the body, back of the hand up, as one reads the time: y away from the wearer, z up.
    reading = posed(right=(0.0, 0.0, 90.0, 90.0, 90.0))[1]
    np.testing.assert_allclose(reading, np.eye(3), atol=1e-12)


@given(seeds, labels)
@settings(max_examples=20)
def test_limbs_keep_their_length(seed, label):
    subject, _, motion = performed(seed, label)
    first, second = np.array(BONES).T
    lengths = np.linalg.norm(motion.joints_m[:, second] - motion.joints_m[:, first], axis=2)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-12)
    by_name = {JOINTS[b]: lengths[0, i] for i, (_, b) in enumerate(BONES)}
    assert by_name["right_elbow"] == pytest.approx(subject.limbs.upper_arm)
    assert by_name["left_wrist"] == pytest.approx(subject.limbs.forearm)
    assert by_name["left_knee"] == pytest.approx(subject.limbs.thigh)
    assert by_name["right_ankle"] == pytest.approx(subject.limbs.shin)
    assert by_name["neck"] == pytest.approx(subject.limbs.spine)


@given(seeds, labels)
@settings(max_examples=20)
def test_the_watch_frame_is_a_rotation_along_the_forearm(seed, label):
    _, _, motion = performed(seed, label)
    rotation = motion.watch_to_world
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0, atol=1e-12)
    to_elbow = motion.joints_m[:, JOINTS.index("right_elbow")] - motion.joints_m[:, JOINTS.index("right_wrist")]
    to_elbow /= np.linalg.norm(to_elbow, axis=1, keepdims=True)
    np.testing.assert_allclose(rotation[:, :, 0], to_elbow, atol=1e-9)


@given(seeds, labels)
@settings(max_examples=20)
def test_the_carrying_foot_stays_on_the_ground(seed, label):
    _, track, motion = performed(seed, label)
    ankles = motion.joints_m[:, [JOINTS.index("right_ankle"), JOINTS.index("left_ankle")], 2]
    lift_m = ankles.min(axis=1) - 0.01 * track[:, CHANNELS.index("rise.rise_cm")]
    assert lift_m.min() >= -1e-9
    assert lift_m.max() <= 0.02 * np.log(2) + 1e-9


@given(seeds, labels)
@settings(max_examples=30)
def test_key_poses_follow_each_other_within_the_span(seed, label):
    rng = np.random.default_rng(seed)
    subject, style = draw_subject(rng), draw_style(rng)
    times, poses = key_poses(label, subject, style, start_s=2.0, end_s=9.0, rng=rng)
    assert (np.diff(times) > 0).all()
    assert times[0] >= 2.0
    assert times[-1] <= 9.0
    assert poses.shape == (len(times), len(CHANNELS))
    # A window of 2.56 s never lies between two key poses.
    assert np.diff([2.0, *times, 9.0]).max() < 2.56


@given(seeds)
@settings(max_examples=20)
def test_the_way_between_key_poses_does_not_overshoot(seed):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 3, 6))
    poses = rng.normal(0, 50, (6, len(CHANNELS)))
    track = smooth_track(times, poses, GRID_S, smoothness_s=0.06)
    assert track.shape == (len(GRID_S), len(CHANNELS))
    assert (track.max(axis=0) <= poses.max(axis=0) + 1e-9).all()
    assert (track.min(axis=0) >= poses.min(axis=0) - 1e-9).all()


def test_a_pose_that_is_held_stays():
    pose = pose_row({})
    track = smooth_track(np.array([0.5, 1.0]), np.stack([pose, pose]), GRID_S, smoothness_s=0.06)
    np.testing.assert_allclose(track, np.tile(pose, (len(GRID_S), 1)), atol=1e-12)


@pytest.mark.parametrize("label", sorted(ACTIONS))
def test_an_action_begins_its_cycle_at_its_start(label):
    phases = [key.phase for key in ACTIONS[label].keys]
    assert phases[0] == 0.0
    assert phases == sorted(set(phases))
    assert phases[-1] < 1.0


def test_subjects_differ_and_come_back():
    first, again, other = (draw_subject(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert dataclasses.asdict(first).keys() == dataclasses.asdict(other).keys()
    for field in ("tempo", "amplitude", "rest", "smoothness_s", "left_share", "limbs"):
        assert getattr(first, field) == getattr(again, field)
        assert getattr(first, field) != getattr(other, field)
    assert np.array_equal(first.strap_rad, again.strap_rad)
    assert not np.array_equal(first.strap_rad, other.strap_rad)
