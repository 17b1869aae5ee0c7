"""Batches: the sensor's time decides when it is silent, delivery may lag."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.mean_engine import MeanEngine
from vskd import Classifier
from vskd.contract import Contract, GafSpec, ResamplingSpec, WindowSpec
from vskd.errors import ConfigError

POLL_S = 0.1
SILENT_AFTER_S = 1.0
MOST_S = 15.0


class Scene:
    """A live source: samples at 50 Hz, handed over in batches, with the wall's clock in hand."""

    def __init__(self, *, batch_s: float = MOST_S, skew: float = 1.0) -> None:
        resampling = ResamplingSpec(reorder_s=0.2, batch_s=batch_s)
        window = WindowSpec(samples=32, hop_samples=16)
        contract = Contract(labels=("x", "y", "z"), window=window, gaf=GafSpec(size=8), resampling=resampling)
        contract = contract.with_decision(no_signal_after_s=SILENT_AFTER_S)
        self.now_s, self._made, self._skew = 100.0, 0, skew
        self.silences: list[float] = []  # on the wall's clock
        self.pauses = 0
        self._classifier = Classifier(contract, MeanEngine(), clock=lambda: self.now_s)

    def batch(self, samples: int, *, later_s: float = 0.0) -> None:
        """Hand over samples, at most 100 in a push; ``later_s``: the sensor had paused."""
        for _ in range(samples):
            time_s = 5000 + self._made * 0.02 / self._skew + later_s
            xyz = [0.1, 0.01 * (self._made % 7), 1.0]
            events = self._classifier.push([time_s], [xyz])
            self.pauses += sum(event.label == "no signal" for event in events)
            self._made += 1

    def wait(self, seconds: float) -> None:
        """Wait, and tell the classifier so."""
        waited_s = 0.0
        while waited_s < seconds - 1e-9:
            step_s = min(POLL_S, seconds - waited_s)
            waited_s += step_s
            self.now_s += step_s
            if self._classifier.silence(waited_s):
                self.silences.append(self.now_s)


@given(batch=st.integers(1, 700), jitter=st.floats(0, 0.9), skew=st.sampled_from([0.97, 1.0, 1.03]))
def test_batches_are_no_silence_and_a_sensor_that_stops_is_one(batch, jitter, skew):
    scene, late_s = Scene(skew=skew), np.random.default_rng(batch).uniform(0, jitter, 6)
    for delay_s in late_s:
        scene.batch(batch)
        scene.wait(batch * 0.02 + delay_s)
    assert not scene.silences
    scene.batch(batch)
    stopped_s = scene.now_s
    scene.wait(60)
    assert len(scene.silences) == 1
    silent_s = scene.silences[0] - stopped_s
    assert SILENT_AFTER_S < silent_s <= SILENT_AFTER_S + 1.15 * batch * 0.02 + 0.5 + 2 * POLL_S


def test_a_batch_that_comes_in_two_pieces_is_one_batch():
    scene = Scene()
    for _ in range(5):
        scene.batch(140)
        scene.wait(0.15)
        scene.batch(10)
        scene.wait(2.85)
    assert not scene.silences


def test_an_hour_of_backlog_delays_a_silence_by_no_more_than_the_bound():
    scene = Scene()
    scene.batch(20_000)
    scene.wait(60)
    assert scene.silences == [pytest.approx(100 + 1.05 * MOST_S + SILENT_AFTER_S, abs=2 * POLL_S)]


def test_a_pause_of_the_sensor_is_told_and_leaves_nothing_in_hand():
    scene = Scene()
    scene.batch(50)
    scene.wait(30)
    assert len(scene.silences) == 1
    scene.batch(50, later_s=29.0)
    assert scene.pauses == 0  # it was told already
    stopped_s = scene.now_s
    scene.wait(30)
    assert scene.silences[1] - stopped_s < SILENT_AFTER_S + 1.0 + 2 * POLL_S


def test_without_the_field_silence_counts_from_the_latest_sample():
    scene = Scene(batch_s=0.0)
    scene.batch(150)
    scene.wait(3)
    assert scene.silences == [pytest.approx(101.0, abs=2 * POLL_S)]


@pytest.mark.parametrize("batch_s", [-1.0, float("nan"), 1e9])
def test_a_batch_beyond_any_sensor_is_refused(batch_s):
    with pytest.raises(ConfigError, match=r"resampling\.batch_s must lie between 0 and 3600 s, got"):
        dataclasses.replace(ResamplingSpec(), batch_s=batch_s)
