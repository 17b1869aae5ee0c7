"""The stream: timestamped samples in, windows of the contract out.

timestamps -> unit -> axes -> order and gaps -> resampling -> windows with a hop.

- Timestamps are the sensor's, never the arrival's. Samples that repeat a time or step back a little are dropped; a
  large step back is a reset clock and counts as a gap.
- A pause longer than ``resampling.max_gap_s`` empties the window: samples are never invented across it.
- Samples that are NaN, infinite or beyond float32 are dropped. Everything dropped is counted in ``Health``.
- Resampling is linear interpolation on a grid anchored at the first sample after a start or a gap. Each regular
  sample depends on its two neighbours and on integers alone, so that any way of cutting a stream into pushes gives
  the same windows, bit for bit. One sample after another, in plain floats: a sensor gives one or some thirty at a time,
  and right after a model's call a dozen functions of numpy cost more than the arithmetic.
- Memory is fixed after construction: one window being filled, and the samples of a push a block at a time.
- A wrong unit shows: a wrist's median |a| over the first second lies near 1 g. A stream far from that is refused, and
  stays refused. No window is handed out before that check, however the stream is cut.

This module knows nothing of models. Windows for training are cut by the same code (``cut_windows``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vskd.contract import STANDARD_GRAVITY_M_S2, Contract, Unit
from vskd.errors import ConfigError, ContractError, StreamError, did_you_mean

if TYPE_CHECKING:  # numpy.typing is a quarter of the time that `import vskd` takes
    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]

#: Time, x, y, z.
Sample = tuple[float, float, float, float]

TimeUnit = Literal["s", "ms", "us", "ns"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

#: Samples whose median |a| decides whether the unit is right (fewer if a window has fewer), and the bounds between
#: which it is believed, g. A wrist that throws or boxes without pause stays below 3 g in the median; 1 g read as
#: m/s^2 is 0.1 g.
UNIT_CHECK_SAMPLES = 50
PLAUSIBLE_G = (0.25, 4.0)

#: Windows are float32: a larger value would become infinite there.
LARGEST = float(np.finfo(np.float32).max)

#: Samples that are turned into plain numbers at a time, so that a long push takes no more memory than its arrays.
BLOCK = 256

#: The rate is named as wrong only after so long, s.
RATE_CHECK_S = 2.0


@dataclass(frozen=True)
class Window:
    """One window, ready for the model.

    Attributes
    ----------
    samples : (channels, samples), float32, g
    start_s, end_s : time of the first sample and of the last, s, on the sensor's clock
    after_gap : whether this is the first window after a start, a gap or a reset clock
    """

    samples: NDArray[np.float32]
    start_s: float
    end_s: float
    after_gap: bool


@dataclass(frozen=True)
class Pause:
    """Samples stayed away for longer than ``resampling.max_gap_s``.

    Attributes
    ----------
    start_s, end_s : time of the last sample before and of the first one after, s, on the sensor's clock
    """

    start_s: float
    end_s: float


@dataclass
class Health:
    """What became of the samples and of the windows.

    Attributes
    ----------
    samples : samples pushed
    out_of_order : dropped: time repeated or a little backward
    not_finite : dropped: NaN, infinite or beyond float32
    gaps : pauses above the limit, and reset clocks
    saturated : samples with an axis at or beyond the sensor's range in training
    flat : for each axis the windows in which it read one value throughout, as no live sensor does
    windows : windows decided on
    still : of these, the ones that the motion gate kept from the network
    """

    samples: int = 0
    out_of_order: int = 0
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

    def count_flat(self, samples: NDArray[np.float32]) -> None:
        """Count the axes of a window (channels, samples) that read one value throughout."""
        for axis in range(len(self.flat)):
            first = samples.item(axis, 0)
            if samples.item(axis, -1) == first and (samples[axis] == first).all():
                self.flat[axis] += 1


class AxisMap:
    """Turns the sensor's axes into the contract's.

    Parameters
    ----------
    text : for each axis of the contract the sensor's axis, with a sign, e.g. ``"-y,x,z"``
    """

    def __init__(self, text: str = "x,y,z") -> None:
        parts = [part.strip() for part in text.split(",")]
        names = [part.lstrip("+-") for part in parts]
        if sorted(names) != ["x", "y", "z"]:
            raise ConfigError(f"an axis map names x, y and z once each, with signs, like '-y,x,z'; got {text!r}")
        self.order = np.array(["xyz".index(name) for name in names])
        self.sign = np.array([-1.0 if part.startswith("-") else 1.0 for part in parts])
        self.is_identity = names == ["x", "y", "z"] and bool((self.sign > 0).all())

    def __call__(self, xyz: Float64) -> Float64:
        """(samples, 3) in the sensor's axes -> (samples, 3) in the contract's."""
        if self.is_identity:
            return xyz
        turned: Float64 = xyz.take(self.order, axis=1) * self.sign
        return turned


class Stream:
    """Cuts one sensor's stream into the contract's sliding windows.

    Parameters
    ----------
    contract : whose ``window.mode`` is ``sliding``
    unit : of the samples pushed, ``g`` or ``m/s^2``
    axes : see ``AxisMap``
    time_unit : of the timestamps pushed: ``s``, ``ms``, ``us`` or ``ns``

    Raises
    ------
    ContractError : the contract's windows are whole recordings
    ConfigError : an unknown unit or axis map
    """

    def __init__(self, contract: Contract, *, unit: Unit = "g", axes: str = "x,y,z", time_unit: TimeUnit = "s") -> None:
        if contract.window.mode != "sliding":
            raise ContractError(
                "this contract decides on whole recordings, which a stream does not have",
                hint="Use Classifier.classify on a recording, or a bundle trained on sliding windows",
            )
        self.contract = contract
        self.health = Health()
        self._to_g = _factor_to_g(unit)
        self._unit = unit
        self._axes = AxisMap(axes)
        self._time_unit = time_unit
        self._per_second = per_second(time_unit)
        self._origin: float | None = None  # time of the first sample, as it came
        self._origin_s = 0.0
        # Magnitudes so far, g; None once the unit is believed. Without gravity there is nothing to know it by.
        known_by_gravity = contract.sensor.gravity == "included"
        self._unit_check: list[float] | None = [] if known_by_gravity else None
        # No sample is plain before the unit is believed.
        self._plain_below_g = 0.0 if known_by_gravity else contract.sensor.range_g
        self._held: list[Window | Pause] = []  # until the unit is believed
        self._last: Sample = (-math.inf, 0.0, 0.0, 0.0)  # accepted; its time in s since the origin
        self._anchor_s = 0.0  # time of the segment's first sample, where its grid starts
        self._next_index = 0  # of the next regular sample, counted from the anchor
        self._after_gap = True
        # The window that is being filled: all the memory that samples ever take.
        self._regular: NDArray[np.float32] = np.zeros((3, contract.window.samples), dtype=np.float32)
        # Its rows as plain floats: to write an element of an array costs twice as much.
        self._rows: list[memoryview[float]] = [memoryview(row).cast("B").cast("f") for row in self._regular]
        self._filled = 0

    def push(self, time: ArrayLike, xyz: ArrayLike) -> list[Window]:
        """Take samples, give the windows that they complete.

        Parameters
        ----------
        time : (samples,), in the stream's time unit; integers keep nanoseconds exact
        xyz : (samples, 3), in the stream's unit and axes

        Returns
        -------
        the completed windows, oldest first; often none

        Raises
        ------
        StreamError : shapes or types that are not samples, or values that cannot be in the stream's unit
        """
        return [item for item in self.advance(time, xyz) if isinstance(item, Window)]

    @property
    def last_sample_s(self) -> float | None:
        """Time of the last accepted sample, s, on the sensor's clock; None before the first."""
        return None if self._origin is None else self._origin_s + self._last[0]

    def advance(self, time: ArrayLike, xyz: ArrayLike) -> list[Window | Pause]:
        """As ``push``, and in their place the pauses between the windows."""
        times, raw = as_samples(time, xyz)
        self.health.samples += len(times)
        for start in range(0, len(times), BLOCK):
            self._take(times[start : start + BLOCK], raw[start : start + BLOCK])
        if self._unit_check is not None:
            return []
        items, self._held = self._held, []
        return items

    def _take(self, times: NDArray[Any], raw: Float64) -> None:
        values = self._axes(raw if self._to_g == 1 else raw * self._to_g)
        samples: Iterator[Sample] = zip(times.tolist(), *values.T.tolist(), strict=True)
        while (odd := self._follow(samples, self._plain_below_g)) is not None:
            self._sort_out(odd)

    def _follow(self, samples: Iterator[Sample], within_g: float) -> Sample | None:
        """Take samples while each plainly follows: in order, without a gap, and within a range.

        Returns
        -------
        the first that does not, or None where all did; a comparison with NaN is false
        """
        origin, per_second = self._origin or 0, self._per_second
        max_gap_s, rate_hz, anchor_s = self.contract.resampling.max_gap_s, self.contract.window.rate_hz, self._anchor_s
        (xs, ys, zs), wanted, above_g = self._rows, self.contract.window.samples, -within_g
        last_s, last_x, last_y, last_z = self._last
        filled, next_index, odd, taken, since_s = self._filled, self._next_index, None, 0, last_s
        due_s = anchor_s + next_index / rate_hz
        for when, x, y, z in samples:
            now_s = (when - origin) / per_second
            step_s = now_s - last_s
            if not (
                0.0 < step_s <= max_gap_s
                and above_g < x < within_g
                and above_g < y < within_g
                and above_g < z < within_g
            ):
                odd = (when, x, y, z)
                break
            while due_s <= now_s:
                if due_s < now_s:
                    part_s = due_s - last_s
                    xs[filled] = (x - last_x) / step_s * part_s + last_x
                    ys[filled] = (y - last_y) / step_s * part_s + last_y
                    zs[filled] = (z - last_z) / step_s * part_s + last_z
                else:  # a sample on the grid is taken as it is
                    xs[filled], ys[filled], zs[filled] = x, y, z
                filled += 1
                next_index += 1
                due_s = anchor_s + next_index / rate_hz
                if filled == wanted:
                    filled = self._cut(next_index)
            last_s, last_x, last_y, last_z = now_s, x, y, z
            taken += 1
        self._last = (last_s, last_x, last_y, last_z)
        self._filled, self._next_index = filled, next_index
        self.health._intervals += taken
        self.health._elapsed_s += last_s - since_s if taken else 0.0  # before the first sample both are infinite
        return odd

    def _sort_out(self, sample: Sample) -> None:
        """Take or drop a sample that does not plainly follow, or that the unit is still judged by."""
        health, (when, *values) = self.health, sample
        if not all(abs(value) <= LARGEST for value in sample):
            health.not_finite += 1
            return
        if self._origin is None:
            self._origin, self._origin_s = when, float(when) / self._per_second
        now_s = (when - self._origin) / self._per_second
        step_s = now_s - self._last[0]
        max_gap_s = self.contract.resampling.max_gap_s
        if -max_gap_s <= step_s <= 0:
            health.out_of_order += 1
            return
        health.saturated += max(map(abs, values)) >= self.contract.sensor.range_g
        self._check_unit(values)
        if 0 < step_s <= max_gap_s:
            self._follow(iter([sample]), math.inf)
            return
        if step_s < math.inf:  # before the very first sample there is no gap
            health.gaps += 1
            self._hold_pause(step_s, now_s)
        self._start_segment(now_s, values)

    def _hold_pause(self, step_s: float, now_s: float) -> None:
        """A clock that was set back does not tell how long the pause was."""
        if step_s > 0:
            since_s = self._origin_s + now_s
            self._held.append(Pause(since_s - step_s, since_s))

    def _check_unit(self, values: list[float]) -> None:
        if self._unit_check is None:
            return
        wanted = min(UNIT_CHECK_SAMPLES, self.contract.window.samples)
        if len(self._unit_check) < wanted:
            self._unit_check.append(math.hypot(*values))
        if len(self._unit_check) == wanted:
            refuse_wrong_unit(self._unit_check, unit=self._unit)
            self._unit_check = None
            self._plain_below_g = self.contract.sensor.range_g

    def _start_segment(self, now_s: float, values: list[float]) -> None:
        """Begin anew: the sample is the first of a grid, and of a window."""
        x, y, z = values
        self._last = (now_s, x, y, z)
        self._anchor_s = now_s
        self._regular[:, 0] = values
        self._next_index = self._filled = 1
        self._after_gap = True

    def _cut(self, next_index: int) -> int:
        """Take the full window; gives how many regular samples of it the next one begins with."""
        spec = self.contract.window
        begin_s, end_s = self._absolute_s(next_index - spec.samples), self._absolute_s(next_index - 1)
        window = Window(self._regular.copy(), begin_s, end_s, self._after_gap)
        self.health.count_flat(window.samples)
        self._held.append(window)
        self._after_gap = False
        kept = spec.samples - spec.hop_samples
        self._regular[:, :kept] = window.samples[:, spec.hop_samples :]
        return kept

    def _absolute_s(self, index: int) -> float:
        return self._origin_s + (self._anchor_s + index / self.contract.window.rate_hz)


