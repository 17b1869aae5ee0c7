"""The model files of a bundle, and how they are made from a student.

``fp32`` is the trained network; ``w8a8-static-pc`` has int8 weights per channel and int8 activations whose ranges were
calibrated. Both hold the encoder, in float. Dynamic int8 is not offered: it ruins convolutional networks.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from vskd.bundle import ModelEntry
from vskd.contract import Contract
from vskd.engines import ENGINES, ModelFormat
from vskd_export.calibrate import WindowSet
from vskd_export.convert_onnx import to_onnx
from vskd_export.convert_tflite import to_tflite
from vskd_export.quantize_onnx import quantize_onnx
from vskd_export.quantize_tflite import quantize_tflite
from vskd_training.models.student import Student

FLOAT_RECIPE = "fp32"
INTEGER_RECIPE = "w8a8-static-pc"

#: Bits that a weight takes in a file.
WEIGHT_BITS = {FLOAT_RECIPE: 32, INTEGER_RECIPE: 8}


def entry(model_format: ModelFormat, recipe: str) -> ModelEntry:
    """The model of this format and recipe, e.g. ``model.fp32.onnx``."""
    return ModelEntry(f"model.{recipe}.{model_format}", model_format, recipe)


MODELS = (
    entry("onnx", FLOAT_RECIPE),
    entry("onnx", INTEGER_RECIPE),
    entry("tflite", FLOAT_RECIPE),
    entry("tflite", INTEGER_RECIPE),
)


def models_for(engine: str) -> tuple[ModelEntry, ...]:
    """The models that an engine runs, the float one first."""
    return tuple(model for model in MODELS if model.format == ENGINES[engine].format)


def make_models(student: Student, contract: Contract, calibration: WindowSet) -> dict[str, bytes]:
    """Convert and quantize; the two formats side by side, each step in a process of its own.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the window and travels in every file
    calibration : windows that set the ranges of the activations, as drawn

    Returns
    -------
    file -> content, in the order of ``MODELS``

    Raises
    ------
    MissingExtraError : a converter is not installed
    VskdError : a converter failed
    """

    def onnx() -> tuple[bytes, bytes]:
        full = to_onnx(student, contract)
        return full, quantize_onnx(full, contract, calibration)

    def tflite() -> tuple[bytes, bytes]:
        full = to_tflite(student, contract)
        return full, quantize_tflite(full, contract, calibration)

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(onnx), pool.submit(tflite)]
        contents = [content for job in jobs for content in job.result()]
    return {model.file: content for model, content in zip(MODELS, contents, strict=True)}
