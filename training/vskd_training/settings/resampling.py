"""The resampling that a contract written today has; older ones keep what they were written with.

The low-pass filter is a sinc under a Kaiser window (Kaiser, "Nonrecursive digital filter design using the I0-sinh
window function", ISCAS 1974), whose stop band begins at half of the contract's rate. Its taps are rounded to
``DECIMALS``, so that every machine writes the same contract.
"""

from __future__ import annotations

import math

from vskd.contract import LowPassSpec, ResamplingSpec

#: A sensor's driver hands samples over in batches, a few of them out of order: by up to so much sensor time, s.
REORDER_S = 0.2
#: The largest batch: 750 samples at 50 Hz, s.
BATCH_S = 15.0
#: What lies above half of the contract's rate keeps at most 1/180 of its amplitude.
ATTENUATION_DB = 45.0
#: Half of the filter's length, in periods of the contract: a delay of 0.1 s at 50 Hz.
HALF_PERIODS = 5
TAPS_PER_PERIOD = 16
DECIMALS = 6


def todays_resampling() -> ResamplingSpec:
    """Samples are put in order, and sensors well faster than the contract are filtered."""
    return ResamplingSpec(reorder_s=REORDER_S, batch_s=BATCH_S, low_pass=LowPassSpec(kaiser_taps(), TAPS_PER_PERIOD))


def kaiser_taps() -> tuple[float, ...]:
    """Half of the impulse response, from its middle to its end, which is 0; per period of the contract's rate."""
    # Kaiser's formulas for the width of the transition, in units of the rate, and for the window.
    width = (ATTENUATION_DB - 7.95) / (14.36 * 2 * HALF_PERIODS)
    cutoff = 0.5 - width / 2
    beta = 0.5842 * (ATTENUATION_DB - 21) ** 0.4 + 0.07886 * (ATTENUATION_DB - 21)
    last = HALF_PERIODS * TAPS_PER_PERIOD
    taps = [
        2
        * cutoff
        * _sinc(2 * cutoff * tap / TAPS_PER_PERIOD)
        * _i0(beta * math.sqrt(1 - (tap / last) ** 2))
        / _i0(beta)
        for tap in range(last)
    ]
    return (*(round(tap, DECIMALS) for tap in taps), 0.0)


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _i0(x: float) -> float:
    """The modified Bessel function of order 0, by its series."""
    term = total = 1.0
    index = 0
    while term > total * 1e-17:
        index += 1
        term *= (x / (2 * index)) ** 2
        total += term
    return total
