"""The ``.tflite`` models on plain kernels: LiteRT's reference ones and TensorFlow Lite Micro's.

On a few golden windows, since plain kernels are slow. Float models must give torch's logits there; quantized ones the
label of the kernels that ship, where those were certain. LiteRT's reference kernels read the same files by the same
library: what differs from the kernels that ship is those kernels' doing, what differs from torch is the converter's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.checks.golden import FLIP_MARGIN, LEAST_COSINE, least_cosine, margins
from vskd.contract import Contract
from vskd.decide import softmax
from vskd_export.judge import micro
from vskd_export.judge.engines import EngineRun
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.violations import Violation, refuse_not_finite
from vskd_export.quantize.recipes import FLOAT_RECIPE, INTEGER_RECIPE, entry
from vskd_export.subprocesses import call_in_subprocess

_REFERENCE = "LiteRT's reference kernels"

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class _Few:
    """The few windows: their names, torch's logits for them, and those that the bundle keeps of one model."""

    names: tuple[str, ...]
    torch: Float32
    shipped: Float32

    @classmethod
    def of(cls, evidence: Evidence, shipped: Float32) -> _Few:
        rows = evidence.reference_rows()
        return cls(tuple(evidence.names[row] for row in rows), evidence.logits[rows], shipped[rows])

    def flips(self, logits: Float32) -> NDArray[np.bool_]:
        """(n,): whether ``logits`` name another label than the shipped kernels."""
        other: NDArray[np.bool_] = logits.argmax(axis=1) != self.shipped.argmax(axis=1)
        return other

    def certain_flip(self, logits: Float32, contract: Contract) -> tuple[str, float] | None:
        """Window and margin of the label that the shipped kernels were most certain of, if its flip is a violation."""
        certain = margins(softmax(self.shipped, temperature=contract.decision.temperature))
        flipped = np.where(self.flips(logits), certain, np.float32(0))
        worst = int(flipped.argmax())
        return (self.names[worst], float(flipped[worst])) if flipped[worst] > FLIP_MARGIN else None


def check_reference(
    models: Sequence[ModelEntry],
    files: Mapping[str, bytes],
    shipped: Mapping[str, Float32],
    contract: Contract,
    evidence: Evidence,
) -> tuple[list[dict[str, Any]], tuple[Violation, ...]]:
    """Run every ``.tflite`` on LiteRT's reference kernels.

    Parameters
    ----------
    models : of the bundle
    files : model file -> content
    shipped : model file -> (n, classes), the logits that the bundle keeps, for the windows of ``evidence``

    Returns
    -------
    a row per model; a violation where a float model's logits are not torch's, or where a quantized one gives another
    label than the kernels that ship, though those were certain

    Raises
    ------
    GateError : a logit is not finite
    MissingExtraError : LiteRT is not installed
    VskdError : it refuses a model
    """
    chosen = [model for model in models if model.format == "tflite"]
    answers = run_reference(
        {model.file: files[model.file] for model in chosen}, evidence.windows[evidence.reference_rows()]
    )
    table: list[dict[str, Any]] = []
    violations: list[Violation] = []
    for model in chosen:
        few, logits = _Few.of(evidence, shipped[model.file]), answers[model.file]
        refuse_not_finite(logits, f"{model.file} on {_REFERENCE}", few.names)
        table.append(
            {
                "file": model.file,
                "windows": len(logits),
                "from_torch": float(np.abs(logits - few.torch).max()),
                "from_engine": float(np.abs(logits - few.shipped).max()),
                "flips": int(few.flips(logits).sum()),
            }
        )
        unlike = _unlike_torch if model.recipe == FLOAT_RECIPE else _unlike_shipped
        violations += unlike(model.file, logits, few, contract)
    return table, tuple(violations)


