"""What can be known of a stretch of samples by physics alone: frozen, copied or saturated axes, and gravity.

Pure rules on (channels, samples) in g; the stream asks them of each window, training of each recording. Sums are taken
in float64, where their order changes nothing that a limit could notice.

Gravity. The velocity of a wrist stays below some m/s, so that its acceleration averages out over seconds, and what
remains of the sensor's reading is gravity. Two things follow, for a stretch of ``SLOW_S`` or longer that includes
gravity. However the wrist turns, its mean |a|, and with it the root mean square of |a|, is about 1 g or more. And where
the reading hardly varies (a calm stretch), the length of the mean reading is 1 g, but for the sensor's own error. What
physics does not give: a wrist in circles may have a mean of nearly 0 for some seconds, so that a short mean alone, in
movement, is held against a stretch only below ``LEAST_SLOW_SHARE`` of the root mean square, and in a contract below
what training had. Of 1,859 windows of 2.56 s of UTD-MHAD, whose actions hold many circles, 6 are below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vskd.contract import STANDARD_GRAVITY_M_S2

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    from numpy.typing import NDArray

    Samples = NDArray[np.floating[Any]]

Direction = tuple[float, float, float]

#: Shortest stretch whose slow part is judged, s.
SLOW_S = 2.0

#: A stretch is calm where the reading's standard deviation, all axes together, is at most this share of the mean
#: reading's length, or of 1 g where that is shorter. A share, so that a wrong scale stays calm.
CALM_SHARE = 0.1

#: Length of gravity in a calm stretch, g: a sensor's error and its offset are within this, a wrong scale is not.
GRAVITY_G = (0.8, 1.2)

#: Length of the mean reading in a calm stretch without gravity, at most, g.
NO_GRAVITY_G = 0.2

#: Without gravity no wrist has a mean reading of ``GRAVITY_G[0]`` that varies by less than this share of it: in the two
#: seconds it would reach 50 km/h.
STEADY_SHARE = 0.5

#: A stretch with gravity whose mean reading is a smaller share of its root mean square is as one without gravity.
LEAST_SLOW_SHARE = 0.1


#: Readings are cut off where the largest one of an end of an axis is read so often in a row, on two ends or above
#: so many g (one axis of a coarse sensor at rest reads one value, too), by a larger share of the samples than this.
#: No window of UTD-MHAD is, of 1,859.
CUT_OFF_SHARE = 0.05
IN_A_ROW = 3
CUT_OFF_ABOVE_G = 1.5
NEAR_THE_LARGEST = 0.9

#: Length of gravity under a wrong scale, and what to do about it.
_SCALES = (
    (0.5, "the scale seems to be half of the right one: check the sensor's range"),
    (2.0, "the scale seems to be twice the right one: check the sensor's range"),
    (STANDARD_GRAVITY_M_S2, "it looks like m/s^2: use unit='m/s^2' (--unit m/s^2)"),
    (1 / STANDARD_GRAVITY_M_S2, "it looks like g: use unit='g' (--unit g)"),
)


class SlowPart(NamedTuple):
    """The slow part of a stretch of samples.

    Attributes
    ----------
    mean : of each axis, g; gravity's direction and length where the stretch is calm
    square : mean of |a|^2, g^2
    """

    mean: Direction
    square: float

    @property
    def length_g(self) -> float:
        """Length of the mean reading, g."""
        x, y, z = self.mean
        return math.sqrt(x * x + y * y + z * z)

    @property
    def rms_g(self) -> float:
        """Root mean square of |a|, g."""
        return math.sqrt(self.square)

    @property
    def is_calm(self) -> bool:
        """Whether the reading hardly varies."""
        (x, y, z), square = self
        length = x * x + y * y + z * z
        return square - length <= CALM_SHARE * CALM_SHARE * (length if length > 1.0 else 1.0)


def slow_part(samples: Samples) -> SlowPart:
    """The mean reading of a stretch (3, samples), g, and its mean square."""
    return SlowMeter(samples.shape[1]).measure(samples)


class SlowMeter:
    """Measures the slow part of one stretch after another, all of so many samples, in memory of its own.

    Right after a model's call fresh memory costs more than the arithmetic.
    """

    def __init__(self, samples: int) -> None:
        self._count = samples
        self._exact = np.empty((3, samples))
        self._flat = self._exact.reshape(-1)
        self._ones = np.ones(samples)

    def measure(self, samples: Samples) -> SlowPart:
        """As ``slow_part``."""
        self._exact[:] = samples
        count = self._count
        x, y, z = self._exact.dot(self._ones).tolist()
        return SlowPart((x / count, y / count, z / count), float(self._flat.dot(self._flat)) / count)


def held_share(samples: Samples) -> float:
    """Longest stretch in which no axis changes at all, as a share of all samples (channels, samples); 0 where none."""
    return _longest_run((samples[:, 1:] == samples[:, :-1]).all(axis=0)) / len(samples[0])


def zero_share(samples: Samples) -> float:
    """Longest stretch in which every axis reads exactly 0, as a share of all samples (channels, samples)."""
    zeros = (samples == 0).all(axis=0)
    return _longest_run(zeros[1:] & zeros[:-1]) / len(zeros)


def _longest_run(steps: NDArray[np.bool_]) -> int:
    """Samples in the longest run of true steps between neighbours: one more than the steps; 0 where none is true."""
    borders = np.flatnonzero(np.diff(np.concatenate(([False], steps, [False])).astype(np.int8)))
    return int((borders[1::2] - borders[::2]).max()) + 1 if len(borders) else 0


def equal_axes(samples: Samples) -> tuple[int, ...]:
    """Axes of a stretch (channels, samples) that read the same throughout, and change; empty where no two do."""
    moving = [axis for axis, row in enumerate(samples) if (row != row[0]).any()]
    for axis in moving:
        same = tuple(other for other in moving if (samples[other] == samples[axis]).all())
        if len(same) > 1:
            return same
    return ()


def flat_axes(samples: Samples) -> tuple[int, ...]:
    """Axes of a stretch (channels, samples) that read one value throughout."""
    return tuple(axis for axis, row in enumerate(samples) if (row == row[0]).all())


def saturated_share(samples: Samples, *, range_g: float) -> float:
    """Share of the samples (channels, samples), g, with an axis at or beyond the sensor's range."""
    return float((np.abs(samples) >= range_g).any(axis=0).mean())


