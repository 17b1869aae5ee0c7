"""The student's other forms: image -> logits, and the encoder alone, for a device that has one half already.

In TFLite they are signatures of one file that shares its weights with the raw window's; in ONNX each is a file. They
are written only on request (``vskd export --forms``): at full width they add 90 MB to a bundle and half a minute to an
export, and the form that a device runs, raw window -> logits, is always there. The gate is as strict with them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vskd.contract import Contract
from vskd.errors import GateError
from vskd.golden import IMAGE_TOLERANCE, infer_apart
from vskd_export.apart import run_apart
from vskd_export.convert_onnx import onnx_bytes
from vskd_export.describe import describe_model, describe_signatures
from vskd_export.evidence import Evidence, reference_images
from vskd_export.graph import INPUT_NAME, OUTPUT_NAME, load_job, save_job
from vskd_export.tflite_file import finish_signatures
from vskd_training.models.student import Student

Float32 = NDArray[np.float32]

IMAGE_NAME = "image"

SIGNATURES_FILE = "forms/signatures.fp32.tflite"
IMAGE_FILE = "forms/image.fp32.onnx"
ENCODER_FILE = "forms/encoder.fp32.onnx"

#: Signature -> what comes out.
SIGNATURES: Mapping[str, str] = {"window": OUTPUT_NAME, "image": OUTPUT_NAME, "encoder": IMAGE_NAME}


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


@dataclass(frozen=True)
class FormParity:
    """One form in one engine: the largest difference from torch's logits or the float64 image, and the limit."""

    engine: str
    file: str
    form: str
    largest_difference: float
    limit: float | None


def make_forms(student: Student, contract: Contract) -> dict[str, bytes]:
    """Convert the forms.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the shapes and travels in every file

    Returns
    -------
    file within the bundle -> content

    Raises
    ------
    MissingExtraError : a converter is not installed
    VskdError : a converter failed
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_job(student, contract, folder / "job.pt")
        run_apart("vskd_export.forms", folder, purpose="converting the other forms", needs="litert_torch")
        return {
            SIGNATURES_FILE: finish_signatures((folder / "signatures.tflite").read_bytes(), contract, SIGNATURES),
            IMAGE_FILE: (folder / "image.onnx").read_bytes(),
            ENCODER_FILE: (folder / "encoder.onnx").read_bytes(),
        }


def check_forms(
    files: Mapping[str, bytes], student: Student, contract: Contract, evidence: Evidence
) -> dict[str, dict[str, Any]]:
    """Judge every form on every window of the evidence, in ONNX Runtime and in LiteRT.

    Parameters
    ----------
    files : what ``make_forms`` gave
    student : in evaluation mode; draws the images that the second half is judged on

    Returns
    -------
    file -> its description and the parity of its forms, for the report

    Raises
    ------
    GateError : logits or images off by more than the raw form may be
    EngineError : an engine cannot run a form
    """
    with torch.inference_mode():
        images = student.encoder(torch.from_numpy(evidence.windows)).numpy()
    with tempfile.TemporaryDirectory() as name:
        answers = _answers(Path(name), files, evidence.windows, images)
    exact = reference_images(evidence.windows, contract)
    parity = [_judge(key, answer, exact, contract, evidence) for key, answer in answers.items()]
    told = {
        SIGNATURES_FILE: {"signatures": describe_signatures(files[SIGNATURES_FILE])},
        IMAGE_FILE: describe_model(files[IMAGE_FILE], "onnx"),
        ENCODER_FILE: describe_model(files[ENCODER_FILE], "onnx"),
    }
    return {
        file: {**content, "parity": [vars(row) for row in parity if row.file == file]} for file, content in told.items()
    }


#: (engine, file, form)
_Key = tuple[str, str, str]


def _answers(folder: Path, files: Mapping[str, bytes], windows: Float32, images: Float32) -> dict[_Key, Float32]:
    (folder / "forms").mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    np.savez(folder / "inputs.npz", window=windows, image=images, encoder=windows)
    run_apart("vskd_export.forms", folder, purpose="running the signatures in LiteRT", needs="ai_edge_litert")
    found: dict[_Key, Float32] = {}
    for file, form, inputs in ((IMAGE_FILE, "image", images), (ENCODER_FILE, "encoder", windows)):
        found["onnxruntime", file, form] = infer_apart("onnxruntime", [folder / file], inputs).logits[0]
    with np.load(folder / "outputs.npz", allow_pickle=False) as outputs:
        return found | {("litert", SIGNATURES_FILE, form): outputs[form] for form in SIGNATURES}


def _judge(
    key: _Key, answer: Float32, exact: NDArray[np.float64], contract: Contract, evidence: Evidence
) -> FormParity:
    engine, file, form = key
    expected = exact if form == "encoder" else evidence.logits
    limit = IMAGE_TOLERANCE[contract.gaf.scaling] if form == "encoder" else contract.logit_tolerance
    difference = np.abs(answer - expected).reshape(len(expected), -1).max(axis=1)
    # A NaN must be the worst, not invisible.
    worst = int(np.nan_to_num(difference, nan=np.inf).argmax())
    found = float(difference[worst])
    if not np.isfinite(found) or (limit is not None and not found <= limit):
        raise GateError(
            f"{engine} disagrees on {file}, form {form!r}: window {evidence.names[worst]!r}, largest difference "
            f"{found:.2e}, allowed {limit}",
            hint="Nothing was written. Report this with the versions of torch and the converter",
        )
    return FormParity(engine, file, form, found, limit)


def _convert(folder: Path) -> None:
    import litert_torch

    graph, contract = load_job(folder / "job.pt")
    window, image = torch.zeros(1, *contract.window_shape), torch.zeros(1, *contract.image_shape)
    second, first = ImageToLogits(graph.student).eval(), WindowToImage(graph.student).eval()
    (folder / "image.onnx").write_bytes(onnx_bytes(second, image, contract, names=(IMAGE_NAME, OUTPUT_NAME)))
    (folder / "encoder.onnx").write_bytes(onnx_bytes(first, window, contract, names=(INPUT_NAME, IMAGE_NAME)))
    converter = litert_torch.signature("window", graph, sample_kwargs={INPUT_NAME: window})
    converter = converter.signature("image", second, sample_kwargs={IMAGE_NAME: image})
    converter = converter.signature("encoder", first, sample_kwargs={INPUT_NAME: window})
    converter.convert().export(str(folder / "signatures.tflite"))


def _run(folder: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(folder / SIGNATURES_FILE), num_threads=1)
    answers: dict[str, Any] = {}
    with np.load(folder / "inputs.npz", allow_pickle=False) as inputs:
        for form, output in SIGNATURES.items():
            runner = interpreter.get_signature_runner(form)
            (port,) = runner.get_input_details()
            answers[form] = np.concatenate([runner(**{port: each[np.newaxis]})[output] for each in inputs[form]])
    np.savez(folder / "outputs.npz", **answers)


if __name__ == "__main__":
    job = Path(sys.argv[1])
    _run(job) if (job / "inputs.npz").exists() else _convert(job)
