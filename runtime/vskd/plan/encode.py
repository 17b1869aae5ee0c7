"""From a window to the integers that a network begins with, in float32 and in one order, so that every port finds the
same bits.

The encoders are those of ``vskd.encoders``; here each sum runs from the first sample to the last, exp and tanh are
``float32``'s, and a product of fields is rounded before the difference. Against ``vskd.encoders`` a value differs by
some 1e-7, and so an integer by one, now and then, where it lies between two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, GafSpec, RawSpec
from vskd.encoders.gaf import FLAT_G, paa_matrix
from vskd.plan.float32 import decay, tanh
from vskd.plan.kernels import rescaled
from vskd.plan.steps import Plan, Quantization, Tensor

Float32 = NDArray[np.float32]


def encoded_shape(contract: Contract) -> tuple[int, int, int]:
    """(channels, rows, columns) of the encoder's output; a raw network's has one row."""
    if contract.raw is None:
        return contract.image_shape
    channels, samples = contract.encoded_shape
    return channels, 1, samples


def encoded(contract: Contract, plan: Plan, window: Float32) -> NDArray[np.int8]:
    """The first tensor of a plan, (height, width, channels), of a window (axes, samples), g."""
    raw = contract.raw
    values = channels(raw, window) if raw is not None else image(contract.image_spec, window)
    first, flat, begin = plan.tensors[0], values.reshape(-1), 0
    placed = np.empty(first.size, np.int8)
    for part in plan.parts:
        end = begin + part.count
        placed[plan.places.reshape(-1)[begin:end]] = quantized(flat[begin:end], part, first)
        begin = end
    return placed.reshape(first.shape)


def quantized(values: Float32, part: Quantization, first: Tensor) -> NDArray[np.int8]:
    """The nearest integers of values, half away from zero, computed in float32; then those of the first tensor."""
    steps = np.clip(values / np.float32(part.scale), np.float32(-1000), np.float32(1000))
    whole = np.trunc(steps)
    rest = steps - whole
    nearest = whole.astype(np.int64) + (rest >= 0.5) - (rest <= -0.5)
    integers = np.clip(nearest + part.zero_point, -128, 127)
    if part.rescaling is not None:
        differences = integers - part.zero_point
        integers = rescaled(differences, part.rescaling.multiplier, part.rescaling.shift) + first.zero_point
    return np.asarray(np.clip(integers, -128, 127).astype(np.int8))


def channels(spec: RawSpec, window: Float32) -> Float32:
    """(transforms * axes, samples), as ``vskd.encoders.raw`` gives them."""
    soft = tanh(window * np.float32(1.0 / spec.scale_g))
    limit = np.float32(spec.clip_g)
    made = {
        "g": np.clip(window, -limit, limit),
        "tanh": soft,
        "centred": soft - _sum(soft) / np.float32(window.shape[1]),
    }
    return np.concatenate([made[name] for name in spec.transforms])


def image(spec: GafSpec, window: Float32) -> Float32:
    """(fields * axes, size, size), as ``vskd.encoders.gaf`` gives it."""
    matrix = paa_matrix(window.shape[1], spec.size)
    reduced = np.concatenate([_sum(window * matrix[:, column]) for column in range(spec.size)], axis=1)
    cosine, sine = (_soft if spec.scaling == "tanh" else _linear)(spec, reduced)
    made = []
    for name in spec.fields:
        one, other = (cosine, sine) if name == "gasf" else (sine, cosine)
        made.append(one[:, :, None] * cosine[:, None, :] - other[:, :, None] * sine[:, None, :])
    return np.concatenate(made)


def _soft(spec: GafSpec, reduced: Float32) -> tuple[Float32, Float32]:
    scaled = reduced * np.float32(1.0 / spec.scale_g)
    once = decay(np.abs(scaled))
    square = once * once
    cosine = np.copysign((1 - square) / (1 + square), scaled)
    return cosine, (once + once) / (1 + square)


def _linear(spec: GafSpec, reduced: Float32) -> tuple[Float32, Float32]:
    if spec.scaling == "minmax":
        low, high = reduced.min(axis=1, keepdims=True), reduced.max(axis=1, keepdims=True)
        width = np.maximum(high - low, np.float32(FLAT_G))
    else:
        low, high = np.float32(-spec.scale_g), np.float32(spec.scale_g)
        width, reduced = high - low, np.clip(reduced, low, high)
    above, below = (reduced - low) / width, (high - reduced) / width
    root = np.sqrt(above * below)
    return above - below, root + root


def _sum(values: Float32) -> Float32:
    """(rows, 1): sums along the last axis, from the first value to the last."""
    return np.add.accumulate(values, axis=-1)[:, -1:]
