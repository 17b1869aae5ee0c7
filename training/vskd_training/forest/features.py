"""Hand-made features of a window, for the classifier that is no network.

Of each axis, and of the magnitude |a| = sqrt(x^2 + y^2 + z^2), all in g:

    mean, std, min, max, q25, q50, q75      over the window; std divides by the number of samples
    mean_difference                         mean of |a[i + 1] - a[i]|
    amplitude_K (axes only), K = 1 .. 24    of the sine with K periods in the window: 2 / samples * |DFT of a, less its
                                            mean, at K|; a window of fewer than 48 samples has K up to samples / 2

Of each pair of axes, without unit:

    correlation                             Pearson's; 0 where an axis is flat (std below 1e-6 g)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.encoders.gaf import FLAT_G

#: Amplitudes of the spectrum, of each axis.
AMPLITUDES = 24
_STATISTICS = ("mean", "std", "min", "max", "q25", "q50", "q75", "mean_difference")


def feature_names(axes: Sequence[str], samples: int) -> tuple[str, ...]:
    """Names of the features, in order: ``x mean``, ``x-y correlation``, ``x amplitude_3``.

    Parameters
    ----------
    axes : of the sensor
    samples : in a window
    """
    return (
        *(f"{axis} {name}" for axis in (*axes, "magnitude") for name in _STATISTICS),
        *(f"{one}-{other} correlation" for one, other in combinations(axes, 2)),
        *(f"{axis} amplitude_{k}" for axis in axes for k in range(1, _amplitudes(samples) + 1)),
    )


def window_features(windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The features of every window.

    Parameters
    ----------
    windows : (n, axes, samples), g

    Returns
    -------
    (n, features), in the order of ``feature_names``
    """
    signals = windows.astype(np.float64)
    with_magnitude = np.concatenate([signals, np.linalg.norm(signals, axis=1, keepdims=True)], axis=1)
    parts = (_statistics(with_magnitude), _correlations(signals), _spectrum(signals))
    return np.concatenate([part.reshape(len(windows), -1) for part in parts], axis=1).astype(np.float32)


def _statistics(signals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, signals, statistics)"""
    quartiles = np.quantile(signals, [0.25, 0.5, 0.75], axis=-1)
    steps = np.abs(np.diff(signals, axis=-1)).mean(axis=-1)
    found = (signals.mean(-1), signals.std(-1), signals.min(-1), signals.max(-1), *quartiles, steps)
    return np.stack(found, axis=-1)


def _correlations(signals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, pairs of axes)"""
    centred = signals - signals.mean(axis=-1, keepdims=True)
    spread = centred.std(axis=-1)
    one, other = np.triu_indices(signals.shape[1], k=1)
    covariance = (centred[:, one] * centred[:, other]).mean(axis=-1)
    flat = np.minimum(spread[:, one], spread[:, other]) < FLAT_G
    product = np.where(flat, 1.0, spread[:, one] * spread[:, other])
    return np.where(flat, 0.0, covariance / product)


def _spectrum(signals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, axes, amplitudes), g"""
    samples = signals.shape[-1]
    centred = signals - signals.mean(axis=-1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, axis=-1)) * (2 / samples)
    return np.asarray(spectrum[..., 1 : _amplitudes(samples) + 1])


def _amplitudes(samples: int) -> int:
    return min(AMPLITUDES, samples // 2)
