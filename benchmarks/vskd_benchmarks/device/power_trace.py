"""Power over time, and the energy of a stretch of it.

Between two readings the power is a straight line (the trapezoid rule). Knows nothing of where the readings come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError

#: Readings within one block of a case, within all of them, and within the idle time, below which no energy is given.
FEWEST_IN_BLOCK, FEWEST_IN_CASE, FEWEST_IDLE = 2, 10, 5


@dataclass(frozen=True)
class PowerTrace:
    """Power over time.

    Attributes
    ----------
    time_ns : (readings,), rising, ns since the start of the run
    power_w : (readings,)
    """

    time_ns: NDArray[np.int64]
    power_w: NDArray[np.float64]

    @property
    def step_s(self) -> float:
        """The usual time between two readings, s."""
        return float(np.median(np.diff(self.time_ns))) / 1e9

    def within(self, start_ns: int, end_ns: int) -> NDArray[np.float64]:
        """Readings of the power within a stretch."""
        inside = (self.time_ns >= start_ns) & (self.time_ns <= end_ns)
        return self.power_w[inside]

    def energy_j(self, start_ns: int, end_ns: int) -> float:
        """Energy of a stretch that the trace covers, J."""
        inside = self.time_ns[(self.time_ns > start_ns) & (self.time_ns < end_ns)]
        time_ns = np.concatenate([[start_ns], inside, [end_ns]])
        power_w = np.interp(time_ns, self.time_ns, self.power_w)
        return float(np.sum(np.diff(time_ns) / 1e9 * (power_w[1:] + power_w[:-1]) / 2))


@dataclass(frozen=True)
class MeasuredEnergy:
    """Energy of a case's blocks.

    Attributes
    ----------
    total_j : everything that flowed during the blocks
    over_idle_j : less what the idle machine takes in the same time
    uncertainty_j : twice the standard uncertainty of both (about 95 %), see ``measured_energy``
    idle_w, active_w : mean powers
    readings : within the blocks
    """

    total_j: float
    over_idle_j: float
    uncertainty_j: float
    idle_w: float
    active_w: float
    readings: int


def measured_energy(trace: PowerTrace, idle_ns: tuple[int, int], blocks_ns: NDArray[np.int64]) -> MeasuredEnergy:
    """Energy of the blocks of a case.

    The uncertainty has three parts, taken to be independent: at each of the two edges of a block the power steps at a
    moment that is known to a sampling step (uniform: step / sqrt(12)); the scatter of the readings within the blocks,
    and that within the idle time, each over the root of their number. A fault of the meter itself is not in it.

    Parameters
    ----------
    trace : of the whole run
    idle_ns : start and end of the idle time
    blocks_ns : (blocks, 2), start and end of each

    Raises
    ------
    DataError : the trace does not cover them, or has too few readings
    """
    if len(trace.time_ns) < FEWEST_IN_CASE:
        raise DataError(f"{len(trace.time_ns)} power readings are too few", hint="Start the meter before the run")
    _check_cover(trace, min(idle_ns[0], int(blocks_ns.min())), max(idle_ns[1], int(blocks_ns.max())))
    idle = trace.within(*idle_ns)
    within = [trace.within(int(start), int(end)) for start, end in blocks_ns]
    _check_sampling(trace, idle, within, blocks_ns)
    readings = np.concatenate(within)
    idle_s, blocks_s = (idle_ns[1] - idle_ns[0]) / 1e9, float((blocks_ns[:, 1] - blocks_ns[:, 0]).sum()) / 1e9
    idle_w = trace.energy_j(*idle_ns) / idle_s
    total_j = sum(trace.energy_j(int(start), int(end)) for start, end in blocks_ns)
    active_w = total_j / blocks_s
    edges_j = abs(active_w - idle_w) * trace.step_s / 12**0.5 * (2 * len(blocks_ns)) ** 0.5
    scatter_j = float(readings.std(ddof=1)) / len(readings) ** 0.5 * blocks_s
    idle_j = float(idle.std(ddof=1)) / len(idle) ** 0.5 * blocks_s
    uncertainty_j = 2 * float(np.linalg.norm([edges_j, scatter_j, idle_j]))
    return MeasuredEnergy(total_j, total_j - idle_w * blocks_s, uncertainty_j, idle_w, active_w, len(readings))


def _check_cover(trace: PowerTrace, start_ns: int, end_ns: int) -> None:
    first, last = int(trace.time_ns[0]), int(trace.time_ns[-1])
    if last < start_ns or first > end_ns:
        raise DataError(
            f"the power readings do not overlap the run: they span {first / 1e9:.1f} to {last / 1e9:.1f} s, the run "
            f"{start_ns / 1e9:.1f} to {end_ns / 1e9:.1f} s since its start",
            hint="Check the clocks of this machine and of the meter's",
        )
    if first > start_ns or last < end_ns:
        raise DataError(
            f"the power readings span {first / 1e9:.1f} to {last / 1e9:.1f} s since the start of the run, "
            f"the idle time and the measurement {start_ns / 1e9:.1f} to {end_ns / 1e9:.1f} s",
            hint="Start the meter before the run and stop it afterwards",
        )


def _check_sampling(
    trace: PowerTrace,
    idle: NDArray[np.float64],
    within: list[NDArray[np.float64]],
    blocks_ns: NDArray[np.int64],
) -> None:
    shortest_s = float((blocks_ns[:, 1] - blocks_ns[:, 0]).min()) / 1e9
    fewest, total = min(len(readings) for readings in within), sum(len(readings) for readings in within)
    if fewest < FEWEST_IN_BLOCK or total < FEWEST_IN_CASE or len(idle) < FEWEST_IDLE:
        raise DataError(
            f"a power reading each {trace.step_s:g} s is too coarse: {total} readings within the blocks of a case, the "
            f"shortest of {shortest_s:.2f} s, and {len(idle)} within the idle time; {FEWEST_IN_CASE} (at least "
            f"{FEWEST_IN_BLOCK} a block) and {FEWEST_IDLE} are needed",
            hint="Sample faster, or measure for longer with --duration-s",
        )
