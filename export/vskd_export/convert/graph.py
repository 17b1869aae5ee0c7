"""What is converted: the student from the raw window to its logits, handed over as a file between processes.

The distilled feature is dropped here, because nothing on the device reads it.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from vskd.contract import Contract
from vskd_training.models.student import Student
from vskd_training.models.torchvision_import import torchvision_resnet

#: Names of the one input and the one output in every model that ships.
INPUT_NAME = "window"
OUTPUT_NAME = "logits"

#: The same of the variants.
IMAGE_NAME = "image"
PROBABILITIES_NAME = "probabilities"


class WindowToLogits(nn.Module):
    """The student without its feature: (1, channels, samples), g -> (1, classes)."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, window: Tensor) -> Tensor:
        logits: Tensor = self.student(window).logits
        return logits


def frozen_copy(student: Student) -> Student:
    """A copy in evaluation mode, on the CPU, in float32 and the plain memory layout; the original is left alone."""
    plain = copy.deepcopy(student).to(device="cpu", dtype=torch.float32)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    return plain.eval()


def save_job(student: Student, contract: Contract, path: Path) -> None:
    """Write what a converter's process needs."""
    torch.save({"graph": WindowToLogits(frozen_copy(student)), "contract": contract.to_json()}, path)


def load_job(path: Path) -> tuple[WindowToLogits, Contract]:
    """Read what ``save_job`` wrote. Only for files of this process's parent: the file is a pickle."""
    # The pickle names torchvision's classes; beside a CPU build of torch they import only this way.
    torchvision_resnet()
    job = torch.load(path, weights_only=False)
    return job["graph"], Contract.from_json(job["contract"])
