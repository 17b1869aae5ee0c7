"""How latency is measured: warm-up until steady, percentiles only where the sample suffices.

Nothing is clipped and no outlier is dropped. This module knows neither engines nor models; what it times is a callable
that returns nanoseconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Smallest sample for a percentile: the least n for which two readings or more lie beyond it with a confidence of
#: 0.99, P(Binomial(n, 1 - p) <= 1) <= 0.01. That is the early stopping rule of MLPerf's load generator.
SMALLEST_SAMPLE = {50.0: 11, 90.0: 64, 95.0: 130, 99.0: 662, 99.9: 6636}


def percentile_ns(latency_ns: ArrayLike, percent: float) -> int | None:
    """The percentile by nearest rank, so always a latency that was measured; None where the sample is too small.

    Parameters
    ----------
    latency_ns : (windows,)
    percent : one of ``SMALLEST_SAMPLE``
    """
    values = np.asarray(latency_ns)
    if values.size < SMALLEST_SAMPLE[percent]:
        return None
    return int(np.percentile(values, percent, method="inverted_cdf"))


@dataclass(frozen=True)
class Statistics:
    """Of one array of raw nanoseconds. A percentile is null below its smallest sample (MLPerf's early stopping).

    Attributes
    ----------
    windows : readings
    p50_ns, p90_ns, p95_ns, p99_ns, p99_9_ns : percentiles by nearest rank; they take 11, 64, 130, 662, 6636 readings
    min_ns, max_ns : extremes; nothing is clipped
    mean_ns : rounded
    """

    windows: int
    p50_ns: int | None
    p90_ns: int | None
    p95_ns: int | None
    p99_ns: int | None
    p99_9_ns: int | None = field(metadata={"key": "p99.9_ns"})
    min_ns: int
    max_ns: int
    mean_ns: int


def summarise(latency_ns: ArrayLike) -> Statistics:
    """Sample size, mean, extremes and the percentiles that the sample allows, ns."""
    values = np.asarray(latency_ns, dtype=np.int64)
    return Statistics(
        windows=int(values.size),
        p50_ns=percentile_ns(values, 50.0),
        p90_ns=percentile_ns(values, 90.0),
        p95_ns=percentile_ns(values, 95.0),
        p99_ns=percentile_ns(values, 99.0),
        p99_9_ns=percentile_ns(values, 99.9),
        min_ns=int(values.min()),
        max_ns=int(values.max()),
        mean_ns=round(float(values.mean())),
    )


@dataclass(frozen=True)
class WarmUpRule:
    """When a case is warm: the medians of ``agreeing`` blocks in a row lie close together.

    Attributes
    ----------
    block : calls in a block
    agreeing : blocks in a row that must agree
    tolerance : largest relative difference between their medians
    ceiling_s : after this time the measurement starts all the same, and the result records that it was not steady
    """

    block: int = 20
    agreeing: int = 3
    tolerance: float = 0.03
    ceiling_s: float = 10.0

    def is_steady(self, medians_ns: Sequence[float]) -> bool:
        """Whether the last blocks agree; medians of all blocks so far, oldest first."""
        last = medians_ns[-self.agreeing :]
        return len(last) == self.agreeing and max(last) <= min(last) * (1 + self.tolerance)


@dataclass(frozen=True)
class WarmUp:
    """How the warm-up went.

    Attributes
    ----------
    steady : whether the rule was met before the ceiling
    calls : calls made
    elapsed_ns : by the clock
    block_medians_ns : of every block, rounded
    """

    steady: bool
    calls: int
    elapsed_ns: int
    block_medians_ns: tuple[int, ...]


def warm_up(call: Callable[[], int], rule: WarmUpRule, clock: Callable[[], int] = time.perf_counter_ns) -> WarmUp:
    """Call until steady, or until the ceiling.

    Parameters
    ----------
    call : does the work once and returns its latency, ns
    rule : when to stop
    clock : for the ceiling
    """
    start = clock()
    medians: list[float] = []
    while not rule.is_steady(medians) and clock() - start < rule.ceiling_s * 1e9:
        medians.append(float(np.median([call() for _ in range(rule.block)])))
    return WarmUp(rule.is_steady(medians), len(medians) * rule.block, clock() - start, tuple(map(round, medians)))


def median_with_interval(readings_ns: ArrayLike) -> dict[str, int | None]:
    """The median and its interval of 95 % confidence from order statistics, whatever the distribution.

    Parameters
    ----------
    readings_ns : (windows,), differences may be negative

    Returns
    -------
    ``p50_ns``, and ``low_ns`` and ``high_ns``, the readings whose ranks lie 0.98 sqrt(n) below and above the middle
    (the normal approximation of the binomial); all None below the smallest sample for p50
    """
    values = np.sort(np.asarray(readings_ns, dtype=np.int64))
    if values.size < SMALLEST_SAMPLE[50.0]:
        return {"p50_ns": None, "low_ns": None, "high_ns": None}
    reach = 0.98 * math.sqrt(values.size)
    low = max(0, math.floor(values.size / 2 - reach))
    high = min(values.size - 1, math.ceil(values.size / 2 + reach))
    return {"p50_ns": percentile_ns(values, 50.0), "low_ns": int(values[low]), "high_ns": int(values[high])}


def ratio_by_round(
    slow: Sequence[NDArray[np.number[Any]]], fast: Sequence[NDArray[np.number[Any]]]
) -> dict[str, float | int | None]:
    """How many times faster: the ratio of the medians, round by round, because a machine's speed drifts.

    Parameters
    ----------
    slow, fast : latencies of each round, both in one unit; rounds of both were measured in turns

    Returns
    -------
    ``ratio``, the median over rounds, ``lowest`` and ``highest`` of them, and how many ``rounds``
    """
    ratios = [float(np.median(a) / np.median(b)) for a, b in zip(slow, fast, strict=True)]
    return {
        "ratio": round(float(np.median(ratios)), 2),
        "lowest": round(min(ratios), 2),
        "highest": round(max(ratios), 2),
        "rounds": len(ratios),
    }
