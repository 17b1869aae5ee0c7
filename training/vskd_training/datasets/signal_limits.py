"""What a contract says of the signal, measured on the training subjects' recordings, with the margins stated here.

A device refuses what lies outside: what was never seen in training, with a margin, gets no activity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, RecordingSpec, SignalSpec
from vskd.stream.signal_checks import GRAVITY_G, SlowPart, angle_deg, cut_off, held_share, mean_direction, slow_part
from vskd_training.datasets.prepared import Prepared

Float64 = NDArray[np.float64]

#: The sensor needs this share of the contract's rate, or of the slowest training recording's if that is lower.
RATE_SHARE = 0.6

#: A whole recording may be so many times longer or shorter than those of the training.
DURATION_FACTOR = 4.0

#: A whole recording may have gaps so many times longer than the longest in training.
GAP_FACTOR = 2.0

#: With gravity, the mean reading may be this share of the least one of the training, relative to the root mean square.
LEAST_MEAN_FACTOR = 0.8

#: The mean reading over a window may be so many times longer than in training, but at least ``GRAVITY_G[1]``; and the
#: root mean square of |a| so many times larger.
MEAN_FACTOR, RMS_FACTOR = 1.5, 2.0

#: A wearer's mean reading may point so much further from the training's than that of any training subject and any
#: activity, since twenty seconds may hold one alone (of any training recording, where recordings are windows), and at
#: least ``LEAST_WITHIN_DEG``. Those that differ more than ``MOST_WITHIN_DEG`` leave that much, so that a sensor of the
#: opposite sign is still told; recordings that do turn the rule off, since each is judged alone.
ANGLE_MARGIN_DEG, LEAST_WITHIN_DEG, MOST_WITHIN_DEG = 30.0, 60.0, 120.0

#: Where more than this share of the training windows are frozen, as with a sensor of a few coarse steps, or cut off, as
#: with one of a small range, no rule can tell them from the ones to be answered, and the contract asks for none.
USUAL_IN_TRAINING = 0.01


@dataclass(frozen=True)
class _Stretch:
    """A window's length of a recording, or all of it; of whom and of what (or of which recording)."""

    of: tuple[Hashable, ...]
    slow: SlowPart
    held: float
    cut_off: float


def with_signal_limits(contract: Contract, prepared: Prepared, recordings: Sequence[int]) -> Contract:
    """A copy of a contract that knows what the signals of these recordings are like.

    Parameters
    ----------
    prepared : the data
    recordings : of the training subjects, indices into ``prepared.infos``; without any, nothing is known and the
        contract is returned as it is
    """
    signals = [prepared.sensor(index) for index in recordings]
    usable = [(row, time_s, xyz) for row, (time_s, xyz) in zip(recordings, signals, strict=True) if len(time_s) > 1]
    if not usable:
        return contract
    is_whole = contract.window.mode == "whole"
    stretches = [
        _Stretch(
            (row,) if is_whole else (("subject", prepared.infos[row].subject), ("label", prepared.infos[row].label)),
            slow_part(part.T),
            held_share(part.T),
            cut_off(part.T)[0],
        )
        for row, time_s, xyz in usable
        for part in _parts(contract, time_s, xyz)
        if not _sleeps(part)
    ]
    if not stretches:
        return replace(contract, signal=SignalSpec())
    times = [time_s for _, time_s, _ in usable]
    slowest_hz = min(1 / float(np.median(np.diff(time_s))) for time_s in times)
    direction, within_deg = _direction(contract, stretches, is_whole=is_whole)
    signal = SignalSpec(
        min_rate_hz=0.0 if is_whole else RATE_SHARE * min(contract.window.rate_hz, slowest_hz),
        least_mean_share=min(
            SignalSpec().least_mean_share,
            LEAST_MEAN_FACTOR * min(each.slow.length_g / max(each.slow.rms_g, GRAVITY_G[0]) for each in stretches),
        ),
        largest_mean_g=max(GRAVITY_G[1], MEAN_FACTOR * max(each.slow.length_g for each in stretches)),
        largest_rms_g=RMS_FACTOR * max(each.slow.rms_g for each in stretches),
        frozen_share=_limit([each.held for each in stretches], SignalSpec().frozen_share),
        saturated_share=_limit([each.cut_off for each in stretches], SignalSpec().saturated_share),
        gravity_direction=direction,
        gravity_within_deg=within_deg,
    )
    recording = _recording(times, contract.resampling.max_gap_s) if is_whole else None
    return replace(contract, signal=signal, recording=recording)