def cut_off(samples: Samples, *, known_g: float = 0.0) -> tuple[float, float]:
    """Share of the samples (3, samples), g, that stay at an end of the readings, and the largest reading, g.

    So they do at the end of a range, also of one that nobody stated; 0 where none stays.

    Parameters
    ----------
    known_g : this reading is the end of the range, g: then one end of the six is enough
    """
    largest_g = float(np.abs(samples).max())
    stays = np.zeros(samples.shape[1], dtype=bool)
    reached = 0
    for signed in (*samples, *-samples):
        # A calibrated sensor's axes end at different readings, but all near the largest.
        ends = signed == max(float(signed.max()), NEAR_THE_LARGEST * largest_g)
        middle = ends[:-2] & ends[1:-1] & ends[2:]
        reached += bool(middle.any())
        for shift in range(IN_A_ROW):
            stays[shift : shift + len(middle)] |= middle
    is_end = largest_g > CUT_OFF_ABOVE_G or reached > 1 or largest_g == known_g
    return (float(stays.mean()) if is_end else 0.0), largest_g


def gravity_problem(slow: SlowPart, *, included: bool, least_share: float = LEAST_SLOW_SHARE) -> str:
    """Why a stretch of ``SLOW_S`` or longer cannot be in g with gravity, or without it; empty where it can.

    Squares are compared, so that no root is taken where there is nothing to say.

    Parameters
    ----------
    slow : of the stretch
    included : whether gravity is, as the contract's ``sensor.gravity`` has it
    least_share : a mean that is a smaller share of the root mean square is as without gravity
    """
    (x, y, z), square = slow
    length = x * x + y * y + z * z  # squared, as every quantity here
    low, high = GRAVITY_G
    if not included:
        is_steady = length >= low * low and square - length <= STEADY_SHARE * STEADY_SHARE * length
        if is_steady or (slow.is_calm and length > NO_GRAVITY_G * NO_GRAVITY_G):
            return f"the mean reading is {slow.length_g:.2f} g long, as with gravity, which is to be removed"
        return ""
    if square < low * low:
        return f"|a| is {slow.rms_g:.2f} g, and gravity alone makes it 1 g{scale_hint(slow.length_g)}"
    if length > high * high and slow.is_calm:
        return f"at rest |a| is {slow.length_g:.2f} g, and gravity alone makes it 1 g{scale_hint(slow.length_g)}"
    if length < least_share * least_share * square:
        return f"the mean of {slow.rms_g:.2f} g of movement is {slow.length_g:.2f} g, as without gravity"
    return ""


def scale_hint(length_g: float) -> str:
    """What would give gravity this length; empty where nothing that is known does."""
    for scale, meaning in _SCALES:
        if 0.85 <= length_g / scale <= 1.15:
            return f"; {meaning}"
    return ""


def mean_direction(slow: Sequence[SlowPart]) -> Direction | None:
    """The mean direction of gravity, a unit vector.

    Parameters
    ----------
    slow : of stretches of one sensor; where one in ten is calm, only those count, else all: a wrist that turns within
        a stretch gives a shorter mean, and so counts less

    Returns
    -------
    None where there is nothing to average, or the directions cancel out
    """
    calm = [each for each in slow if each.is_calm]
    used = calm if 10 * len(calm) >= len(slow) else slow
    x, y, z = (math.fsum(each.mean[axis] for each in used) for axis in range(3))
    length = math.sqrt(x * x + y * y + z * z)
    if length < LEAST_SLOW_SHARE * math.fsum(each.rms_g for each in used) or length == 0.0:
        return None
    return x / length, y / length, z / length


def angle_deg(one: Direction, other: Direction) -> float:
    """Angle between two unit vectors, degrees in [0, 180]."""
    cosine = sum(a * b for a, b in zip(one, other, strict=True))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
