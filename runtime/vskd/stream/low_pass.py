"""The low-pass filter ahead of the resampling of a sensor that is well faster than the contract.

Without it, what such a sensor reads above half of the contract's rate comes back as a slower movement that nobody made.
The filter is the contract's symmetric FIR, taken as a function of time: a regular sample is the mean of the readings
within half a filter around it, each weighted by the filter at its distance and by the time that the reading stands for.
So one set of taps serves every rate, jitter and lost samples included, and the weights' sum makes a constant exact. A
regular sample is complete half a filter after its time: the delay.

The weights are sums and products in a fixed order, without a function that differs between machines. Memory: the
regular samples within one filter, whatever the sensor's rate.
"""

from __future__ import annotations

import math

from vskd.contract import LowPassSpec

#: Time, s, x, y, z.
Sample = tuple[float, float, float, float]


class LowPass:
    """Gives regular samples out of irregular ones.

    Parameters
    ----------
    spec : the filter
    rate_hz : the contract's

    Attributes
    ----------
    half_s : the delay, s; half_periods : the same in periods of the contract
    is_begun : between ``begin`` and ``flush``
    """

    def __init__(self, spec: LowPassSpec, rate_hz: float) -> None:
        self.half_periods = spec.half_periods
        self.half_s = spec.half_periods / rate_hz
        self.is_begun = False
        self._period_s = 1 / rate_hz
        self._rate_hz = rate_hz
        self._scale = spec.taps_per_period * rate_hz
        self._end = float(len(spec.taps) - 1)
        self._taps = spec.taps
        self._rises = [after - before for before, after in zip(spec.taps, spec.taps[1:], strict=False)]
        self._open: list[list[float]] = []  # time, sum of weights, weighted x, y, z of each sample that is not complete
        self._last: Sample = (0.0, 0.0, 0.0, 0.0)
        self._before_s = self._anchor_s = 0.0
        self._next_index = 0

    def begin(self, sample: Sample, *, anchor_s: float, index: int) -> None:
        """Begin with a sample of the sensor, whose time is in s.

        Parameters
        ----------
        sample : the first
        anchor_s : where the grid of regular samples starts, s
        index : of the first regular sample wanted, counted from there
        """
        self.is_begun = True
        self._open.clear()
        self._last, self._before_s = sample, sample[0]
        self._anchor_s, self._next_index = anchor_s, index

    def take(self, now_s: float, x: float, y: float, z: float) -> list[tuple[float, float, float]]:
        """Take the next sample of the sensor; gives the regular ones that are complete with it."""
        last_s, last_x, last_y, last_z = self._last
        # Where samples are missing the line between their neighbours stands for them.
        pieces = math.ceil((now_s - last_s) / self._period_s)
        for piece in range(1, pieces):
            part = piece / pieces
            self._add(
                last_s + (now_s - last_s) * part,
                last_x + (x - last_x) * part,
                last_y + (y - last_y) * part,
                last_z + (z - last_z) * part,
            )
        self._add(now_s, x, y, z)
        complete = []
        while self._open and self._open[0][0] + self.half_s <= now_s:
            complete.append(_mean(self._open.pop(0)))
        return complete

    def flush(self) -> list[tuple[float, float, float]]:
        """End here: the regular samples up to now, of what of the filter is there."""
        self.is_begun = False
        last_s = self._last[0]
        self._weigh(last_s)
        now = [_mean(one) for one in self._open if one[0] <= last_s]
        self._open.clear()
        return now

    def _add(self, now_s: float, x: float, y: float, z: float) -> None:
        while (due_s := self._anchor_s + self._next_index / self._rate_hz) - self.half_s < now_s:
            self._open.append([due_s, 0.0, 0.0, 0.0, 0.0])
            self._next_index += 1
        self._weigh(now_s)
        self._before_s, self._last = self._last[0], (now_s, x, y, z)

    def _weigh(self, after_s: float) -> None:
        """Add the last sample, which stands for half of the time from the one before to the one after."""
        last_s, x, y, z = self._last
        share_s, scale, end = (after_s - self._before_s) / 2, self._scale, self._end
        taps, rises = self._taps, self._rises
        for one in self._open:
            place = abs(last_s - one[0]) * scale
            if place < end:
                tap = int(place)
                weight = (taps[tap] + (place - tap) * rises[tap]) * share_s
                one[1] += weight
                one[2] += weight * x
                one[3] += weight * y
                one[4] += weight * z


def _mean(one: list[float]) -> tuple[float, float, float]:
    _, weights, x, y, z = one
    return x / weights, y / weights, z / weights
