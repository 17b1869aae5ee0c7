"""The times of a whole recording put right: single wild stamps, samples out of order, clocks that start anew.

A stream decides sample by sample (``vskd.stream.order``); a file can be seen from both ends, so that late blocks of any
length are sorted. Samples that share a time are left to the stream's rule. This module knows times, and no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vskd.stream import Ordered, in_order

Float64 = NDArray[np.float64]

#: Samples that share a time are a packet, and are spread; where the times are further apart they are no times, s.
LONGEST_PACKET_S = 0.25

#: A stamp is wild if it lies more than so many steps from both neighbours, which lie no more from each other.
_WILD_STEPS = 4
#: A larger step back is a clock that started anew, a smaller one is jitter: the stream's default, s.
_RESET_S = 0.25
#: Between what was recorded before and after a reset nobody knows the time. More than any stream bridges, s.
RESET_GAP_S = 10.0


@dataclass(frozen=True)
class Clock:
    """The times of a recording, put right.

    Attributes
    ----------
    rows : (kept,), which samples are kept, in the order of their times
    time_s : (kept,), their times, increasing but for repeated ones, s
    wild : (samples,), whether a stamp was far from its neighbours', so that the sample is dropped
    out_of_order : (samples,), whether a sample came after a later one and was put in its place
    backward : (samples,), whether it did and has no place, so that it is dropped
    resets : (samples,), whether the clock started anew with this sample, after a pause of ``RESET_GAP_S``
    """

    rows: NDArray[np.intp]
    time_s: Float64
    wild: NDArray[np.bool_]
    out_of_order: NDArray[np.bool_]
    backward: NDArray[np.bool_]
    resets: NDArray[np.bool_]


def put_right(time_s: Float64) -> Clock:
    """Drop what has no time, sort what is out of order, and let a clock that starts anew go on.

    Parameters
    ----------
    time_s : (samples,), finite, in the order of the file, s
    """
    none = np.zeros(len(time_s), dtype=bool)
    wild = _wild(time_s)
    rows = np.flatnonzero(~wild)
    times = time_s[rows]
    late = _is_late(times)
    if not late.any():
        return Clock(rows, times, wild, none, none, none)
    if _pieces_are_apart(times):
        order = np.argsort(times, kind="stable")
        return Clock(rows[order], times[order], wild, _marked(none, rows[late]), none, none)
    resets = np.flatnonzero(np.diff(times) < -_RESET_S) + 1
    times = times.copy()
    for start, end in zip(resets, [*resets[1:], len(times)], strict=True):
        times[start:end] += times[:start].max() + RESET_GAP_S - times[start]
    late = _is_late(times)
    return Clock(rows[~late], times[~late], wild, none, _marked(none, rows[late]), _marked(none, rows[resets]))


def spread_packets(time_s: Float64, xyz: Float64) -> Ordered:
    """Times of their own for samples that share one, by the stream's rule; what has no room is a repeated sample.

    Parameters
    ----------
    time_s : (samples,), never decreasing, s
    xyz : (samples, 3); equal readings of one time are a repetition
    """
    return in_order(time_s.tolist(), xyz.tolist(), max_gap_s=float(np.ptp(time_s)) + 1.0, reorder_s=0.0)


def shared_too_long(time_s: Float64) -> str:
    """Why times (samples,) that most samples share, as whole seconds do, are no sampling times; else empty."""
    times, counts = np.unique(time_s, return_counts=True)
    if len(times) < 2 or np.median(counts) < 2:
        return ""
    step_s, share = float(np.median(np.diff(times))), int(np.median(counts))
    if step_s <= LONGEST_PACKET_S:
        return ""
    return f"{share} samples share each time, {step_s:g} s apart; drop the time column, and state rate_hz"


def _wild(time_s: Float64) -> NDArray[np.bool_]:
    """Single stamps far from both neighbours', which are near to each other; at either end, far from all others."""
    wild = np.zeros(len(time_s), dtype=bool)
    if len(time_s) < 4:
        return wild
    step_s = float(np.median(np.abs(np.diff(time_s))))
    before, at, after = time_s[:-2], time_s[1:-1], time_s[2:]
    away = np.minimum(np.abs(at - before), np.abs(at - after))
    near = (after > before) & (after - before <= _WILD_STEPS * step_s)
    wild[1:-1] = near & (away > _WILD_STEPS * step_s)
    # At an end there is one neighbour: the stamp is wild if the gap beside it is longer than all the rest.
    for end in (0, -1, 0):  # a wild last one hides a wild first one
        others = np.flatnonzero(~wild)
        rest = np.delete(time_s[others], end)
        if len(rest) > 1 and abs(time_s[others[end]] - rest[end]) > max(_WILD_STEPS * step_s, np.ptp(rest)):
            wild[others[end]] = True
    return wild


def _is_late(time_s: Float64) -> NDArray[np.bool_]:
    """Whether a later time came before."""
    late = np.zeros(len(time_s), dtype=bool)
    late[1:] = time_s[1:] < np.maximum.accumulate(time_s)[:-1]
    return late


def _pieces_are_apart(time_s: Float64) -> bool:
    """Whether the pieces between steps back and long steps cover times of their own: then they can be sorted."""
    steps = np.diff(time_s)
    usual_s = float(np.median(np.abs(steps)))
    cuts = np.flatnonzero((steps < 0) | (steps > 2 * usual_s)) + 1
    pieces = sorted((float(piece.min()), float(piece.max())) for piece in np.split(time_s, cuts))
    return all(start >= end - 2 * usual_s for (_, end), (start, _) in pairwise(pieces))


def _marked(none: NDArray[np.bool_], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    marked = none.copy()
    marked[rows] = True
    return marked
