"""What became of the samples and of the windows: counts, and the measured rate.

The stream is the one writer of what is counted of samples. A window that was decided on is counted by
``count_decision``.
"""

from __future__ import annotations

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
    saturated : samples with an axis at or beyond the sensor's range in training
    flat : for each axis the windows in which it read one value throughout, as no live sensor does
    windows : windows decided on
    still : of these, the ones that the motion gate kept from the network
    """

    samples: int = 0
    out_of_order: int = 0
    wild: int = 0
    reordered: int = 0
    spread: int = 0
    not_finite: int = 0
    gaps: int = 0
    saturated: int = 0
    windows: int = 0
    still: int = 0
    flat: list[int] = field(default_factory=lambda: [0, 0, 0])
    _intervals: int = field(default=0, repr=False)
    _elapsed_s: float = field(default=0.0, repr=False)

    @property
    def rate_hz(self) -> float | None:
        """Measured rate of the accepted samples, Hz; None before two seconds of them."""
        return self._intervals / self._elapsed_s if self._elapsed_s >= RATE_CHECK_S else None

    @property
    def still_share(self) -> float:
        """Share of the windows that the motion gate kept from the network."""
        return self.still / self.windows if self.windows else 0.0

    def is_rate_off(self, contract: Contract) -> bool:
        """Whether the measured rate is further from the contract's than it tolerates."""
        tolerance = contract.resampling.rate_tolerance
        return self.rate_hz is not None and abs(self.rate_hz / contract.window.rate_hz - 1) > tolerance

    def count_decision(self, *, still: bool) -> None:
        """Count a window that was decided on; ``still`` if the motion gate kept it from the network."""
        self.windows += 1
        self.still += still

    def count_intervals(self, count: int, elapsed_s: float) -> None:
        """Count intervals between accepted samples, and the time that they took, s."""
        self._intervals += count
        self._elapsed_s += elapsed_s

    def count_flat(self, samples: NDArray[np.float32]) -> None:
        """Count the axes of a window (channels, samples) that read one value throughout."""
        for axis in range(len(self.flat)):
            first = samples.item(axis, 0)
            if samples.item(axis, -1) == first and (samples[axis] == first).all():
                self.flat[axis] += 1
