"""One sensor's stream, cut into sliding windows. Described in ``vskd.stream``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.contract import Contract, Unit
from vskd.errors import ContractError
from vskd.stream.health import RATE_CHECK_S, Health
from vskd.stream.judge import WindowJudge
from vskd.stream.low_pass import LowPass
from vskd.stream.order import OPENING, Fate, Order
from vskd.stream.order import Sample as OrderedSample
from vskd.stream.samples import LARGEST, AxisMap, TimeUnit, as_samples, factor_to_g, per_second
from vskd.stream.unit_check import UNIT_CHECK_SAMPLES, refuse_wrong_unit
from vskd.stream.window import Defect, Pause, Window

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]

#: Time, x, y, z.
Sample = tuple[float, float, float, float]

#: So far below the sensor's range no rounding of a root matters.
_ALMOST = 0.999

#: Samples that are converted to Python floats at a time, so that a long push takes no more memory than its arrays.
BLOCK = 256


class Stream:
    """Cuts one sensor's stream into the contract's sliding windows.

    Parameters
    ----------
    contract : whose ``window.mode`` is ``sliding``
    unit : of the samples pushed, ``g`` or ``m/s^2``
    axes : see ``AxisMap.parse``
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
        self._to_g = factor_to_g(unit)
        self._unit = unit
        self._axes = AxisMap.parse(axes)
        self._time_unit = time_unit
        self._per_second = per_second(time_unit)
        self._origin: float | None = None  # time of the first sample, as it came
        self._origin_s = 0.0
        # Magnitudes so far, g; None once the unit is believed. Without gravity there is nothing to know it by.
        known_by_gravity = contract.sensor.gravity == "included"
        self._unit_check: list[float] | None = [] if known_by_gravity else None
        self._judge = WindowJudge(contract, contract.signal, axes=axes) if contract.signal else None
        # The rate is measured over so many steps of the grid: a window, or more.
        self._rate_steps = max(contract.window.samples - 1, math.ceil(RATE_CHECK_S * contract.window.rate_hz))
        self._is_waking = self._judge is not None  # only zeros so far
        # No sample is plain before the unit is believed.
        self._plain_below_g = 0.0 if known_by_gravity or self._is_waking else contract.sensor.range_g
        self._held: list[Window | Pause] = []  # until the unit is believed
        self._before_waking = 0  # how many of them are of zeros alone, and need no unit
        self._order = self._new_order()
        spec = contract.resampling.low_pass
        self._low_pass = LowPass(spec, contract.window.rate_hz) if spec else None
        self._filter: LowPass | None = None  # while the sensor is well faster than the contract
        self._taken, self._judged_s = 0, 0.0  # samples since the sensor's rate was judged, and when that was
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

    def finish(self) -> list[Window | Pause]:
        """The recording is over: what was held for samples that might still come, as of ``advance``."""
        if self._order is not None:
            for starts, sample in self._order.finish():
                self._accept(sample, starts=starts)
        if self._judge is not None:
            self.health.turned = self._judge.direction_so_far()
        return self._handed_out()

    @property
    def first_sample_s(self) -> float:
        """Time of the first sample, s, on the sensor's clock; 0 before it."""
        return self._origin_s

    @property
    def last_sample_s(self) -> float | None:
        """Time of the latest sample, s, on the sensor's clock; None before the first."""
        newest_s = max(self._last[0], self._order.newest_s if self._order else -math.inf)
        return None if self._origin is None or newest_s == -math.inf else self._origin_s + newest_s

    def advance(self, time: ArrayLike, xyz: ArrayLike) -> list[Window | Pause]:
        """As ``push``, and in their place the pauses between the windows."""
        times, raw = as_samples(time, xyz)
        self.health.samples += len(times)
        for start in range(0, len(times), BLOCK):
            self._take(times[start : start + BLOCK], raw[start : start + BLOCK])
        return self._handed_out()

    def _handed_out(self) -> list[Window | Pause]:
        is_believed = self._unit_check is None or self._is_waking
        count = len(self._held) if is_believed else self._before_waking
        items, self._held = self._held[:count], self._held[count:]
        self._before_waking = 0
        return items

    def _take(self, times: NDArray[Any], raw: Float64) -> None:
        values = self._axes(raw if self._to_g == 1 else raw * self._to_g)
        xs, ys, zs = values.T.tolist()
        samples: Iterator[Sample] = zip(times.tolist(), xs, ys, zs, strict=True)
        # No reading is beyond the root of an axis's summed squares, which is NaN where a reading is.
        within_g = _ALMOST * self._plain_below_g
        plain = math.hypot(*xs) < within_g and math.hypot(*ys) < within_g and math.hypot(*zs) < within_g
        while (odd := self._pursue(samples, plain, self._prompt_s())) is not None:
            self._sort_out(odd)

    def _pursue(
        self, samples: Iterator[Sample], plain: bool, prompt_s: float, *, ordered: bool = False
    ) -> Sample | None:
        """``_follow``, or ``_follow_filtered`` where the sensor is well faster than the contract."""
        if self._filter is None:
            return self._follow(samples, plain, prompt_s, ordered=ordered)
        return self._follow_filtered(self._filter, samples, plain, prompt_s, ordered=ordered)

    def _prompt_s(self) -> float:
        """A sample at most so long after the last one needs no look at its order; below 0 where every one does."""
        if self._order is None:
            return self.contract.resampling.max_gap_s
        return self._order.prompt_s if self._order.is_idle else -1.0

    def _follow(
        self, samples: Iterator[Sample], plain: bool, prompt_s: float, *, ordered: bool = False
    ) -> Sample | None:
        """Take samples while each plainly follows: in order, without a gap, and within the sensor's range.

        Parameters
        ----------
        samples : taken from until one does not follow
        plain : they are known to be within the range
        prompt_s : the longest step from one to the next
        ordered : their times are s since the origin already

        Returns
        -------
        the first that does not, or None where all did; a comparison with NaN is false
        """
        origin, per_second = (0.0, 1) if ordered or self._origin is None else (self._origin, self._per_second)
        in_seconds = per_second == 1 and isinstance(origin, float)  # most streams; nothing is left to divide
        rate_hz, anchor_s = self.contract.window.rate_hz, self._anchor_s
        (xs, ys, zs), window_samples, within_g = self._rows, self.contract.window.samples, self._plain_below_g
        last_s, last_x, last_y, last_z = self._last
        filled, odd, taken, since_s = self._filled, None, 0, last_s
        index = float(self._next_index)  # a float divides faster, and counts exactly up to 2^53
        due_s = anchor_s + index / rate_hz
        for when, x, y, z in samples:
            now_s = when - origin if in_seconds else (when - origin) / per_second
            step_s = now_s - last_s
            if not (
                0.0 < step_s <= prompt_s
                and (plain or (-within_g < x < within_g and -within_g < y < within_g and -within_g < z < within_g))
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
                index += 1.0
                due_s = anchor_s + index / rate_hz
                if filled == window_samples:
                    filled = self._cut(int(index), taken + 1)
                    prompt_s = min(prompt_s, self._judge_rate(taken + 1, now_s))  # of several, the first may say -1
            last_s = now_s  # each on its own: a tuple of four would be made and taken apart
            last_x = x
            last_y = y
            last_z = z
            taken += 1
        self._last = (last_s, last_x, last_y, last_z)
        self._filled, self._next_index = filled, int(index)
        if taken:  # else both times are infinite before the first sample
            self._taken += taken
            self.health.count_intervals(taken, last_s - since_s)
        return odd

    def _follow_filtered(
        self, low_pass: LowPass, samples: Iterator[Sample], plain: bool, prompt_s: float, *, ordered: bool = False
    ) -> Sample | None:
        """As ``_follow``, for a sensor whose readings go through the low-pass filter."""
        origin, per_second = (0.0, 1) if ordered or self._origin is None else (self._origin, self._per_second)
        within_g, odd, taken, since_s = self._plain_below_g, None, 0, self._last[0]
        if not low_pass.is_begun:
            low_pass.begin(self._last, anchor_s=self._anchor_s, index=self._next_index)
        for when, x, y, z in samples:
            now_s = (when - origin) / per_second
            # Each on its own: the largest of several is no NaN where only a later one is.
            if not (
                0.0 < now_s - self._last[0] <= prompt_s
                and (plain or (abs(x) < within_g and abs(y) < within_g and abs(z) < within_g))
            ):
                odd = (when, x, y, z)
                break
            self._last = (now_s, x, y, z)
            taken += 1
            for regular in low_pass.take(now_s, x, y, z):
                if self._put(regular, taken):
                    prompt_s = min(prompt_s, self._judge_rate(taken, now_s))
            if self._filter is None:
                for regular in low_pass.flush():
                    self._put(regular, taken)
        if taken:
            self._taken += taken
            self.health.count_intervals(taken, self._last[0] - since_s)
        return odd

    def _put(self, regular: tuple[float, float, float], taken: int) -> bool:
        """Add a regular sample that went through the filter; gives whether it completes a window.

        Parameters
        ----------
        regular : x, y, z, g
        taken : samples of the sensor that the health does not know yet
        """
        for row, value in zip(self._rows, regular, strict=True):
            row[self._filled] = max(-LARGEST, min(LARGEST, value))  # a filter overshoots
        self._filled += 1
        self._next_index += 1
        is_full = self._filled == self.contract.window.samples
        if is_full:
            self._filled = self._cut(self._next_index, taken)
        return is_full

    def _judge_rate(self, taken: int, now_s: float) -> float:
        """Whether the filter is still the right way, judged at the end of a window.

        Parameters
        ----------
        taken : samples that were taken and are not in ``_taken``
        now_s : time of the last of them, s since the origin

        Returns
        -------
        the longest step that plainly follows, as of ``_prompt_s``; below 0 where the next sample goes the other way
        """
        count = self._taken + taken
        if self._order is None or count < OPENING:
            return self._prompt_s()
        period_s = (now_s - self._judged_s) / count
        self._taken, self._judged_s = -taken, now_s
        self._order.measure(period_s)
        before, self._filter = self._filter, self._filter_for(period_s)
        return self._prompt_s() if self._filter is before else -1.0

    def _filter_for(self, period_s: float) -> LowPass | None:
        """The filter, where a sensor of this period, s, is well faster than the contract."""
        spec = self.contract.resampling.low_pass
        return self._low_pass if spec and period_s * self.contract.window.rate_hz * spec.above <= 1 else None

    def _sort_out(self, sample: Sample) -> None:
        """Take or drop a sample that does not plainly follow, or that the unit is still judged by."""
        health, (when, *values) = self.health, sample
        if not all(abs(value) <= LARGEST for value in sample):
            health.not_finite += 1
            return
        if self._origin is None:
            self._origin, self._origin_s = when, float(when) / self._per_second
        now_s = (when - self._origin) / self._per_second
        if self._order is not None:
            self._order.last_s = self._last[0]
            for starts, ready in self._order.take((now_s, *values)):
                self._accept(ready, starts=starts)
            return
        step_s, max_gap_s = now_s - self._last[0], self.contract.resampling.max_gap_s
        if -max_gap_s <= step_s <= 0:
            health.out_of_order += 1
        else:
            self._accept((now_s, *values), starts=not 0 < step_s <= max_gap_s)

    def _new_order(self) -> Order | None:
        resampling, health = self.contract.resampling, self.health
        if not resampling.reorder_s:
            return None

        def tell(fate: Fate, _: OrderedSample) -> None:
            health.reordered += fate == "sorted"
            health.spread += fate == "spread"
            health.wild += fate == "wild"
            health.out_of_order += fate in ("late", "repeated")

        opening = min(OPENING, self.contract.window.samples)
        return Order(max_gap_s=resampling.max_gap_s, reorder_s=resampling.reorder_s, opening=opening, tell=tell)

    def _accept(self, sample: OrderedSample, *, starts: bool) -> None:
        """Take a sample that is in order; ``starts``: it begins a segment."""
        now_s, x, y, z = sample
        values = [x, y, z]
        self.health.saturated += max(map(abs, values)) >= self.contract.sensor.range_g
        if self._is_waking and self._wakes(values) and self._last[0] > -math.inf:
            self._check_unit(values)
            self._start_segment(now_s, values)
            return
        self._check_unit(values)
        if not starts:
            self._pursue(iter([(now_s, x, y, z)]), True, math.inf, ordered=True)
            return
        step_s = now_s - self._last[0]
        if step_s < math.inf:  # before the very first sample there is no gap
            self.health.gaps += 1
            self.health.resets += step_s <= 0
            self._hold_pause(step_s, now_s)
        self._start_segment(now_s, values)

    def _wakes(self, values: list[float]) -> bool:
        """Count a zero at the start, and tell the first other sample: a sensor that is not awake yet gives zeros."""
        if not any(values):
            self.health.leading_zeros += 1
            return False
        self._is_waking, self._before_waking = False, len(self._held)
        if self._unit_check is None:
            self._plain_below_g = self.contract.sensor.range_g
        return True

    def _hold_pause(self, step_s: float, now_s: float) -> None:
        """After a clock was set back, or after one sample whose clock nothing confirms, no pause is known."""
        is_confirmed = self._order is None or self._last[0] > self._anchor_s
        if step_s > 0 and is_confirmed:
            since_s = self._origin_s + now_s
            self._held.append(Pause(since_s - step_s, since_s))

    def _check_unit(self, values: list[float]) -> None:
        if self._unit_check is None or self._is_waking:
            return
        needed = min(UNIT_CHECK_SAMPLES, self.contract.window.samples)
        if len(self._unit_check) < needed:
            self._unit_check.append(math.hypot(*values))
        if len(self._unit_check) == needed:
            refuse_wrong_unit(self._unit_check, unit=self._unit, is_judged=self._judge is not None)
            self._unit_check = None
            self._plain_below_g = self.contract.sensor.range_g

    def _start_segment(self, now_s: float, values: list[float]) -> None:
        """Begin anew: the sample is the first of a grid, and of a window."""
        x, y, z = values
        self._last = (now_s, x, y, z)
        self._anchor_s = now_s
        self._after_gap = True
        self.health.begin_segment(self._rate_steps, self.contract.window.rate_hz)
        self._taken, self._judged_s = 0, now_s
        if self._filter is not None:
            self._filter.flush()  # what it still held lies at the end of the segment before
        self._filter = self._filter_for(self._order.period_s) if self._order else None
        if self._filter is None:
            self._regular[:, 0] = values
            self._next_index = self._filled = 1
        else:  # the first regular sample is the first with all of the filter's length around it
            self._next_index, self._filled = self._filter.half_periods, 0
            self._filter.begin(self._last, anchor_s=now_s, index=self._next_index)

    def _cut(self, next_index: int, underway: int) -> int:
        """Take the full window; gives how many regular samples of it the next one begins with.

        Parameters
        ----------
        next_index : of the next regular sample
        underway : samples taken that the health does not know yet
        """
        spec, health = self.contract.window, self.health
        begin_s, end_s = self._absolute_s(next_index - spec.samples), self._absolute_s(next_index - 1)
        samples = self._regular.copy()
        low_pass = self._filter
        # The samples go on for half a filter after the window.
        health.count_window(next_index - 1 + (low_pass.half_periods if low_pass else 0), underway)
        defects: tuple[Defect, ...] = ()
        if self._judge is None:
            health.count_flat(samples)
        else:
            after_gap = self._after_gap
            defects = self._judge.judge(samples, start_s=begin_s, end_s=end_s, after_gap=after_gap, health=health)
        filter_s = low_pass.half_s if low_pass else 0.0
        self._held.append(Window(samples, begin_s, end_s, self._after_gap, defects, filter_s))
        self._after_gap = False
        kept = spec.samples - spec.hop_samples
        self._regular[:, :kept] = samples[:, spec.hop_samples :]
        return kept

    def _absolute_s(self, index: int) -> float:
        return self._origin_s + (self._anchor_s + index / self.contract.window.rate_hz)
