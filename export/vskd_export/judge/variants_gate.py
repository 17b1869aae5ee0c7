"""The gate of the other forms: as strict with them as with the form that every bundle has.

Float forms must give torch's logits, float64's image and the softmax of torch's logits; integer ones must keep the
limits of ``quantized``, and their probabilities must be the softmax of the logits that the same engine gives.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vskd.checks.golden import IMAGE_TOLERANCE, infer_in_subprocess
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.engines import ModelFormat
from vskd.errors import GateError
from vskd_export.convert.graph import IMAGE_NAME, INPUT_NAME
from vskd_export.convert.subprocesses import run_in_subprocess
from vskd_export.convert.variants import SIGNATURES, draw_images
from vskd_export.judge.evidence import Evidence, reference_images
from vskd_export.judge.quantized import judge, measure_quantized
from vskd_export.judge.violations import Breach
from vskd_export.package.describe import describe_model, describe_signatures
from vskd_export.quantize.recipes import FLOAT_RECIPE, entry, format_of
from vskd_training.models.student import Student

Float32 = NDArray[np.float32]

#: A probability from the softmax of an engine's own logits.
PROBABILITY_LIMIT = 1e-5


@dataclass(frozen=True)
class FormParity:
    """One form in one engine: the largest difference from what it should be, and the limit.

    ``limit`` is None for an integer model's logits, which ``quantized`` judges by what they cost, and where no limit
    for an image can be given.
    """

    engine: str
    file: str
    form: str
    largest_difference: float
    limit: float | None


def check_forms(
    files: Mapping[str, bytes],
    student: Student,
    contract: Contract,
    evidence: Evidence,
    recorded: Mapping[str, Float32],
) -> tuple[dict[str, dict[str, Any]], tuple[Breach, ...]]:
    """Judge every form on every window of the evidence, in ONNX Runtime and in LiteRT.

    Parameters
    ----------
    files : what ``make_forms`` gave
    student : in evaluation mode; draws the images that the second half is judged on
    recorded : model file -> (n, classes), the logits that the bundle remembers of its models

    Returns
    -------
    file -> its description and the parity of its forms, for the report; what is broken

    Raises
    ------
    GateError : an answer is not finite
    EngineError : an engine cannot run a form
    """
    inputs = {INPUT_NAME: evidence.windows, IMAGE_NAME: draw_images(student, evidence.windows)}
    told: dict[str, dict[str, Any]] = {file: _described(file, content) for file, content in files.items()}
    breaches: list[Breach] = []
    judge_one = _Judge(contract, evidence, recorded)
    for engine, file, form, answer in _answers(files, inputs):
        row, broken = judge_one(engine, file, form, answer)
        told[file].setdefault("parity", []).append(to_mapping(row))
        breaches.extend(broken)
    return told, tuple(breaches)


def _described(file: str, content: bytes) -> dict[str, Any]:
    return describe_model(content, "onnx") if file.endswith(".onnx") else {"signatures": describe_signatures(content)}


class _Judge:
    """Knows what every form should answer to the evidence."""

    def __init__(self, contract: Contract, evidence: Evidence, recorded: Mapping[str, Float32]) -> None:
        self._contract, self._evidence, self._recorded = contract, evidence, recorded
        self._images = reference_images(evidence.windows, contract)

    def __call__(self, engine: str, file: str, form: str, answer: Float32) -> tuple[FormParity, tuple[Breach, ...]]:
        recipe, kind = _recipe_and_format(file)
        logits = self._evidence.logits if recipe == FLOAT_RECIPE else self._recorded[entry(kind, recipe).file]
        temperature = self._contract.decision.temperature
        tolerance = self._contract.logit_tolerance
        is_integer = recipe != FLOAT_RECIPE
        expected, limit = {
            "encoder": (self._images, IMAGE_TOLERANCE[self._contract.gaf.scaling]),
            "probabilities": (
                softmax(logits, temperature=temperature),
                PROBABILITY_LIMIT if is_integer else tolerance / temperature,
            ),
        }.get(form, (self._evidence.logits, None if is_integer else tolerance))
        row, broken = self._compare(FormParity(engine, file, form, 0.0, limit), answer, expected)
        if is_integer and form in ("window", "image"):
            broken += judge(self._cost(row, answer))
        return row, broken

    def _compare(
        self, row: FormParity, answer: Float32, expected: NDArray[np.floating[Any]]
    ) -> tuple[FormParity, tuple[Breach, ...]]:
        difference = np.abs(answer - expected).reshape(len(expected), -1).max(axis=1)
        # A NaN must be the worst, not invisible.
        worst = int(np.nan_to_num(difference, nan=np.inf).argmax())
        found, name = float(difference[worst]), self._evidence.names[worst]
        if not np.isfinite(found):
            raise GateError(
                f"{row.file}, form {row.form!r}, gives NaN or infinity in {row.engine} for window {name!r}",
                hint="Nothing was written, and --allow-degraded does not help: such a model decides nothing",
            )
        row = FormParity(row.engine, row.file, row.form, found, row.limit)
        if row.limit is None or found <= row.limit:
            return row, ()
        message = (
            f"{row.engine} disagrees on {row.file}, form {row.form!r}: window {name!r}, largest difference "
            f"{found:.2e}, the limit is {row.limit:.0e}"
        )
        return row, (Breach("form-values", row.file, row.engine, found, row.limit, message),)

    def _cost(self, row: FormParity, answer: Float32) -> Any:
        return measure_quantized(
            answer,
            engine=row.engine,
            version=f"form {row.form}",
            file=row.file,
            contract=self._contract,
            evidence=self._evidence,
        )


def _recipe_and_format(file: str) -> tuple[str, ModelFormat]:
    """Of ``forms/image.fp32.onnx``."""
    return Path(file).name.split(".")[1], format_of(file)


def _answers(files: Mapping[str, bytes], inputs: Mapping[str, Float32]) -> Iterator[tuple[str, str, str, Float32]]:
    """(engine, file, form, what it answers)"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "forms").mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content)
        np.savez(folder / "inputs.npz", **cast("dict[str, Any]", dict(inputs)))
        for file in files:
            form = Path(file).name.split(".")[0]
            if file.endswith(".onnx"):
                source = inputs[SIGNATURES[form][0]]
                yield "onnxruntime", file, form, infer_in_subprocess("onnxruntime", [folder / file], source).logits[0]
        run_in_subprocess(
            "vskd_export.judge.variants_gate",
            folder,
            purpose="running the signatures in LiteRT",
            needs="ai_edge_litert",
        )
        for file in files:
            if file.endswith(".tflite"):
                with np.load(folder / f"{file}.npz", allow_pickle=False) as outputs:
                    for form in SIGNATURES:
                        yield "litert", file, form, outputs[form]


def _run(folder: Path) -> None:
    with np.load(folder / "inputs.npz", allow_pickle=False) as archive:
        inputs = dict(archive)
    for model in sorted((folder / "forms").glob("*.tflite")):
        answers: dict[str, Any] = {form: _signature(model, form, inputs) for form in SIGNATURES}
        np.savez(model.with_name(f"{model.name}.npz"), **answers)


def _signature(model: Path, form: str, inputs: Mapping[str, Float32]) -> Float32:
    from ai_edge_litert.interpreter import Interpreter

    source, sink = SIGNATURES[form]
    runner = Interpreter(model_path=str(model), num_threads=1).get_signature_runner(form)
    return np.concatenate([runner(**{source: each[np.newaxis]})[sink] for each in inputs[source]])


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
