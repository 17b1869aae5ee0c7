"""Stretches of samples that two recordings share, at any offset: copies, crops, and overlapping cuts.

Two sensors never give the same noise for a second. Where they seem to, one recording is a piece of the other, and
under another subject's name it would lie on both sides of a split.

Every run of ``RUN`` samples is hashed (a polynomial over the readings, rounded to 0.1 mg, so that another number of
digits or another unit changes nothing), and of each ``SPACING`` consecutive runs the one with the smallest hash is kept
(winnowing: Schleimer, Wilkerson, Aiken, SIGMOD 2003). Equal stretches keep equal runs wherever they begin, so any
shared stretch of ``ALWAYS_FOUND`` samples has two of them. Runs in which the readings hardly change, as of a sensor
that sleeps, say nothing and are not kept.

This module knows samples by names. It does not know subjects, labels or what to do about a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RUN = 16
SPACING = 16
#: A shared stretch of so many samples holds two kept runs.
ALWAYS_FOUND = RUN + 2 * SPACING - 1

#: Readings are compared to this, g: finer than one count of a 16-bit sensor of +-8 g.
_STEP_G = 1e-4
#: Far beyond any sensor, and within what an integer holds.
_MOST_STEPS = 1e18
#: Of the samples of a run so many differ from the one before, or the run says nothing.
_FEWEST_CHANGES = RUN // 2
_BASE = np.uint64(0x9E3779B97F4A7C15)
#: The inverse of the base modulo 2^64.
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


@dataclass(frozen=True)
class Shared:
    """What a recording shares with one that was added before.

    Attributes
    ----------
    other : that recording
    samples : how many at least; a few at either end of a stretch are not seen
    first, other_first : where the longest shared stretch begins in each, sample indices
    """

    other: str
    samples: int
    first: int
    other_first: int


class CopyFinder:
    """Recordings seen so far, by the hashes of their kept runs: some 30 bytes of memory for each sample."""

    def __init__(self) -> None:
        self._names: list[str] = []
        #: Hash of a run -> recording and first sample of where it was first seen.
        self._runs: dict[int, tuple[int, int]] = {}

    def add(self, name: str, acceleration_g: NDArray[np.float64]) -> tuple[Shared, ...]:
        """Remember a recording.

        Parameters
        ----------
        name : of the recording
        acceleration_g : (samples, 3), g

        Returns
        -------
        what it shares with those before, the largest share first
        """
        runs = kept_runs(acceleration_g)
        seen: dict[int, dict[int, list[int]]] = {}
        for first, value in runs:
            if value in self._runs:
                other, other_first = self._runs[value]
                seen.setdefault(other, {}).setdefault(first - other_first, []).append(first)
        number = len(self._names)
        self._names.append(name)
        for first, value in runs:
            self._runs.setdefault(value, (number, first))
        found = (_shared(self._names[other], offsets) for other, offsets in seen.items())
        return tuple(sorted((one for one in found if one), key=lambda one: -one.samples))


def _shared(other: str, offsets: dict[int, list[int]]) -> Shared | None:
    """Of the kept runs that two recordings share, by offset; a single one at its offset is chance."""
    stretches = {offset: starts for offset, starts in offsets.items() if len(starts) > 1}
    if not stretches:
        return None
    samples = sum(_length(starts) for starts in stretches.values())
    offset, starts = max(stretches.items(), key=lambda item: _length(item[1]))
    return Shared(other, samples, starts[0], starts[0] - offset)


def _length(starts: list[int]) -> int:
    """Samples from the first kept run to the end of the last, without the pauses between that are not shared."""
    steps = [min(later - earlier, 2 * SPACING) for earlier, later in pairwise(starts)]
    return sum(steps) + RUN


def kept_runs(acceleration_g: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First sample and hash of the runs by which a recording (samples, 3), g, is found again, in order."""
    if len(acceleration_g) < RUN:
        return []
    steps = np.rint(np.clip(acceleration_g / _STEP_G, -_MOST_STEPS, _MOST_STEPS)).astype(np.int64).astype(np.uint64)
    hashes = _hashes(steps)
    changed = np.concatenate(([0], np.cumsum((steps[1:] != steps[:-1]).any(axis=1))))
    says_something = changed[RUN - 1 :] - changed[: len(hashes)] >= _FEWEST_CHANGES
    hashes[~says_something] = np.iinfo(np.uint64).max
    # A run is kept if it is the smallest of any SPACING in a row: then the largest of those minima is its own.
    width = min(SPACING, len(hashes))
    minima = _over_windows(np.minimum, hashes, width)
    padded = np.concatenate((np.zeros(width - 1, np.uint64), minima, np.zeros(width - 1, np.uint64)))
    starts = np.flatnonzero((_over_windows(np.maximum, padded, width) == hashes) & says_something)
    return list(zip(starts.tolist(), hashes[starts].tolist(), strict=True))


def _over_windows(smaller: np.ufunc, values: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """The minimum or maximum of each ``width`` values in a row, (n - width + 1,), by doubling."""
    done = 1
    while done < width:
        step = min(done, width - done)
        values = smaller(values[:-step], values[step:])
        done += step
    return values


def _hashes(steps: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each run of ``RUN`` rows (samples, 3), modulo 2^64: (samples - RUN + 1,)."""
    rows = _mixed(_mixed(_mixed(steps[:, 0]) + steps[:, 1]) + steps[:, 2])
    powers = np.cumprod(np.full(len(rows), _BASE))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(rows * powers)))
    back = np.cumprod(np.full(len(rows) - RUN + 1, _INVERSE))
    return _mixed((sums[RUN:] - sums[: len(back)]) * back)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all 64 (the last steps of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
