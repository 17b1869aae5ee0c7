"""The low-pass filter: what it lets through, against scipy, and that nothing of it depends on the pushes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.test_stream import same_window
from vskd.contract import Contract, GafSpec, LowPassSpec, ResamplingSpec, SignalSpec, WindowSpec
from vskd.decide import Decider
from vskd.errors import ConfigError
from vskd.stream import Stream, Window, cut_windows
from vskd_training.settings.resampling import ATTENUATION_DB, kaiser_taps, todays_resampling

RATE_HZ = 50.0
HALF_S = 0.1
#: 45 dB, and what the ripple of a sampled filter adds.
STOPPED = 0.01


def contract(resampling: ResamplingSpec | None = None, *, samples: int = 64, rate_hz: float = RATE_HZ) -> Contract:
    window = WindowSpec(samples=samples, hop_samples=samples // 4, rate_hz=rate_hz)
    spec = todays_resampling() if resampling is None else resampling
    return Contract(labels=("a", "b"), window=window, gaf=GafSpec(size=8), resampling=spec)


PLAIN = contract(ResamplingSpec())


def tone(time_s: np.ndarray, hz: float, amplitude: float = 1.0) -> np.ndarray:
    """(samples, 3), g: a wrist at rest with a tone on x."""
    still = np.full(len(time_s), 1.0)
    return np.stack([amplitude * np.sin(2 * np.pi * hz * time_s + 0.3), 0.1 * still, still], axis=1)


@pytest.mark.parametrize("sensor_hz", [54.0, 62.0, 200.0])
@pytest.mark.parametrize("unfiltered", [True, False])
def test_a_fast_sensor_is_named_only_where_nothing_filters_it(sensor_hz, unfiltered):
    made_for = dataclasses.replace(PLAIN if unfiltered else contract(), signal=SignalSpec(min_rate_hz=30.0))
    time_s = np.arange(round(12 * sensor_hz)) / sensor_hz
    xyz = np.random.default_rng(0).normal([0, 0, 1], 0.02, (len(time_s), 3))
    windows = pushed(made_for, time_s, xyz)[4:]
    assert {defect.kind for window in windows for defect in window.defects} == (
        {"rate"} if unfiltered and sensor_hz > 60 else set()
    )


def pushed(made_for: Contract, time_s: np.ndarray, xyz: np.ndarray, cuts: Sequence[int] = ()) -> list[Window]:
    stream = Stream(made_for)
    bounds = [0, *sorted(min(cut, len(time_s)) for cut in cuts), len(time_s)]
    items = [
        item for start, end in itertools.pairwise(bounds) for item in stream.advance(time_s[start:end], xyz[start:end])
    ]
    return [item for item in [*items, *stream.finish()] if isinstance(item, Window)]


def loudest(windows: list[Window]) -> float:
    return max(float(np.abs(window.samples[0]).max()) for window in windows)


# --- what passes


@settings(max_examples=40)
@given(times=st.floats(1.16, 8.0), share=st.floats(0, 0.99), rate_hz=st.sampled_from([20.0, 25.0, 50.0, 64.0]))
def test_a_tone_above_half_of_the_contracts_rate_does_not_appear(times, share, rate_hz):
    sensor_hz = times * rate_hz
    hz = rate_hz / 2 + share * (sensor_hz - rate_hz) / 2
    time_s = np.arange(int(6 * 64 / rate_hz * sensor_hz)) / sensor_hz
    windows = pushed(contract(rate_hz=rate_hz), time_s, tone(time_s, hz))
    assert len(windows) > 3
    assert loudest(windows) < STOPPED
    assert loudest(pushed(contract(ResamplingSpec(), rate_hz=rate_hz), time_s, tone(time_s, hz))) > 0.2


@settings(max_examples=40)
@given(times=st.floats(1.16, 8.0), share=st.floats(0, 0.2), rate_hz=st.sampled_from([25.0, 50.0]))
def test_a_movement_below_a_fifth_of_the_rate_stays(times, share, rate_hz):
    time_s = np.arange(int(400 * times)) / (times * rate_hz)
    for window in pushed(contract(rate_hz=rate_hz), time_s, tone(time_s, share * rate_hz)):
        grid_s = window.start_s + np.arange(64) / rate_hz
        np.testing.assert_allclose(window.samples, tone(grid_s, share * rate_hz).T, atol=0.02)


@pytest.mark.parametrize(("jitter", "lost"), [(0.3, 0.0), (0.0, 0.05), (0.1, 0.02)])
def test_jitter_and_lost_samples_let_little_of_a_tone_through(jitter, lost):
    rng = np.random.default_rng(3)
    time_s = (np.arange(1600) + rng.uniform(-jitter, jitter, 1600)) / 200
    time_s = time_s[rng.random(1600) >= lost]
    power = [np.square(window.samples[0]).mean() for window in pushed(contract(), time_s, tone(time_s, 40.0))]
    assert np.sqrt(np.mean(power)) < 0.1  # of 0.71


# --- scipy


def test_the_taps_are_those_of_scipys_kaiser_design():
    signal = pytest.importorskip("scipy.signal")
    taps = np.array(kaiser_taps())
    both = np.concatenate([taps[:0:-1], taps])
    width = (ATTENUATION_DB - 7.95) / (14.36 * 10)
    beta = signal.kaiser_beta(ATTENUATION_DB)
    expected = signal.firwin(len(both), 0.5 - width / 2, window=("kaiser", beta), scale=False, fs=16.0)
    np.testing.assert_allclose(both[1:-1], 16 * expected[1:-1], atol=1e-6)
    hz, response = signal.freqz(both, worN=4096, fs=16.0)
    assert np.abs(response[hz >= 0.5]).max() / np.abs(response[0]) < 10 ** (-ATTENUATION_DB / 20) * 1.15


@pytest.mark.parametrize(("sensor_hz", "up"), [(80, 10), (100, 8), (160, 5), (200, 4), (400, 2), (800, 1)])
def test_a_regular_sensor_gets_what_scipys_polyphase_filter_gives(sensor_hz, up):
    signal = pytest.importorskip("scipy.signal")
    xyz = np.random.default_rng(sensor_hz).normal([0, 0, 1], 0.3, (6 * sensor_hz, 3))
    time_s = np.arange(len(xyz)) / sensor_hz
    taps = np.array(kaiser_taps())
    both = np.concatenate([taps[:0:-1], taps])
    # From 800 Hz, a tap's step, to every 16th; scaled so that a constant stays.
    filtered = [signal.upfirdn(both, column, up, 16) for column in [*xyz.T, np.ones(len(xyz))]]
    whole = slice(10, 300)  # from 10 periods on, all of the filter is there
    expected = np.array([column[whole] / filtered[3][whole] for column in filtered[:3]])
    windows = pushed(contract(), time_s, xyz)
    assert windows[0].start_s == pytest.approx(HALF_S)
    for window in windows:
        first = round((window.start_s - HALF_S) * RATE_HZ)
        np.testing.assert_allclose(window.samples, expected[:, first : first + 64], atol=2e-6)


# --- when it is used


@settings(max_examples=40)
@given(sensor_hz=st.floats(20, 56), jitter=st.floats(0, 0.3), seed=st.integers(0, 99))
def test_at_the_contracts_rate_or_below_every_bit_is_as_without_it(sensor_hz, jitter, seed):
    rng = np.random.default_rng(seed)
    time_s = 5 + (np.arange(300) + rng.uniform(-jitter, jitter, 300)) / min(sensor_hz, 50 if jitter else sensor_hz)
    xyz = rng.normal([0, 0, 1], 0.3, (300, 3))
    windows, expected = pushed(contract(), time_s, xyz), pushed(PLAIN, time_s, xyz)
    assert len(windows) == len(expected) > 0
    assert all(map(same_window, windows, expected))
    assert {window.filter_s for window in windows} == {0.0}


def test_training_windows_are_the_streams():
    time_s = np.arange(900) / 100
    xyz = np.random.default_rng(0).normal([0, 0, 1], 0.3, (900, 3))
    assert all(map(same_window, cut_windows(contract(), time_s, xyz), pushed(contract(), time_s, xyz, range(900))))


def changing() -> tuple[np.ndarray, np.ndarray]:
    """A sensor at 50, 100, 200 and again 50 Hz, without a gap, that hears a tone of 40 Hz."""
    steps = np.repeat([1 / 50, 1 / 100, 1 / 200, 1 / 50], [300, 600, 1200, 300])
    time_s = np.cumsum(steps)
    return time_s, tone(time_s, 40.0)


def test_a_rate_that_changes_is_noticed_within_a_window_and_a_hop():
    time_s, xyz = changing()
    windows = pushed(contract(), time_s, xyz)
    filtered = [window for window in windows if 6 + 1.6 <= window.start_s <= 18 - 1.6]
    assert len(filtered) > 20
    assert loudest(filtered) < 0.1  # where the sensor changes from 100 to 200 Hz its own samples are uneven
    assert loudest([window for window in filtered if not 10.6 < window.start_s < 12.2]) < STOPPED
    assert all(window.filter_s == HALF_S for window in filtered)
    after = [window for window in windows if window.start_s >= 18 + 1.6]
    assert {window.filter_s for window in after} == {0.0}
    assert loudest(after) > 0.9  # at 50 Hz the sensor itself hears 10 Hz
    starts = np.diff([window.start_s for window in windows])
    np.testing.assert_allclose(starts, 0.32, atol=1e-6)
    assert not any(window.after_gap for window in windows[1:])


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 2400), max_size=20), seed=st.integers(0, 50))
def test_any_way_of_cutting_gives_the_same_bits_when_the_rate_changes(cuts, seed):
    time_s, xyz = changing()
    rng = np.random.default_rng(seed)
    keep = rng.random(len(time_s)) > 0.02
    time_s, xyz = time_s[keep] + np.where(rng.random(keep.sum()) > 0.9, 0.004, 0.0), xyz[keep]
    late = np.argsort(time_s + rng.uniform(0, 0.01, len(time_s)), kind="stable")
    time_s, xyz = time_s[late], xyz[late]
    time_s[1500:] += 0.3 * (seed % 3)
    expected = pushed(contract(), time_s, xyz)
    for way in (cuts, range(len(time_s))):
        windows = pushed(contract(), time_s, xyz, way)
        assert len(windows) == len(expected) > 20
        assert all(map(same_window, windows, expected))
        assert [window.filter_s for window in windows] == [window.filter_s for window in expected]


@pytest.mark.parametrize("seed", [0, 8, 14])  # the last two gave different bits where the first answer was forgotten
def test_any_way_of_cutting_gives_the_same_bits_where_a_sample_completes_several_windows(seed):
    short = LowPassSpec((0.6, 0.5, 0.3, 0.1, -0.05, -0.06, -0.02, 0.0, 0.0), taps_per_period=4)
    each = contract(ResamplingSpec(reorder_s=0.2, low_pass=short), samples=20)
    each = dataclasses.replace(each, window=dataclasses.replace(each.window, hop_samples=1))
    rng = np.random.default_rng(seed)
    time_s = np.cumsum(np.repeat(rng.choice([1 / 50, 1 / 100, 1 / 200, 1 / 40, 1 / 25], 20), 60))
    xyz = rng.normal([0, 0, 1], 0.3, (len(time_s), 3))
    kept = rng.random(len(time_s)) > 0.05
    time_s, xyz = time_s[kept], xyz[kept]
    expected, windows = pushed(each, time_s, xyz), pushed(each, time_s, xyz, range(len(time_s)))
    assert len(windows) == len(expected) > 20
    assert all(map(same_window, windows, expected))
    assert [window.filter_s for window in windows] == [window.filter_s for window in expected]


# --- delay, memory, extremes


def test_the_delay_is_half_a_filter_and_the_event_says_so():
    time_s, made_for = np.arange(1200) / 100, contract()
    xyz = np.random.default_rng(0).normal([0, 0, 1], 0.3, (1200, 3))
    stream, decider = Stream(made_for), Decider(made_for)
    for now_s, row in zip(time_s, xyz, strict=True):
        for window in stream.push([now_s], [row]):
            assert -1e-9 <= now_s - window.end_s - HALF_S < 0.01 + 1e-9
            event = decider.decide(np.zeros(2, dtype=np.float32), window)
            assert event.delay_s == pytest.approx(64 / 50 + HALF_S)
    (slow, *_) = pushed(made_for, time_s * 2, xyz)
    assert decider.decide(np.zeros(2, dtype=np.float32), slow).delay_s == pytest.approx(64 / 50)


@pytest.mark.parametrize("sensor_hz", [100, 1000])
def test_memory_does_not_depend_on_the_sensors_rate(sensor_hz):
    stream = Stream(contract())
    time_s = np.arange(3 * sensor_hz) / sensor_hz
    stream.push(time_s, tone(time_s, 1.0))
    assert stream._low_pass is not None
    assert len(stream._low_pass._open) <= 11


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e30, 5e-324])
def test_extreme_readings_stay_finite(value):
    time_s = np.arange(900) / 100
    xyz = tone(time_s, 1.0)
    xyz[300:420:2] = value
    windows = pushed(contract(), time_s, xyz)
    assert all(np.isfinite(window.samples).all() for window in windows)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_reading_that_is_no_number_is_dropped_on_every_axis(axis, value):
    time_s, xyz = np.arange(800) / 200, np.random.default_rng(1).normal([0.1, -0.2, 1.0], 0.1, (800, 3))
    xyz[400, axis] = value
    stream = Stream(contract())
    windows = [item for item in (*stream.advance(time_s, xyz), *stream.finish()) if isinstance(item, Window)]
    assert stream.health.not_finite == 1
    assert windows
    assert all(np.abs(window.samples).max() < 3 for window in windows)


def test_a_gap_begins_the_filter_anew():
    time_s = np.arange(1200) / 100
    time_s[600:] += 5
    xyz = tone(time_s, 40.0)
    windows = pushed(contract(), time_s, xyz)
    assert [window.start_s for window in windows if window.after_gap] == pytest.approx([HALF_S, 11 + HALF_S])
    assert loudest(windows) < STOPPED


# --- the contract


def test_a_contract_without_the_field_is_read_as_before_and_todays_travels():
    assert Contract.from_json(PLAIN.to_json()) == PLAIN
    assert Contract.from_json(contract().to_json()) == contract()
    mapping = Contract(labels=("a", "b")).to_json()
    without = (
        mapping.replace('    "low_pass": null,\n', "").replace('    "reorder_s": 0.0\n', "").replace("0.2,\n", "0.2\n")
    )
    assert "low_pass" not in without
    assert "reorder_s" not in without
    assert Contract.from_json(without) == Contract(labels=("a", "b"))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"taps_per_period": 0}, r"low_pass\.taps_per_period must lie between 1 and 64, got 0"),
        ({"taps": (1.0, 0.0)}, r"one more than 1 to 16 times taps_per_period, 2, got 2"),
        ({"taps": (1.0,) * 4}, r"one more than 1 to 16 times taps_per_period, 2, got 4"),
        ({"taps": (1.0, 2.0, 0.0)}, r"begin with the largest, above 0 and at most 1, and end with 0"),
        ({"taps": (1.0, 0.5, 0.1)}, r"begin with the largest"),
        ({"taps": (1.0, float("nan"), 0.0)}, r"begin with the largest"),
        ({"above": 1.0}, r"low_pass\.above must lie between 1\.01 and 10"),
        ({"above": float("inf")}, r"low_pass\.above must lie between 1\.01 and 10"),
    ],
)
def test_a_filter_that_is_none_is_refused(changes, match):
    with pytest.raises(ConfigError, match=match):
        LowPassSpec(**({"taps": (1.0, 0.5, 0.0), "taps_per_period": 2} | changes))


def test_a_filter_needs_samples_that_are_put_in_order():
    with pytest.raises(ConfigError, match=r"resampling\.low_pass needs resampling\.reorder_s above 0"):
        ResamplingSpec(low_pass=todays_resampling().low_pass)
