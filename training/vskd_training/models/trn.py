"""The teacher: multi-scale temporal relations (Zhou et al., TRN, ECCV 2018) over the frames of a clip.

A clip is cut into segments, one frame stands for each, a backbone turns every frame into D = ``FEATURE_SIZE`` values
f_1 ... f_n, and::

    logits  = sum over scales s = n, n - 1, ..., 2, and over some ordered subsets i_1 < ... < i_s of the segments, of
              W_s relu(V_s relu([f_i1, ..., f_is]))
    feature = mean of f_1 ... f_n                       what distillation compares

A scale has min(3, C(n, s)) subsets: 19 terms for 8 segments. Training draws them anew for every batch, from torch's
generator. The public code draws them in evaluation too, so that no number of it can be had twice; here evaluation
takes the middle ones of equal parts of the list of all subsets.

Frames arrive as the cache holds them, grey and uint8; each backbone brings its own first step. This module knows
nothing of clips on disk, of augmentation or of the student's side.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.errors import ConfigError, DataError
from vskd_training.models.bn_inception import (
    IMAGENET_MEAN_BGR,
    SIDE_MULTIPLE_PX,
    BnInception,
    load_imagenet_weights,
)
from vskd_training.models.output import FEATURE_SIZE, ModelOutput
from vskd_training.models.resnet import resnet_trunk

#: Most subsets of one scale in one pass.
SUBSETS_PER_SCALE = 3
_HIDDEN = 256


class BgrInput(nn.Module):
    """Grey frames as the ImageNet weights of BN-Inception expect images.

    Resized to a square (the aspect is not kept), repeated over blue, green and red, from 0 to 255, less the means.
    Training from scratch uses the same: the norm after the first convolution removes the scale anyway.

    Parameters
    ----------
    size_px : side of the square; a multiple of 32

    Shape
    -----
    (images, 1, height, width), uint8 -> (images, 3, size, size), float32
    """

    mean: Tensor

    def __init__(self, size_px: int) -> None:
        super().__init__()
        if size_px < SIDE_MULTIPLE_PX or size_px % SIDE_MULTIPLE_PX:
            raise ConfigError(f"BN-Inception's frames must measure a multiple of {SIDE_MULTIPLE_PX} px, got {size_px}")
        self.size_px = size_px
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        side = (self.size_px, self.size_px)
        resized = F.interpolate(frames.float(), size=side, mode="bilinear", align_corners=False, antialias=True)
        return resized - self.mean


class GreyInput(nn.Module):
    """Grey frames, with or without difference images, each channel brought to mean 0 and variance 1.

    What a frame holds (depth, drawn skeletons, grey video) decides its mean and spread, and differences between
    frames are some ten times smaller than frames. The statistics are therefore learned, by a batch norm without scale
    and shift, not set.

    Parameters
    ----------
    motion : (before, frame, after) becomes (frame, frame - before, after - frame)

    Shape
    -----
    (images, 3 if motion else 1, height, width), uint8 -> the same shape, float32
    """

    def __init__(self, *, motion: bool) -> None:
        super().__init__()
        self.motion = motion
        self.norm = nn.BatchNorm2d(3 if motion else 1, affine=False)

    def forward(self, frames: Tensor) -> Tensor:
        scaled = frames.float() / 255
        if self.motion:
            before, frame, after = scaled.unbind(dim=1)
            scaled = torch.stack([frame, frame - before, after - frame], dim=1)
        return cast(Tensor, self.norm(scaled))


class BnInceptionBackbone(nn.Module):
    """BN-Inception on grey frames.

    Parameters
    ----------
    weights : ImageNet weights, see ``load_imagenet_weights``; with them all batch norms but the first are frozen.
        None trains from scratch
    size_px : side to which frames are resized; the paper's is 224

    Attributes
    ----------
    frames_per_segment : 1
    out_features : 1024
    feature_weight_std : how the layer after it starts, see ``Teacher``
    """

    frames_per_segment = 1
    out_features = BnInception.out_features

    def __init__(self, *, weights: Path | None = None, size_px: int = 224) -> None:
        super().__init__()
        self.feature_weight_std = None if weights is None else 0.001
        self.input = BgrInput(size_px)
        self.network = BnInception()
        if weights is not None:
            load_imagenet_weights(self.network, weights)
            self.network.freeze_norms_but_first()

    def forward(self, frames: Tensor) -> Tensor:
        return cast(Tensor, self.network(self.input(frames)))


class SmallBackbone(nn.Module):
    """The student's ResNet18 trunk on grey frames, for teachers that a CPU trains from scratch.

    Parameters
    ----------
    motion : each segment is a frame and its two difference images; a single frame shows a pose, not a movement
    width : factor on ResNet18's channels

    Attributes
    ----------
    frames_per_segment : 3 with motion (the frame before, the frame, the frame after), else 1
    out_features : 512 times the width
    feature_weight_std : how the layer after it starts, see ``Teacher``
    """

    feature_weight_std: float | None = None

    def __init__(self, *, motion: bool = True, width: float = 0.5) -> None:
        super().__init__()
        self.frames_per_segment = 3 if motion else 1
        self.input = GreyInput(motion=motion)
        self.network = resnet_trunk(self.frames_per_segment, width=width)
        self.out_features = cast(int, self.network.out_features)

    def forward(self, frames: Tensor) -> Tensor:
        return cast(Tensor, self.network(self.input(frames)))


class MultiScaleTrn(nn.Module):
    """Relations between frames, from all segments down to pairs.

    Parameters
    ----------
    segments : at least 2
    features : values per segment, D
    classes : logits

    Shape
    -----
    (batch, segments, features) -> (batch, classes)

    Raises
    ------
    ConfigError : fewer than two segments
    """

    def __init__(self, segments: int, features: int, classes: int) -> None:
        super().__init__()
        if segments < 2:
            raise ConfigError(f"a relation needs at least 2 segments, got {segments}")
        self.scales = tuple(range(segments, 1, -1))
        self.relations = nn.ModuleDict({str(scale): _relation(scale * features, classes) for scale in self.scales})
        for scale in self.scales:
            subsets = torch.tensor(list(itertools.combinations(range(segments), scale)))
            self.register_buffer(f"_subsets_{scale}", subsets, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        return torch.stack([self._at_scale(scale, features) for scale in self.scales]).sum(dim=0)

    def subsets(self, scale: int) -> Tensor:
        """(min(3, C(segments, scale)), scale): drawn at random in training mode, always the same in evaluation mode."""
        every = self.get_buffer(f"_subsets_{scale}")
        total = len(every)
        count = min(SUBSETS_PER_SCALE, total)
        if self.training:
            rows = torch.randperm(total)[:count]
        else:
            rows = (2 * torch.arange(count) + 1) * total // (2 * count)
        return every[rows.to(every.device, non_blocking=True)]

    def _at_scale(self, scale: int, features: Tensor) -> Tensor:
        subsets = self.subsets(scale)
        # Plain indexing adds its gradients up in no fixed order where threads share the work; index_select does not.
        chosen = features.index_select(1, subsets.flatten())
        joined = chosen.reshape(len(features), len(subsets), -1)
        return cast(Tensor, self.relations[str(scale)](joined)).sum(dim=1)


def _relation(inputs: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, classes))


class Teacher(nn.Module):
    """Clips to logits and to the feature that is distilled.

    The layer from the backbone to the feature starts as the public code has it, N(0, 0.001) and bias 0, where the
    backbone is pretrained: the new layers then learn before they disturb the old ones. From scratch there is nothing
    to protect and torch's own start serves better: on clips of a moving dot (4 directions, small backbone, 70 steps,
    AdamW and SGD, 3 seeds each) it ended at a mean accuracy of 0.93 on new clips, N(0, 0.001) at 0.83.

    Parameters
    ----------
    backbone : one frame, or one with its neighbours, to a vector
    classes : activities
    segments : equal parts of a clip
    dropout : between backbone and feature

    Shape
    -----
    (batch, segments, frames_per_segment, height, width), uint8 -> ``ModelOutput``

    Raises
    ------
    ConfigError : fewer than two classes or segments, or a dropout outside [0, 1)
    DataError : (on call) frames of another shape or type
    """

    def __init__(
        self,
        backbone: BnInceptionBackbone | SmallBackbone,
        classes: int,
        *,
        segments: int = 8,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ConfigError(f"a teacher needs at least 2 classes, got {classes}")
        if not (math.isfinite(dropout) and 0 <= dropout < 1):
            raise ConfigError(f"dropout must lie in [0, 1), got {dropout}")
        self.segments = segments
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.feature = nn.Linear(backbone.out_features, FEATURE_SIZE)
        if backbone.feature_weight_std is not None:
            nn.init.normal_(self.feature.weight, std=backbone.feature_weight_std)
            nn.init.zeros_(self.feature.bias)
        self.relations = MultiScaleTrn(segments, FEATURE_SIZE, classes)

    def forward(self, frames: Tensor) -> ModelOutput:
        self._check(frames)
        pooled = self.backbone(frames.flatten(0, 1))
        features = self.feature(self.dropout(pooled)).view(len(frames), self.segments, FEATURE_SIZE)
        return ModelOutput(self.relations(features), features.mean(dim=1))

    def _check(self, frames: Tensor) -> None:
        wanted = (self.segments, self.backbone.frames_per_segment)
        if frames.ndim != 5 or tuple(frames.shape[1:3]) != wanted or frames.dtype != torch.uint8:
            raise DataError(
                f"frames must be (batch, {wanted[0]}, {wanted[1]}, height, width) of uint8, "
                f"got {tuple(frames.shape)} of {str(frames.dtype).removeprefix('torch.')}"
            )
