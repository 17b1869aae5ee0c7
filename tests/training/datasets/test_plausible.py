"""What one recording cannot be, and what it can: the rules of physics on whole recordings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd_training.datasets.files.clock import RESET_GAP_S
from vskd_training.datasets.plausible import defects_of, videos_that_differ
from vskd_training.datasets.recording import Defect, Gravity, Recording, RecordingInfo


def walk(samples: int = 500, rate_hz: float = 50.0, seed: int = 0) -> Recording:
    """A wrist that swings: gravity turns, and there are impacts of some g."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(samples) / rate_hz
    angle = 0.6 * np.sin(2 * np.pi * 0.9 * time_s)
    gravity = np.stack([np.sin(angle), -0.7 * np.cos(angle), 0.714 * np.cos(angle)], axis=1)
    acceleration_g = gravity + rng.normal(0, 0.3, (samples, 3))
    return Recording(RecordingInfo("a", "ann", "walk", 1), time_s, acceleration_g, np.empty(0), np.empty((0, 2, 2)))


def changed(**what: object) -> Recording:
    return dataclasses.replace(walk(), **what)  # type: ignore[arg-type]


def with_readings(change: Callable[[np.ndarray], None], recording: Recording | None = None) -> Recording:
    recording = recording or walk()
    change(recording.acceleration_g)
    return recording


def found(recording: Recording, gravity: Gravity = "included") -> list[Defect]:
    return defects_of(recording, gravity)


@given(seed=st.integers(0, 999), rate_hz=st.sampled_from([12.5, 20.0, 50.0, 104.0, 200.0]), samples=st.integers(2, 900))
def test_a_wrist_that_moves_is_believed(seed: int, rate_hz: float, samples: int) -> None:
    assert found(walk(samples, rate_hz, seed)) == []


@pytest.mark.parametrize(
    ("rate_hz", "what"),
    [
        (0.05, "the times look like ms called s (50 Hz): name the column time_ms"),
        (5e-5, "look like us called s (50 Hz): name the column time_us"),
        (1e-7, "look like ns called s (100 Hz): name the column time_ns"),
        (50_000, "look like s called ms (50 Hz): name the column time_s"),
        (2.0, "its times give 2 Hz, and a sensor at the body has 5 to 1000 Hz"),
        (1500, "its times give 1.5e+03 Hz"),
    ],
)
def test_an_impossible_rate_is_left_out_and_the_unit_that_can_be_is_named(rate_hz: float, what: str) -> None:
    defect = found(walk(rate_hz=rate_hz))[0]
    assert (defect.kind, defect.left_out) == ("impossible rate", True)
    assert what in defect.what


def hold(values: np.ndarray) -> None:
    values[200:400] = values[199]


def sleep(values: np.ndarray) -> None:
    values[300:] = 0


def clip(values: np.ndarray) -> None:
    np.clip(values, -0.8, 0.8, out=values)


def clip_calibrated(values: np.ndarray) -> None:
    """An offset and a scale of each axis, as of a sensor that is calibrated."""
    values *= 4
    np.clip(values, -2, 2, out=values)
    values[:] = values * [1.01, 0.99, 1.0] + [0.03, -0.02, 0.01]


def wake(values: np.ndarray) -> None:
    values[:60] = 0


def beyond(values: np.ndarray) -> None:
    values[7, 1] = -250.0


def flat(values: np.ndarray) -> None:
    values[:, 2] = 0.25


def die(values: np.ndarray) -> None:
    values[300:, 1] = values[300, 1]


def equal(values: np.ndarray) -> None:
    values[:, 1] = values[:, 0]


@pytest.mark.parametrize(
    ("change", "kind", "what"),
    [
        (hold, "frozen", "no axis changes for 4.0 s"),
        (sleep, "frozen", "no axis changes for 4.0 s"),
        (clip, "clipped readings", "cut off at 0.8 g"),
        (clip_calibrated, "clipped readings", "cut off at 2.05 g"),
        (beyond, "readings beyond any sensor", "1 samples read more than 100 g, up to 250"),
        (flat, "dead axis", "z reads 0.25 g throughout"),
        (die, "dead axis", " g for 4.0 s from 6.00 s on, while another axis moves"),
        (equal, "equal axes", "x and y read the same throughout"),
    ],
)
def test_readings_that_hardly_can_be_are_doubtful(change: Callable[[np.ndarray], None], kind: str, what: str) -> None:
    defects = {defect.kind: defect for defect in found(with_readings(change))}
    assert what in defects[kind].what
    assert defects[kind].doubtful
    assert not defects[kind].left_out
    assert defects[kind].way_out


