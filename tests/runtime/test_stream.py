"""The stream against an offline reference that sees the whole recording, and against every kind of bad input."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vskd.contract import STANDARD_GRAVITY_M_S2, Contract, GafSpec, ResamplingSpec, SensorSpec, WindowSpec
from vskd.decide import Decider, Event
from vskd.errors import ConfigError, ContractError, StreamError
from vskd.stream import BLOCK, AxisMap, Stream, TimeUnit, Window, cut_windows, stretch, to_g, whole_window

PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
MAX_GAP_S = 0.25


def small_contract(samples: int = 8, hop_samples: int = 3, rate_hz: float = 50.0, **decision: float) -> Contract:
    window = WindowSpec(samples=samples, hop_samples=hop_samples, rate_hz=rate_hz)
    contract = Contract(labels=("x", "y", "z"), window=window, gaf=GafSpec(size=8))
    return contract.with_decision(**decision)


def resting(samples: int, seed: int = 0) -> np.ndarray:
    """(samples, 3): a wrist near 1 g, never the same twice."""
    return np.random.default_rng(seed).normal([0.1, -0.2, 1.0], 0.2, (samples, 3))


# --- the reference: slow, offline, in plain Python


@dataclass
class Expected:
    windows: list[tuple[np.ndarray, float, float, bool]]
    not_finite: int = 0
    out_of_order: int = 0
    gaps: int = 0


def offline(contract: Contract, time: Sequence[float], xyz: np.ndarray, per_second: int = 1) -> Expected:
    """What the contract asks for, from the whole recording: drop, order, split at gaps, interpolate, cut."""
    expected = Expected([])
    segments: list[list[tuple[float, np.ndarray]]] = []
    origin, last = None, -math.inf
    for when, values in zip(time, xyz, strict=True):
        if not (math.isfinite(when) and all(abs(value) <= 3.4028234e38 for value in values)):
            expected.not_finite += 1
            continue
        origin = when if origin is None else origin
        now_s = (when - origin) / per_second
        if -MAX_GAP_S <= now_s - last <= 0:
            expected.out_of_order += 1
            continue
        if not segments or now_s < last or now_s - last > MAX_GAP_S:
            segments.append([])
        segments[-1].append((now_s, values))
        last = now_s
    expected.gaps = max(0, len(segments) - 1)
    for segment in segments:
        expected.windows += segment_windows(contract, segment, 0.0 if origin is None else origin / per_second)
    return expected


def segment_windows(contract: Contract, segment: list[tuple[float, np.ndarray]], origin_s: float):
    spec = contract.window
    times = [now_s for now_s, _ in segment]
    regular_s: list[float] = []
    while (next_s := times[0] + len(regular_s) / spec.rate_hz) <= times[-1]:
        regular_s.append(next_s)
    regular = np.array([interpolated(segment, times, now_s) for now_s in regular_s], dtype=np.float32)
    windows = []
    for start in range(0, len(regular_s) - spec.samples + 1, spec.hop_samples):
        end = start + spec.samples
        span = (origin_s + regular_s[start], origin_s + regular_s[end - 1])
        windows.append((regular[start:end].T, *span, start == 0))
    return windows


def interpolated(segment: list[tuple[float, np.ndarray]], times: list[float], now_s: float) -> np.ndarray:
    left = bisect.bisect_right(times, now_s) - 1
    if times[left] == now_s:
        return segment[left][1]
    (before_s, before), (after_s, after) = segment[left], segment[left + 1]
    return (before * (after_s - now_s) + after * (now_s - before_s)) / (after_s - before_s)


# --- any way of cutting

STEP_MS = st.one_of(
    *[st.integers(15, 25)] * 8,
    st.integers(1, 250),
    st.sampled_from([0, 0, -1, -20, -250, -251, 251, 400, 1000, -5000, 10**9]),
)


@st.composite
def recordings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, TimeUnit]:
    """Timestamps with jitter, gaps, steps back and resets; values with holes; seconds or whole sensor ticks."""
    steps_ms = draw(st.lists(STEP_MS, min_size=20, max_size=90))
    time_ms = np.cumsum([0, *steps_ms]) + draw(st.sampled_from([0, 1_700_000_000_000, -5]))
    xyz = resting(len(time_ms), draw(st.integers(0, 999)))
    for row in draw(st.lists(st.integers(0, len(xyz) - 1), max_size=4)):
        xyz[row, draw(st.integers(0, 2))] = draw(
            st.sampled_from([math.nan, math.inf, -math.inf, 1e39, 1e30, 0.0, -0.0])
        )
    unit = draw(st.sampled_from(["s", "ms", "us", "ns"]))
    if unit == "s":
        time = time_ms / 1e3
        time[draw(st.lists(st.integers(0, len(time) - 1), max_size=2))] = math.nan
        return time, xyz, unit
    return time_ms.astype(np.int64) * (PER_SECOND[unit] // 1000), xyz, unit


def pushed(contract: Contract, recording: tuple[np.ndarray, np.ndarray, TimeUnit], cuts: Sequence[int]):
    """(windows, events, stream) of pushes that end at the cuts."""
    time, xyz, unit = recording
    stream, decider = Stream(contract, time_unit=unit), Decider(contract)
    windows: list[Window] = []
    bounds = [0, *sorted(min(cut, len(time)) for cut in cuts), len(time)]
    for start, end in itertools.pairwise(bounds):
        windows += stream.push(time[start:end], xyz[start:end])
    events = [decider.decide(np.float32(4) * window.samples.mean(axis=1).clip(-9, 9), window) for window in windows]
    return windows, events, stream


def same_window(one: Window, other: Window) -> bool:
    return one.samples.tobytes() == other.samples.tobytes() and (one.start_s, one.end_s, one.after_gap) == (
        other.start_s,
        other.end_s,
        other.after_gap,
    )


def plain(event: Event) -> tuple[object, ...]:
    return event.label, event.reason, event.start_s, event.end_s, event.probabilities.tobytes()


@settings(max_examples=120)
@given(recording=recordings(), cuts=st.lists(st.integers(0, 95), max_size=12), hop=st.integers(1, 8))
def test_any_way_of_cutting_gives_the_same_windows_events_and_counts(recording, cuts, hop):
    contract = small_contract(hop_samples=hop, smoothing=0.6, min_dwell_windows=2, unknown_below=0.4)
    at_once, events, stream = pushed(contract, recording, [])
    for way in (cuts, range(len(recording[0]))):
        windows, same_events, other = pushed(contract, recording, way)
        assert len(windows) == len(at_once)
        assert all(map(same_window, windows, at_once))
        assert list(map(plain, same_events)) == list(map(plain, events))
        counts = ("samples", "out_of_order", "not_finite", "gaps", "saturated")
        assert [getattr(other.health, name) for name in counts] == [getattr(stream.health, name) for name in counts]
        assert other.health.rate_hz == pytest.approx(stream.health.rate_hz)


@settings(max_examples=120)
@given(recording=recordings(), hop=st.integers(1, 8), rate_hz=st.sampled_from([20.0, 33.3, 50.0, 64.0]))
def test_a_stream_gives_what_the_offline_reference_gives(recording, hop, rate_hz):
    contract = small_contract(hop_samples=hop, rate_hz=rate_hz)
    time, xyz, unit = recording
    expected = offline(contract, time.tolist(), xyz, PER_SECOND[unit])
    windows, _, stream = pushed(contract, recording, [7, 30, 31])
    assume(len(time) - expected.not_finite - expected.out_of_order >= 8)  # enough samples to believe the unit
    assert len(windows) == len(expected.windows)
    for window, (samples, start_s, end_s, after_gap) in zip(windows, expected.windows, strict=True):
        np.testing.assert_allclose(window.samples, samples, rtol=2e-6, atol=1e-6 * max(1.0, np.abs(samples).max()))
        assert window.start_s == pytest.approx(start_s, abs=1e-6)
        assert window.end_s == pytest.approx(end_s, abs=1e-6)
        assert window.after_gap == after_gap
    health = stream.health
    assert (health.not_finite, health.out_of_order, health.gaps) == (
        expected.not_finite,
        expected.out_of_order,
        expected.gaps,
    )


# --- resampling and window times


@pytest.mark.parametrize("input_hz", [25, 50, 100, 200])
def test_a_linear_signal_is_resampled_exactly_at_any_input_rate(input_hz):
    rng = np.random.default_rng(input_hz)
    time = np.arange(6 * input_hz) / input_hz + rng.uniform(-0.3, 0.3, 6 * input_hz) / input_hz
    slope, level = np.array([0.05, -0.1, 0.02]), np.array([0.1, 0.2, 0.9])
    stream = Stream(small_contract(samples=64, hop_samples=32))
    windows = stream.push(time, level + slope * time[:, np.newaxis])
    assert len(windows) == 1 + (int((time[-1] - time[0]) * 50) + 1 - 64) // 32
    for window in windows:
        grid = window.start_s + np.arange(64) / 50
        np.testing.assert_allclose(window.samples.T, level + slope * grid[:, np.newaxis], atol=2e-7)
    assert stream.health.rate_hz == pytest.approx(input_hz, rel=0.01)


def test_a_sample_on_the_grid_is_taken_as_it_is_beside_a_huge_one():
    time = np.arange(16) / 50
    xyz = resting(16)
    xyz[3] = 1e30
    (first, *_) = Stream(small_contract()).push(time, xyz)
    np.testing.assert_array_equal(first.samples, xyz[:8].T.astype(np.float32))


def test_window_times_are_those_of_the_first_and_last_sample_on_the_sensors_clock():
    ticks = 1_700_000_000_000_000_000 + np.arange(100, dtype=np.int64) * 20_000_000
    windows = Stream(small_contract(samples=50, hop_samples=10), time_unit="ns").push(ticks, resting(100))
    assert [window.start_s for window in windows] == pytest.approx([1.7e9 + 0.2 * i for i in range(6)], abs=1e-6)
    assert [window.end_s - window.start_s for window in windows] == pytest.approx([0.98] * 6, abs=1e-6)
    assert [window.after_gap for window in windows] == [True, False, False, False, False, False]


def test_nanoseconds_since_1970_keep_every_digit_as_integers():
    # As float64 these ticks would be rounded to 256 ns, and the ramp with them.
    ticks = 1_700_000_000_000_000_000 + np.arange(64, dtype=np.int64) * 20_000_001
    xyz = np.ones((64, 3)) + np.arange(64)[:, np.newaxis] * 1e-3
    (window, *_) = Stream(small_contract(samples=8), time_unit="ns").push(ticks, xyz)
    exact = 1 + np.arange(8) * 0.02 / 0.020000001 * 1e-3
    np.testing.assert_allclose(window.samples[0], exact, atol=1e-7)


@pytest.mark.parametrize(
    ("ticks", "time_unit"),
    [
        (np.arange(200, dtype=np.int64) * 20_000_000 - 2_000_000_000, "ns"),  # spans more than int32 can subtract
        (np.array([40, 20, *range(60, 800, 20)], dtype=np.int64), "ms"),  # a step back, below zero for unsigned clocks
    ],
)
@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.uint64, np.float64])
def test_clocks_of_any_width_give_the_same_windows(ticks, time_unit, kind):
    if np.dtype(kind).kind == "u":
        ticks = ticks - min(0, ticks.min())
    expected = Stream(small_contract(), time_unit=time_unit).push(ticks, resting(len(ticks)))
    windows = Stream(small_contract(), time_unit=time_unit).push(ticks.astype(kind), resting(len(ticks)))
    assert len(windows) == len(expected) > 9
    assert all(map(same_window, windows, expected))


# --- gaps, order, health


def test_a_gap_empties_the_window_instead_of_inventing_samples():
    time = np.concatenate([np.arange(7) / 50, 0.12 + 0.2501 + np.arange(8) / 50])
    windows = Stream(small_contract()).push(time, resting(15))
    assert [window.start_s for window in windows] == [pytest.approx(0.3701)]
    assert windows[0].after_gap


def test_a_pause_at_the_limit_is_bridged():
    time = np.array([0, 250, 500, 750], dtype=np.int64)
    xyz = np.column_stack([np.zeros(4), np.zeros(4), 1 + time / 1e3])
    stream = Stream(small_contract(samples=8, hop_samples=8), time_unit="ms")
    assert stream.push(time, xyz) == []  # four samples do not show the unit yet
    windows = stream.push(time[-1] + np.arange(1, 5) * 20, np.array([[0, 0, 1.0]] * 4))
    assert stream.health.gaps == 0
    np.testing.assert_allclose(windows[0].samples[2], 1 + np.arange(8) / 50, atol=1e-6)


def test_every_kind_of_dropped_sample_is_counted():
    time = np.array([0, 20, 20, 10, 40, 60, 80, 100, 120, 140, 900, 920, 100, 120], dtype=np.float64)
    xyz = np.tile([0.0, 0.0, 1.0], (14, 1))
    xyz[4] = math.nan
    xyz[5] = [0.0, 8.0, 0.0]
    stream = Stream(small_contract(), time_unit="ms")
    stream.push(time, xyz)
    health = stream.health
    assert (health.samples, health.out_of_order, health.not_finite, health.saturated) == (14, 2, 1, 1)
    assert health.gaps == 2  # a pause of 760 ms, and a clock that stepped back by 820 ms


def test_the_rate_is_measured_without_the_gaps_and_not_before_two_seconds():
    stream = Stream(small_contract())
    stream.push(np.arange(100) / 50, resting(100))
    assert stream.health.rate_hz is None
    stream.push(100 + np.arange(100) / 50, resting(100))
    assert stream.health.rate_hz == pytest.approx(50)


def test_a_reset_clock_starts_a_new_window():
    time = np.concatenate([1000 + np.arange(20) / 50, np.arange(20) / 50])
    windows = Stream(small_contract()).push(time, resting(40))
    assert [window.start_s for window in windows if window.after_gap] == pytest.approx([1000, 0])


def test_a_flat_or_dead_axis_is_a_signal_like_any_other():
    time = np.arange(20) / 50
    (window, *_) = Stream(small_contract()).push(time, np.tile([0.0, 0.0, 1.0], (20, 1)))
    np.testing.assert_array_equal(window.samples, np.array([[0.0], [0.0], [1.0]], dtype=np.float32).repeat(8, axis=1))


@pytest.mark.parametrize("value", [1e30, -1e30, 3.4e38, 5e-324, -1e-310, 0.0])
def test_extreme_but_finite_values_stay_finite(value):
    xyz = resting(40)
    xyz[20:23] = value
    windows = Stream(small_contract(hop_samples=1)).push(np.arange(40) / 49.0, xyz)
    assert len(windows) == 33
    assert all(np.isfinite(window.samples).all() for window in windows)
    largest = max(np.abs(window.samples).max() for window in windows)
    assert largest == pytest.approx(max(abs(value), np.abs(np.delete(xyz, [20, 21, 22], 0)).max()), rel=0.3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39, -1e300])
def test_values_that_float32_cannot_hold_are_dropped_and_counted(value):
    xyz = resting(40)
    xyz[20, 1] = value
    stream = Stream(small_contract(hop_samples=1))
    windows = stream.push(np.arange(40) / 50, xyz)
    assert stream.health.not_finite == 1
    assert len(windows) == 33
    assert all(np.isfinite(window.samples).all() for window in windows)


def test_wild_timestamps_are_gaps_or_dropped_and_the_stream_goes_on():
    time = np.arange(60) / 50
    time[[20, 30, 40]] = [1e30, 1e308, -1e300]
    stream = Stream(small_contract())
    windows = stream.push(time, resting(60))
    assert stream.health.not_finite == 2
    assert stream.health.gaps == 2
    assert windows[-1].start_s > 0.9


# --- units and axes


def test_metres_per_second_squared_become_g():
    xyz = resting(40)
    time = np.arange(40) / 50
    in_g = Stream(small_contract()).push(time, xyz)
    in_si = Stream(small_contract(), unit="m/s^2").push(time, xyz * STANDARD_GRAVITY_M_S2)
    for one, other in zip(in_g, in_si, strict=True):
        np.testing.assert_allclose(one.samples, other.samples, rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "factor", "hint"),
    [
        ("g", STANDARD_GRAVITY_M_S2, r"looks like m/s\^2: use unit='m/s\^2' \(--unit m/s\^2\)"),
        ("m/s^2", 1.0, r"looks like g: use unit='g' \(--unit g\)"),
        ("g", 2048.0, "looks like raw counts"),
        ("m/s^2", 16384.0, "looks like raw counts"),
        ("g", 64.0, "looks like raw counts"),
        ("g", 0.03, "looks like acceleration without gravity"),
        ("m/s^2", 0.1, "looks like acceleration without gravity"),
    ],
)
def test_a_wrong_unit_is_refused_and_named(unit, factor, hint):
    stream = Stream(small_contract(), unit=unit)
    with pytest.raises(StreamError, match=r"the median \|a\| of 8 samples is .*" + hint):
        stream.push(np.arange(40) / 50, resting(40) * factor)


def test_int16_counts_are_refused_and_int16_in_the_right_unit_is_taken():
    time = np.arange(40) / 50
    with pytest.raises(StreamError, match="raw counts"):
        Stream(small_contract()).push(time, np.full((40, 3), 9000, dtype=np.int16))
    windows = Stream(small_contract(), unit="m/s^2").push(time, np.tile(np.array([0, 0, 10], np.int16), (40, 1)))
    np.testing.assert_allclose(windows[0].samples[2], 10 / STANDARD_GRAVITY_M_S2, rtol=1e-6)


def test_a_refused_stream_stays_refused_and_gives_no_window_sample_by_sample():
    stream = Stream(small_contract(samples=64, rate_hz=100.0), unit="g")
    given_before: list[Window] = []
    # 25 Hz: the first window would be complete after 17 samples, the unit is judged after 50.
    for index in range(49):
        given_before += stream.push([index / 25], [[0.0, 0.0, 9.81]])
    assert given_before == []
    for index in range(49, 60):
        with pytest.raises(StreamError, match=r"looks like m/s\^2"):
            stream.push([index / 25], [[0.0, 0.0, 9.81]])


def test_windows_held_back_until_the_unit_is_believed_come_out_in_order():
    stream = Stream(small_contract(samples=64, hop_samples=16, rate_hz=100.0))
    given_back = [len(stream.push([index / 25], [[0.0, 0.0, 1.0]])) for index in range(60)]
    assert given_back[:49] == [0] * 49
    assert given_back[49] == 1 + (197 - 64) // 16
    assert sum(given_back) == 1 + (237 - 64) // 16


def test_the_axis_map_turns_and_flips():
    xyz = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(AxisMap.parse("-y, x,+z")(xyz), [[-2.0, 1.0, 3.0], [-5.0, 4.0, 6.0]])
    np.testing.assert_allclose(to_g(xyz * STANDARD_GRAVITY_M_S2, unit="m/s^2", axes="z,y,-x")[0], [3, 2, -1])
    swapped = Stream(small_contract(), axes="z,x,y").push(np.arange(8) / 50, np.tile([1.0, 0.0, 0.5], (8, 1)))
    np.testing.assert_array_equal(swapped[0].samples[:, 0], [0.5, 1.0, 0.0])


@pytest.mark.parametrize("text", ["x,y", "x,x,z", "x,y,w", "", "x y z", "x,y,z,x"])
def test_an_axis_map_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="an axis map names x, y and z once each"):
        Stream(small_contract(), axes=text)


def test_unknown_units_are_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"no unit 'm/s2' .*Did you mean 'm/s\^2'"):
        Stream(small_contract(), unit="m/s2")
    with pytest.raises(ConfigError, match=r"no time unit 'nsec'"):
        Stream(small_contract(), time_unit="nsec")


# --- shapes, types, modes


@pytest.mark.parametrize(
    ("time", "xyz", "message"),
    [
        ([0.0], [1.0, 2.0, 3.0], r"got \(1,\) and \(3,\)"),
        ([0.0, 0.1], [[1.0, 2.0, 3.0]], r"got \(2,\) and \(1, 3\)"),
        ([0.0], [[1.0, 2.0]], r"got \(1,\) and \(1, 2\)"),
        (0.0, [[1.0, 2.0, 3.0]], r"got \(\) and \(1, 3\)"),
        ([[0.0]], [[1.0, 2.0, 3.0]], r"got \(1, 1\) and \(1, 3\)"),
        ([0.0, 0.1], [[1.0, 2.0, 3.0], [1.0]], r"samples must be time \(n,\) and xyz \(n, 3\)"),
        (["0"], [[1.0, 2.0, 3.0]], "samples must be numbers, got <U1 and float64"),
        ([0.0], [["a", "b", "c"]], "samples must be numbers"),
        ([0.0], [[1j, 0, 0]], "samples must be numbers"),
        ([True], [[1.0, 2.0, 3.0]], "samples must be numbers, got bool"),
        ([0.0], [[None, 0.0, 1.0]], "samples must be numbers, got float64 and object"),
        (np.array(["2026-01-01"], dtype="M8[ns]"), [[1.0, 2.0, 3.0]], "samples must be numbers, got datetime64"),
    ],
)
def test_what_are_no_samples_is_refused_and_leaves_the_stream_as_it_was(time, xyz, message):
    stream = Stream(small_contract())
    with pytest.raises(StreamError, match=message):
        stream.push(time, xyz)
    assert stream.health.samples == 0
    assert len(stream.push(np.arange(8) / 50, resting(8))) == 1


def test_an_empty_push_is_nothing():
    stream = Stream(small_contract())
    assert stream.push(np.empty(0), np.empty((0, 3))) == []
    assert stream.push([0.0], [[math.nan, 0, 0]]) == []
    assert len(stream.push(np.arange(8) / 50, resting(8))) == 1


def test_a_push_keeps_neither_the_callers_arrays_nor_changes_them():
    time, xyz = np.arange(40) / 50, resting(40)
    before = time.copy(), xyz.copy()
    windows = Stream(small_contract()).push(time, xyz)
    np.testing.assert_array_equal(time, before[0])
    np.testing.assert_array_equal(xyz, before[1])
    first = windows[0].samples.copy()
    xyz[:] = 7
    windows[1].samples[:] = 5
    np.testing.assert_array_equal(windows[0].samples, first)


def test_windows_are_ready_for_an_engine():
    (window, *_) = Stream(small_contract()).push(np.arange(8) / 50, resting(8))
    assert window.samples.shape == (3, 8)
    assert window.samples.dtype == np.float32
    assert window.samples.flags.c_contiguous


def test_a_contract_of_whole_recordings_has_no_stream():
    contract = Contract(labels=("a", "b"), window=WindowSpec(mode="whole"))
    with pytest.raises(ContractError, match="decides on whole recordings"):
        Stream(contract)


# --- memory


def held_arrays(stream: Stream) -> dict[int, int]:
    """Address and bytes of every array that the stream keeps alive, whole buffers counted."""
    arrays = [value for value in vars(stream).values() if isinstance(value, np.ndarray)]
    owners = [array if array.base is None else array.base for array in arrays]
    return {owner.ctypes.data: owner.nbytes for owner in owners}


def test_the_memory_of_a_stream_is_what_it_was_made_with():
    stream = Stream(small_contract(samples=128, hop_samples=32))
    made = held_arrays(stream)
    assert sum(made.values()) == 3 * 128 * 4
    for time, xyz in [
        (np.arange(20_000) / 50, np.tile([0.0, 0.0, 1.0], (20_000, 1))),
        (np.arange(400.0, 500.0, 0.2), resting(500)),  # coarser than the grid
        (np.array([math.nan, 600.0, 599.9, 800.0]), resting(4)),
    ]:
        stream.push(time, xyz)
        assert held_arrays(stream) == made


def test_a_push_of_many_blocks_gives_what_its_samples_give_one_by_one():
    samples = 3 * BLOCK + 5
    rng = np.random.default_rng(8)
    time = np.arange(samples) / 50 + rng.uniform(-0.009, 0.009, samples)
    time[BLOCK:] += 1.0  # a gap between the first block and the second
    xyz = resting(samples)
    xyz[2 * BLOCK - 1 : 2 * BLOCK + 1] = math.nan
    at_once, _, stream = pushed(small_contract(), (time, xyz, "s"), [])
    one_by_one, _, other = pushed(small_contract(), (time, xyz, "s"), range(samples))
    assert len(at_once) == len(one_by_one) > 200
    assert all(map(same_window, at_once, one_by_one))
    assert stream.health.gaps == other.health.gaps == 1
    assert stream.health.not_finite == other.health.not_finite == 2


@pytest.mark.parametrize("start", [1e15, 1e18, 3e38])
def test_a_clock_too_coarse_for_the_grid_does_not_hang(start):
    stream = Stream(small_contract())
    stream.push(np.array([0.0, start, start]), resting(3))
    stream.push(start + np.arange(0, 8, 0.125), resting(64))
    assert stream.health.gaps >= 1


def test_memory_does_not_grow_with_the_stream():
    stream = Stream(small_contract(samples=128, hop_samples=32))
    xyz = resting(500)
    tracemalloc.start()
    try:
        for start in range(0, 5000, 500):
            stream.push((start + np.arange(500)) / 50, xyz)
        before, _ = tracemalloc.get_traced_memory()
        for start in range(5000, 105_000, 500):
            stream.push((start + np.arange(500)) / 50, xyz)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000  # 100,000 samples are 3.2 MB


# --- whole recordings


def test_stretch_takes_the_ends_and_is_linear_between():
    time_s = np.array([5.0, 5.5, 7.0])
    xyz = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 2.0], [4.0, 1.0, 2.0]])
    window = stretch(time_s, xyz, 5)
    np.testing.assert_allclose(window, [[0, 1, 2, 3, 4], [1] * 5, [2] * 5], atol=1e-7)
    assert window.dtype == np.float32
    assert window.flags.c_contiguous


@settings(max_examples=50)
@given(seed=st.integers(0, 9999), samples=st.integers(2, 60), wanted=st.integers(2, 80))
def test_stretch_is_linear_interpolation(seed, samples, wanted):
    rng = np.random.default_rng(seed)
    time_s = rng.uniform(0, 1e5) + np.cumsum(rng.uniform(0.001, 0.3, samples))
    xyz = rng.normal(size=(samples, 3))
    segment = list(zip(time_s.tolist(), xyz, strict=True))
    grid = np.linspace(time_s[0], time_s[-1], wanted).tolist()
    expected = np.array([interpolated(segment, time_s.tolist(), min(now_s, time_s[-1])) for now_s in grid])
    np.testing.assert_allclose(stretch(time_s, xyz, wanted).T, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("time_s", "value", "message"),
    [
        ([0.0], 1.0, "needs two samples or more"),
        ([0.0, 1.0, 1.0], 1.0, "time does not increase at sample 2"),
        ([0.0, 2.0, 1.0], 1.0, "time does not increase at sample 2"),
        ([0.0, math.nan, 1.0], 1.0, "NaN or infinity at sample 1"),
        ([0.0, 1.0, 2.0], math.inf, "NaN or infinity at sample 0"),
        ([0.0, 1.0, 2.0], 1e39, "NaN or infinity at sample 0"),
    ],
)
def test_stretch_refuses_what_is_no_recording(time_s, value, message):
    with pytest.raises(StreamError, match=message):
        stretch(np.array(time_s), np.full((len(time_s), 3), value), 8)


def test_a_whole_window_agrees_with_the_training_side_in_any_unit_and_clock(whole_contract):
    time_ms = np.cumsum(np.random.default_rng(0).integers(15, 25, 70)) + 1_700_000_000_000
    xyz = resting(70)
    (expected,) = cut_windows(whole_contract, (time_ms - time_ms[0]) / 1e3, xyz)
    window = whole_window(whole_contract, time_ms, xyz, time_unit="ms")
    np.testing.assert_array_equal(window.samples, expected.samples)
    assert window.start_s == pytest.approx(time_ms[0] / 1e3, abs=1e-6)
    assert window.end_s == pytest.approx(time_ms[-1] / 1e3, abs=1e-6)
    in_si = whole_window(
        whole_contract, time_ms, xyz[:, [1, 0, 2]] * [-9.80665, 9.80665, 9.80665], unit="m/s^2", axes="y,-x,z",
        time_unit="ms",
    )  # fmt: skip
    np.testing.assert_allclose(in_si.samples, expected.samples, rtol=1e-5, atol=1e-6)


def test_a_whole_recording_in_the_wrong_unit_is_refused(whole_contract):
    with pytest.raises(StreamError, match=r"looks like m/s\^2"):
        whole_window(whole_contract, np.arange(60) / 50, resting(60) * STANDARD_GRAVITY_M_S2)


def test_a_whole_recording_of_nothing_is_refused(whole_contract):
    with pytest.raises(StreamError, match="needs two samples or more"):
        whole_window(whole_contract, np.empty(0), np.empty((0, 3)))


def test_cutting_a_recording_gives_what_its_stream_gives():
    contract = small_contract()
    time_s, xyz = np.arange(100) / 50, resting(100)
    stream = Stream(contract)
    streamed = [window for start in range(100) for window in stream.push(time_s[start : start + 1], xyz[[start]])]
    cut = cut_windows(contract, time_s, xyz)
    assert len(cut) == len(streamed) == 31
    assert all(map(same_window, cut, streamed))


def test_the_contracts_own_gap_limit_and_range_hold():
    contract = Contract(
        labels=("a", "b"),
        window=WindowSpec(samples=8, hop_samples=8),
        gaf=GafSpec(size=8),
        resampling=ResamplingSpec(max_gap_s=0.05),
        sensor=SensorSpec(range_g=1.5),
    )
    stream = Stream(contract)
    stream.push(np.array([0, 0.02, 0.08, 0.1]), np.array([[0, 0, 1.0], [0, 1.5, 0], [0, -1.6, 0], [0, 0, 1.49]]))
    assert stream.health.gaps == 1
    assert stream.health.saturated == 2


def test_where_gravity_was_removed_no_unit_can_be_told_wrong() -> None:
    """A wrist at rest reads 0 then, which with gravity is a sensor in another unit."""
    still = 0.01 * (resting(60) - [0.1, -0.2, 1.0])
    time_s = np.arange(60) / 50
    with_gravity = small_contract()
    removed = dataclasses.replace(with_gravity, sensor=SensorSpec(gravity="removed"))
    with pytest.raises(StreamError, match="acceleration without gravity"):
        Stream(with_gravity).push(time_s, still)
    assert len(Stream(removed).push(time_s, still)) == len(Stream(with_gravity).push(time_s, resting(60)))
    assert whole_window(removed, time_s, still).samples.shape == (3, 8)


@pytest.mark.parametrize(
    ("intervals", "is_off"), [(0, False), (391, True), (400, False), (500, False), (600, False), (609, True)]
)
def test_a_rate_is_off_beyond_the_contracts_tolerance_only(intervals, is_off):
    contract = Contract(labels=("a", "b"), resampling=ResamplingSpec(rate_tolerance=0.21))  # of 50 Hz
    health = Stream(contract).health
    health.count_intervals(intervals, elapsed_s=10.0 if intervals else 0.0)
    assert health.is_rate_off(contract) == is_off


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("reading_g", "saturated"), [(4.0, 1), (-4.0, 1), (4.5, 1), (3.9, 0), (-3.9, 0)])
def test_a_saturated_sample_within_a_block_is_counted_once_the_unit_is_believed(axis, reading_g, saturated):
    contract = Contract(labels=("a", "b"), sensor=SensorSpec(range_g=4.0))
    stream, time_s = Stream(contract), np.arange(200) / 50
    xyz = np.tile([0.0, 0.0, 1.0], (200, 1))
    xyz[150, axis] = reading_g
    for start in (0, 100):
        stream.push(time_s[start : start + 100], xyz[start : start + 100])
    assert stream.health.saturated == saturated
