"""Percentiles against scipy's binomial and a sorted list; the warm-up against a clock that the test winds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from vskd_benchmarks.measure.latency import (
    SMALLEST_SAMPLE,
    Statistics,
    WarmUpRule,
    median_with_interval,
    percentile_ns,
    ratio_by_round,
    summarise,
    warm_up,
)


@pytest.mark.parametrize(("percent", "smallest"), SMALLEST_SAMPLE.items())
def test_the_smallest_sample_is_the_least_that_the_rule_allows(percent, smallest):
    def chance_of_fewer_than_two_beyond(windows: int) -> float:
        return float(binom.cdf(1, windows, 1 - percent / 100))

    assert chance_of_fewer_than_two_beyond(smallest) <= 0.01 < chance_of_fewer_than_two_beyond(smallest - 1)


@pytest.mark.parametrize(("percent", "smallest"), SMALLEST_SAMPLE.items())
def test_a_sample_one_short_has_no_percentile(percent, smallest):
    assert percentile_ns(range(smallest - 1), percent) is None
    assert percentile_ns(range(smallest), percent) is not None


@given(st.lists(st.integers(0, 10**10), min_size=64, max_size=300), st.sampled_from([50.0, 90.0]))
def test_a_percentile_is_the_nearest_rank(latency_ns, percent):
    rank = -(-len(latency_ns) * int(percent) // 100)  # rounded up
    assert percentile_ns(latency_ns, percent) == sorted(latency_ns)[rank - 1]


def test_a_summary_keeps_the_slowest_window():
    summary = summarise([1_000] * 129 + [10**9])
    assert summary == Statistics(
        windows=130, p50_ns=1_000, p90_ns=1_000, p95_ns=1_000, p99_ns=None, p99_9_ns=None, min_ns=1_000,
        max_ns=10**9, mean_ns=7_693_300,
    )  # fmt: skip


def test_each_percentile_is_its_own():
    summary = summarise(range(1, 10_008))
    percentiles = (summary.p50_ns, summary.p90_ns, summary.p95_ns, summary.p99_ns, summary.p99_9_ns)
    assert percentiles == (5_004, 9_007, 9_507, 9_907, 9_997)  # ranks rounded up
    assert (summary.min_ns, summary.max_ns, summary.windows) == (1, 10_007, 10_007)


RULE = WarmUpRule(block=5, agreeing=3, tolerance=0.03, ceiling_s=1.0)


def call_that_takes(latencies_ns, clock):
    """Each call moves the clock by the next latency; the last one repeats."""
    remaining = list(latencies_ns)

    def call() -> int:
        latency = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        clock.now += latency
        return latency

    return call


class Hands:
    """A clock that stands still unless a call moves it."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_warm_up_stops_when_three_blocks_agree():
    clock = Hands()
    blocks = [900_000, 300_000, 100_000, 102_000, 101_000, 50_000]
    latencies = [latency for latency in blocks for _ in range(RULE.block)]
    result = warm_up(call_that_takes(latencies, clock), RULE, clock)
    assert result.steady
    assert result.calls == 5 * RULE.block
    assert result.block_medians_ns == (900_000, 300_000, 100_000, 102_000, 101_000)
    assert result.elapsed_ns == clock.now == sum(latencies[: result.calls])


def test_one_slow_call_in_a_block_does_not_unsettle_it():
    clock = Hands()
    latencies = ([100_000] * 4 + [90_000_000]) * 3
    assert warm_up(call_that_takes(latencies, clock), RULE, clock).calls == 15


def test_warm_up_gives_up_at_the_ceiling_and_says_so():
    clock = Hands()
    halving = [2_000_000 * (1 + index % 2) for index in range(10_000) for _ in range(RULE.block)]
    result = warm_up(call_that_takes(halving, clock), RULE, clock)
    assert not result.steady
    assert RULE.ceiling_s * 1e9 <= clock.now < (RULE.ceiling_s + 0.1) * 1e9


@pytest.mark.parametrize(
    ("medians", "steady"),
    [
        ([], False),
        ([100, 100], False),
        ([100, 103, 101], True),
        ([100, 103.1, 101], False),
        ([500, 100, 100, 100], True),
        ([100, 100, 100, 500], False),
    ],
)
def test_the_rule_of_steadiness(medians, steady):
    assert RULE.is_steady(medians) is steady


@pytest.mark.parametrize("windows", [11, 64, 130, 662, 2000])
def test_the_interval_of_a_median_covers_it_with_95_percent(windows):
    interval = median_with_interval(range(windows))
    low, high = interval["low_ns"], interval["high_ns"]
    # The true median lies between the order statistics if at least low + 1 and at most high readings are below it.
    coverage = binom.cdf(high, windows, 0.5) - binom.cdf(low, windows, 0.5)
    assert 0.95 <= coverage < 0.99


def test_the_median_of_too_few_differences_is_not_given():
    assert median_with_interval([-5] * 10) == {"p50_ns": None, "low_ns": None, "high_ns": None}
    assert median_with_interval([-5] * 11) == {"p50_ns": -5, "low_ns": -5, "high_ns": -5}


def test_a_ratio_is_taken_within_rounds():
    # The machine is twice as slow in the second round: the ratio of 10 does not see it.
    slow = [np.full(5, 1000), np.full(5, 2000), np.full(5, 1000)]
    fast = [np.full(5, 100), np.full(5, 200), np.full(5, 50)]
    assert ratio_by_round(slow, fast) == {"ratio": 10.0, "lowest": 10.0, "highest": 20.0, "rounds": 3}
