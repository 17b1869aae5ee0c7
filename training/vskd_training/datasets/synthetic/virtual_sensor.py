"""A virtual accelerometer: the path and the orientation of a wrist become what a sensor strapped to it would read.

An accelerometer reads the specific force in its own axes::

    reading = R ^ T(a - g) / 9.80665

with a the second derivative of the sensor's position in the world, g the gravity vector and R the rotation from the
sensor's axes to the world's. At rest this is +1 g along the axis that points up.

The position is interpolated by a quintic spline, whose second derivative is again smooth; the orientation follows the
shortest turn between its samples. Both pass through the samples given, so a measured skeleton must be smoothed before
it comes here: differentiating twice multiplies its noise by the square of the angular frequency.

This module does not know bodies. It takes any moving frame: the generator's forearm, or one from a measured skeleton.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation, Slerp

from vskd.contract import STANDARD_GRAVITY_M_S2

Float64 = NDArray[np.float64]

_SPLINE_DEGREE = 5
#: Share of a sampling period that the jitter of one timestamp never exceeds: two neighbours cannot change places.
_LARGEST_JITTER = 0.45


#: A cheap accelerometer: standard deviations of each axis's offset in a recording, of each sample's noise, and of a
#: sampling instant around its grid; and where readings saturate.
BIAS_G, NOISE_G = 0.03, 0.02
JITTER_S = 0.002
RANGE_G = 8.0


def sampling_times(duration_s: float, rate_hz: float, *, rng: np.random.Generator) -> Float64:
    """The instants at which a sensor samples: a regular grid with jitter, both ends included.

    The jitter is real: the sensor samples at the instant its timestamp names. It is cut off at 0.45 of a period.

    Parameters
    ----------
    duration_s : the grid runs from 0 to the last period that fits into it, s
    rate_hz : nominal rate, Hz
    rng : source of the jitter

    Returns
    -------
    (samples,), s, strictly increasing, from about 0 to about ``duration_s``
    """
    # The small number keeps a duration that is a whole number of periods whole in floating point.
    samples = int(np.floor(duration_s * rate_hz + 1e-9)) + 1
    limit_s = _LARGEST_JITTER / rate_hz
    jitter = np.clip(rng.normal(0.0, 1.0, samples) * JITTER_S, -limit_s, limit_s)
    return np.arange(samples) / rate_hz + jitter


def specific_force_g(
    time_s: Float64,
    position_m: Float64,
    sensor_to_world: Float64,
    *,
    at_s: Float64,
    gravity_m_s2: tuple[float, float, float] = (0.0, 0.0, -STANDARD_GRAVITY_M_S2),
) -> Float64:
    """What an ideal accelerometer on a moving frame reads.

    Parameters
    ----------
    time_s : (instants,), strictly increasing, s; at least 6 of them
    position_m : (instants, 3), of the sensor in the world, m
    sensor_to_world : (instants, 3, 3), rotation matrices whose columns are the sensor's axes in the world
    at_s : (samples,), when to read, s, within ``time_s``
    gravity_m_s2 : the gravity vector in the world's axes, m/s^2; the default has z up

    Returns
    -------
    (samples, 3), g, in the sensor's axes, gravity included
    """
    path = make_interp_spline(time_s, position_m, k=_SPLINE_DEGREE)
    acceleration_m_s2: Float64 = path.derivative(2)(at_s)
    force_m_s2 = acceleration_m_s2 - np.asarray(gravity_m_s2, dtype=np.float64)
    orientation = Slerp(time_s, Rotation.from_matrix(sensor_to_world))(at_s)
    reading: Float64 = orientation.apply(force_m_s2, inverse=True) / STANDARD_GRAVITY_M_S2
    return reading


def with_errors(reading_g: Float64, rng: np.random.Generator) -> Float64:
    """Add a cheap sensor's bias and noise to ideal readings (samples, 3), g, and saturate them."""
    bias = rng.normal(0.0, 1.0, reading_g.shape[1]) * BIAS_G
    noise = rng.normal(0.0, 1.0, reading_g.shape) * NOISE_G
    return np.clip(reading_g + bias + noise, -RANGE_G, RANGE_G)
