"""What is converted: the student from the raw window to its logits, handed over as a file between processes.

Beside the logits every model gives its ``embedding``, the distilled feature, by which the wearer's own examples are
compared. It is the very tensor that the classifier reads, so it costs nothing but its copy. Of a branched student it is
the branches' features side by side: a cosine of these is the mean of the branches' cosines, weighted by their lengths,
whereas a mean of the features would add up coordinates that were learnt apart, in an operator of its own.
"""

from __future__ import annotations

import copy
import io

import torch
from torch import Tensor, nn

from vskd.contract import Contract
from vskd.model_contract import EMBEDDING_NAME
from vskd_training.models.student import Student
from vskd_training.models.torchvision_import import torchvision_resnet

#: Names of the one input and of the outputs, in their order, in every model that ships.
INPUT_NAME = "window"
OUTPUT_NAME = "logits"
OUTPUTS = (OUTPUT_NAME, EMBEDDING_NAME)

#: The same of the variants.
IMAGE_NAME = "image"
PROBABILITIES_NAME = "probabilities"


def encoded_name(contract: Contract) -> str:
    """What the encoder's output is called in a report: the image, or the encoded window of a raw student."""
    return IMAGE_NAME if contract.raw is None else "encoded"


class WindowToOutputs(nn.Module):
    """The student: (1, channels, samples), g -> ``OUTPUTS``, (1, classes) and (1, features)."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor]:
        output = self.student(window)
        return output.logits, output.feature


def frozen_copy(student: Student) -> Student:
    """A copy in evaluation mode, on the CPU, in float32 and the plain memory layout; the original is left alone."""
    plain = copy.deepcopy(student).to(device="cpu", dtype=torch.float32)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    return plain.eval()


def pack_graph(student: Student) -> bytes:
    """What a converter's process needs."""
    packed = io.BytesIO()
    torch.save(WindowToOutputs(frozen_copy(student)), packed)
    return packed.getvalue()


def unpack_graph(packed: bytes) -> WindowToOutputs:
    """What ``pack_graph`` was given. Only for bytes of this process's parent: they are a pickle."""
    # The pickle names torchvision's classes; beside a CPU build of torch they import only this way.
    torchvision_resnet()
    graph: WindowToOutputs = torch.load(io.BytesIO(packed), weights_only=False)
    return graph
