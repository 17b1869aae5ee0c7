"""Trunks of the raw students: convolutions over time, on the window itself.

Both are written as two-dimensional convolutions of height 1, which is how TFLite and TensorFlow Lite Micro hold
one-dimensional ones, so that the converted graph has one transposition and no reshapes in between.

``RawResnet`` : residual blocks of two full convolutions (Wang, Yan & Oates, IJCNN 2017).
``RawSeparable`` : depthwise convolutions over time, pointwise ones over channels (Howard et al., MobileNets, 2017),
with a way around each block that keeps its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

#: Stages of a trunk; the second and the third halve the time.
_STAGES = 3


@dataclass(frozen=True)
class RawShape:
    """The size of a raw trunk.

    Attributes
    ----------
    channels : of the stem and the first stage
    growth : factor on the channels from stage to stage; every stage has a multiple of 4, which integer kernels like
    blocks : of each of the three stages
    kernel : samples that a convolution over time sees, odd
    stride : of the stem
    segments : parts of the window whose means are handed on side by side. One mean over all of it forgets in which
        order things happened
    """

    channels: int
    growth: float
    blocks: int
    kernel: int
    stride: int
    segments: int

    def steps_left(self, samples: int) -> int:
        """Instants that the last block gives for a window of so many samples."""
        for stride in (self.stride, *(2 for _ in range(_STAGES - 1))):
            samples = -(-samples // stride)
        return samples

    def steps(self) -> Iterator[tuple[int, int]]:
        """(channels, stride) of each block, from first to last."""
        for stage in range(_STAGES):
            width = max(4, 4 * round(self.channels * self.growth**stage / 4))
            for block in range(self.blocks):
                yield width, 2 if stage and not block else 1


class RawTrunk(nn.Module):
    """A stem, blocks over time, and their mean over each segment of time.

    Parameters
    ----------
    inputs : channels of the encoded window
    shape : of the trunk
    block : the kind of its blocks: (inputs, outputs, kernel, stride)

    Attributes
    ----------
    out_features : channels of the last block times the segments

    Shape
    -----
    (batch, inputs, samples) -> (batch, out_features)
    """

    def __init__(self, inputs: int, shape: RawShape, block: Callable[[int, int, int, int], nn.Module]) -> None:
        super().__init__()
        self.out_features, _ = next(shape.steps())
        stem = *_convolution(inputs, self.out_features, shape.kernel, stride=shape.stride), nn.ReLU()
        blocks: list[nn.Module] = [nn.Sequential(*stem)]
        for width, stride in shape.steps():
            blocks.append(block(self.out_features, width, shape.kernel, stride))
            self.out_features = width
        self.segments = shape.segments
        self.out_features *= shape.segments
        self.blocks = nn.Sequential(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, encoded: Tensor) -> Tensor:
        return self.pooled(encoded.unsqueeze(2))

    def pooled(self, rows: Tensor) -> Tensor:
        """What ``forward`` gives, from windows that are images of one row: (batch, inputs, 1, samples)."""
        signal = cast(Tensor, self.blocks(rows))
        if self.segments == 1:
            return signal.mean(dim=(2, 3))
        instants = signal.shape[3]
        step = instants // self.segments
        # Where the segments do not divide the instants, neighbours share some: pooling takes parts of one length only.
        part = instants - (self.segments - 1) * step
        means = nn.functional.avg_pool2d(signal, (1, part), (1, step))
        # Segment by segment, which is the order in memory where channels come last, as in TFLite.
        return means.permute(0, 2, 3, 1).flatten(1)


class RawResnet(RawTrunk):
    """Residual blocks of two full convolutions; see ``RawTrunk``."""

    def __init__(self, inputs: int, shape: RawShape) -> None:
        super().__init__(inputs, shape, _ResidualBlock)


class RawSeparable(RawTrunk):
    """Blocks of a depthwise and a pointwise convolution; see ``RawTrunk``."""

    def __init__(self, inputs: int, shape: RawShape) -> None:
        super().__init__(inputs, shape, _SeparableBlock)


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    """A convolution over time and its norm."""
    convolution = nn.Conv2d(
        inputs, outputs, (1, kernel), stride=(1, stride), padding=(0, kernel // 2), groups=groups, bias=False
    )
    return convolution, nn.BatchNorm2d(outputs)


class _ResidualBlock(nn.Module):
    """Two convolutions over time, and a way around them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_convolution(inputs, outputs, kernel, stride=stride), nn.ReLU(), *_convolution(outputs, outputs, kernel)
        )
        same = inputs == outputs and stride == 1
        self.around = nn.Identity() if same else nn.Sequential(*_convolution(inputs, outputs, 1, stride=stride))

    def forward(self, signal: Tensor) -> Tensor:
        return torch.relu(self.main(signal) + self.around(signal))


class _SeparableBlock(nn.Module):
    """A depthwise convolution over time, a pointwise one over channels, and where the shape stays a way around them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_convolution(inputs, inputs, kernel, stride=stride, groups=inputs),
            nn.ReLU(),
            *_convolution(inputs, outputs, 1),
        )
        self.keeps_shape = inputs == outputs and stride == 1

    def forward(self, signal: Tensor) -> Tensor:
        made = self.main(signal)
        return torch.relu(made + signal if self.keeps_shape else made)
