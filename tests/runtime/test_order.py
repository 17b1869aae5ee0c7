"""The order of samples: what is sorted, spread and dropped, and that nothing of it depends on the pushes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runtime.test_stream import recordings, same_window
from vskd.contract import Contract, GafSpec, ResamplingSpec, WindowSpec
from vskd.errors import ConfigError
from vskd.stream import Health, Pause, Stream, Window, in_order
from vskd.stream.order import LONGEST, OPENING, Order

MAX_GAP_S, REORDER_S = 0.25, 0.2
RATES = st.sampled_from([25.0, 50.0, 64.0, 100.0, 200.0])


def contract(reorder_s: float = REORDER_S, *, samples: int = 32, rate_hz: float = 50.0) -> Contract:
    window = WindowSpec(samples=samples, hop_samples=samples // 2, rate_hz=rate_hz)
    resampling = ResamplingSpec(reorder_s=reorder_s)
    return Contract(labels=("a", "b"), window=window, gaf=GafSpec(size=8), resampling=resampling)


def played(
    made_for: Contract, time_s: np.ndarray, xyz: np.ndarray, cuts: Sequence[int] = ()
) -> tuple[list[Window | Pause], Health]:
    stream = Stream(made_for)
    bounds = [0, *sorted(min(cut, len(time_s)) for cut in cuts), len(time_s)]
    items = [
        item for start, end in itertools.pairwise(bounds) for item in stream.advance(time_s[start:end], xyz[start:end])
    ]
    return [*items, *stream.finish()], stream.health


def counts(health: Health) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(health).items() if not name.startswith("_")}


def same(items: list[Window | Pause], others: list[Window | Pause]) -> bool:
    return len(items) == len(others) and all(
        one == other if isinstance(one, Pause) else isinstance(other, Window) and same_window(one, other)
        for one, other in zip(items, others, strict=True)
    )


def new_order() -> Order:
    return Order(max_gap_s=MAX_GAP_S, reorder_s=REORDER_S, opening=OPENING, tell=lambda fate, sample: None)


def wrist(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal([0.1, -0.2, 1.0], 0.2, (samples, 3))


def clock(samples: int, rate_hz: float, *, jitter: float = 0.0, seed: int = 0) -> np.ndarray:
    off = np.random.default_rng(seed).uniform(-jitter, jitter, samples)
    return 1000 + (np.arange(samples) + off) / rate_hz


# --- any way of cutting


@settings(max_examples=60)
@given(recording=recordings(), cuts=st.lists(st.integers(0, 95), max_size=12), reorder_s=st.sampled_from([0.05, 0.2]))
def test_any_way_of_cutting_gives_the_same_windows_pauses_and_counts(recording, cuts, reorder_s):
    time, xyz, unit = recording
    time_s = time / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    made_for = contract(reorder_s, samples=8)
    items, health = played(made_for, time_s, xyz)
    for way in (cuts, range(len(time_s))):
        others, other_health = played(made_for, time_s, xyz, way)
        assert same(items, others)
        assert counts(other_health) == counts(health)


@settings(max_examples=60)
@given(recording=recordings())
def test_every_sample_is_given_once_in_order_or_told_of(recording):
    time, xyz, _ = recording
    usable = np.isfinite(time) & np.isfinite(xyz).all(axis=1)
    time_s, xyz = time[usable] / 1e3, xyz[usable]
    found = in_order(time_s.tolist(), xyz.tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    dropped = [row for fate in ("late", "repeated", "wild") for row in found.fates.get(fate, [])]
    assert sorted([*found.rows, *dropped]) == list(range(len(time_s)))
    for start, end in itertools.pairwise([*found.starts, len(found.rows)]):
        steps = np.diff(found.time_s[start:end])
        assert (steps > 0).all()
        assert (steps <= MAX_GAP_S + 1e-9).all()
    moved = set(found.fates.get("spread", []))
    assert all(time_s[row] == at_s for row, at_s in zip(found.rows, found.time_s, strict=True) if row not in moved)


# --- a sensor that is in order


@settings(max_examples=40)
@given(rate_hz=RATES, jitter=st.floats(0, 0.3), seed=st.integers(0, 99), lost=st.integers(0, 20))
def test_samples_in_order_give_the_same_bits_as_without_the_rule(rate_hz, jitter, seed, lost):
    time_s, xyz = clock(400, rate_hz, jitter=jitter, seed=seed), wrist(400, seed)
    keep = np.sort(np.random.default_rng(seed).permutation(400)[lost:])
    assume(np.diff(time_s[keep]).max() <= MAX_GAP_S)
    items, health = played(contract(), time_s[keep], xyz[keep])
    expected, _ = played(contract(0.0), time_s[keep], xyz[keep])
    assert same(items, expected)
    assert (health.wild, health.reordered, health.spread, health.out_of_order) == (0, 0, 0, 0)


def test_a_window_comes_with_its_last_sample_as_without_the_rule():
    time_s, xyz = clock(200, 50.0), wrist(200)
    complete: dict[float, list[int]] = {}
    for reorder_s in (0.0, REORDER_S):
        stream = Stream(contract(reorder_s))
        complete[reorder_s] = [at for at in range(200) if stream.push(time_s[at : at + 1], xyz[at : at + 1])]
    assert complete[REORDER_S] == complete[0.0]
    assert len(complete[0.0]) == 11


def test_behind_a_missing_sample_none_waits_longer_than_the_bound():
    time_s = np.delete(clock(200, 50.0), [100, 101, 150]).tolist()
    order = new_order()
    waited_s = []
    for now_s in time_s:
        order.take((now_s, 0.0, 0.0, 1.0))
        waited_s.append(now_s - order._pending[0][0] if order._pending else 0.0)
    assert max(waited_s[OPENING:]) == pytest.approx(REORDER_S - 0.02)
    assert waited_s[-1] == 0


# --- late


@settings(max_examples=60)
@given(rate_hz=RATES, jitter=st.floats(0, 0.15), seed=st.integers(0, 999), late_s=st.floats(0, 0.95 * REORDER_S))
def test_samples_that_are_late_within_the_bound_are_sorted_in(rate_hz, jitter, seed, late_s):
    time_s, xyz = clock(400, rate_hz, jitter=jitter, seed=seed), wrist(400, seed)
    arrival = np.argsort(time_s + np.random.default_rng(seed).uniform(0, late_s, 400), kind="stable")
    items, health = played(contract(), time_s[arrival], xyz[arrival])
    expected, _ = played(contract(0.0), time_s, xyz)
    assert [item.end_s for item in items] == pytest.approx([item.end_s for item in expected])
    for one, other in zip(items, expected, strict=True):
        np.testing.assert_allclose(one.samples, other.samples, atol=1e-6)
    assert health.out_of_order == health.wild == health.gaps == 0


@pytest.mark.parametrize("block", [2, 3, 5, 6, 10])
def test_blocks_that_come_backwards_are_sorted_from_the_first_sample_on(block):
    time_s, xyz = clock(400, 50.0), wrist(400)
    arrival = np.arange(390).reshape(-1, block)[:, ::-1].ravel()
    found = in_order(time_s[arrival].tolist(), xyz[arrival].tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    assert arrival[found.rows].tolist() == list(range(390))
    assert list(found.fates) == ["sorted"]


def test_a_sample_that_is_too_late_is_dropped_and_counted():
    time_s, xyz = clock(200, 50.0), wrist(200)
    arrival = [*range(50), *range(51, 62), 50, *range(62, 200)]  # 0.22 s late
    _, health = played(contract(), time_s[arrival], xyz[arrival])
    assert (health.out_of_order, health.reordered, health.gaps) == (1, 0, 0)


# --- a shared time


@settings(max_examples=60)
@given(size=st.integers(2, 12), rate_hz=RATES, seed=st.integers(0, 99), cut=st.integers(0, 11))
def test_packets_that_share_a_time_are_spread_evenly(size, rate_hz, seed, cut):
    assume(size / rate_hz <= MAX_GAP_S and size > cut)
    time_s, xyz = clock(480, rate_hz), wrist(480, seed)
    shared_s = time_s[np.arange(480) // size * size][cut:]
    found = in_order(shared_s.tolist(), xyz[cut:].tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    whole = [row for row in range(480 - cut) if size - cut <= row < 480 - cut - size]  # not of the torn packets
    at_s = dict(zip(found.rows, found.time_s, strict=True))
    np.testing.assert_allclose([at_s[row] for row in whole], time_s[cut:][whole], atol=0.3 / rate_hz if cut else 1e-9)
    assert set(found.fates) == {"spread"}


@settings(max_examples=100)
@given(
    size=st.integers(2, 5),
    ulps=st.integers(1, 6),
    at=st.integers(0, 30),
    tail=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_packets_between_whose_times_there_is_no_room_come_to_an_end(size, ulps, at, tail, seed):
    """Spread over a few neighbouring numbers, samples would still share times, and be spread again for ever."""
    times = np.repeat(clock(30, 10.0), size)
    near = times[at]
    for _ in range(ulps):
        near = np.nextafter(near, math.inf)
    times = np.sort(np.concatenate((times, np.full(tail, near))))
    found = in_order(times.tolist(), wrist(len(times), seed).tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    assert (np.diff(found.time_s) > 0).all()
    assert sorted(found.rows + found.fates.get("repeated", [])) == list(range(len(times)))


def test_a_lost_packet_leaves_a_hole_and_does_not_stretch_the_one_before():
    time_s, xyz = clock(400, 50.0), wrist(400)
    shared_s = time_s[np.arange(400) // 4 * 4]
    keep = (np.arange(400) // 4) != 40
    found = in_order(shared_s[keep].tolist(), xyz[keep].tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    np.testing.assert_allclose(found.time_s, time_s[keep], atol=1e-9)


def test_samples_stamped_at_one_delivery_are_spread_over_the_hole_before_them():
    time_s, xyz = clock(400, 50.0), wrist(400)
    stamped_s = time_s.copy()
    stamped_s[200:205] = time_s[204]
    found = in_order(stamped_s.tolist(), xyz.tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    np.testing.assert_allclose(found.time_s, time_s, atol=1e-9)
    assert found.fates == {"spread": [200, 201, 202, 203]}


@pytest.mark.parametrize("copies", [1, 2])
def test_a_repeated_sample_is_dropped_whatever_it_holds(copies):
    time_s, xyz = clock(400, 50.0), wrist(400)
    rows = np.insert(np.arange(400), [100] * copies, 99)
    values = xyz[rows]
    values[100 : 100 + copies] *= -1
    found = in_order(time_s[rows].tolist(), values.tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    assert found.fates == {"repeated": list(range(100, 100 + copies))}
    assert found.time_s == time_s.tolist()


def test_a_log_in_which_every_line_stands_twice_is_that_log():
    time_s, xyz = clock(200, 50.0), wrist(200)
    twice = np.repeat(np.arange(200), 2)
    found = in_order(time_s[twice].tolist(), xyz[twice].tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    assert found.time_s == time_s.tolist()
    assert len(found.fates["repeated"]) == 200


def test_whole_seconds_that_fifty_samples_share_give_no_window():
    time_s, xyz = np.floor(np.arange(1000) / 50), wrist(1000)
    items, health = played(contract(), time_s, xyz)
    assert not [item for item in items if isinstance(item, Window)]
    assert (health.out_of_order, health.spread) == (980, 0)


# --- wild times, resets, pauses


@settings(max_examples=60)
@given(
    at=st.integers(0, 199),
    off_s=st.one_of(st.floats(0.5, 1e10), st.floats(-1e10, -0.5)),
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 200), max_size=5),
)
def test_one_wild_time_costs_one_sample(at, off_s, seed, cuts):
    time_s, xyz = clock(200, 50.0, jitter=0.1, seed=seed), wrist(200, seed)
    wild_s = time_s.copy()
    wild_s[at] += off_s
    assume(np.abs(wild_s[at] - np.delete(time_s, at)).min() > MAX_GAP_S)
    items, health = played(contract(), wild_s, xyz, cuts)
    expected, _ = played(contract(), np.delete(time_s, at), np.delete(xyz, at, axis=0))
    assert [item.end_s for item in items] == pytest.approx([item.end_s for item in expected], abs=1e-4)
    for one, other in zip(items, expected, strict=True):
        np.testing.assert_allclose(one.samples, other.samples, atol=1e-3)  # of ten digits the wild time left six
    assert health.wild + health.gaps == 1  # at the start one cannot know which of two clocks is wild
    assert health.gaps == 0 or at == 0


def test_two_wild_times_that_are_alike_are_no_other_clock():
    time_s, xyz = clock(200, 50.0), wrist(200)
    time_s[[50, 120]] = 9e6
    _, health = played(contract(), time_s, xyz)
    assert (health.wild, health.gaps) == (2, 0)


@pytest.mark.parametrize("step_s", [-500.0, -0.6, 0.3, 7.0, 1e9])
def test_a_reset_or_a_pause_starts_a_segment_and_costs_nothing(step_s):
    time_s, xyz = clock(300, 50.0), wrist(300)
    time_s[150:] += step_s
    items, health = played(contract(), time_s, xyz)
    first, _ = played(contract(), time_s[:150], xyz[:150])
    second, _ = played(contract(), time_s[150:], xyz[150:])
    windows = [item for item in items if isinstance(item, Window)]
    for one, other in zip(windows, [*first, *second], strict=True):
        np.testing.assert_allclose(one.samples, other.samples, atol=1e-5)
    pauses = [item for item in items if isinstance(item, Pause)]
    assert [(pause.start_s, pause.end_s) for pause in pauses] == (
        [(pytest.approx(time_s[149]), pytest.approx(time_s[150]))] if step_s > 0 else []
    )
    assert (health.gaps, health.wild) == (1, 0)
    found = in_order(time_s.tolist(), xyz.tolist(), max_gap_s=MAX_GAP_S, reorder_s=REORDER_S)
    assert found.starts == [0, 150]
    assert found.resets == ([150] if step_s < 0 else [])


def test_a_sensor_slower_than_the_longest_gap_is_all_pauses():
    time_s, xyz = clock(60, 2.0), wrist(60)
    items, health = played(contract(), time_s, xyz)
    assert not [item for item in items if isinstance(item, Window)]
    assert health.gaps >= 57
    assert health.wild <= 2


# --- bounds


@given(seed=st.integers(0, 30), late_s=st.floats(0, 5), rate_hz=st.sampled_from([50.0, 2000.0]))
@settings(max_examples=20)
def test_no_more_samples_are_held_than_the_bound(seed, late_s, rate_hz):
    rng = np.random.default_rng(seed)
    time_s = clock(3000, rate_hz) + rng.uniform(0, late_s, 3000)
    order = new_order()
    for now_s in time_s.tolist():
        order.take((now_s, 0.0, 0.0, 1.0))
        assert len(order._pending) + len(order._strays) <= LONGEST + 8
    order.finish()
    assert order.is_idle


@pytest.mark.parametrize("reorder_s", [-0.1, 0.3, math.nan])
def test_a_bound_that_reaches_over_a_gap_is_refused(reorder_s):
    with pytest.raises(ConfigError, match=r"resampling\.reorder_s must lie between 0 and (max_gap_s, 0\.25|60) s, got"):
        ResamplingSpec(reorder_s=reorder_s)