def cut_windows(contract: Contract, time_s: Float64, xyz: Float64) -> list[Window]:
    """Every window of one recording: what a stream of the same samples gives, or the whole recording as one.

    Parameters
    ----------
    time_s : (samples,), s
    xyz : (samples, 3), g, in the contract's axes

    Returns
    -------
    one window in mode ``whole``; in mode ``sliding`` as many as fit, none if the recording is shorter than a window
    """
    if contract.window.mode == "sliding":
        return Stream(contract).push(time_s, xyz)
    return [Window(stretch(time_s, xyz, contract.window.samples), float(time_s[0]), float(time_s[-1]), True)]


def stretch(time_s: Float64, xyz: Float64, samples: int) -> NDArray[np.float32]:
    """Stretch a whole recording to a fixed number of samples, by linear interpolation.

    Parameters
    ----------
    time_s : (n,), strictly increasing, s
    xyz : (n, 3)
    samples : wanted

    Returns
    -------
    (3, samples), float32

    Raises
    ------
    StreamError : fewer than two samples, values that are not finite, or times that do not increase
    """
    if len(time_s) < 2 or xyz.shape != (len(time_s), 3):
        raise StreamError(f"a recording needs two samples or more of xyz, got {time_s.shape} and {xyz.shape}")
    elapsed_s = time_s - time_s[0]
    # A comparison with NaN is false, so that each of these also refuses what is no number.
    if not (np.abs(xyz).max() <= LARGEST and elapsed_s[-1] <= LARGEST and (elapsed_s[1:] - elapsed_s[:-1]).min() > 0):
        raise _no_recording(time_s, xyz)
    grid = np.arange(samples) * (elapsed_s[-1] / (samples - 1))
    stretched = np.empty((3, samples), dtype=np.float32)
    for row, column in zip(stretched, xyz.T, strict=True):
        row[:] = np.interp(grid, elapsed_s, column)
    return stretched


