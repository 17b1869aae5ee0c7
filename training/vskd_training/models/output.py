"""What every network of this package returns, teachers and students alike."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: Width of a teacher's feature, and of a student's unless its config says otherwise; DASK's semantic term needs both
#: alike.
FEATURE_SIZE = 300


class ModelOutput(NamedTuple):
    """A network's output for some inputs.

    Attributes
    ----------
    logits : (batch, classes)
    feature : (batch, features), what is distilled; FEATURE_SIZE of them in a teacher
    """

    logits: Tensor
    feature: Tensor

    def rows(self, rows: Tensor) -> ModelOutput:
        """The output for some of the inputs."""
        return ModelOutput(self.logits.index_select(0, rows), self.feature.index_select(0, rows))

    def to(self, device: torch.device) -> ModelOutput:
        """The same on another device."""
        return ModelOutput(self.logits.to(device), self.feature.to(device))
