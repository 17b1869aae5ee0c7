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

#: Arrays, because numpy takes a third longer to turn a number into one at each call.
_ONE, _MINUS_ONE = np.array(1, dtype=np.float32), np.array(-1, dtype=np.float32)


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

    Everything between window and image lies in buffers, made anew only for another batch size: of single windows, a
    third of the time is saved by that. An encoder therefore serves one thread.

    Parameters
    ----------
    spec : fields, scaling and size
    samples : samples in a window
    """

    def __init__(self, spec: GafSpec, samples: int) -> None:
        self.spec = spec
        self.samples = samples
        self._paa = paa_matrix(samples, spec.size)
        limits_g = np.array([-spec.scale_g, spec.scale_g], dtype=np.float32)
        self._limits: tuple[Float32, ...] = (limits_g[:1], limits_g[1:], limits_g[1:] - limits_g[:1])
        self._per_scale = np.array(1.0 / spec.scale_g, dtype=np.float32)
        self._space = _Workspace(1, 3, samples, spec.size)

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
        shape = windows.shape
        if len(shape) not in (2, 3) or shape[-1] != self.samples:
            raise SignalError(
                f"a window must be (channels, {self.samples}) or (batch, channels, {self.samples}), got shape {shape}"
            )
        as_batch = windows if len(shape) == 3 else windows[np.newaxis]
        batch, channels, _ = as_batch.shape
        fields, size = self.spec.fields, self.spec.size
        images = np.empty((*shape[:-2], len(fields) * channels, size, size), dtype=np.float32)
        space = self._workspace(batch, channels)
        np.matmul(_checked(as_batch, space), self._paa, out=space.reduced)
        self._rescale(space)
        by_field, right = images.reshape(batch, len(fields), channels, size, size), space.right()
        for index, name in enumerate(fields):
            np.matmul(space.left(name), right, out=by_field[:, index])
        return images

    def _workspace(self, batch: int, channels: int) -> _Workspace:
        if self._space.shape != (batch, channels):
            self._space = _Workspace(batch, channels, self.samples, self.spec.size)
        return self._space

    def _rescale(self, space: _Workspace) -> None:
        """From the reduced window to the cosine and the sine of the polar angle."""
        if self.spec.scaling == "tanh":
            _rescale_softly(space, self._per_scale)
            return
        values, above, below = space.reduced, space.cosine, space.sine
        if self.spec.scaling == "minmax":
            low, high, width = space.low, space.high, space.width
            np.minimum.reduce(values, axis=-1, keepdims=True, out=low)
            np.maximum.reduce(values, axis=-1, keepdims=True, out=high)
            np.subtract(high, low, out=width)
            np.maximum(width, np.float32(FLAT_G), out=width)
        else:
            low, high, width = self._limits
            np.clip(values, low, high, out=values)
        np.subtract(values, low, out=above)
        np.divide(above, width, out=above)
        np.subtract(high, values, out=below)
        np.divide(below, width, out=below)
        np.multiply(above, below, out=values)
        np.subtract(above, below, out=space.cosine)
        np.sqrt(values, out=values)
        np.add(values, values, out=space.sine)


class _Workspace:
    """What lies between window and image, for a batch of one size.

    Attributes
    ----------
    shape : (batch, channels)
    values, magnitude : (batch, channels, samples): the windows as float32, and their magnitudes
    reduced, cosine, sine : (batch, channels, size)
    low, high, width : (batch, channels, 1), of ``minmax``
    """

    def __init__(self, batch: int, channels: int, samples: int, size: int) -> None:
        self.shape = (batch, channels)
        self.values, self.magnitude = np.empty((2, batch, channels, samples), dtype=np.float32)
        self.reduced, self.cosine, self.sine = np.empty((3, batch, channels, size), dtype=np.float32)
        self.low, self.high, self.width = np.empty((3, batch, channels, 1), dtype=np.float32)
        self._left = np.empty((batch, channels, size, 2), dtype=np.float32)
        self._right = np.empty((batch, channels, 2, size), dtype=np.float32)
        self._columns = self._left[..., 0], self._left[..., 1]
        self._rows = self._right[:, :, 0], self._right[:, :, 1]

    def left(self, field: str) -> Float32:
        """(batch, channels, size, 2): [c, s] of a summation field, [s, c] of a difference field."""
        for_cosine, for_sine = self._columns if field == "gasf" else self._columns[::-1]
        for_cosine[...], for_sine[...] = self.cosine, self.sine
        return self._left

    def right(self) -> Float32:
        """(batch, channels, 2, size): [c, -s]."""
        first, second = self._rows
        np.negative(self.sine, out=self.reduced)  # straight into every other row it takes twice as long
        first[...], second[...] = self.cosine, self.reduced
        return self._right


def _rescale_softly(space: _Workspace, per_scale: Float32) -> None:
    """The scaling ``tanh``; ``per_scale`` is 1 / scale_g."""
    scaled, decay, square = space.reduced, space.sine, space.reduced
    np.multiply(scaled, per_scale, out=scaled)
    np.tanh(scaled, out=space.cosine)
    np.copysign(scaled, _MINUS_ONE, out=decay)
    np.exp(decay, out=decay)
    np.multiply(decay, decay, out=square)
    np.add(square, _ONE, out=square)
    np.add(decay, decay, out=decay)
    np.divide(decay, square, out=decay)


def _checked(windows: NDArray[np.floating[Any]], space: _Workspace) -> Float32:
    """The windows as float32, none of them unusable."""
    values: Float32 = windows
    if windows.dtype != np.float32:
        values = space.values
        with np.errstate(over="ignore"):
            values[...] = windows
    if np.vdot(values, values) < np.inf:  # a finite sum of squares holds no NaN, and nothing beyond 1.9e19 g
        return values
    np.absolute(values, out=space.magnitude)
    limit = np.float32(LARGEST_G)  # numpy 1.x would compare a Python float in float64, and refuse the limit itself
    if not space.magnitude.max(initial=0.0) <= limit:  # false for NaN
        count = int(values.size - (space.magnitude <= limit).sum())
        raise SignalError(
            f"the window holds {count} values that are NaN, infinite or beyond {LARGEST_G:g} g",
            hint="Drop those samples",
        )
    return values
