"""The encoders' output in float64, by another route than theirs; they are judged by it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, GafSpec, RawSpec
from vskd.encoders.gaf import FLAT_G


def reference_encoded(windows: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """What the contract's encoder should give: images from the angles, cos(phi_i + phi_j) and sin(phi_i - phi_j).

    Parameters
    ----------
    windows : (n, channels, samples), g

    Returns
    -------
    (n, *contract.encoded_shape)
    """
    if contract.raw is not None:
        return _channels(windows, contract.raw)
    return images_of(reference_averages(windows, contract), contract)


def reference_averages(windows: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The segment averages that an image is drawn from, in float64: (n, channels, samples) -> (n, channels, size)."""
    bounds = np.linspace(0, contract.window.samples, contract.image_spec.size + 1).astype(np.int64)
    exact = np.asarray(windows, dtype=np.float64)
    return np.stack([exact[..., start:end].mean(axis=-1) for start, end in itertools.pairwise(bounds)], axis=-1)


def images_of(averages: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The images that float64 draws from averages (n, channels, size), g."""
    spec = contract.image_spec
    cosine, radius = _rescale(np.asarray(averages, dtype=np.float64), spec)
    phi = np.arccos(np.clip(cosine, -1.0, 1.0))[..., np.newaxis]
    turned = np.swapaxes(phi, -1, -2)
    fields = [np.cos(phi + turned) if name == "gasf" else np.sin(phi - turned) for name in spec.fields]
    return np.concatenate([field * radius for field in fields], axis=1)


def _channels(windows: NDArray[np.floating[Any]], spec: RawSpec) -> NDArray[np.float64]:
    exact = np.asarray(windows, dtype=np.float64)
    # tanh by the exponential function; beyond 20 it is 1 to the last bit of float64.
    decay = np.exp(-2 * np.minimum(np.abs(exact) / spec.scale_g, 20))
    soft = np.sign(exact) * (1 - decay) / (1 + decay)
    made = {"g": np.sign(exact) * np.minimum(np.abs(exact), spec.clip_g), "tanh": soft}
    made["centred"] = soft - soft.sum(axis=-1, keepdims=True) / soft.shape[-1]
    return np.concatenate([made[name] for name in spec.transforms], axis=1)


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
