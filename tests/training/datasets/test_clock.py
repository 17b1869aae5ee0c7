"""The times of a whole recording: wild stamps, samples out of order, clocks that start anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd_training.datasets.files.clock import RESET_GAP_S, put_right
from vskd_training.datasets.files.sensor_csv import drop_bad_samples
from vskd_training.datasets.recording import BrokenFileError

RATES = st.floats(10, 200)
COUNTS = st.integers(30, 200)


def test_a_wild_last_time_hides_no_wild_first_one() -> None:
    time_s = np.arange(300) / 50
    time_s[0], time_s[-1] = -5e5, 1e7
    assert np.flatnonzero(put_right(time_s).wild).tolist() == [0, 299]


def regular(rate_hz: float, count: int, seed: int) -> np.ndarray:
    """Times of a sensor whose steps vary by a fifth."""
    steps = 1 + 0.2 * np.random.default_rng(seed).uniform(-1, 1, count)
    return np.asarray(5 + np.cumsum(steps) / rate_hz)


@given(rate_hz=RATES, count=COUNTS, seed=st.integers(0, 99), data=st.data())
def test_one_wild_stamp_costs_one_sample_wherever_it_stands(
    rate_hz: float, count: int, seed: int, data: st.DataObject
) -> None:
    time_s = regular(rate_hz, count, seed)
    where = data.draw(st.integers(0, count - 1))
    time_s[where] += data.draw(st.sampled_from([1e3, -1e3, 86400, 1.7e9, -1.7e9]))
    clock = put_right(time_s)
    np.testing.assert_array_equal(clock.rows, np.delete(np.arange(count), where))
    np.testing.assert_array_equal(clock.time_s, np.delete(time_s, where))
    assert np.flatnonzero(clock.wild).tolist() == [where]
    assert not clock.resets.any()


@given(rate_hz=RATES, count=COUNTS, seed=st.integers(0, 99), data=st.data())
def test_swapped_samples_and_late_blocks_are_sorted(rate_hz: float, count: int, seed: int, data: st.DataObject) -> None:
    time_s = regular(rate_hz, count, seed)
    order = np.arange(count)
    if data.draw(st.booleans()):
        order[: count // 2 * 2] = order[: count // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    else:
        size = data.draw(st.integers(2, count // 3))
        start = data.draw(st.integers(0, count - 2 * size))
        order[start : start + 2 * size] = np.roll(order[start : start + 2 * size], size)
    clock = put_right(time_s[order])
    np.testing.assert_array_equal(clock.time_s, time_s)
    np.testing.assert_array_equal(order[clock.rows], np.arange(count))
    assert clock.out_of_order.any()
    assert not clock.wild.any()
    assert not clock.resets.any()


@given(rate_hz=RATES, count=COUNTS, seed=st.integers(0, 99), back=st.floats(0.3, 1), phase=st.floats(0, 1))
def test_a_clock_that_starts_anew_goes_on_after_a_pause_and_costs_nothing(
    rate_hz: float, count: int, seed: int, back: float, phase: float
) -> None:
    first, second = regular(rate_hz, count, seed), regular(rate_hz, count, seed + 1)
    # Within the times that were there before, so that nobody could sort it; at least half a second back.
    begin = max(first[0], first[-1] - max(back * (first[-1] - first[0]), 0.6)) + phase / rate_hz
    second += begin - second[0]
    if first[-1] - begin < 0.5:
        return
    clock = put_right(np.concatenate([first, second]))
    assert np.flatnonzero(clock.resets).tolist() == [count]
    np.testing.assert_array_equal(clock.rows, np.arange(2 * count))
    np.testing.assert_allclose(clock.time_s[count] - clock.time_s[count - 1], RESET_GAP_S)
    np.testing.assert_allclose(np.diff(clock.time_s[count:]), np.diff(second), atol=1e-9)


@given(times=st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_whatever_comes_is_kept_in_order_or_counted(times: list[float]) -> None:
    clock = put_right(np.array(times))
    assert (np.diff(clock.time_s) >= 0).all()
    assert len(set(clock.rows.tolist())) == len(clock.rows)
    assert len(clock.rows) + clock.wild.sum() + clock.backward.sum() == len(times)


def test_times_that_increase_stay_as_they_are_with_every_gap() -> None:
    time_s = np.concatenate([np.arange(100) / 50, 60 + np.arange(100) / 50, 9000 + np.arange(3) / 50])
    clock = put_right(time_s)
    np.testing.assert_array_equal(clock.time_s, time_s)
    assert not clock.wild.any()


# --- samples that share a time


def test_packets_in_a_file_are_spread_as_in_the_stream_and_repeated_samples_dropped():
    rng = np.random.default_rng(0)
    xyz = rng.normal([0, 0, 1], 0.2, (200, 3))
    time_s = np.arange(200) / 50
    packets_s = time_s[np.arange(200) // 5 * 5]
    kept_s, kept, defects = drop_bad_samples(packets_s, xyz, where="a.csv", lines=range(2, 202))
    np.testing.assert_allclose(kept_s, time_s, atol=1e-9)
    np.testing.assert_array_equal(kept, xyz)
    assert [defect.kind for defect in defects] == ["packets that share a time"]
    repeated_s = np.insert(time_s, 100, time_s[99])
    kept_s, kept, defects = drop_bad_samples(
        repeated_s, np.insert(xyz, 100, -xyz[99], axis=0), where="a.csv", lines=range(2, 203)
    )
    np.testing.assert_array_equal(kept_s, time_s)
    np.testing.assert_array_equal(kept, xyz)
    assert [(defect.kind, defect.what) for defect in defects] == [
        ("repeated timestamps", "1 samples repeat the time of the one before, the first in line 102")
    ]


@pytest.mark.parametrize("rate_hz", [20, 50, 100])
def test_whole_seconds_are_no_sampling_times(rate_hz):
    time_s = np.floor(np.arange(5 * rate_hz) / rate_hz)
    with pytest.raises(BrokenFileError, match=rf"{rate_hz} samples share each time, 1 s apart; .* state rate_hz"):
        drop_bad_samples(time_s, np.ones((len(time_s), 3)), where="a.csv", lines=range(len(time_s)))
