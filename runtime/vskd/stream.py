"""The stream: timestamped samples in, windows of the contract out.

timestamps -> unit -> axes -> order and gaps -> resampling -> windows with a hop.

- Timestamps are the sensor's, never the arrival's. Samples that repeat a time or step back a little are dropped; a
  large step back is a reset clock and counts as a gap.
- A pause longer than ``resampling.max_gap_s`` empties the window: samples are never invented across it.
- Samples that are NaN, infinite or beyond float32 are dropped. Everything dropped is counted in ``Health``.
- Resampling is linear interpolation on a grid anchored at the first sample after a start or a gap. Each regular
  sample depends on its two neighbours and on integers alone, so that any way of cutting a stream into pushes gives
  the same windows, bit for bit.
- A wrong unit shows: a wrist's median |a| over the first second lies near 1 g. A stream far from that is refused, and
  stays refused. No window is handed out before that check, however the stream is cut.

This module knows nothing of models. Windows for training are cut by the same code (``cut_windows``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vskd.contract import STANDARD_GRAVITY_M_S2, Contract, Unit
from vskd.errors import ConfigError, ContractError, StreamError, did_you_mean

if TYPE_CHECKING:  # numpy.typing is a quarter of the time that `import vskd` takes
    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]

TimeUnit = Literal["s", "ms", "us", "ns"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

#: Samples whose median |a| decides whether the unit is right (fewer if a window has fewer), and the bounds between
#: which it is believed, g. A wrist that throws or boxes without pause stays below 3 g in the median; 1 g read as
#: m/s^2 is 0.1 g.
UNIT_CHECK_SAMPLES = 50
PLAUSIBLE_G = (0.25, 4.0)

#: Windows are float32: a larger value would become infinite there.
LARGEST = float(np.finfo(np.float32).max)

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
        self._origin: Any = None
        # Magnitudes so far, g; None once the unit is believed. Without gravity there is nothing to know it by.
        self._unit_check: list[float] | None = [] if contract.sensor.gravity == "included" else None
        self._held: list[Window | Pause] = []  # until the unit is believed
        self._last_s = -np.inf
        self._start_segment()

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
        if self._origin is None or not np.isfinite(self._last_s):
            return None
        return float(self._origin) / self._per_second + self._last_s

    def advance(self, time: ArrayLike, xyz: ArrayLike) -> list[Window | Pause]:
        """As ``push``, and in their place the pauses between the windows."""
        times, raw = as_samples(time, xyz)
        if not len(times):
            return []
        self.health.samples += len(times)
        values = self._axes(raw if self._to_g == 1 else raw * self._to_g)
        if not self._extend_if_regular(times, values):
            self._extend_with_what_is_good(times, values)
        if self._unit_check is not None:
            return []
        items, self._held = self._held, []
        return items

    def _hold_pause(self, step_s: float, now_s: float) -> None:
        """A clock that was set back does not tell how long the pause was; before the first sample there is none."""
        if 0 < step_s < np.inf:
            since_s = float(self._origin) / self._per_second + now_s
            self._held.append(Pause(since_s - step_s, since_s))

    def _extend_if_regular(self, time: NDArray[Any], values: Float64) -> bool:
        """The way of nearly every push: each sample finite, within range, in order and without a gap.

        False, with nothing done, if any is not so: then the long way sorts them. A comparison with NaN is false.
        """
        if self._unit_check is not None or not len(self._times):
            return False
        times = np.concatenate((self._times, self._seconds(time)))
        steps = times[1:] - times[:-1]
        in_order = steps.min() > 0 and steps.max() <= self.contract.resampling.max_gap_s
        if not (in_order and np.abs(values).max() < self.contract.sensor.range_g):
            return False
        self._last_s = float(times[-1])
        self._count_intervals(steps)
        self._held += self._extend(times, values)
        return True

    def _extend_with_what_is_good(self, time: NDArray[Any], values: Float64) -> None:
        """The long way: drop what is not finite or out of order, count it, check the unit, start anew after gaps."""
        finite = _finite(time, values)
        self.health.not_finite += int(len(time) - finite.sum())
        time, values = time[finite], values[finite]
        if not len(time):
            return
        if self._origin is None:
            self._origin = time[0]
        seconds, values, steps = self._in_order(self._seconds(time), values)
        self.health.saturated += int((np.abs(values) >= self.contract.sensor.range_g).any(axis=1).sum())
        self._check_unit(values)
        for start, end, anew in self._segments(steps):
            if anew:
                self._hold_pause(float(steps[start]), float(seconds[start]))
                self._start_segment()
            self._held += self._extend(np.concatenate((self._times, seconds[start:end])), values[start:end])

    def _seconds(self, time: NDArray[Any]) -> Float64:
        """Seconds since the first sample."""
        since: Float64 = time - self._origin
        return since if self._per_second == 1 else since / self._per_second

    def _in_order(self, seconds: Float64, values: Float64) -> tuple[Float64, Float64, Float64]:
        """The samples that come after all before them, with each one's step from the one before, s.

        A step back beyond the gap limit is a reset clock and is kept; the step of the very first sample is infinite.
        """
        steps = self._steps(seconds)
        if steps.min() <= 0:
            keep = self._after_all_before(seconds)
            self.health.out_of_order += int(len(keep) - keep.sum())
            seconds, values = seconds[keep], values[keep]
            steps = self._steps(seconds)
        self._last_s = float(seconds[-1]) if len(seconds) else self._last_s
        return seconds, values, steps

    def _steps(self, seconds: Float64) -> Float64:
        steps = np.empty(len(seconds))
        steps[:1] = seconds[:1] - self._last_s
        np.subtract(seconds[1:], seconds[:-1], out=steps[1:])
        return steps

    def _after_all_before(self, seconds: Float64) -> NDArray[np.bool_]:
        keep = np.empty(len(seconds), dtype=np.bool_)
        last_s = self._last_s
        for index, now_s in enumerate(seconds.tolist()):
            step = now_s - last_s
            keep[index] = step > 0 or step < -self.contract.resampling.max_gap_s
            last_s = now_s if keep[index] else last_s
        return keep

    def _check_unit(self, values: Float64) -> None:
        if self._unit_check is None:
            return
        wanted = min(UNIT_CHECK_SAMPLES, self.contract.window.samples)
        self._unit_check += _magnitudes(values[: wanted - len(self._unit_check)])
        if len(self._unit_check) == wanted:
            refuse_wrong_unit(self._unit_check, unit=self._unit)
            self._unit_check = None

    def _segments(self, steps: Float64) -> list[tuple[int, int, bool]]:
        """(start, end, whether it begins anew) of each run without a gap."""
        anew = (steps > self.contract.resampling.max_gap_s) | (steps < 0)
        if not anew.any():
            self._count_intervals(steps)
            return [(0, len(steps), False)] if len(steps) else []
        self._count_intervals(steps[~anew])
        self.health.gaps += int((anew & np.isfinite(steps)).sum())
        cuts = [0, *np.flatnonzero(anew).tolist(), len(steps)]
        return [(a, b, bool(anew[a])) for a, b in itertools.pairwise(cuts) if b > a]

    def _count_intervals(self, steps: Float64) -> None:
        self.health._intervals += len(steps)
        self.health._elapsed_s += float(steps.sum())

    def _start_segment(self) -> None:
        self._times: Float64 = np.empty(0)  # the last raw sample, which the next one is interpolated from
        self._values: Float64 = np.empty((3, 0))
        self._anchor_s = 0.0
        self._next_index = 0  # of the next regular sample, counted from the anchor
        self._regular: NDArray[np.float32] = np.empty((3, 0), dtype=np.float32)  # that windows still need
        self._after_gap = True

    def _extend(self, times: Float64, values: Float64) -> list[Window]:
        """Resample up to the newest sample; ``times`` begins with the last sample of the push before, if any."""
        if not len(self._times):
            self._anchor_s = float(times[0])
        columns = np.concatenate((self._values, values.T), axis=1)
        first, end = self._next_index, self._grid_end(float(times[-1]))
        self._times, self._values = times[-1:].copy(), columns[:, -1:].copy()  # a view would keep the push alive
        if end == first:
            return []
        grid = self._anchor_s + np.arange(first, end) / self.contract.window.rate_hz
        self._next_index = end
        self._regular = np.concatenate((self._regular, _interpolate(grid, times, columns)), axis=1)
        return self._cut()

    def _grid_end(self, last_s: float) -> int:
        """Index of the first regular sample after ``last_s``."""
        anchor_s, rate_hz = self._anchor_s, self.contract.window.rate_hz
        index = int((last_s - anchor_s) * rate_hz)  # right but for a rounding, which the grid's own sum decides
        near = range(index - 1, index + 2)
        return max(self._next_index, near[0] + sum(anchor_s + k / rate_hz <= last_s for k in near))

    def _cut(self) -> list[Window]:
        """Take the complete windows off the front of the regular samples."""
        spec = self.contract.window
        windows = []
        available = self._regular.shape[1]
        start, first_index = 0, self._next_index - available
        while start + spec.samples <= available:
            begin_s = self._absolute_s(first_index + start)
            end_s = self._absolute_s(first_index + start + spec.samples - 1)
            samples = self._regular[:, start : start + spec.samples].copy()
            self.health.count_flat(samples)
            windows.append(Window(samples, begin_s, end_s, self._after_gap))
            self._after_gap = False
            start += spec.hop_samples
        self._regular = self._regular[:, start:].copy() if start else self._regular
        return windows

    def _absolute_s(self, index: int) -> float:
        seconds = self._anchor_s + index / self.contract.window.rate_hz
        return float(self._origin) / self._per_second + seconds


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
    return _interpolate(grid, elapsed_s, xyz.T)


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
    times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64, copy=False)
    return times, values.astype(np.float64, copy=False)


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


def _interpolate(grid: Float64, times: Float64, values: Float64) -> NDArray[np.float32]:
    """Values (3, m) at the grid's times (m,), which lie within ``times`` (n,), from ``values`` (3, n).

    Each depends on its two neighbours alone, so not on the cut; at a sample's own time it is that sample.
    """
    regular = np.empty((len(values), len(grid)), dtype=np.float32)
    for row, column in zip(regular, values, strict=True):
        row[:] = np.interp(grid, times, column)
    return regular


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
