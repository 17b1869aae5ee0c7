"""Plans with random numbers that hold every kind of step, and contracts of every encoder."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from export.ports.watch.streams import LABELS
from vskd.contract import Contract, GafSpec, RawSpec, WindowSpec
from vskd.plan.encode import encoded_shape
from vskd.plan.steps import (
    Addition,
    Concatenation,
    Convolution,
    Mean,
    Plan,
    Pooling,
    Quantization,
    Rescaling,
    Shape,
    Tensor,
)

_IMAGE = Contract(labels=LABELS, window=WindowSpec(samples=64, hop_samples=16), gaf=GafSpec(size=16))
_RAW = dataclasses.replace(_IMAGE, gaf=None, raw=RawSpec(transforms=("g",), clip_g=4.0))

#: One for each encoder.
CONTRACTS = {
    "Soft": _IMAGE,
    "Narrow": dataclasses.replace(_IMAGE, gaf=GafSpec(size=8, fields=("gasf", "gadf"), scaling="minmax")),
    "Odd": dataclasses.replace(
        _IMAGE, window=WindowSpec(samples=50, hop_samples=10), gaf=GafSpec(size=24, fields=("gasf",), scaling="range")
    ),
    "Reading": _RAW,
    "Both": dataclasses.replace(
        _RAW, raw=RawSpec(transforms=("tanh", "centred", "g"), scale_g=1.7), window=WindowSpec(samples=75)
    ),
}


class _Draft:
    """A plan in the making; every number is drawn."""

    def __init__(self, random: np.random.Generator, first: Shape) -> None:
        self.random = random
        self.tensors = [self._tensor(first)]
        self.steps: list[Any] = []

    def _tensor(self, shape: Shape) -> Tensor:
        return Tensor(shape, float(np.float32(self.random.uniform(0.01, 0.1))), int(self.random.integers(-20, 21)))

    def target(self, shape: Shape, *, like: int | None = None) -> int:
        made = self._tensor(shape)
        self.tensors.append(made if like is None else dataclasses.replace(self.tensors[like], shape=shape))
        return len(self.tensors) - 1

    def rescaling(self, shift: int) -> Rescaling:
        return Rescaling(int(self.random.integers(2**30, 2**31)), shift)

    def convolution(
        self, source: int, outputs: int, kernel: Any, *, stride: Any = (1, 1), depthwise: bool = False
    ) -> int:
        height, width, channels = self.tensors[source].shape
        padding = (kernel[0] // 2, kernel[1] // 2)
        shape = (-(-height // stride[0]), -(-width // stride[1]), outputs)
        of_weights = (*kernel, channels) if depthwise else (outputs, *kernel, channels)
        shifts = -(int(np.log2(np.prod(of_weights) // outputs)) // 2 + self.random.integers(4, 7, outputs))
        target = self.target(shape)
        step = Convolution(
            source, target, (height, width, channels),
            self.random.integers(-127, 128, of_weights).astype(np.int8),
            self.random.integers(-3000, 3000, outputs).astype(np.int32),
            self.random.integers(2**30, 2**31, outputs).astype(np.int32), shifts.astype(np.int32),
            stride, padding, -100, 127,
        )  # fmt: skip
        self.steps.append(step)
        return target

    def pooling(self, source: int, kernel: Any, *, is_average: bool) -> int:
        height, width, channels = self.tensors[source].shape
        padding = (kernel[0] // 2, kernel[1] // 2)
        target = self.target((-(-height // kernel[0]), -(-width // 2), channels), like=source)
        self.steps.append(Pooling(source, target, is_average, kernel, (kernel[0], 2), padding, -110, 120))
        return target


def plan_of(contract: Contract, seed: int) -> Plan:
    """A plan behind this contract's encoder; two of its layers lie beside each other."""
    channels, rows, columns = encoded_shape(contract)
    draft = _Draft(np.random.default_rng(seed), (rows, columns, channels))
    kernel = (min(rows, 3), 3)
    one = draft.convolution(0, 6, kernel, stride=(min(rows, 2), 2))
    other = draft.convolution(draft.convolution(one, 6, kernel), 6, kernel, depthwise=True)
    total = draft.target(draft.tensors[one].shape)
    terms = (draft.rescaling(-1), draft.rescaling(0))
    draft.steps.append(Addition((one, other), total, terms, draft.rescaling(-19), -128, 127))
    pooled = [draft.pooling(total, kernel, is_average=is_average) for is_average in (False, True)]
    height, width, _ = draft.tensors[pooled[0]].shape
    joined = draft.target((height, width, 12), like=total)
    draft.steps.append(Concatenation(tuple(pooled), joined, 2))
    mean, plain = draft.target((1, 1, 12)), draft.target((1, 1, 12), like=joined)
    draft.steps += [Mean(joined, mean, draft.rescaling(-6)), Mean(joined, plain, None)]
    logits = draft.convolution(mean, len(contract.labels), (1, 1))
    places = np.arange(draft.tensors[0].size).reshape(rows, columns, channels).transpose(2, 0, 1)
    return Plan(tuple(draft.tensors), _parts(draft, places.size), places, tuple(draft.steps), logits, plain)


def _parts(draft: _Draft, size: int) -> tuple[Quantization, ...]:
    """The first third of the elements has a scale of its own."""
    first = draft.tensors[0]
    third = Quantization(size // 3, 0.02, 5, draft.rescaling(0))
    return (third, Quantization(size - size // 3, first.scale, first.zero_point))


def windows(contract: Contract, count: int, seed: int) -> Any:
    """(n, 3, samples), float32: movement of all sizes, and what no wrist does."""
    random, shape = np.random.default_rng(seed), contract.window_shape
    sizes = np.exp(random.uniform(-6, 6, (count, 3, 1)))
    odd = np.zeros((9, *shape))
    odd[1], odd[2], odd[3, 1], odd[4, :, 7] = 1.0, -1e30, 1e30, 9.0
    odd[5, :, ::2], odd[6], odd[7] = 16.0, 1e-38, -0.0
    odd[8] = np.linspace(-3, 3, shape[1])
    return np.concatenate([random.normal(0, 1, (count, *shape)) * sizes, odd]).astype(np.float32)
