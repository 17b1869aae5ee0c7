"""What examples are compared by: the model's embedding e, and beside it the low end of the window's spectrum s.

Both at unit length, the cosine of the two together is (1 - share) cos(e, e') + share cos(s, s'):

    (sqrt(1 - share) e/|e|, sqrt(share) s/|s|).

s holds each axis's mean, and its amplitudes at 1 to ``AMPLITUDES`` periods in the window, all in g. A wearer repeats a
movement much alike, so that what costs a network nothing to compute tells one wearer's activities apart, and errs
elsewhere than the network does. How much it counts is fitted on validation subjects, and may be nothing.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

#: Amplitudes of each axis; more of them made no difference on training subjects, and each costs a profile 3 bytes.
AMPLITUDES = 6

#: A shorter vector is taken to be so long: what rounding left of nothing is no direction, and differs between machines.
SHORTEST = 1e-6


def joined(embedding: NDArray[np.floating[Any]], samples: NDArray[np.float32], share: float) -> NDArray[Any]:
    """Embedding and spectrum of a window.

    Parameters
    ----------
    embedding : (features,)
    samples : (axes, samples), of the window, g
    share : of the spectrum in a cosine, 0 to 1; with 0 the embedding comes back as it is

    Returns
    -------
    (features + axes * (1 + AMPLITUDES),)
    """
    if share == 0:
        return embedding
    own, beside = embedding.astype(np.float64), spectrum(samples)
    return np.concatenate([own * _factor(own, 1 - share), beside * _factor(beside, share)])


def spectrum(samples: NDArray[np.float32]) -> Float64:
    """(axes * (1 + AMPLITUDES),) of a window (axes, samples): of each axis its mean, then its amplitudes, g."""
    waves = samples.astype(np.float64) @ _waves(samples.shape[1])
    cosines = waves[:, 1 : AMPLITUDES + 1]
    np.hypot(cosines, waves[:, AMPLITUDES + 1 :], out=cosines)
    return np.asarray(waves[:, : AMPLITUDES + 1].reshape(-1))


def _factor(values: Float64, share: float) -> float:
    """What gives a vector the length sqrt(share)."""
    return math.sqrt(share) / max(math.sqrt(values @ values), SHORTEST)


@functools.cache
def _waves(samples: int) -> Float64:
    """(samples, 1 + 2 AMPLITUDES): the mean, and cosines and sines of 1, 2, ... periods in the window."""
    angles = 2 * np.pi / samples * np.outer(np.arange(samples), np.arange(1, AMPLITUDES + 1))
    mean = np.full((samples, 1), 1 / samples)
    return np.concatenate([mean, 2 / samples * np.cos(angles), 2 / samples * np.sin(angles)], axis=1)
