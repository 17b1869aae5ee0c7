"""exp and tanh of float32, of additions, multiplications and divisions alone: so every language finds the same bits.

A library's functions differ in their last bit from machine to machine. These err by about 1e-7, absolutely, far below a
step of an 8-bit input.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

#: 1 / ln 2, and ln 2 in two parts of which the first has few digits (W. J. Cody & W. Waite, 1980).
PER_LN2 = np.float32(1.44269504)
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)

#: Coefficients of e^-r from r^6 to 1, Taylor's: for |r| at most ln 2 / 2 the next term is below 1e-7.
POLYNOMIAL = tuple(np.float32((-1) ** power / math.factorial(power)) for power in range(6, -1, -1))

#: e^-x for a larger x is 0.
LARGEST = np.float32(87.0)


def decay(values: Float32) -> Float32:
    """e^-x for x of 0 or more."""
    bounded = np.minimum(values, LARGEST)
    periods = np.floor(bounded * PER_LN2 + np.float32(0.5))
    rest = (bounded - periods * LN2_HIGH) - periods * LN2_LOW
    total = np.full_like(rest, POLYNOMIAL[0])
    for coefficient in POLYNOMIAL[1:]:
        total = total * rest + coefficient
    scale = ((127 - periods.astype(np.int32)) << 23).view(np.float32)  # 2^-periods, by its exponent
    return np.where(values > LARGEST, np.float32(0), total * scale)


def tanh(values: Float32) -> Float32:
    """The hyperbolic tangent."""
    square = decay(np.abs(values) + np.abs(values))
    return np.asarray(np.copysign((1 - square) / (1 + square), values))
