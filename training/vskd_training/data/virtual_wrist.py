"""A virtual accelerometer on a limb of a measured skeleton: what a watch on the wrist would have read.

Skeletons of depth cameras come at 15 to 30 frames/s and shake by centimetres. Differentiated twice, that noise would be
all there is; so the joints are smoothed by a Savitzky-Golay filter first (a cubic over ``SMOOTHING_S``), which keeps
motion below about 3 Hz. Impacts are lost.

The watch's axes, which no skeleton shows, are built from the arm: x from the wrist towards the elbow, z square to the
plane of upper arm and forearm, y to complete them. Where the arm is straight that plane is unknown; then it is carried
on from the instant before. So a virtual sensor differs from a real one by an unknown rotation of the strap, and by more
where the forearm is twisted, which no joint shows either.

On a thigh x runs from hip to knee, and z is the line through both hips made square to it: knees bend about that line,
and a straight leg has it too.

This module does not know data sets or files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import DataError
from vskd_training.datasets.data_set import Limb
from vskd_training.datasets.synthetic.virtual_sensor import specific_force_g

Float64 = NDArray[np.float64]

SMOOTHING_S = 0.4
_CUBIC = 3
#: Sine of the elbow's angle below which the plane of the arm is carried on.
_STRAIGHT = 0.2
#: Sine of an angle that rounding alone could make.
_NO_ANGLE = 1e-6


def limb_parts_g(
    time_s: Float64, limb_m: Float64, *, limb: Limb, at_s: Float64, up: tuple[float, float, float]
) -> tuple[Float64, Float64]:
    """What a sensor on a limb would have read, as the two parts whose sum it is.

    Parameters
    ----------
    time_s : (frames,), evenly spaced, s
    limb_m : (frames, 3, 3) in the world, m; in another unit of length the motion is in that unit. Of an ``arm``
        shoulder, elbow and wrist, which bears the sensor; of a ``thigh`` the other hip, its own hip and the knee, with
        the sensor half way between these two
    limb : which of the two
    at_s : (samples,), when to read, s, within ``time_s``
    up : unit vector against gravity, in the world's axes

    Returns
    -------
    motion (samples, 3), g, which grows with the limb's length, and gravity (samples, 3), g, which does not

    Raises
    ------
    DataError : too few frames, or bones of no length
    """
    smooth = _smoothed(time_s, limb_m)
    axes = arm_axes(smooth) if limb == "arm" else thigh_axes(smooth)
    place = smooth[:, 2] if limb == "arm" else (smooth[:, 1] + smooth[:, 2]) / 2
    motion = specific_force_g(time_s, place, axes, at_s=at_s, gravity_m_s2=(0.0, 0.0, 0.0))
    gravity_m_s2 = (-STANDARD_GRAVITY_M_S2 * up[0], -STANDARD_GRAVITY_M_S2 * up[1], -STANDARD_GRAVITY_M_S2 * up[2])
    return motion, specific_force_g(time_s, np.zeros_like(place), axes, at_s=at_s, gravity_m_s2=gravity_m_s2)


def _smoothed(time_s: Float64, arm_m: Float64) -> Float64:
    """The joints without what shakes them, (frames, 3, 3)."""
    if len(time_s) < 2 * _CUBIC:
        raise DataError(f"a limb needs {2 * _CUBIC} frames or more to be differentiated, got {len(time_s)}")
    frame_s = float(time_s[-1] - time_s[0]) / (len(time_s) - 1)
    longest = (len(time_s) - 1) // 2 * 2 + 1
    width = min(max(round(SMOOTHING_S / frame_s) // 2 * 2 + 1, _CUBIC + 2), longest)
    smooth: Float64 = savgol_filter(arm_m, width, _CUBIC, axis=0)
    return smooth


def arm_axes(arm_m: Float64) -> Float64:
    """The watch's axes in the world, as columns: (frames, 3, 3) of shoulder, elbow and wrist to (frames, 3, 3).

    Raises
    ------
    DataError : a bone of no length
    """
    upper, fore = arm_m[:, 1] - arm_m[:, 0], arm_m[:, 1] - arm_m[:, 2]
    lengths = np.linalg.norm(np.stack([upper, fore]), axis=2)
    if not (lengths > 0).all():
        raise DataError("two joints of the arm are in one place, so it points nowhere")
    x = fore / lengths[1][:, np.newaxis]
    across = np.cross(upper / lengths[0][:, np.newaxis], x)
    sine = np.linalg.norm(across, axis=1)
    bent = np.flatnonzero(sine > _STRAIGHT)
    z = np.empty_like(x)
    carried = across[bent[0]] if len(bent) else np.cross(x[0], np.roll(x[0], 1))
    for frame in range(len(x)):
        if sine[frame] > _STRAIGHT:
            # The plane has two sides; the one nearer to the last is meant, as no arm turns over between two frames.
            carried = across[frame] * (1 if across[frame] @ carried >= 0 else -1)
        square = carried - (carried @ x[frame]) * x[frame]
        z[frame] = square / np.linalg.norm(square)
    return np.stack([x, np.cross(z, x), z], axis=2)


def thigh_axes(hips_and_knee_m: Float64) -> Float64:
    """The axes of a sensor on a thigh, as ``arm_axes``; from (frames, 3, 3) of the other hip, its own hip and the knee.

    Raises
    ------
    DataError : a thigh of no length, or one that lies on the line through both hips
    """
    along, across = (hips_and_knee_m[:, joint] - hips_and_knee_m[:, joint - 1] for joint in (2, 1))
    lengths = [np.linalg.norm(vector, axis=1, keepdims=True) for vector in (along, across)]
    if not all((length > 0).all() for length in lengths):
        raise DataError("hips and knee are not three places, so the thigh has no axes")
    x, side = along / lengths[0], across / lengths[1]
    square = side - x * np.sum(side * x, axis=1, keepdims=True)
    sine = np.linalg.norm(square, axis=1, keepdims=True)
    if not (sine > _NO_ANGLE).all():
        raise DataError("the thigh lies on the line through both hips, so it has no axes")
    z = square / sine
    return np.stack([x, np.cross(z, x), z], axis=2)
