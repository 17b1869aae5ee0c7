"""A student made into the models of a bundle: converted, and quantized recipe by recipe."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from vskd.bundle import ModelEntry
from vskd.contract import Contract
from vskd.model_contract import ModelFormat
from vskd_export.convert.onnx import to_onnx
from vskd_export.convert.tflite import to_tflite
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.onnx import quantize_onnx
from vskd_export.quantize.recipes import FLOAT_RECIPE, FORMATS
from vskd_export.quantize.tflite import quantize_tflite
from vskd_training.models.student import Student

_TOOLS = {"onnx": (to_onnx, quantize_onnx), "tflite": (to_tflite, quantize_tflite)}


def make_models(
    student: Student, contract: Contract, calibration: WindowSet, models: Sequence[ModelEntry]
) -> dict[str, bytes]:
    """Convert and quantize; the two formats side by side, each step in a process of its own.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the window and travels in every file
    calibration : windows that set the ranges of the activations, as drawn
    models : what to make

    Returns
    -------
    file -> content, in the order of ``models``

    Raises
    ------
    MissingExtraError : a converter is not installed
    VskdError : a converter failed
    """

    def made(model_format: ModelFormat) -> dict[str, bytes]:
        convert, quantize = _TOOLS[model_format]
        full = convert(student, contract)
        return {
            model.file: full if model.recipe == FLOAT_RECIPE else quantize(full, contract, calibration, model.recipe)
            for model in models
            if model.format == model_format
        }

    with ThreadPoolExecutor(len(FORMATS)) as pool:
        by_format = list(pool.map(made, FORMATS))
    contents = {file: content for found in by_format for file, content in found.items()}
    return {model.file: contents[model.file] for model in models}
