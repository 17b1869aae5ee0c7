"""The student's variants as one float ``.tflite``: a signature each, beside the raw window's, with shared weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vskd.contract import Contract
from vskd_export.convert.graph import IMAGE_NAME, INPUT_NAME, OUTPUTS, PROBABILITIES_NAME, pack_graph, unpack_graph
from vskd_export.convert.tflite_file import shorten_names
from vskd_export.subprocesses import call_in_subprocess
from vskd_training.models.student import Student

#: Signature -> (name of its input, names of its outputs). Probabilities come alone: examples are weighed with logits.
SIGNATURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "window": (INPUT_NAME, OUTPUTS),
    "probabilities": (INPUT_NAME, (PROBABILITIES_NAME,)),
    "image": (IMAGE_NAME, OUTPUTS),
    "encoder": (INPUT_NAME, (IMAGE_NAME,)),
}


def signatures_of(contract: Contract) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """The variants that a contract's student has: a raw one has no image to take or to give."""
    is_drawn = contract.raw is None
    return {name: ends for name, ends in SIGNATURES.items() if is_drawn or IMAGE_NAME not in (ends[0], *ends[1])}


class ImageToOutputs(nn.Module):
    """The student behind its encoder: (1, image channels, size, size) -> ``OUTPUTS``, as of ``WindowToOutputs``."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        output = self.student.from_encoded(image)
        return output.logits, output.feature


class WindowToImage(nn.Module):
    """The encoder: (1, channels, samples), g -> (1, image channels, size, size)."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.encoder = student.encoder

    def forward(self, window: Tensor) -> Tensor:
        image: Tensor = self.encoder(window)
        return image


class WindowToProbabilities(nn.Module):
    """The student with the contract's temperature: (1, channels, samples), g -> (1, classes), adding up to 1."""

    def __init__(self, student: Student, temperature: float) -> None:
        super().__init__()
        self.student = student
        self.temperature = temperature

    def forward(self, window: Tensor) -> Tensor:
        return torch.softmax(self.student(window).logits / self.temperature, dim=-1)


def to_signatures(student: Student, contract: Contract) -> bytes:
    """Convert to a float ``.tflite`` with every variant of the student, yet to be finished.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the shapes and the temperature

    Raises
    ------
    MissingExtraError : the export extra is not installed
    VskdError : the converter failed
    """
    packed = pack_graph(student)
    done = call_in_subprocess(_convert, packed, contract, purpose="converting the variants", needs="litert_torch")
    return shorten_names(done.value)


def _convert(packed: bytes, contract: Contract) -> bytes:
    import litert_torch

    graph = unpack_graph(packed)
    student = graph.student
    modules: Mapping[str, nn.Module] = {
        "window": graph,
        "probabilities": WindowToProbabilities(student, contract.decision.temperature),
        "image": ImageToOutputs(student),
        "encoder": WindowToImage(student),
    }
    shapes = {INPUT_NAME: contract.window_shape, IMAGE_NAME: contract.encoded_shape}
    converter = litert_torch
    for name, (port, _) in signatures_of(contract).items():
        converter = converter.signature(name, modules[name].eval(), sample_kwargs={port: torch.zeros(1, *shapes[port])})
    content: bytes = converter.convert().model_content()
    return content
