"""Energy out of power readings: rectangles and ramps by hand, a true signal by property, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd_benchmarks.device.power_trace import PowerTrace, measured_energy

S = 1_000_000_000


def trace(seconds, watts):
    return PowerTrace(np.rint(np.array(seconds) * S).astype(np.int64), np.array(watts, np.float64))


def test_a_ramp_by_the_trapezoid_rule_also_between_readings():
    ramp = trace([0, 1, 2, 3], [0, 2, 4, 6])
    assert ramp.energy_j(0, 3 * S) == pytest.approx(9.0)
    # Between 0.5 s (1 W) and 2.25 s (4.5 W): mean 2.75 W over 1.75 s.
    assert ramp.energy_j(S // 2, 9 * S // 4) == pytest.approx(2.75 * 1.75)
    # Within one step, from 1.25 s (2.5 W) to 1.75 s (3.5 W).
    assert ramp.energy_j(5 * S // 4, 7 * S // 4) == pytest.approx(1.5)


@given(
    st.lists(st.floats(0, 10), min_size=3, max_size=40),
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_the_energy_of_two_neighbouring_stretches_is_that_of_both(watts, one, other, third):
    power = trace(np.arange(len(watts)), watts)
    low, mid, high = (int(part * power.time_ns[-1]) for part in sorted((one, other, third)))
    assert power.energy_j(low, mid) + power.energy_j(mid, high) == pytest.approx(power.energy_j(low, high), abs=1e-9)
    assert power.energy_j(low, high) >= 0


def test_energy_over_idle_by_hand():
    # One watt idle for 10 s; then two blocks of 10 s at 3 W with 5 s of 1 W between; read each 0.1 s.
    seconds = np.arange(0, 40, 0.1)
    busy = ((seconds >= 12) & (seconds <= 22)) | ((seconds >= 27) & (seconds <= 37))
    blocks = np.array([[12 * S, 22 * S], [27 * S, 37 * S]])
    found = measured_energy(trace(seconds, np.where(busy, 3.0, 1.0)), (0, 10 * S), blocks)
    assert found.idle_w == pytest.approx(1.0)
    assert found.active_w == pytest.approx(3.0)
    assert found.total_j == pytest.approx(60.0)
    assert found.over_idle_j == pytest.approx(40.0)
    # No scatter: the edges alone, 2 W * 0.1 s / sqrt(12) * sqrt(4), twice.
    assert found.uncertainty_j == pytest.approx(2 * 2 * 0.1 / 12**0.5 * 2)
    assert found.readings == 202


@settings(max_examples=60)
@given(
    idle_w=st.floats(0.1, 3), extra_w=st.floats(0, 5), step_s=st.floats(0.02, 0.3), phase=st.floats(0, 1),
    noise_w=st.floats(0, 0.3), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_the_true_energy_lies_within_three_times_the_stated_uncertainty(idle_w, extra_w, step_s, phase, noise_w, seed):
    # A rectangle sampled at an unknown phase with noise: the energy is known exactly.
    seconds = np.arange(-1, 50, step_s) + phase * step_s
    blocks_s = np.array([[20.0, 27.0], [30.0, 41.0]])
    busy = ((seconds[:, None] >= blocks_s[:, 0]) & (seconds[:, None] <= blocks_s[:, 1])).any(axis=1)
    noise = np.random.default_rng(seed).normal(0, noise_w, len(seconds)) if noise_w else 0.0
    power = trace(seconds, idle_w + extra_w * busy + noise)
    found = measured_energy(power, (0, 15 * S), np.rint(blocks_s * S).astype(np.int64))
    assert abs(found.over_idle_j - extra_w * 18.0) <= 3 * found.uncertainty_j + 1e-9


BLOCKS = np.array([[20 * S, 30 * S]])


@pytest.mark.parametrize(
    ("power", "message"),
    [
        (trace([], []), "0 power readings are too few"),
        (trace(np.arange(100, 130), np.ones(30)), "do not overlap the run: they span 100.0 to 129.0 s"),
        (trace(np.arange(5, 60), np.ones(55)), "span 5.0 to 59.0 s since the start of the run"),
        (trace(np.arange(0, 25), np.ones(25)), "and the measurement 0.0 to 30.0 s"),
        (trace(np.arange(0, 61, 2), np.ones(31)), "each 2 s is too coarse: 6 readings within the blocks"),
        (trace(np.r_[0, np.arange(16, 40, 0.5)], np.ones(49)), "and 1 within the idle time"),
    ],
)
def test_readings_that_cannot_tell_the_energy_are_refused(power, message):
    with pytest.raises(DataError, match=message):
        measured_energy(power, (0, 15 * S), BLOCKS)


def test_a_block_too_short_for_the_meter_is_refused():
    power = trace(np.arange(0, 60, 1.0), np.ones(60))
    blocks = np.array([[20 * S, 40 * S], [41 * S + 1, 41 * S + S // 2]])
    with pytest.raises(DataError, match=r"the shortest of 0\.50 s") as caught:
        measured_energy(power, (0, 15 * S), blocks)
    assert caught.value.hint == "Sample faster, or measure for longer with --duration-s"
