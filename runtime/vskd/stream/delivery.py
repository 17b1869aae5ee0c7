"""Delivery is not sensor time: how far the samples that have arrived reach ahead of the clock on the wall.

A watch hands over seconds of samples at once, and then nothing until the next batch. The sensor is silent only when it
would have used up what it handed over.
"""

from __future__ import annotations

from collections.abc import Callable

#: A sensor's clock may be so much slower or faster than the wall's.
USED_UP = 1.05


class Delivery:
    """Follows one live stream.

    Parameters
    ----------
    most_s : the largest batch that is believed, s of the sensor's time
    clock : of the wall, s, monotonic

    """

    def __init__(self, most_s: float, *, clock: Callable[[], float]) -> None:
        self._most_s, self._clock = most_s, clock
        self._last_s: float | None = None
        self._arrived_s = 0.0
        self._ahead_s = 0.0

    @property
    def in_hand_s(self) -> float:
        """For how long, by the wall's clock, what was in hand when the latest sample arrived may last, s."""
        return self._ahead_s * USED_UP

    def arrived(self, first_s: float, last_s: float) -> None:
        """Samples have arrived; the stream's first sample and its latest are of these times, s."""
        if last_s == self._last_s:  # a sample that is held, or dropped: of when it was made nothing is known yet
            return
        now_s = self._clock()
        if self._last_s is None:
            self._last_s, self._arrived_s = first_s, now_s
        made_s = max(0.0, last_s - self._last_s)  # a clock that was set back has made none
        self._ahead_s += made_s - USED_UP * (now_s - self._arrived_s)
        self._ahead_s = min(max(self._ahead_s, 0.0), self._most_s)
        self._last_s, self._arrived_s = last_s, now_s
