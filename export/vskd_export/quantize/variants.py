"""The student's variants: image -> logits and embedding, the encoder alone, and raw window -> probabilities.

For a device that has one half already, or no exponential function. In TFLite they are signatures of one file, beside
the raw window's, that shares its weights; in ONNX each is a file. They are made for fp32 and, where the bundle has it,
int8. They are written only on request (``vskd export --variants``): at full width they add 170 MB to a bundle and half
a minute to an export, and what a device runs, raw window -> logits, is always there. Whether they are right is judged
by ``vskd_export.judge.variants``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.bundle_files import signatures_file, variant_file
from vskd.contract import Contract
from vskd_export.convert.graph import IMAGE_NAME, INPUT_NAME
from vskd_export.convert.onnx_variants import encoder_variant, image_variant, probabilities_variant
from vskd_export.convert.tflite_file import finish
from vskd_export.convert.tflite_variants import signatures_of, to_signatures
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.recipes import FLOAT_RECIPE, INTEGER_RECIPE, entry, format_of
from vskd_export.quantize.tflite import quantize_graphs
from vskd_training.models.student import Student

#: Recipes that the variants are made in, as far as the bundle has them.
VARIANT_RECIPES = (FLOAT_RECIPE, INTEGER_RECIPE)

#: Variant -> how it is made of an ONNX model. The encoder is in float in every recipe, so one file of it is enough.
_ONNX_VARIANTS = {"image": image_variant, "probabilities": probabilities_variant, "encoder": encoder_variant}


def variant_of(file: str) -> tuple[str, ModelEntry]:
    """The variant (``signatures`` for all of them) in a file of the bundle, and the model that it was made of."""
    variant, recipe = PurePosixPath(file).name.split(".")[:2]
    return variant, entry(format_of(file), recipe)


def make_variants(
    student: Student,
    contract: Contract,
    *,
    files: Mapping[str, bytes],
    calibration: WindowSet,
    models: Sequence[ModelEntry],
) -> dict[str, bytes]:
    """Make the variants of every model of the bundle that has one of ``VARIANT_RECIPES``.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the shapes and travels in every file
    files : model file -> content; the ONNX variants are cut out of these
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
    for recipe in VARIANT_RECIPES:
        if entry("onnx", recipe) in models:
            model = files[entry("onnx", recipe).file]
            chosen = [name for name in signatures_of(contract) if name in _ONNX_VARIANTS]
            made |= {
                variant_file(name, recipe): _ONNX_VARIANTS[name](model, contract)
                for name in chosen
                if name != "encoder" or recipe == FLOAT_RECIPE
            }
    recipes = [recipe for recipe in VARIANT_RECIPES if entry("tflite", recipe) in models]
    return made | _signatures(student, contract, calibration, recipes)


def encode(student: Student, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The encoder's output (n, *contract.encoded_shape) of windows (n, channels, samples), by torch."""
    with torch.inference_mode():
        images: NDArray[np.float32] = student.encoder(torch.from_numpy(windows)).numpy()
    return images


def _signatures(
    student: Student, contract: Contract, calibration: WindowSet, recipes: Sequence[str]
) -> dict[str, bytes]:
    outputs = {name: ends[1] for name, ends in signatures_of(contract).items()}
    full = to_signatures(student, contract)
    inputs = {INPUT_NAME: calibration.windows, IMAGE_NAME: encode(student, calibration.windows)}
    contents = {recipe: full if recipe == FLOAT_RECIPE else quantize_graphs(full, inputs, recipe) for recipe in recipes}
    return {signatures_file(recipe): finish(content, contract, outputs) for recipe, content in contents.items()}
