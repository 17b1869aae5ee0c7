"""Whether a window can be known: the rules of ``signal_checks`` under a contract's limits, window after window.

In this order; the first defect with a label decides the event, and the network is not asked:

1. frozen, zeros: no axis changes, or all read 0, for longer than the contract's shares of the window -> ``no signal``
2. no gravity: the root mean square of |a| is below ``NEAR_ZERO_G`` where gravity is included -> ``no signal``
3. equal axes: two axes read the same throughout -> ``unknown``
4. saturated, cut off, rate: over the last seconds (``Health``) at the sensor's range, in the window at any other end of
   the readings, or at a rate, beyond the contract's limits -> ``unknown``; else, if there is anything to say, named
5. gravity: the slow part cannot be in g with gravity, or without it (``gravity_problem``), or it is larger than the
   contract's limits, which are those of the training with a margin -> ``unknown``. A wrong
   scale is seen at rest, and it is the sensor's: until rest shows gravity again, no window gets an activity; nor does
   one after a mean too short for gravity, until a mean is as long as it
6. dead axis, direction: one axis reads one value, or the mean reading of twenty seconds points elsewhere than in
   training. They are named, and the network is asked

The slow part is the window's mean reading and mean square. Where windows are shorter than ``SLOW_S`` it is a running
average of them: before + w * (newest - before), with w = hop / ``SLOW_S``. That starts anew after a gap and after a
window of 1 or 2, and is judged once it covers ``SLOW_S``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vskd.contract import Contract, SignalSpec
from vskd.stream.signal_checks import (
    CUT_OFF_SHARE,
    GRAVITY_G,
    SLOW_S,
    SlowMeter,
    SlowPart,
    cut_off,
    equal_axes,
    gravity_problem,
    held_share,
    scale_hint,
    zero_share,
)
from vskd.stream.window import NO_SIGNAL, UNKNOWN, Defect

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from vskd.stream.health import Health

#: With gravity a smaller root mean square of |a| is no signal at all, g.
NEAR_ZERO_G = 0.2

#: The direction of gravity is judged by the mean reading of so many seconds.
DIRECTION_S = 20.0

#: A direction so close to the opposite one is taken for it, degrees.
OPPOSITE_WITHIN_DEG = 60.0

#: A shorter mean reading has no direction to speak of, g.
SHORTEST_MEAN_G = 0.3

#: A window is first looked at in every n-th column, so that there are this many or more.
COLUMNS = 10


class WindowJudge:
    """Finds the defects of one window after another.

    Parameters
    ----------
    contract : whose windows they are
    signal : its limits
    axes : the axis map in use, to name the opposite one
    """

    def __init__(self, contract: Contract, signal: SignalSpec, *, axes: str) -> None:
        window, tolerance = contract.window, contract.resampling.rate_tolerance
        is_whole, hop_s = window.mode == "whole", window.hop_samples / window.rate_hz
        self._contract, self._signal, self._axes = contract, signal, axes
        self._included = contract.sensor.gravity == "included"
        self._meter = SlowMeter(window.samples)
        self._step = max(1, window.samples // COLUMNS)
        before_half = window.samples // 2 // self._step
        self._middle = slice(before_half - 1, before_half + 3)
        self._slowest_hz = max(signal.min_rate_hz, (1 - tolerance) * window.rate_hz)
        self._fastest_hz = (1 + tolerance) * window.rate_hz
        low_pass = contract.resampling.low_pass
        self._filtered_hz = low_pass.above * window.rate_hz if low_pass else math.inf
        # No mean reading is longer than the root mean square.
        limits_g = [limit_g for limit_g in (signal.largest_mean_g, signal.largest_rms_g) if limit_g]
        self._smallest_limit = min(limits_g, default=math.inf) ** 2
        self._is_long = is_whole or window.duration_s >= SLOW_S
        self._needed_s = SLOW_S if is_whole or not self._is_long else 0.0
        self._newest = min(1.0, hop_s / SLOW_S)
        self._slow: SlowPart | None = None
        self._since_s = 0.0
        self._at_rest = ""  # what the last rest said of the scale
        self._too_short = ""  # why the mean reading was too short, until one is as long as gravity
        self._overlapping = 1 if is_whole else -(-window.samples // window.hop_samples)
        self._until_next = 0  # windows, until one that the last one added does not overlap
        self._direction_windows = 1 if is_whole else max(1, round(DIRECTION_S / (self._overlapping * hop_s)))
        self._summed, self._sum = 0, (0.0, 0.0, 0.0)  # windows, and their mean readings, g
        self._turned: tuple[Defect, ...] = ()
        self._end: Callable[[list[float]], float] = max
        self._other_end: Callable[[list[float]], float] = min
        self._cut_at_g = 0.0  # the end of the range that a window showed, and none since has exceeded
        self._is_short = True  # no ``DIRECTION_S`` of mean readings so far

    def judge(
        self, samples: NDArray[np.float32], *, start_s: float, end_s: float, after_gap: bool, health: Health
    ) -> tuple[Defect, ...]:
        """The defects of the next window.

        Parameters
        ----------
        samples : (3, samples), g
        start_s, end_s, after_gap : of the window
        health : knows the sensor's rate and saturation over the last seconds, and is told of axes that never change
        """
        slow = self._meter.measure(samples)
        # Some columns tell of most windows that no axis rests, and that no two are equal. More than half a window
        # without a change holds two neighbours of these four; a tenth of zeros holds a column.
        xs, ys, zs = samples[:, :: self._step].tolist()
        one, two, three, four = xs[self._middle]
        may_rest = two in (one, three) or three == four or 0.0 in xs
        if may_rest or slow.square < NEAR_ZERO_G * NEAR_ZERO_G:
            silent = self._silent(samples, slow, may_rest=may_rest)
            if silent is not None:
                self._slow, self._since_s = None, end_s
                return (silent,)
        is_flat = xs[0] == xs[-1] or ys[0] == ys[-1] or zs[0] == zs[-1]
        flat = health.count_flat(samples) if is_flat else ()
        defects: list[Defect] = []
        if xs in (ys, zs) or ys == zs:
            defects += self._copied(samples)
        if health.recent_saturated:
            defects += self._saturated(health.recent_saturated)
        else:
            # Where readings are cut off, some of the columns end alike: above, or below, looked at in turns.
            end, self._end = self._end, self._other_end
            self._other_end = end
            is_alike = xs.count(end(xs)) + ys.count(end(ys)) + zs.count(end(zs)) > 3
            if (is_alike or self._cut_at_g) and not slow.is_calm:
                defects += self._cut_off(samples, health)
        rate_hz = health.recent_rate_hz
        if rate_hz is not None and not self._slowest_hz <= rate_hz <= self._fastest_hz:
            defects += self._rate(rate_hz)
        reason = self._gravity(slow, start_s, end_s, after_gap)
        if reason:
            defects.append(Defect("gravity", reason, UNKNOWN))
        if flat:
            defects += [self._dead(axis) for axis in flat]
        self._until_next -= 1
        if self._until_next <= 0:
            self._until_next = self._overlapping
            self._add(slow)
        defects += self._turned
        return tuple(defects)

    def _silent(self, samples: NDArray[np.float32], slow: SlowPart, *, may_rest: bool) -> Defect | None:
        """Why the window is ``no signal``; ``may_rest`` if its columns do not rule out a stretch without a change."""
        signal = self._signal
        if may_rest and (share := held_share(samples)) > signal.frozen_share:
            return Defect("frozen", f"no axis changes for {share:.0%} of the window", NO_SIGNAL)
        if may_rest and (share := zero_share(samples)) > signal.zero_share:
            return Defect("zeros", f"all axes read 0 for {share:.0%} of the window", NO_SIGNAL)
        if self._included and slow.square < NEAR_ZERO_G * NEAR_ZERO_G:
            return Defect("no gravity", f"|a| is {slow.rms_g:.3f} g, and gravity alone makes it 1 g", NO_SIGNAL)
        return None

    def _copied(self, samples: NDArray[np.float32]) -> list[Defect]:
        names = " and ".join(self._contract.sensor.axes[axis] for axis in equal_axes(samples))
        return [Defect("equal axes", f"axes {names} read the same throughout", UNKNOWN)] if names else []

    def _saturated(self, share: float) -> list[Defect]:
        text = f"{share:.0%} of the samples reach +-{self._contract.sensor.range_g:g} g, the sensor's range in training"
        return [Defect("saturated", text, UNKNOWN if share > self._signal.saturated_share else "")]

    def _cut_off(self, samples: NDArray[np.float32], health: Health) -> list[Defect]:
        share, at_g = cut_off(samples, known_g=self._cut_at_g)
        if share <= CUT_OFF_SHARE:
            self._cut_at_g *= at_g <= self._cut_at_g
            return []
        self._cut_at_g = at_g
        health.cut_off += 1
        text = f"{share:.0%} of the samples stay at +-{at_g:.3g} g, as at the end of a sensor's range"
        return [Defect("cut off", text, UNKNOWN if share > self._signal.saturated_share else "")]

    def _rate(self, rate_hz: float) -> list[Defect]:
        if rate_hz >= self._filtered_hz:
            return []
        text = f"the sensor runs at {rate_hz:.1f} Hz; the model was trained at {self._contract.window.rate_hz:g} Hz"
        if rate_hz < self._signal.min_rate_hz:
            return [Defect("rate", f"{text} and needs {self._signal.min_rate_hz:g}", UNKNOWN)]
        return [Defect("rate", text)]

    def _gravity(self, newest: SlowPart, start_s: float, end_s: float, after_gap: bool) -> str:
        """Why the samples cannot be in the unit and scale that they are taken for; empty where they can."""
        slow = newest if self._is_long else self._averaged(newest, after_gap)
        if after_gap or self._is_long:
            self._since_s = start_s
        if end_s - self._since_s < self._needed_s:
            return self._at_rest or self._too_short
        problem = gravity_problem(slow, included=self._included, least_share=self._signal.least_mean_share)
        if self._included and (problem or self._too_short):
            self._too_short = "" if slow.length_g >= GRAVITY_G[0] else problem or self._too_short
        if slow.square > self._smallest_limit and not problem:
            problem = self._beyond_training(slow)
        if (problem or self._at_rest) and slow.is_calm:
            self._at_rest = problem
        return problem or self._at_rest or self._too_short

    def _averaged(self, newest: SlowPart, after_gap: bool) -> SlowPart:
        if self._slow is None or after_gap:
            self._slow = newest
        else:
            ((x, y, z), square), ((old_x, old_y, old_z), old), weight = newest, self._slow, self._newest
            mean = (old_x + weight * (x - old_x), old_y + weight * (y - old_y), old_z + weight * (z - old_z))
            self._slow = SlowPart(mean, old + weight * (square - old))
        return self._slow

    def _beyond_training(self, slow: SlowPart) -> str:
        mean_g, rms_g = self._signal.largest_mean_g, self._signal.largest_rms_g
        if mean_g and slow.length_g > mean_g:
            return f"the mean reading is {slow.length_g:.2f} g long, beyond {mean_g:.2f} g{scale_hint(slow.length_g)}"
        if rms_g and slow.rms_g > rms_g:
            return f"the root mean square of |a| is {slow.rms_g:.2f} g, beyond {rms_g:.2f} g"
        return ""

    def _dead(self, axis: int) -> Defect:
        name = self._contract.sensor.axes[axis]
        return Defect(f"dead axis {name}", f"axis {name} reads one value throughout; is it dead?")

    def _add(self, slow: SlowPart) -> None:
        """Add a window's mean reading; every ``DIRECTION_S`` of them tell where gravity points."""
        (x, y, z), (new_x, new_y, new_z) = self._sum, slow.mean
        self._sum = (x + new_x, y + new_y, z + new_z)
        self._summed += 1
        if self._summed == self._direction_windows:
            self._turned, self._is_short = self._direction(*self._sum), False
            self._summed, self._sum = 0, (0.0, 0.0, 0.0)

    def direction_so_far(self) -> str:
        """At the end of a stream shorter than ``DIRECTION_S``, what two windows or more say of gravity's direction."""
        turned = self._direction(*self._sum) if self._is_short and self._summed > 1 else ()
        return turned[0].text if turned else ""

    def _direction(self, x: float, y: float, z: float) -> tuple[Defect, ...]:
        if not self._signal.gravity_direction:
            return ()
        to_x, to_y, to_z = self._signal.gravity_direction
        length = math.sqrt(x * x + y * y + z * z)
        if length < SHORTEST_MEAN_G * self._summed:
            return ()
        cosine = max(-1.0, min(1.0, (x * to_x + y * to_y + z * to_z) / length))
        angle, within = math.degrees(math.acos(cosine)), self._signal.gravity_within_deg
        if angle <= within:
            return ()
        way_out = (
            f"all axes seem opposite: try --axes={opposite_axes(self._axes)}"
            if 180 - angle <= OPPOSITE_WITHIN_DEG
            else "check --axes and the wrist that wears it"
        )
        text = f"gravity points {angle:.0f} degrees away from where it did in training; {way_out}"
        return (Defect("direction", text),)


def opposite_axes(axes: str) -> str:
    """An axis map with every sign changed: ``"-y,x,z"`` -> ``"y,-x,-z"``."""
    parts = (part.strip() for part in axes.split(","))
    return ",".join(part[1:] if part.startswith("-") else f"-{part.lstrip('+')}" for part in parts)
