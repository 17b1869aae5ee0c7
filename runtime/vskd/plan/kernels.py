"""The arithmetic of a plan, in numpy, bit by bit that of TensorFlow Lite Micro's reference kernels.

Sums of products are taken in float64, which holds them exactly. A result is rescaled by a fixed-point multiplication
that rounds twice (gemmlowp, "Integer multiplication: saturating rounding doubling high mul", and a rounding shift).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.plan.steps import Addition, Concatenation, Convolution, Mean, Plan, Pooling, Step, Tensor

Int8 = NDArray[np.int8]
Int64 = NDArray[np.int64]

#: The terms of an addition are shifted left by so many bits before they are rescaled.
ADDITION_SHIFT = 20


def run(plan: Plan, encoded: Int8) -> list[Int8]:
    """Every tensor of the network for one encoded window.

    Parameters
    ----------
    plan : of the network
    encoded : the first tensor, (height, width, channels)
    """
    tensors = {0: encoded}
    for step in plan.steps:
        tensors[step.target] = result(step, plan.tensors, tensors)
    return [tensors[number] for number in range(len(plan.tensors))]


def result(step: Step, known: Sequence[Tensor], tensors: Mapping[int, Int8]) -> Int8:
    """What one step makes of the tensors before it."""
    target = known[step.target]
    match step:
        case Convolution():
            return _convolution(step, tensors[step.source].reshape(step.reads), known[step.source], target)
        case Addition():
            return _addition(step, [tensors[one] for one in step.sources], [known[one] for one in step.sources], target)
        case Pooling():
            return _pooling(step, tensors[step.source], target)
        case Mean():
            return _mean(step, tensors[step.source], known[step.source], target)
        case Concatenation():
            return np.concatenate([tensors[one] for one in step.sources], axis=step.axis)


def rescaled(values: Int64, multiplier: Any, shift: Any) -> Int64:
    """Integers times multiplier / 2^31 * 2^shift, rounded twice: half up to the high word of the doubled product, and
    half away from zero in the shift to the right.

    Parameters
    ----------
    values : within int32
    multiplier, shift : one for all, or one for each of the last axis
    """
    left, right = np.maximum(shift, 0), np.maximum(np.negative(shift), 0)
    high = ((values << left) * np.asarray(multiplier, np.int64) + (1 << 30)) >> 31
    half = (np.int64(1) << right) >> 1
    return np.asarray((high + half - ((high < 0) & (right > 0))) >> right)


def _clamped(values: Int64, low: int, high: int) -> Int8:
    return np.clip(values, low, high).astype(np.int8)


def _convolution(step: Convolution, source: Int8, of_source: Tensor, target: Tensor) -> Int8:
    kernel = step.weights.shape[:2] if step.is_depthwise else step.weights.shape[1:3]
    patches = _patches(step, source, kernel, target, outside=of_source.zero_point)
    if step.is_depthwise:
        sums = np.einsum("hwcyx,yxc->hwc", patches.astype(np.float64), step.weights.astype(np.float64))
    else:
        rows = patches.transpose(0, 1, 3, 4, 2).reshape(*target.shape[:2], -1).astype(np.float64)
        sums = rows @ step.weights.reshape(len(step.weights), -1).astype(np.float64).T
    whole = sums.astype(np.int64) + step.biases
    return _clamped(rescaled(whole, step.multipliers, step.shifts) + target.zero_point, step.low, step.high)


def _patches(
    step: Convolution | Pooling, source: NDArray[Any], kernel: Sequence[int], target: Tensor, *, outside: int
) -> NDArray[Any]:
    """(height, width, channels, kernel height, kernel width): what lies under the kernel for each element to make."""
    (height, width, _), (down, right) = target.shape, step.stride
    (above, before), (rows, columns, _) = step.padding, source.shape
    below = max(0, (height - 1) * down + kernel[0] - above - rows)
    behind = max(0, (width - 1) * right + kernel[1] - before - columns)
    padded = np.pad(source, ((above, below), (before, behind), (0, 0)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(kernel), axis=(0, 1))
    return windows[: height * down : down, : width * right : right][:height, :width]


def _addition(step: Addition, sources: Sequence[Int8], known: Sequence[Tensor], target: Tensor) -> Int8:
    terms = [
        rescaled((source.astype(np.int64) - one.zero_point) << ADDITION_SHIFT, scale.multiplier, scale.shift)
        for source, one, scale in zip(sources, known, step.rescalings, strict=True)
    ]
    total = rescaled(terms[0] + terms[1], step.result.multiplier, step.result.shift)
    return _clamped(total + target.zero_point, step.low, step.high)


def _pooling(step: Pooling, source: Int8, target: Tensor) -> Int8:
    if not step.is_average:
        return _clamped(_patches(step, source, step.kernel, target, outside=-128).max(axis=(3, 4)), step.low, step.high)
    wide = source.astype(np.int64)
    sums = _patches(step, wide, step.kernel, target, outside=0).sum(axis=(3, 4))
    counts = _patches(step, np.ones_like(wide), step.kernel, target, outside=0).sum(axis=(3, 4))
    return _clamped(_quotient(np.where(sums > 0, sums + counts // 2, sums - counts // 2), counts), step.low, step.high)


def _mean(step: Mean, source: Int8, of_source: Tensor, target: Tensor) -> Int8:
    count = source.shape[0] * source.shape[1]
    sums = source.sum(axis=(0, 1), keepdims=True, dtype=np.int64)
    if step.rescaling is None:
        return _quotient(sums, np.int64(count)).astype(np.int8)
    whole = sums - of_source.zero_point * count
    return _clamped(rescaled(whole, step.rescaling.multiplier, step.rescaling.shift) + target.zero_point, -128, 127)


def _quotient(values: Int64, counts: Any) -> Int64:
    """A division of integers that cuts off, as C's does."""
    return np.asarray(np.sign(values) * (np.abs(values) // counts))
