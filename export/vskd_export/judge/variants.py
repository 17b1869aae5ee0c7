"""The gate of the variants: as strict with them as with raw window -> logits.

Float variants must give torch's logits and embedding, float64's image and the softmax of torch's logits. Integer ones
must keep the limits of the quantized models, and their probabilities must be the softmax of the logits that the same
engine gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.checks.golden import encoder_tolerance
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.model_contract import EMBEDDING_NAME
from vskd_export.convert.graph import IMAGE_NAME, INPUT_NAME
from vskd_export.convert.tflite_variants import SIGNATURES
from vskd_export.judge.engines import EngineRun, infer_files
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float64_encoders import reference_encoded
from vskd_export.judge.float_models import feature_difference
from vskd_export.judge.limits import PROBABILITY_LIMIT
from vskd_export.judge.quantized import check_quantized, measure_quantized
from vskd_export.judge.violations import Violation, refuse_not_finite
from vskd_export.quantize.recipes import FLOAT_RECIPE, format_of
from vskd_export.quantize.variants import encode, variant_of
from vskd_export.subprocesses import call_in_subprocess
from vskd_training.models.student import Student

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class VariantParity:
    """One variant in one engine: the largest difference from what it should give, and the limit.

    ``limit`` is None for an integer model's logits, which are judged by what they cost, and where no limit for an image
    can be given.
    """

    engine: str
    file: str
    variant: str
    largest_difference: float
    limit: float | None


@dataclass(frozen=True)
class _Answer:
    """What one variant gave: the engine, its file, its name, (n + k, ...) values, and the embeddings if it has them.

    The k last ones are of the examples.
    """

    engine: str
    file: str
    variant: str
    values: Float32
    embeddings: Float32 | None = None


@dataclass(frozen=True)
class _Expected:
    """What every variant should give for the windows of the evidence."""

    contract: Contract
    evidence: Evidence
    shipped: Mapping[str, Float32]
    images: NDArray[np.float64]

    def of(self, variant: str, model: ModelEntry) -> tuple[NDArray[np.floating[Any]], float | None]:
        """The values, and the limit of a difference from them."""
        is_float = model.recipe == FLOAT_RECIPE
        tolerance, temperature = self.contract.logit_tolerance, self.contract.decision.temperature
        if variant == "encoder":
            return self.images, encoder_tolerance(self.contract)
        if variant == "probabilities":
            logits = self.evidence.logits if is_float else self.shipped[model.file]
            limit = tolerance / temperature if is_float else PROBABILITY_LIMIT
            return softmax(logits, temperature=temperature), limit
        return self.evidence.logits, tolerance if is_float else None


def check_variants(
    files: Mapping[str, bytes],
    student: Student,
    contract: Contract,
    evidence: Evidence,
    shipped: Mapping[str, Float32],
) -> tuple[tuple[VariantParity, ...], tuple[Violation, ...]]:
    """Judge every variant on every window of the evidence, in ONNX Runtime and in LiteRT.

    Parameters
    ----------
    files : what ``make_variants`` gave
    student : in evaluation mode; draws the images that the second half is judged on
    contract : holds the tolerance and the temperature
    evidence : windows and the trained network's logits
    shipped : model file -> (n, classes), the logits that the bundle keeps of its models

    Returns
    -------
    what was found, a row per engine and variant; the violations

    Raises
    ------
    GateError : a value is not finite
    EngineError : an engine cannot run a variant
    """
    windows = np.concatenate([evidence.windows, evidence.examples])
    inputs = {INPUT_NAME: windows, IMAGE_NAME: encode(student, windows)}
    expected = _Expected(contract, evidence, shipped, reference_encoded(evidence.windows, contract))
    rows: list[VariantParity] = []
    violations: list[Violation] = []
    for answer in _answers(files, inputs):
        row, found = _check(answer, expected)
        rows.append(row)
        violations.extend(found)
    return tuple(rows), tuple(violations)


def _check(answer: _Answer, expected: _Expected) -> tuple[VariantParity, tuple[Violation, ...]]:
    _, model = variant_of(answer.file)
    count, embeddings = len(expected.evidence.names), answer.embeddings
    given, is_float = answer.values[:count], model.recipe == FLOAT_RECIPE
    what = f"{answer.file}, variant {answer.variant!r}"
    for each in (given, embeddings[:count]) if embeddings is not None else (given,):
        refuse_not_finite(each, f"{what}, in {answer.engine}", expected.evidence.names)
    values, limit = expected.of(answer.variant, model)
    difference = np.abs(given - values).reshape(len(values), -1).max(axis=1)
    if is_float and embeddings is not None:
        difference = np.maximum(difference, feature_difference(embeddings[:count], expected.evidence))
    worst = int(difference.argmax())
    found, window = float(difference[worst]), expected.evidence.names[worst]
    row = VariantParity(answer.engine, answer.file, answer.variant, found, limit)
    if not is_float and embeddings is not None:
        file = ModelEntry(answer.file, format_of(answer.file), model.recipe)
        where = (answer.engine, f"variant {answer.variant}", file)
        run = EngineRun(*where, given, embeddings[:count], embeddings[count:])
        return row, check_quantized(measure_quantized(run, expected.contract, expected.evidence))
    if limit is None or found <= limit:
        return row, ()
    message = (
        f"{answer.engine} disagrees on {what}: window {window!r}, largest difference {found:.2e}, the limit is "
        f"{limit:.0e}"
    )
    return row, (Violation("variant-values", answer.file, answer.engine, found, limit, message),)


def _answers(files: Mapping[str, bytes], inputs: Mapping[str, Float32]) -> Iterator[_Answer]:
    for file, content in files.items():
        if format_of(file) == "onnx":
            variant, _ = variant_of(file)
            source, sinks = SIGNATURES[variant]
            both = EMBEDDING_NAME in sinks
            answer = infer_files("onnxruntime", {file: content}, inputs[source], embeddings=both)
            yield _Answer("onnxruntime", file, variant, *answer.logits, *answer.embeddings)
        else:
            purpose = "running the signatures in LiteRT"
            outputs = call_in_subprocess(_run, content, inputs, purpose=purpose, needs="ai_edge_litert").value
            for variant, values in outputs.items():
                yield _Answer("litert", file, variant, *values)


def _run(model: bytes, inputs: Mapping[str, Float32]) -> dict[str, list[Float32]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    return {variant: _signature(interpreter, variant, inputs) for variant in interpreter.get_signature_list()}


def _signature(interpreter: Any, variant: str, inputs: Mapping[str, Float32]) -> list[Float32]:
    """What the signature gives, each output (n + k, ...), in their order."""
    source, sinks = SIGNATURES[variant]
    runner = interpreter.get_signature_runner(variant)
    answers = [runner(**{source: each[np.newaxis]}) for each in inputs[source]]
    return [np.concatenate([answer[sink] for answer in answers]) for sink in sinks]
