"""What is converted: the student from the raw window to its logits, handed over as a file between processes.

The distilled feature is dropped here, because nothing on the device reads it.
"""

from __future__ import annotations

import copy
import io

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


def encoded_name(contract: Contract) -> str:
    """What the encoder's output is called in a report: the image, or the encoded window of a raw student."""
    return IMAGE_NAME if contract.raw is None else "encoded"


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


def pack_graph(student: Student) -> bytes:
    """What a converter's process needs."""
    packed = io.BytesIO()
    torch.save(WindowToLogits(frozen_copy(student)), packed)
    return packed.getvalue()


def unpack_graph(packed: bytes) -> WindowToLogits:
    """What ``pack_graph`` was given. Only for bytes of this process's parent: they are a pickle."""
    # The pickle names torchvision's classes; beside a CPU build of torch they import only this way.
    torchvision_resnet()
    graph: WindowToLogits = torch.load(io.BytesIO(packed), weights_only=False)
    return graph
