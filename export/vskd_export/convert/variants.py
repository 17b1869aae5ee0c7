"""The student's other forms: image -> logits, the encoder alone, and raw window -> probabilities.

For a device that has one half already, or no exponential function. In TFLite they are signatures of one file, beside
the raw window's, that shares its weights; in ONNX each is a file. They are made for fp32 and, where the bundle has it,
int8. They are written only on request (``vskd export --forms``): at full width they add 170 MB to a bundle and half
a minute to an export, and the form that a device runs, raw window -> logits, is always there. Whether they are right is
``forms_gate``'s matter.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vskd.bundle import ModelEntry
from vskd.contract import Contract
from vskd_export.convert.graph import (
    IMAGE_NAME,
    INPUT_NAME,
    OUTPUT_NAME,
    PROBABILITIES_NAME,
    load_job,
    save_job,
)
from vskd_export.convert.onnx_variants import encoder_form, image_form, probabilities_form
from vskd_export.convert.subprocesses import run_in_subprocess
from vskd_export.convert.tflite_file import finish_signatures, shorten_names
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.recipes import FLOAT_RECIPE, INTEGER_RECIPE, entry
from vskd_export.quantize.tflite import quantize_graphs
from vskd_training.models.student import Student

#: Recipes that the forms are made in, as far as the bundle has them.
FORM_RECIPES = (FLOAT_RECIPE, INTEGER_RECIPE)

#: Signature of the ``.tflite`` -> (what goes in, what comes out).
SIGNATURES: Mapping[str, tuple[str, str]] = {
    "window": (INPUT_NAME, OUTPUT_NAME),
    "probabilities": (INPUT_NAME, PROBABILITIES_NAME),
    "image": (IMAGE_NAME, OUTPUT_NAME),
    "encoder": (INPUT_NAME, IMAGE_NAME),
}

#: Form -> how it is made of an ONNX model. The encoder is in float in every recipe, so one file of it is enough.
_ONNX_FORMS = {"image": image_form, "probabilities": probabilities_form, "encoder": encoder_form}


def signatures_file(recipe: str) -> str:
    """Name of the ``.tflite`` with every form as a signature."""
    return f"forms/signatures.{recipe}.tflite"


def onnx_file(form: str, recipe: str) -> str:
    """Name of the ``.onnx`` of a form."""
    return f"forms/{form}.{recipe}.onnx"


class ImageToLogits(nn.Module):
    """The student behind its encoder: (1, image channels, size, size) -> (1, classes)."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.student.from_image(image).logits
        return logits


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


def make_forms(
    student: Student,
    contract: Contract,
    *,
    files: Mapping[str, bytes],
    calibration: WindowSet,
    models: Sequence[ModelEntry],
) -> dict[str, bytes]:
    """Make the forms of every model of the bundle that has one of ``FORM_RECIPES``.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the shapes and travels in every file
    files : model file -> content; the ONNX forms are cut out of these
    calibration : the windows that the integer models were calibrated with
    models : of the bundle

    Returns
    -------
    file within the bundle -> content

    Raises
    ------
    MissingExtraError : a converter is not installed
    VskdError : a converter failed
    """
    made: dict[str, bytes] = {}
    for recipe in FORM_RECIPES:
        if entry("onnx", recipe) in models:
            model = files[entry("onnx", recipe).file]
            forms = [form for form in _ONNX_FORMS if form != "encoder" or recipe == FLOAT_RECIPE]
            made |= {onnx_file(form, recipe): _ONNX_FORMS[form](model, contract) for form in forms}
    recipes = [recipe for recipe in FORM_RECIPES if entry("tflite", recipe) in models]
    return made | _signatures(student, contract, calibration, recipes)


def draw_images(student: Student, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images (n, image channels, size, size) of windows (n, channels, samples), by torch's encoder."""
    with torch.inference_mode():
        images: NDArray[np.float32] = student.encoder(torch.from_numpy(windows)).numpy()
    return images


def _signatures(
    student: Student, contract: Contract, calibration: WindowSet, recipes: Sequence[str]
) -> dict[str, bytes]:
    outputs = {name: ports[1] for name, ports in SIGNATURES.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_job(student, contract, folder / "job.pt")
        run_in_subprocess(
            "vskd_export.convert.variants", folder, purpose="converting the other forms", needs="litert_torch"
        )
        full = shorten_names((folder / "signatures.tflite").read_bytes())
    inputs = {INPUT_NAME: calibration.windows, IMAGE_NAME: draw_images(student, calibration.windows)}
    contents = {recipe: full if recipe == FLOAT_RECIPE else quantize_graphs(full, inputs, recipe) for recipe in recipes}
    return {
        signatures_file(recipe): finish_signatures(content, contract, outputs) for recipe, content in contents.items()
    }


def _convert(folder: Path) -> None:
    import litert_torch

    graph, contract = load_job(folder / "job.pt")
    student = graph.student
    modules: Mapping[str, nn.Module] = {
        "window": graph,
        "probabilities": WindowToProbabilities(student, contract.decision.temperature),
        "image": ImageToLogits(student),
        "encoder": WindowToImage(student),
    }
    shapes = {INPUT_NAME: contract.window_shape, IMAGE_NAME: contract.image_shape}
    converter = litert_torch
    for name, (port, _) in SIGNATURES.items():
        converter = converter.signature(name, modules[name].eval(), sample_kwargs={port: torch.zeros(1, *shapes[port])})
    converter.convert().export(str(folder / "signatures.tflite"))


if __name__ == "__main__":
    _convert(Path(sys.argv[1]))