def test_a_coarse_sensor_at_rest_and_a_short_hold_are_no_dead_axis() -> None:
    rest = np.array([0.3, -0.6, 0.74]) + np.random.default_rng(1).normal(0, 0.01, (500, 3))
    assert found(changed(acceleration_g=np.round(rest * 16) / 16)) == []
    short = with_readings(lambda values: values.__setitem__((slice(300, 399), 1), 0.1))
    assert found(short) == []


def test_zeros_before_the_sensor_wakes_are_counted() -> None:
    (defect,) = found(with_readings(wake))
    assert (defect.kind, defect.left_out, defect.doubtful) == ("zeros before the sensor wakes", False, False)
    assert "its first 60 samples read 0 on every axis" in defect.what


def test_the_pause_that_the_reader_puts_after_a_reset_is_no_gap_of_the_recording() -> None:
    time_s = np.arange(500) / 50
    for pause_s, expected in ((RESET_GAP_S, []), (RESET_GAP_S + 0.02, ["mostly gaps"])):
        late = np.concatenate([time_s[:250], time_s[249] + pause_s + time_s[:250]])
        assert [defect.kind for defect in found(changed(time_s=late))] == expected


def test_where_nothing_ever_changes_the_recording_is_left_out() -> None:
    (defect,) = found(with_readings(lambda values: values.__setitem__(slice(None), [0, 0, 1])))
    assert (defect.kind, defect.left_out) == ("frozen throughout", True)


def test_a_gap_that_is_longer_than_the_rest_is_doubtful_and_a_shorter_one_is_not() -> None:
    time_s = np.arange(500) / 50
    for gap_s, expected in ((9.0, []), (11.0, ["mostly gaps"])):
        late = time_s + gap_s * (time_s >= 4)
        assert [defect.kind for defect in found(changed(time_s=late))] == expected
    several = time_s + 4 * (time_s // 2)
    (defect,) = found(changed(time_s=several))
    assert "4 gaps, the longest 4.02 s after 1.980 s, last 16.1 s, longer than all the rest (9.9 s)" in defect.what


@pytest.mark.parametrize("scale", [2.0, 0.5, 9.80665, 1 / 9.80665])
def test_at_rest_a_wrong_scale_contradicts_gravity(scale: float) -> None:
    rng = np.random.default_rng(1)
    still = np.array([0.3, -0.6, 0.74]) + rng.normal(0, 0.01, (500, 3))
    (defect,) = found(changed(acceleration_g=scale * still))
    assert (defect.kind, defect.left_out) == ("contradicts gravity", True)
    assert "in 5 of 5 stretches of 2 s gravity says no" in defect.what or "the median |a| is" in defect.what
    assert defect.if_most != defect.way_out


def test_movement_without_gravity_contradicts_it_and_the_other_way_round() -> None:
    rng = np.random.default_rng(1)
    phase = 2 * np.pi * np.arange(500)[:, np.newaxis] / 50 * [2, 2, 1] + [0, 1, 2]
    moved = changed(acceleration_g=1.5 * np.sin(phase) + rng.normal(0, 0.1, (500, 3)))
    assert [defect.kind for defect in found(moved)] == ["contradicts gravity"]
    assert found(moved, "removed") == []
    still = changed(acceleration_g=np.array([0.3, -0.6, 0.74]) + rng.normal(0, 0.01, (500, 3)))
    assert [defect.kind for defect in found(still, "removed")] == ["contradicts gravity"]


def test_a_video_that_cannot_fit_is_doubtful() -> None:
    for frames, expected in ((5, ["video of another length"]), (150, []), (20_000, ["video of another length"])):
        times = np.linspace(0, 9.98, frames)
        recording = changed(frame_time_s=times, frames=np.zeros((frames, 2, 2), np.uint8))
        assert [defect.kind for defect in found(recording)] == expected


def test_a_video_unlike_the_others_is_doubtful() -> None:
    (defect,) = videos_that_differ({"a": 15.0, "b": 15.2, "c": 2.0, "d": 15.0})
    assert defect.where == "c"
    assert "2 frames a second over the recording, the others 15" in defect.what
    assert videos_that_differ({"a": 30.0, "b": 120.0, "c": 30.0, "d": 7.5}) == []
    assert videos_that_differ({"a": 30.0, "b": 3.0}) == []
    assert videos_that_differ({"a": 30.0, "b": 30.0, "c": 0.5, "d": 4000.0}) == []  # said of the recordings
