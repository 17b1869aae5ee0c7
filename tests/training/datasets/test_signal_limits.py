"""What the contract says of the signal is that of the training recordings, with the stated margins."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from vskd import Classifier
from vskd.contract import Contract, SensorSpec, SignalSpec, WindowSpec
from vskd.stream import cut_windows
from vskd_training.data.experiment import Experiment
from vskd_training.datasets.signal_limits import DURATION_FACTOR, RATE_SHARE, slow_recordings, with_signal_limits

UP = np.array([0.0, 0.6, 0.8])


@dataclass(frozen=True)
class Info:
    subject: str
    label: str


class Recordings:
    """As ``Prepared``: recordings of some subjects, (time_s, xyz) each; ``ann:walk`` is a subject and a label."""

    def __init__(self, *recordings: tuple[str, np.ndarray, np.ndarray]) -> None:
        self.infos = [Info(*(f"{who}:walk".split(":")[:2])) for who, _, _ in recordings]
        self._signals = [(time_s, xyz) for _, time_s, xyz in recordings]

    def sensor(self, recording: int) -> tuple[np.ndarray, np.ndarray]:
        return self._signals[recording]


def wrist(seconds: float, *, rate_hz: float = 50.0, up: np.ndarray = UP, seed: int = 0, digits: int = 9):
    count = round(seconds * rate_hz)
    xyz = up + np.random.default_rng(seed).normal(0, 0.02, (count, 3))
    return np.arange(count) / rate_hz, xyz.round(digits)


def limits(*recordings: tuple[str, np.ndarray, np.ndarray], whole: bool = False, gravity: str = "included") -> Contract:
    contract = Contract(labels=("a", "b"), sensor=SensorSpec(gravity=gravity))
    if whole:
        contract = dataclasses.replace(contract, window=WindowSpec(mode="whole"))
    return with_signal_limits(contract, Recordings(*recordings), range(len(recordings)))


def test_slow_recordings_are_warned_of():
    recordings = Recordings(("ann", *wrist(9)), ("bob", *wrist(9, rate_hz=20)), ("cat", *wrist(9, rate_hz=25)))
    contract = Contract(labels=("a", "b"))
    said = slow_recordings(contract, recordings, range(3))
    assert "2 of 3 recordings have 20 to 25 Hz, and windows have 50 Hz" in said
    assert slow_recordings(contract, recordings, [0]) == ""
    whole = dataclasses.replace(contract, window=WindowSpec(mode="whole"))
    assert slow_recordings(whole, recordings, range(3)) == ""


def test_sliding_windows_get_their_rate_direction_and_size():
    tilted = UP + np.array([0.35, 0, 0])
    signal = limits(("ann", *wrist(20)), ("bob", *wrist(20, rate_hz=40, up=tilted / np.linalg.norm(tilted)))).signal
    assert signal.min_rate_hz == pytest.approx(RATE_SHARE * 40)
    np.testing.assert_allclose(signal.gravity_direction, [0.17, 0.59, 0.79], atol=0.02)
    assert signal.gravity_within_deg == 60
    assert signal.largest_mean_g == pytest.approx(1.5, abs=0.02)
    assert signal.largest_rms_g == pytest.approx(2.0, abs=0.02)
    assert signal.frozen_share == 0.5
    assert limits(("ann", *wrist(20, rate_hz=200))).signal.min_rate_hz == pytest.approx(RATE_SHARE * 50)
    assert limits(("ann", *wrist(20))).recording is None


def test_whole_recordings_get_durations_rate_and_gap():
    time_s, xyz = wrist(4)
    later = time_s.copy()
    later[100:] += 0.4
    contract = limits(("ann", *wrist(8)), ("bob", later, xyz), whole=True)
    spec = contract.recording
    assert spec.longest_s == pytest.approx(7.98 * DURATION_FACTOR)
    assert spec.shortest_s == pytest.approx(4.38 / DURATION_FACTOR)
    assert spec.lowest_rate_hz == pytest.approx(199 / 4.38 * RATE_SHARE)
    assert spec.largest_gap_s == pytest.approx(0.84)
    assert contract.signal.min_rate_hz == 0
    assert limits(("ann", *wrist(8)), whole=True).recording.largest_gap_s == contract.resampling.max_gap_s


def test_subjects_that_wear_it_differently_widen_the_angle_but_never_past_the_opposite_sign():
    aside = np.array([0.0, 0.8, -0.6])
    wide = limits(("ann", *wrist(20)), ("bob", *wrist(20)), ("eve", *wrist(20, up=aside))).signal
    assert wide.gravity_within_deg == pytest.approx(63.4 + 30, abs=1)
    assert limits(("ann", *wrist(20)), ("bob", *wrist(10, up=-UP)), whole=True).signal.gravity_direction == ()
    assert limits(("ann", *wrist(20)), ("bob", *wrist(10, up=-UP))).signal.gravity_within_deg == 120
    assert limits(("ann", *wrist(20)), ("bob", *wrist(20, up=-UP))).signal.gravity_direction == ()
    assert limits(("ann", *wrist(20)), gravity="removed").signal.gravity_direction == ()


def test_a_subjects_recordings_count_together_and_each_activity_may_last():
    aside = np.array([0.0, 0.8, -0.6])
    both = [(subject, *wrist(20, up=up)) for subject in ("ann", "bob") for up in (UP, aside)]
    assert limits(*both).signal.gravity_within_deg == 60
    activities = [("ann:walk", *wrist(60)), ("ann:wave", *wrist(20, up=aside)), ("bob:walk", *wrist(20))]
    contract = limits(*activities)
    assert contract.signal.gravity_within_deg == pytest.approx(76 + 30, abs=1)
    for sign, expected in ((1, False), (-1, True)):
        named = [
            any(
                defect.kind == "direction"
                for window in cut_windows(contract, *wrist(60, up=sign * up))
                for defect in window.defects
            )
            for up in (UP, aside)
        ]
        assert any(named) is expected
    assert limits(*both, whole=True).signal.gravity_within_deg == pytest.approx(45 + 30, abs=1)


def test_a_coarse_sensor_that_often_rests_turns_the_rule_of_frozen_windows_off():
    assert limits(("ann", *wrist(60, digits=0))).signal.frozen_share == 1.0
    mixed = np.concatenate([wrist(600)[1], wrist(4, digits=0)[1]])
    assert limits(("ann", np.arange(len(mixed)) / 50, mixed)).signal.frozen_share == 0.5


def test_a_sensor_of_a_small_range_in_training_turns_the_rule_of_cut_off_windows_off():
    time_s, xyz = wrist(20)
    swung = xyz + np.sin(8 * time_s)[:, None]
    assert limits(("ann", time_s, swung)).signal.saturated_share == 0.1
    cut = np.clip(swung, -0.9, 0.9)
    contract = limits(("ann", time_s, cut))
    assert contract.signal.saturated_share == 1.0
    assert {window.obstacle for window in cut_windows(contract, time_s, cut)} == {None}


def test_a_sensor_that_slept_in_training_loosens_nothing():
    awake, asleep = wrist(20)[1], np.zeros((500, 3))
    slept = np.concatenate([awake[:500], asleep, awake[500:]])
    for whole in (False, True):
        signal = limits(("ann", *wrist(20)), ("bob", np.arange(1500) / 50, slept), whole=whole).signal
        expected = limits(("ann", *wrist(20)), whole=whole).signal
        assert (signal.frozen_share, signal.least_mean_share) == (0.5, expected.least_mean_share)
    assert limits(("ann", np.arange(500) / 50, asleep)).signal == SignalSpec()


def test_without_recordings_nothing_is_known():
    contract = Contract(labels=("a", "b"))
    assert with_signal_limits(contract, Recordings(), ()) is contract


def test_an_experiments_own_windows_get_activities(tiny: Experiment):
    assert tiny.contract.signal is not None
    for index in tiny.split.train:
        windows = cut_windows(tiny.contract, *tiny.prepared.sensor(index))
        assert [window.obstacle for window in windows] == [None] * len(windows)


def test_a_training_recording_of_a_whole_contract_gets_an_activity(tiny: Experiment):
    whole = dataclasses.replace(tiny.config, window=dataclasses.replace(tiny.config.window, mode="whole"))
    experiment = Experiment.of(whole, tiny.prepared)

    class Engine:
        name = version = "even"

        def infer(self, window: np.ndarray) -> np.ndarray:
            return np.zeros(len(experiment.contract.labels), dtype=np.float32)

    for index in experiment.split.train:
        event = Classifier(experiment.contract, Engine()).classify(*experiment.prepared.sensor(index))
        assert event.reason == ""
