"""The student: an encoder, a trunk, and what every student has behind it.

As in VSKD: the trunk's pooled vector, then Linear(-> 300) + ReLU, the feature that distillation compares, then
Linear(300 -> classes). Families differ in their encoder (an image, or the raw window) and in their trunk.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from vskd.contract import Contract
from vskd_training.models.encoder import encoder_for
from vskd_training.models.output import FEATURE_SIZE, ModelOutput
from vskd_training.models.resnet import resnet_trunk


class Student(nn.Module):
    """Windows of acceleration to logits, the encoder inside.

    Parameters
    ----------
    contract : fixes the window, the encoder and the classes
    trunk : what the encoder gives -> (batch, ``trunk.out_features``)

    Shape
    -----
    (batch, channels, samples), g -> ``ModelOutput``
    """

    def __init__(self, contract: Contract, trunk: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder_for(contract)
        self.trunk = trunk
        self.feature = nn.Linear(cast(int, trunk.out_features), FEATURE_SIZE)
        self.classifier = nn.Linear(FEATURE_SIZE, len(contract.labels))

    def forward(self, windows: Tensor) -> ModelOutput:
        return self.from_encoded(self.encoder(windows))

    def from_encoded(self, encoded: Tensor) -> ModelOutput:
        """What ``forward`` does after the encoder; (batch, *contract.encoded_shape)."""
        feature = torch.relu(self.feature(self.trunk(encoded)))
        return ModelOutput(self.classifier(feature), feature)


def gaf_resnet(contract: Contract, *, width: float, depth: int = 18) -> Student:
    """The paper's student: a ResNet on the contract's Gramian fields, see ``models.resnet``."""
    return Student(contract, resnet_trunk(contract.image_shape[0], width=width, depth=depth))
