"""Samples as a sensor gives them: time units, units of acceleration, axes; and the same as arrays in g."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vskd.contract import STANDARD_GRAVITY_M_S2, Unit
from vskd.errors import ConfigError, StreamError, did_you_mean

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]

TimeUnit = Literal["s", "ms", "us", "ns"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

#: Windows are float32: a larger value would become infinite there.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class AxisMap:
    """Turns the sensor's axes into the contract's.

    Attributes
    ----------
    order, sign : for each axis of the contract the column of the sensor's axis, and 1 or -1
    is_identity : whether nothing changes
    """

    order: NDArray[np.intp]
    sign: Float64
    is_identity: bool

    @classmethod
    def parse(cls, text: str) -> AxisMap:
        """Read for each axis of the contract the sensor's axis, with a sign: ``"-y,x,z"``.

        Raises
        ------
        ConfigError : not x, y and z once each
        """
        parts = [part.strip() for part in text.split(",")]
        names = [part.lstrip("+-") for part in parts]
        if sorted(names) != ["x", "y", "z"]:
            raise ConfigError(f"an axis map names x, y and z once each, with signs, like '-y,x,z'; got {text!r}")
        order = np.array(["xyz".index(name) for name in names])
        sign = np.array([-1.0 if part.startswith("-") else 1.0 for part in parts])
        return cls(order, sign, names == ["x", "y", "z"] and bool((sign > 0).all()))

    def __call__(self, xyz: Float64) -> Float64:
        """(samples, 3) in the sensor's axes -> (samples, 3) in the contract's."""
        if self.is_identity:
            return xyz
        mapped: Float64 = xyz.take(self.order, axis=1) * self.sign
        return mapped


def as_samples(time: ArrayLike, xyz: ArrayLike) -> tuple[NDArray[Any], Float64]:
    """Samples as arrays: time (n,), int64 or float64, and xyz (n, 3), float64; of a number and (3,) one sample.

    Raises
    ------
    StreamError : shapes or types that are not samples
    """
    try:
        times, values = np.asarray(time), np.asarray(xyz)
    except ValueError as error:
        raise StreamError(f"samples must be time (n,) and xyz (n, 3): {error}") from error
    if values.shape == (3,) and times.ndim == 0:
        times, values = times[np.newaxis], values[np.newaxis]
    if values.ndim != 2 or values.shape[1] != 3 or times.shape != values.shape[:1]:
        raise StreamError(f"samples must be time (n,) and xyz (n, 3), got {times.shape} and {values.shape}")
    if times.dtype.kind not in "fiu" or values.dtype.kind not in "fiu":
        raise StreamError(f"samples must be numbers, got {times.dtype} and {values.dtype}")
    # Differences of narrow or unsigned integers would wrap.
    if times.dtype != np.float64:
        times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64, copy=False)
    return times, values if values.dtype == np.float64 else values.astype(np.float64)


def to_g(xyz: Float64, *, unit: Unit, axes: str = "x,y,z") -> Float64:
    """Samples (n, 3) in a unit and axes of the sensor -> g, in the contract's axes."""
    values = xyz if unit == "g" else xyz * factor_to_g(unit)
    return values if axes == "x,y,z" else AxisMap.parse(axes)(values)


def per_second(time_unit: str) -> int:
    """Units of a clock in a second.

    Raises
    ------
    ConfigError : no such time unit
    """
    if time_unit not in _PER_SECOND:
        raise ConfigError(f"there is no time unit {time_unit!r}", hint=did_you_mean(time_unit, _PER_SECOND))
    return _PER_SECOND[time_unit]


def finite(time: NDArray[Any], values: Float64) -> NDArray[np.bool_]:
    """Which samples (n,) hold nothing but numbers that float32 can hold."""
    finite: NDArray[np.bool_] = (np.abs(values) <= LARGEST).all(axis=1) & (np.abs(time) <= LARGEST)
    return finite


def factor_to_g(unit: str) -> float:
    if unit not in get_args(Unit):
        raise ConfigError(f"there is no unit {unit!r} for acceleration", hint=did_you_mean(unit, get_args(Unit)))
    return 1.0 if unit == "g" else 1.0 / STANDARD_GRAVITY_M_S2
