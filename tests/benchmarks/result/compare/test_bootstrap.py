"""Intervals of percentiles and of their ratios."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vskd_benchmarks.compare.bootstrap import Spread, latency_ratio, spread, widening

shapes = st.tuples(st.integers(1, 40), st.integers(1, 30))


@given(shape=shapes, percent=st.sampled_from([50.0, 90.0, 99.0]), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_replicates_are_readings_and_the_seed_decides(shape, percent, seed):
    readings = np.random.default_rng(seed).integers(1000, 2000, size=shape)
    one, same = (spread(readings, percent, seed=seed) for _ in range(2))
    assert np.array_equal(one.replicates_ns, same.replicates_ns)
    assert set(one.replicates_ns) <= set(readings.ravel())
    assert one.measured_ns == np.percentile(readings, percent, method="inverted_cdf")


def test_other_seeds_give_other_replicates():
    readings = np.random.default_rng(0).integers(1000, 9000, size=(8, 50))
    assert not np.array_equal(*(spread(readings, 50.0, seed=seed).replicates_ns for seed in (1, 2)))


def test_a_difference_between_rounds_widens_the_interval():
    # The same readings: once each round has a level of its own, once they are shuffled.
    levels = np.repeat(np.arange(8)[:, np.newaxis] * 100 + 1000, 50, axis=1)
    shuffled = np.random.default_rng(0).permutation(levels.ravel()).reshape(8, 50)
    by_round, mixed = (np.ptp(np.quantile(spread(each, 50.0, seed=0).replicates_ns, [0.025, 0.975]))
                       for each in (levels, shuffled))  # fmt: skip
    assert by_round >= 2 * mixed > 0


def test_many_rounds_are_drawn_in_runs():
    # A slow wave: each round is like its neighbours, so that single rounds would seem to say more than they do.
    wave = 1000 + 300 * np.sin(np.linspace(0, 3 * np.pi, 320))
    readings = np.repeat(wave[:, np.newaxis], 5, axis=1)
    slow = spread(readings, 50.0, seed=0)
    mixed = spread(np.random.default_rng(0).permutation(readings, axis=0), 50.0, seed=0)
    assert slow.blocks == mixed.blocks == 16
    assert slow.replicates_ns.std() > 2 * mixed.replicates_ns.std()


def test_a_known_ratio_lies_within_its_interval():
    draw = np.random.default_rng(4)
    below, above = (
        spread(median * np.exp(0.05 * draw.normal(size=(8, 100))), 50.0, seed=seed)
        for seed, median in enumerate((1e6, 1.2e6))
    )
    interval = latency_ratio(below, above)
    assert interval.low < 1.2 < interval.high
    assert interval.low < interval.ratio < interval.high
    assert interval.high / interval.low < 1.05


def test_few_blocks_widen_the_interval_around_the_measured_ratio():
    draw = np.random.default_rng(0).normal(size=2000)
    few, many = (Spread(1_000_000, (1e6 * np.exp(0.01 * draw)).astype(np.int64), blocks) for blocks in (8.0, 1000.0))
    fixed = Spread(500_000, np.full(2000, 500_000), 1000.0)
    narrow, wide = latency_ratio(fixed, many), latency_ratio(fixed, few)
    assert narrow.ratio == wide.ratio == 2.0
    assert np.log(narrow.high / 2) == pytest.approx(0.0196, rel=0.1)
    assert np.log(wide.high / 2) / np.log(narrow.high / 2) == pytest.approx(widening(8) / widening(1000), rel=1e-6)
    assert np.log(wide.low / 2) / np.log(narrow.low / 2) == pytest.approx(widening(8) / widening(1000), rel=1e-6)


def test_equal_constant_readings_have_the_ratio_one_and_no_width():
    one = spread(np.full((8, 20), 500), 50.0, seed=0)
    interval = latency_ratio(one, one)
    assert (interval.ratio, interval.low, interval.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("blocks", [4, 8, 16, 30])
def test_the_widening_is_students(blocks):
    expected = stats.t.ppf(0.975, blocks - 1) / stats.norm.ppf(0.975) * np.sqrt(blocks / (blocks - 1))
    assert widening(blocks) == pytest.approx(expected, rel=0.01)
