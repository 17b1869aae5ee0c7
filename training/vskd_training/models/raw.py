"""Trunks of the raw students: convolutions over time, on the window itself.

Both are written as two-dimensional convolutions of height 1, which is how TFLite and TensorFlow Lite Micro hold
one-dimensional ones, so that the converted graph has one transposition and no reshapes in between.

``RawResnet`` : residual blocks of two full convolutions (Wang, Yan & Oates, IJCNN 2017).
``RawSeparable`` : depthwise convolutions over time, pointwise ones over channels (Howard et al., MobileNets, 2017),
with a way around each block that keeps its shape.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class _OverTime(nn.Module):
    """What both trunks do with their blocks.

    Attributes
    ----------
    out_features : channels of the last block

    Shape
    -----
    (batch, channels, samples) -> (batch, out_features)
    """

    def __init__(self, blocks: nn.Sequential, out_features: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.out_features = out_features
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, encoded: Tensor) -> Tensor:
        return cast(Tensor, self.blocks(encoded.unsqueeze(2))).mean(dim=(2, 3))


class RawResnet(_OverTime):
    """Residual blocks of full convolutions; three stages of 1, 2 and 4 times the channels.

    Parameters
    ----------
    inputs : channels of the encoded window
    channels : of the stem and the first stage
    kernel : samples that a convolution sees, odd
    stride : of the stem; the second and the third stage halve the time once more
    """

    def __init__(self, inputs: int, *, channels: int, kernel: int, stride: int) -> None:
        widths = (channels, 2 * channels, 4 * channels)
        blocks: list[nn.Module] = [_stem(inputs, channels, kernel, stride)]
        before = channels
        for stage, width in enumerate(widths):
            blocks.append(_ResidualBlock(before, width, kernel, stride=1 if stage == 0 else 2))
            before = width
        super().__init__(nn.Sequential(*blocks), before)


class RawSeparable(_OverTime):
    """Depthwise-separable blocks; the channels double where the time is halved, up to 4 times.

    Parameters
    ----------
    inputs : channels of the encoded window
    channels : of the stem
    kernel : samples that a depthwise convolution sees, odd
    stride : of the stem; the second and the fourth block halve the time once more
    """

    def __init__(self, inputs: int, *, channels: int, kernel: int, stride: int) -> None:
        blocks: list[nn.Module] = [_stem(inputs, channels, kernel, stride)]
        before = channels
        for width, step in ((channels, 1), (2 * channels, 2), (2 * channels, 1), (4 * channels, 2), (4 * channels, 1)):
            blocks.append(_SeparableBlock(before, width, kernel, stride=step))
            before = width
        super().__init__(nn.Sequential(*blocks), before)


def _stem(inputs: int, channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, channels, kernel, stride=stride), nn.ReLU())


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    """A convolution over time and its norm."""
    convolution = nn.Conv2d(
        inputs, outputs, (1, kernel), stride=(1, stride), padding=(0, kernel // 2), groups=groups, bias=False
    )
    return convolution, nn.BatchNorm2d(outputs)


class _ResidualBlock(nn.Module):
    """Two convolutions over time, and a way around them."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int) -> None:
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

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int) -> None:
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