def run_reference(models: Mapping[str, bytes], windows: Float32) -> dict[str, Float32]:
    """Logits (n, classes) of windows in every ``.tflite``, by its file name, on LiteRT's reference kernels."""
    purpose = f"running {_REFERENCE}"
    return call_in_subprocess(_run, dict(models), windows, purpose=purpose, needs="ai_edge_litert").value


def _run(models: Mapping[str, bytes], windows: Float32) -> dict[str, Float32]:
    return {name: _logits(model, windows) for name, model in models.items()}


def _logits(model: bytes, windows: Float32) -> Float32:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers = []
    for window in windows:
        interpreter.set_tensor(source, window[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(sink)[0])
    return np.stack(answers)


def _unlike_torch(file: str, logits: Float32, few: _Few, contract: Contract) -> list[Violation]:
    difference, limit = np.abs(logits - few.torch).max(axis=1), contract.logit_tolerance
    worst = int(difference.argmax())
    found = float(difference[worst])
    if found <= limit:
        return []
    message = (
        f"{_REFERENCE} disagree with torch on {file}: window {few.names[worst]!r}, largest logit difference "
        f"{found:.2e}, above {limit:.0e}"
    )
    return [Violation("reference-logits", file, _REFERENCE, found, limit, message)]


def _unlike_shipped(file: str, logits: Float32, few: _Few, contract: Contract) -> list[Violation]:
    flip = few.certain_flip(logits, contract)
    if flip is None:
        return []
    window, margin = flip
    message = (
        f"{_REFERENCE} give window {window!r} another label on {file} than the fast ones, whose margin there is "
        f"{margin:.2f}, above {FLIP_MARGIN}"
    )
    return [Violation("reference-label", file, _REFERENCE, margin, FLIP_MARGIN, message)]


def check_micro(
    files: Mapping[str, bytes], shipped: Mapping[str, EngineRun], contract: Contract, evidence: Evidence
) -> tuple[dict[str, Any], tuple[Violation, ...]]:
    """Run the integer model in TensorFlow Lite Micro.

    Parameters
    ----------
    files : model file -> content
    shipped : model file -> the answers that the bundle keeps, for the windows of ``evidence``

    Returns
    -------
    arena and differences, or why it was left out; a violation for another label than LiteRT's where LiteRT was certain,
    and for another embedding

    Raises
    ------
    GateError : a logit or a feature is not finite
    VskdError : the interpreter refuses the model
    """
    file = entry("tflite", INTEGER_RECIPE).file
    if file not in files:
        return {"skipped": f"this bundle has no {file}"}, ()
    if not micro.is_installed():
        return {"skipped": "tflite-micro is not installed"}, ()
    rows = evidence.reference_rows()
    few = _Few.of(evidence, shipped[file].logits)
    run = micro.run_micro(files[file], evidence.windows[rows])
    engine = f"TensorFlow Lite Micro {run.version}"
    for values in (run.logits, run.embeddings):
        refuse_not_finite(values, f"{file} in {engine}", few.names)
    least, worst = least_cosine(run.embeddings, shipped[file].embeddings[rows])
    table = {
        "version": run.version,
        "arena_bytes": run.arena_bytes,
        "windows": len(run.logits),
        "largest_difference": float(np.abs(run.logits - few.shipped).max()),
        "flips": int(few.flips(run.logits).sum()),
        "least_cosine": least,
    }
    violations: list[Violation] = []
    if flip := few.certain_flip(run.logits, contract):
        window, margin = flip
        message = (
            f"{engine} gives window {window!r} another label than LiteRT, whose margin there is {margin:.2f}, above "
            f"{FLIP_MARGIN}"
        )
        violations.append(Violation("micro-label", file, engine, margin, FLIP_MARGIN, message))
    if least < LEAST_COSINE:
        message = (
            f"{engine} gives window {few.names[worst]!r} another embedding than LiteRT: their cosine is {least:.3f}, "
            f"below {LEAST_COSINE}"
        )
        violations.append(Violation("micro-embedding", file, engine, least, LEAST_COSINE, message))
    return table, tuple(violations)
