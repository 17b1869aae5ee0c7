"""The images of ``vskd.gaf`` in float64, from the angles: another route than the encoders', which are judged by it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, GafSpec
from vskd.gaf import FLAT_G


def reference_images(windows: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The images of ``vskd.gaf``, in float64, from the angles: cos(phi_i + phi_j) and sin(phi_i - phi_j).

    Parameters
    ----------
    windows : (n, channels, samples), g

    Returns
    -------
    (n, image channels, size, size)
    """
    return images_of(reference_averages(windows, contract), contract)


def reference_averages(windows: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The segment averages that an image is drawn from, in float64: (n, channels, samples) -> (n, channels, size)."""
    bounds = np.linspace(0, contract.window.samples, contract.gaf.size + 1).astype(np.int64)
    exact = np.asarray(windows, dtype=np.float64)
    return np.stack([exact[..., start:end].mean(axis=-1) for start, end in itertools.pairwise(bounds)], axis=-1)


def images_of(averages: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The images that float64 draws from averages (n, channels, size), g."""
    spec = contract.gaf
    cosine, radius = _rescale(np.asarray(averages, dtype=np.float64), spec)
    phi = np.arccos(np.clip(cosine, -1.0, 1.0))[..., np.newaxis]
    turned = np.swapaxes(phi, -1, -2)
    fields = [np.cos(phi + turned) if name == "gasf" else np.sin(phi - turned) for name in spec.fields]
    return np.concatenate([field * radius for field in fields], axis=1)


def _rescale(values: NDArray[np.float64], spec: GafSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(cosine of the angle, what the field is multiplied by), the second (n, channels, 1, 1).

    Under ``minmax`` an axis whose spread is below ``FLAT_G`` lies on a circle of radius spread / ``FLAT_G`` instead of
    1, down to the point in which a flat axis ends; a field is a product of two values on that circle.
    """
    if spec.scaling != "minmax":
        ones = np.ones((*values.shape[:-1], 1, 1))
        scaled = values / spec.scale_g
        return np.tanh(scaled) if spec.scaling == "tanh" else np.clip(scaled, -1.0, 1.0), ones
    low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
    spread = high - low
    radius = spread / np.maximum(spread, FLAT_G)
    cosine = (2 * values - low - high) / np.where(spread > 0, spread, 1.0)
    return cosine, (radius**2)[..., np.newaxis]
