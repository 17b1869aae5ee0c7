"""What became of the samples and of the windows: counts, and the measured rate.

The stream is the one writer of what is counted of samples. A window that was decided on is counted by
``count_decision``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    import numpy as np
    from numpy.typing import NDArray

    from vskd.contract import Contract

#: The rate is named as wrong only after so long, s.
RATE_CHECK_S = 2.0


@dataclass
class Health:
    """What became of the samples and of the windows.

    Attributes
    ----------
    samples : samples pushed
    out_of_order : dropped: time repeated or a little backward
    wild : dropped: a time far from those before and after, see ``vskd.stream.order``
    reordered : sorted in, because they came late
    spread : of packets that share a time, and given times of their own
    not_finite : dropped: NaN, infinite or beyond float32
    gaps : pauses above the limit, and reset clocks
    resets : of these, the ones at which the clock was set back
    saturated : samples with an axis at or beyond the sensor's range in training
    cut_off : windows in which many samples stay at a smaller largest reading, as at the end of another sensor's range
    flat : for each axis the windows in which it read one value throughout, as no live sensor does
    leading_zeros : samples at the start with 0 on every axis, as of a sensor that is not awake yet
    windows : windows decided on
    still : of these, the ones that the motion gate kept from the network
    without_activity : windows that were not decided on, because their signal cannot be known
    recent_rate_hz : rate of the accepted samples, Hz, over the last window, and ``RATE_CHECK_S``, or more; sooner after
        a start the highest that it can be; None before the first window
    recent_saturated : share of these samples that are saturated
    turned : at the end of a stream too short for events to say it: where gravity pointed, if elsewhere than in training
    """

    samples: int = 0
    out_of_order: int = 0
    wild: int = 0
    reordered: int = 0
    spread: int = 0
    not_finite: int = 0
    gaps: int = 0
    resets: int = 0
    saturated: int = 0
    cut_off: int = 0
    windows: int = 0
    still: int = 0
    leading_zeros: int = 0
    without_activity: int = 0
    recent_rate_hz: float | None = None
    recent_saturated: float = 0.0
    turned: str = ""
    flat: list[int] = field(default_factory=lambda: [0, 0, 0])
    _intervals: int = field(default=0, repr=False)
    _elapsed_s: float = field(default=0.0, repr=False)
    _is_settled: bool = field(default=False, repr=False)
    _steps: int = field(default=0, repr=False)
    _grid_hz: float = field(default=0.0, repr=False)
    _marks: deque[tuple[int, int, int]] = field(default_factory=deque, repr=False)  # grid index, intervals, saturated

    @property
    def mean_rate_hz(self) -> float | None:
        """Rate of all accepted samples so far, Hz; None before two seconds of them."""
        return self._intervals / self._elapsed_s if self._elapsed_s >= RATE_CHECK_S else None

    @property
    def rate_hz(self) -> float | None:
        """Rate of the accepted samples, Hz: of the last seconds, or of all so far; None before two seconds of them."""
        return self.recent_rate_hz if self._is_settled else self.mean_rate_hz

    @property
    def still_share(self) -> float:
        """Share of the windows that the motion gate kept from the network."""
        return self.still / self.windows if self.windows else 0.0

    def is_rate_off(self, contract: Contract) -> bool:
        """Whether the measured rate is further from the contract's than it tolerates; one that is filtered is not."""
        tolerance, rate_hz = contract.resampling.rate_tolerance, self.rate_hz
        if rate_hz is None or self.is_filtered(contract):
            return False
        return abs(rate_hz / contract.window.rate_hz - 1) > tolerance

    def is_filtered(self, contract: Contract) -> bool:
        """Whether the sensor is so much faster than the contract that its low-pass filter is used."""
        low_pass, rate_hz = contract.resampling.low_pass, self.rate_hz
        return low_pass is not None and rate_hz is not None and rate_hz >= low_pass.above * contract.window.rate_hz

    def count_decision(self, *, still: bool) -> None:
        """Count a window that was decided on; ``still`` if the motion gate kept it from the network."""
        self.windows += 1
        self.still += still

    def count_intervals(self, count: int, elapsed_s: float) -> None:
        """Count intervals between accepted samples, and the time that they took, s."""
        self._intervals += count
        self._elapsed_s += elapsed_s

    def begin_segment(self, steps: int, grid_hz: float) -> None:
        """The next sample is the first of a grid.

        Parameters
        ----------
        steps : of the grid to measure over, or up to a hop more
        grid_hz : of the grid
        """
        self._steps, self._grid_hz = steps, grid_hz
        self._marks.clear()
        self._marks.append((0, self._intervals, self.saturated))

    def count_window(self, index: int, underway: int) -> None:
        """A window is full: measure rate and saturation over the last seconds.

        Parameters
        ----------
        index : of the window's last sample on its grid
        underway : intervals between accepted samples that ``count_intervals`` does not know yet
        """
        marks, needed, saturated = self._marks, self._steps, self.saturated
        intervals = self._intervals + underway
        marks.append((index, intervals, saturated))
        if index - marks[1][0] >= needed:
            marks.popleft()
        start, since, before = marks[0]
        steps = index - start
        # So soon after a start an interval more or less counts: the rate is at most this.
        self._is_settled = steps >= needed
        taken = intervals - since if self._is_settled else intervals - since + 1
        self.recent_rate_hz = taken * self._grid_hz / steps
        self.recent_saturated = (saturated - before) / (intervals - since) if saturated != before else 0.0

    def count_flat(self, samples: NDArray[np.float32]) -> tuple[int, ...]:
        """Count, and give, the axes of a window (channels, samples) that read one value throughout."""
        found: tuple[int, ...] = ()
        for axis in range(len(self.flat)):
            first = samples.item(axis, 0)
            if samples.item(axis, -1) == first and (samples[axis] == first).all():
                self.flat[axis] += 1
                found += (axis,)
        return found