def slow_recordings(contract: Contract, prepared: Prepared, recordings: Sequence[int]) -> str:
    """A warning if some of these recordings were sampled more slowly than windows are; else empty."""
    rates_hz = [1 / float(np.median(np.diff(prepared.sensor(row)[0]))) for row in recordings]
    window, tolerance = contract.window, contract.resampling.rate_tolerance
    slow = [rate for rate in rates_hz if rate < (1 - tolerance) * window.rate_hz]
    if window.mode == "whole" or not slow:
        return ""
    return (
        f"warning: {len(slow)} of {len(rates_hz)} recordings have {min(slow):.3g} to {max(slow):.3g} Hz, and windows "
        f"have {window.rate_hz:g} Hz: between their samples a window is a guess; set window.rate_hz, or leave them out"
    )


def _parts(contract: Contract, time_s: Float64, xyz: Float64) -> list[Float64]:
    """The recording in stretches of a window's length, as it was sampled; all of it if it is shorter, or the window."""
    if contract.window.mode == "whole":
        return [xyz]
    rows = max(2, round(contract.window.duration_s / float(np.median(np.diff(time_s)))))
    return [xyz[start : start + rows] for start in range(0, max(1, len(xyz) - rows + 1), rows)]


def _limit(shares: Sequence[float], limit: float) -> float:
    """A limit for shares of a window; 1, which none exceeds, where the training often exceeds it."""
    return 1.0 if sum(share > limit for share in shares) > USUAL_IN_TRAINING * len(shares) else limit


def _sleeps(part: Float64) -> bool:
    """Whether a stretch (samples, 3) holds the zeros of a sensor that sleeps: it says nothing of what a signal is."""
    return float((~part.any(axis=1)).mean()) > SignalSpec().zero_share


def _direction(contract: Contract, stretches: Sequence[_Stretch], *, is_whole: bool) -> tuple[tuple[float, ...], float]:
    """Gravity's direction, and how far a wearer's may be from it; empty and all where there is none to speak of."""
    of_all = mean_direction([each.slow for each in stretches])
    if contract.sensor.gravity != "included" or of_all is None:
        return (), 180.0
    groups: dict[Hashable, list[SlowPart]] = defaultdict(list)
    for each in stretches:
        for group in each.of:
            groups[group].append(each.slow)
    means = [mean for mean in map(mean_direction, groups.values()) if mean is not None]
    within_deg = max(LEAST_WITHIN_DEG, max(angle_deg(of_all, mean) for mean in means) + ANGLE_MARGIN_DEG)
    if is_whole and within_deg > MOST_WITHIN_DEG:
        return (), 180.0
    return of_all, min(within_deg, MOST_WITHIN_DEG)


def _recording(times: Sequence[Float64], max_gap_s: float) -> RecordingSpec:
    lasts_s = [float(time_s[-1] - time_s[0]) for time_s in times]
    rates_hz = [(len(time_s) - 1) / one_s for time_s, one_s in zip(times, lasts_s, strict=True)]
    longest_gap_s = max(float(np.diff(time_s).max()) for time_s in times)
    return RecordingSpec(
        shortest_s=min(lasts_s) / DURATION_FACTOR,
        longest_s=max(lasts_s) * DURATION_FACTOR,
        lowest_rate_hz=min(rates_hz) * RATE_SHARE,
        largest_gap_s=max(longest_gap_s * GAP_FACTOR, max_gap_s),
    )