def _no_recording(time_s: Float64, xyz: Float64) -> StreamError:
    finite = _finite(time_s, xyz)
    if not finite.all():
        where = int(np.flatnonzero(~finite)[0])
        return StreamError(f"the recording holds NaN or infinity at sample {where}", hint="Drop such samples")
    where = int(np.flatnonzero(np.diff(time_s) <= 0)[0]) + 1
    return StreamError(f"the recording's time does not increase at sample {where}", hint="Sort or drop the sample")


def whole_window(
    contract: Contract,
    time: ArrayLike,
    xyz: ArrayLike,
    *,
    unit: Unit = "g",
    axes: str = "x,y,z",
    time_unit: TimeUnit = "s",
) -> Window:
    """One recording of a sensor as one window.

    Parameters
    ----------
    time : (n,), strictly increasing, in ``time_unit``; integers keep nanoseconds exact
    xyz : (n, 3), in ``unit`` and ``axes``

    Raises
    ------
    StreamError : not a recording, see ``stretch``, or values that cannot be in this unit
    ConfigError : an unknown unit or axis map
    """
    times, raw = as_samples(time, xyz)
    values = to_g(raw, unit=unit, axes=axes)
    elapsed_s = (times - times[:1]) / per_second(time_unit)
    samples = stretch(elapsed_s, values, contract.window.samples)
    if contract.sensor.gravity == "included":
        refuse_wrong_unit(_magnitudes(values), unit=unit)
    start_s = float(times[0]) / per_second(time_unit)
    return Window(samples, start_s, start_s + float(elapsed_s[-1]), after_gap=True)


