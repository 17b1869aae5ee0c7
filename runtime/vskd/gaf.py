"""Gramian angular fields: a window of acceleration becomes a stack of images (Wang & Oates, AAAI workshop 2015).

Per axis of one window, reduced to S samples by piecewise aggregate approximation::

    v              S averages of the window
    c = cos(phi)   v rescaled to [-1, 1]
    s = sin(phi)   = sqrt(1 - c^2), but never computed that way
    GASF[i, j] = cos(phi_i + phi_j) = c_i c_j - s_i s_j
    GADF[i, j] = sin(phi_i - phi_j) = s_i c_j - c_i s_j        (the sign of pyts)

Both fields have rank 2, [c, s] [c, -s]^T and [s, c] [c, -s]^T: one small matrix product per axis and no arccos.
``sqrt(1 - c^2)`` loses half of float32's digits near |c| = 1. The stable forms are

``minmax``, ``range``
    u = (v - lo) / d, w = (hi - v) / d, c = u - w, s = 2 sqrt(u w), with d = hi - lo
``tanh``
    c = tanh(y), s = 2 e / (1 + e^2), with y = v / scale_g and e = exp(-|y|)

``minmax`` is the paper's: it erases amplitude and gravity. It also leaves a flat axis undefined (0 / 0); here
d is never below 1e-6 g, so that a flat axis draws an image of zeros.

This is the one definition. ``vskd_training.models.encoder`` executes it in torch, and with it the ONNX and TFLite
graphs; tests hold the three together. The values of an image lie in [-1, 1] and have no unit.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import GafSpec
from vskd.errors import SignalError

Float32 = NDArray[np.float32]

#: Smallest spread that ``minmax`` rescales, g. Less is a flat axis.
FLAT_G = 1e-6

#: Largest acceleration that is encoded, g. It leaves float32 room to subtract and to sum.
LARGEST_G = 1e30


def paa_matrix(samples: int, size: int) -> Float32:
    """The averaging matrix of piecewise aggregate approximation, with the segment bounds of pyts.

    Parameters
    ----------
    samples : samples in a window, T
    size : segments, S; at most ``samples``

    Returns
    -------
    (samples, size): ``window @ matrix`` is the reduced window

    Raises
    ------
    SignalError : more segments than samples
    """
    if not 1 <= size <= samples:
        raise SignalError(f"an image of {size} pixels cannot be drawn from a window of {samples} samples")
    bounds = np.linspace(0, samples, size + 1).astype(np.int64)
    matrix = np.zeros((samples, size), dtype=np.float32)
    for column, (start, end) in enumerate(itertools.pairwise(bounds)):
        matrix[start:end, column] = 1.0 / (end - start)
    return matrix


class GafEncoder:
    """Encodes windows of one shape.

    Parameters
    ----------
    spec : fields, scaling and size
    samples : samples in a window
    """

    def __init__(self, spec: GafSpec, samples: int) -> None:
        self.spec = spec
        self.samples = samples
        self._paa = paa_matrix(samples, spec.size)

    def __call__(self, windows: NDArray[np.floating[Any]]) -> Float32:
        """Encode one window or a batch.

        Parameters
        ----------
        windows : (channels, samples) or (batch, channels, samples), g

        Returns
        -------
        (fields * channels, size, size), field by field and axis by axis within a field, or a batch of them;
        without unit, each value in [-1, 1]

        Raises
        ------
        SignalError : another shape, NaN, infinity, or a value beyond 1e30 g
        """
        checked = self._check(windows)
        cosine, sine = self._rescale(checked @ self._paa)
        batch, channels, size = cosine.shape
        image = np.empty((batch, len(self.spec.fields), channels, size, size), dtype=np.float32)
        left = np.empty((batch, channels, size, 2), dtype=np.float32)
        right = np.empty((batch, channels, 2, size), dtype=np.float32)
        right[:, :, 0] = cosine
        np.negative(sine, out=right[:, :, 1])
        for index, name in enumerate(self.spec.fields):
            left[..., 0], left[..., 1] = (cosine, sine) if name == "gasf" else (sine, cosine)
            np.matmul(left, right, out=image[:, index])
        stacked = image.reshape(batch, len(self.spec.fields) * channels, size, size)
        return stacked if windows.ndim == 3 else stacked[0]

    def _check(self, windows: NDArray[np.floating[Any]]) -> Float32:
        if windows.ndim not in (2, 3) or windows.shape[-1] != self.samples:
            raise SignalError(
                f"a window must be (channels, {self.samples}) or (batch, channels, {self.samples}), "
                f"got shape {windows.shape}"
            )
        as_batch = windows if windows.ndim == 3 else windows[np.newaxis]
        if as_batch.dtype == np.float32:
            values = as_batch
        else:
            with np.errstate(over="ignore"):
                values = as_batch.astype(np.float32)
        magnitude = np.abs(values)
        # Between float32s: numpy 1.x compares a scalar in float64, where the limit's own float32 lies above the limit.
        limit = np.float32(LARGEST_G)
        if not magnitude.max(initial=0.0) <= limit:  # false for NaN
            count = int(values.size - (magnitude <= limit).sum())
            raise SignalError(
                f"the window holds {count} values that are NaN, infinite or beyond {LARGEST_G:g} g",
                hint="Drop those samples",
            )
        return values

    def _rescale(self, values: Float32) -> tuple[Float32, Float32]:
        """(cosine, sine) of the polar angle, each (batch, channels, size)."""
        if self.spec.scaling == "tanh":
            scaled = values * np.float32(1.0 / self.spec.scale_g)
            decay = np.exp(-np.abs(scaled))
            return np.tanh(scaled), (decay + decay) / (1 + decay * decay)
        if self.spec.scaling == "minmax":
            low = values.min(axis=-1, keepdims=True)
            high = values.max(axis=-1, keepdims=True)
            width = np.maximum(high - low, np.float32(FLAT_G))
        else:
            low, high = np.float32(-self.spec.scale_g), np.float32(self.spec.scale_g)
            width = high - low
            values = np.clip(values, low, high)
        above, below = (values - low) / width, (high - values) / width
        return above - below, 2 * np.sqrt(above * below)
