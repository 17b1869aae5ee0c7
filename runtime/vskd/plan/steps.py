"""The plan of an integer network: its tensors, and the steps between them, with every number that they need.

A tensor is int8, of height, width and channels, channels innermost; the value that an integer q stands for is
scale * (q - zero_point). A plan names no library: what executes it (``kernels``, and the cores that
``vskd_export.ports`` writes for other languages) needs additions and multiplications of integers alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Height, width, channels.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the network; ``scale`` is a float32."""

    shape: Shape
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Elements, which are bytes."""
        height, width, channels = self.shape
        return height * width * channels


@dataclass(frozen=True)
class Rescaling:
    """A multiplication by a number: multiplier / 2^31 * 2^shift; ``kernels.rescaled`` rounds it."""

    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class Convolution:
    """Convolution, or a dense layer: one of 1 x 1 on a tensor that is read as 1 x 1 x all of its elements.

    Attributes
    ----------
    source, target : tensors, by number
    reads : the source's shape as it is read
    weights : int8, (outputs, kernel height, kernel width, inputs); depthwise: (kernel height, kernel width, channels)
    biases : int32, (outputs,): the layer's, less the source's zero point times the sum of an output's weights. So a
        sum runs over plain integers, and what lies outside of the source reads as its zero point
    multipliers, shifts : int32, (outputs,), a ``Rescaling`` each
    stride, padding : down and to the right; rows above, columns before the source
    low, high : bounds of the result, which hold the activation function
    """

    source: int
    target: int
    reads: Shape
    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    multipliers: NDArray[np.int32]
    shifts: NDArray[np.int32]
    stride: tuple[int, int]
    padding: tuple[int, int]
    low: int
    high: int

    @property
    def is_depthwise(self) -> bool:
        """Each output channel reads the one input channel of its number."""
        return self.weights.ndim == 3


@dataclass(frozen=True)
class Addition:
    """Sum of two tensors of one shape; each is shifted left by ``kernels.ADDITION_SHIFT`` bits and rescaled first."""

    sources: tuple[int, int]
    target: int
    rescalings: tuple[Rescaling, Rescaling]
    result: Rescaling
    low: int
    high: int


@dataclass(frozen=True)
class Pooling:
    """Largest, or average, of the elements under a kernel; what lies outside of the source is passed over."""

    source: int
    target: int
    is_average: bool
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    low: int
    high: int


@dataclass(frozen=True)
class Mean:
    """Mean, or sum, over height and width: the rescaling of the sum tells.

    None: a mean of which both tensors share scale and zero point; its quotient is cut off.
    """

    source: int
    target: int
    rescaling: Rescaling | None


@dataclass(frozen=True)
class Concatenation:
    """Tensors one behind the other along an axis of ``Shape``; all have the target's scale and zero point."""

    sources: tuple[int, ...]
    target: int
    axis: int


@dataclass(frozen=True)
class Quantization:
    """How a part of the encoder's output becomes integers of the first tensor.

    Attributes
    ----------
    count : its elements; the parts follow each other as the encoder gives them
    scale, zero_point : of its integers
    rescaling : from these to the first tensor's; None where they are the same
    """

    count: int
    scale: float
    zero_point: int
    rescaling: Rescaling | None = None


Step = Convolution | Addition | Pooling | Mean | Concatenation


@dataclass(frozen=True, eq=False)
class Plan:
    """A network from its encoded window on.

    Attributes
    ----------
    tensors : by number; the first one is the encoded window
    parts : of the encoder's output
    places : (channels, rows, columns): where in the first tensor each element of the encoder's output goes
    steps : in their order
    logits, embedding : tensors, by number; no embedding in models that give logits alone
    """

    tensors: tuple[Tensor, ...]
    parts: tuple[Quantization, ...]
    places: NDArray[np.intp]
    steps: tuple[Step, ...]
    logits: int
    embedding: int | None
