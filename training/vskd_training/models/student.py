"""The student: an encoder, a trunk, and what every student has behind it.

As in VSKD: the trunk's pooled vector, then Linear(-> features) + ReLU, the feature that distillation compares, then
Linear(features -> classes). VSKD has 300 features, nearly half the weights of a student for a microcontroller.
Families differ in their encoder (an image, or the raw window) and in their trunk.

``BranchedStudent`` is several small students in one: their logits' mean errs less than each of them (Lakshminarayanan
et al., NeurIPS 2017), and it is one network on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.contract import Contract
from vskd_training.models.encoder import encoder_for
from vskd_training.models.output import FEATURE_SIZE, ModelOutput
from vskd_training.models.raw import RawTrunk
from vskd_training.models.resnet import resnet_trunk


class Student(nn.Module):
    """Windows of acceleration to logits, the encoder inside.

    Parameters
    ----------
    contract : fixes the window, the encoder and the classes
    trunk : what the encoder gives -> (batch, ``trunk.out_features``)
    features : width of the feature

    Shape
    -----
    (batch, channels, samples), g -> ``ModelOutput``
    """

    def __init__(self, contract: Contract, trunk: nn.Module, *, features: int = FEATURE_SIZE) -> None:
        super().__init__()
        self.encoder = encoder_for(contract)
        self.trunk = trunk
        self.feature = nn.Linear(cast(int, trunk.out_features), features)
        self.classifier = nn.Linear(features, len(contract.labels))

    def forward(self, windows: Tensor) -> ModelOutput:
        return self.from_encoded(self.encoder(windows))

    def from_encoded(self, encoded: Tensor) -> ModelOutput:
        """What ``forward`` does after the encoder; (batch, *contract.encoded_shape)."""
        feature = torch.relu(self.feature(self.trunk(encoded)))
        return ModelOutput(self.classifier(feature), feature)


class _Branch(nn.Module):
    """A trunk and its part of the feature: (batch, channels, 1, samples) -> (batch, features), not negative."""

    def __init__(self, trunk: RawTrunk, features: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.feature = nn.Linear(trunk.out_features, features)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.relu(self.feature(self.trunk.pooled(rows)))


class BranchedStudent(Student):
    """Students side by side: one encoder, a trunk each, equal parts of the feature, and the mean of their logits.

    The classifier's columns over a branch's part of the feature are that branch's own, divided by the number of
    branches, so that one matrix product gives the mean.

    Parameters
    ----------
    contract : fixes the window, the encoder and the classes
    trunks : of the branches, on raw windows
    features : of all branches together; their number divides it

    Shape
    -----
    (batch, channels, samples), g -> ``ModelOutput``. In training mode each branch answers for itself, so that each
    learns as if it were alone: (branches * batch) rows, branch by branch, features / branches wide
    """

    def __init__(self, contract: Contract, trunks: Sequence[RawTrunk], *, features: int = FEATURE_SIZE) -> None:
        nn.Module.__init__(self)
        self.encoder = encoder_for(contract)
        self.branches = nn.ModuleList(_Branch(trunk, features // len(trunks)) for trunk in trunks)
        self.classifier = nn.Linear(features, len(contract.labels))

    def from_encoded(self, encoded: Tensor) -> ModelOutput:
        # One row of pixels for all branches: the converters change the layout of a tensor once for each reader of it.
        rows = encoded.unsqueeze(2)
        parts = [branch(rows) for branch in self.branches]
        if self.training:
            return ModelOutput(self._each(parts), torch.cat(parts))
        feature = torch.cat(parts, dim=1)
        return ModelOutput(self.classifier(feature), feature)

    def _each(self, parts: list[Tensor]) -> Tensor:
        """The logits of each branch alone, (branches * batch, classes)."""
        columns = (len(parts) * self.classifier.weight).chunk(len(parts), dim=1)
        return torch.cat(
            [F.linear(part, weight, self.classifier.bias) for part, weight in zip(parts, columns, strict=True)]
        )


def gaf_resnet(contract: Contract, *, width: float, depth: int = 18, features: int = FEATURE_SIZE) -> Student:
    """The paper's student: a ResNet on the contract's Gramian fields, see ``models.resnet``."""
    return Student(contract, resnet_trunk(contract.image_shape[0], width=width, depth=depth), features=features)