def as_samples(time: ArrayLike, xyz: ArrayLike) -> tuple[NDArray[Any], Float64]:
    """Samples as arrays: time (n,), int64 or float64, and xyz (n, 3), float64.

    Raises
    ------
    StreamError : shapes or types that are not samples
    """
    try:
        times, values = np.asarray(time), np.asarray(xyz)
    except ValueError as error:
        raise StreamError(f"samples must be time (n,) and xyz (n, 3): {error}") from error
    if values.ndim != 2 or values.shape[1] != 3 or times.shape != values.shape[:1]:
        raise StreamError(f"samples must be time (n,) and xyz (n, 3), got {times.shape} and {values.shape}")
    if times.dtype.kind not in "fiu" or values.dtype.kind not in "fiu":
        raise StreamError(f"samples must be numbers, got {times.dtype} and {values.dtype}")
    # Differences of narrow or unsigned integers would wrap.
    if times.dtype != np.float64:
        times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64, copy=False)
    return times, values if values.dtype == np.float64 else values.astype(np.float64)


def refuse_wrong_unit(magnitudes_g: list[float], *, unit: Unit) -> None:
    """Refuse samples whose median |a| is far from what gravity alone gives.

    Parameters
    ----------
    magnitudes_g : |a| of some samples, g, if they are in ``unit``
    unit : in which they were given

    Raises
    ------
    StreamError : says which unit they look like
    """
    median_g = sorted(magnitudes_g)[len(magnitudes_g) // 2]
    if not PLAUSIBLE_G[0] <= median_g <= PLAUSIBLE_G[1]:
        to_g = _factor_to_g(unit)
        raise StreamError(
            f"the median |a| of {len(magnitudes_g)} samples is {median_g / to_g:.4g} {unit}, "
            f"but gravity alone makes it {1 / to_g:.4g}",
            hint=_unit_hint(median_g / to_g),
        )


def to_g(xyz: Float64, *, unit: Unit, axes: str = "x,y,z") -> Float64:
    """Samples (n, 3) in a unit and axes of the sensor -> g, in the contract's axes."""
    values = xyz if unit == "g" else xyz * _factor_to_g(unit)
    return values if axes == "x,y,z" else AxisMap(axes)(values)


def _magnitudes(xyz: Float64) -> list[float]:
    """|a| of each sample (n, 3)."""
    magnitudes: list[float] = np.sqrt(np.einsum("ij,ij->i", xyz, xyz)).tolist()
    return magnitudes


def _finite(time: NDArray[Any], values: Float64) -> NDArray[np.bool_]:
    """Which samples (n,) hold nothing but numbers that float32 can hold."""
    finite: NDArray[np.bool_] = (np.abs(values) <= LARGEST).all(axis=1) & (np.abs(time) <= LARGEST)
    return finite


def _factor_to_g(unit: str) -> float:
    if unit not in get_args(Unit):
        raise ConfigError(f"there is no unit {unit!r} for acceleration", hint=did_you_mean(unit, get_args(Unit)))
    return 1.0 if unit == "g" else 1.0 / STANDARD_GRAVITY_M_S2


def per_second(time_unit: str) -> int:
    """Units of a clock in a second.

    Raises
    ------
    ConfigError : no such time unit
    """
    if time_unit not in _PER_SECOND:
        raise ConfigError(f"there is no time unit {time_unit!r}", hint=did_you_mean(time_unit, _PER_SECOND))
    return _PER_SECOND[time_unit]


def _unit_hint(median: float) -> str:
    """Which unit a median |a| of this size would fit."""
    low, high = PLAUSIBLE_G
    if low <= median <= high:
        return "It looks like g: say unit='g' (--unit g)"
    if low <= median / STANDARD_GRAVITY_M_S2 <= high:
        return "It looks like m/s^2: say unit='m/s^2' (--unit m/s^2)"
    if median < low:
        return "It looks like acceleration without gravity, which this model was not trained on"
    return "It looks like raw counts: multiply by the sensor's g per count"
