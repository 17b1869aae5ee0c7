"""A teacher on joints instead of images: temporal convolutions over a moving skeleton.

Positions, the arms once more as seen from their own shoulders, and the differences of all of them from step to step go
through residual one-dimensional convolutions (as in Kim & Reiter,
"Interpretable 3D Human Action Analysis with Temporal Convolutional Networks", CVPR workshops 2017), are averaged over
time, and become the feature that distillation compares and the logits. The feature ends in a ReLU, as the student's.

This module knows nothing of where joints come from or of how a clip is brought to its number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vskd.errors import ConfigError, DataError
from vskd_training.models.output import FEATURE_SIZE, ModelOutput

#: Channels of the first stage at width 1; the last one has twice as many.
_CHANNELS = 128
_KERNEL = 5


class SkeletonTeacher(nn.Module):
    """Joints over time to logits and a feature.

    Parameters
    ----------
    joints : points of the body
    classes : activities
    width : factor on the channels
    dropout : ahead of the feature
    chains : (origin, members): joints that are also shown relative to another one, as a hand to its shoulder; how a
        subject stands and where the camera places the hip is gone from them

    Shape
    -----
    (batch, steps, joints, 3), without unit -> ``ModelOutput``

    Raises
    ------
    ConfigError : fewer than two classes, a width below 0.125, or a dropout outside [0, 1)
    DataError : (on call) joints of another shape
    """

    _members: Tensor
    _origins: Tensor

    def __init__(
        self,
        joints: int,
        classes: int,
        *,
        width: float = 1.0,
        dropout: float = 0.5,
        chains: Sequence[tuple[int, tuple[int, ...]]] = (),
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ConfigError(f"a teacher needs at least 2 classes, got {classes}")
        if not width >= 0.125:
            raise ConfigError(f"a skeleton teacher needs a width of at least 0.125, got {width}")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout must lie in [0, 1), got {dropout}")
        self.joints = joints
        members = [member for _, members in chains for member in members]
        origins = [origin for origin, members in chains for _ in members]
        self.register_buffer("_members", torch.tensor(members, dtype=torch.long), persistent=False)
        self.register_buffer("_origins", torch.tensor(origins, dtype=torch.long), persistent=False)
        shown = joints + len(members)
        first = round(_CHANNELS * width)
        self.network = nn.Sequential(
            # Differences are some ten times smaller than positions; the norm learns both scales.
            nn.BatchNorm1d(2 * 3 * shown, affine=False),
            nn.Conv1d(2 * 3 * shown, first, kernel_size=1),
            _Residual(first, first, stride=1),
            _Residual(first, first, stride=2),
            _Residual(first, 2 * first, stride=2),
        )
        self.dropout = nn.Dropout(dropout)
        self.feature = nn.Linear(2 * first, FEATURE_SIZE)
        self.classifier = nn.Linear(FEATURE_SIZE, classes)

    def forward(self, joints: Tensor) -> ModelOutput:
        if joints.ndim != 4 or tuple(joints.shape[2:]) != (self.joints, 3):
            raise DataError(f"joints must be (batch, steps, {self.joints}, 3), got {tuple(joints.shape)}")
        chained = joints.index_select(2, self._members) - joints.index_select(2, self._origins)
        position = torch.cat([joints, chained], dim=2).flatten(2).transpose(1, 2)
        difference = torch.diff(position, dim=2, prepend=position[:, :, :1])
        over_time = self.network(torch.cat([position, difference], dim=1))
        feature = torch.relu(self.feature(self.dropout(over_time.mean(dim=2))))
        return ModelOutput(self.classifier(feature), feature)


class _Residual(nn.Module):
    """Two convolutions over time, and a way around them."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        padding = _KERNEL // 2
        self.convolutions = nn.Sequential(
            nn.Conv1d(inputs, outputs, _KERNEL, stride=stride, padding=padding, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
            nn.Conv1d(outputs, outputs, _KERNEL, padding=padding, bias=False),
            nn.BatchNorm1d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.around = nn.Identity() if same else nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, signal: Tensor) -> Tensor:
        return torch.relu(self.convolutions(signal) + self.around(signal))
