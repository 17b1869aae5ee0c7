"""The sentence that an export is: convert, calibrate, quantize, check, write.

Everything is made and judged in memory first; the bundle is written last, whole or not at all. This module knows the
order of the steps and what the report holds, and leaves each step to the module of its name.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry, refuse_existing, write_bundle
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.decide import softmax
from vskd.engines import ENGINES, installed_engines
from vskd.errors import EngineError, GateError, MissingExtraError
from vskd.golden import FLIP_MARGIN, GOLDEN_FILE, Answer, golden_to_bytes, infer_apart, margins
from vskd_export import micro
from vskd_export.calibrate import WindowSet, calibration_digest, draw_calibration
from vskd_export.convert_onnx import to_onnx
from vskd_export.convert_tflite import to_tflite
from vskd_export.evidence import Evidence, gather_evidence
from vskd_export.gate import check_encoder, check_float, measure_integer, refuse_broken, score_torch
from vskd_export.golden import golden_rows, make_golden
from vskd_export.graph import frozen_copy
from vskd_export.quantize_onnx import quantize_onnx
from vskd_export.quantize_tflite import quantize_tflite
from vskd_training.models.student import Student

FLOAT_RECIPE = "fp32"
INTEGER_RECIPE = "w8a8-static-pc"
REPORT_FILE = "report.json"
REPORT_SCHEMA_VERSION = 1

#: Golden windows to run in TensorFlow Lite Micro, whose reference kernels take a good tenth of a second each.
MICRO_WINDOWS = 8

_MODELS = (
    ModelEntry("model.fp32.onnx", "onnx", FLOAT_RECIPE),
    ModelEntry("model.w8a8-static-pc.onnx", "onnx", INTEGER_RECIPE),
    ModelEntry("model.fp32.tflite", "tflite", FLOAT_RECIPE),
    ModelEntry("model.w8a8-static-pc.tflite", "tflite", INTEGER_RECIPE),
)

_PACKAGES = (
    "vskd",
    "numpy",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "litert-torch",
    "ai-edge-quantizer",
    "ai-edge-litert",
)


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes
    ----------
    path : of the bundle
    content : what ``report.json`` holds
    """

    path: Path
    content: Mapping[str, Any]


def export_bundle(
    student: Student,
    contract: Contract,
    *,
    calibration: WindowSet,
    held_out: WindowSet,
    provenance: Mapping[str, Any],
    out: Path,
    overwrite: bool,
    progress: Callable[[str], None],
    leaky: bool = False,
) -> ExportReport:
    """Export a trained student as a bundle.

    Parameters
    ----------
    student : trained; not changed
    contract : what a window is
    calibration : windows of training people; the integer models are calibrated on some of them
    held_out : windows of other people, on which the exported models are judged
    provenance : where the student comes from (run, configuration, data); goes into the report, so no date, no path
    out : folder to write, e.g. ``wrist.bundle``
    overwrite : replace a bundle that is there
    progress : called with one sentence before each step
    leaky : the run's protocol has the same people in training and test, and is stamped so

    Raises
    ------
    GateError : an exported model does not do what the trained one does; nothing is written
    DataError : calibration windows come from held-out people, or a set is empty or not finite
    ContractError : windows or labels do not fit the contract
    BundleError : the folder exists or cannot be written
    MissingExtraError : a converter or an engine is not installed
    """
    refuse_existing(out, overwrite=overwrite)
    calibration.check(contract, name="calibration")
    held_out.check(contract, name="held-out")
    drawn = draw_calibration(calibration, held_out=held_out, leaky=leaky)
    frozen = frozen_copy(student)
    progress("Running the trained network on held-out and adversarial windows")
    evidence = gather_evidence(frozen, contract, held_out)
    encoder = check_encoder(frozen, contract, evidence)
    progress("Converting to ONNX and TFLite, and quantizing (about half a minute)")
    files = make_models(frozen, contract, drawn)
    progress(f"Running the models in {', '.join(installed_engines())}")
    answers = run_engines(files, evidence.windows)
    judged = _judge(answers, files, contract, evidence)
    recorded = _first_answers(answers)
    progress("Running TensorFlow Lite Micro" if micro.is_installed() else "Leaving out TensorFlow Lite Micro")
    small = _judge_micro(files[_MODELS[3].file], recorded[_MODELS[3].file], contract, evidence)
    content = {
        "schema_version": REPORT_SCHEMA_VERSION,
        "trained_on": contract.trained_on,
        "leaky": leaky,
        "torch": score_torch(evidence),
        "encoder": to_mapping(encoder),
        **judged,
        "micro": small,
        "models": {name: {"size_bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()},
        "calibration": _describe(drawn, contract) | {"sha256": calibration_digest(drawn)},
        "held_out": _describe(held_out, contract),
        "provenance": dict(provenance),
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }
    progress(f"Writing {out}")
    golden = golden_to_bytes(make_golden(evidence, contract, recorded))
    path = write_bundle(
        out,
        contract=contract,
        models=_MODELS,
        files={**files, GOLDEN_FILE: golden, REPORT_FILE: _json(content)},
        overwrite=overwrite,
    )
    return ExportReport(path, content)


def make_models(student: Student, contract: Contract, calibration: WindowSet) -> dict[str, bytes]:
    """Convert and quantize; the two formats side by side, each in processes of its own.

    Parameters
    ----------
    student : in evaluation mode, on the CPU
    contract : fixes the window and travels in every file
    calibration : as drawn

    Returns
    -------
    model file -> content
    """

    def onnx() -> tuple[bytes, bytes]:
        full = to_onnx(student, contract)
        return full, quantize_onnx(full, contract, calibration)

    def tflite() -> tuple[bytes, bytes]:
        full = to_tflite(student, contract)
        return full, quantize_tflite(full, contract, calibration)

    with ThreadPoolExecutor(2) as pool:
        jobs: list[Future[tuple[bytes, bytes]]] = [pool.submit(onnx), pool.submit(tflite)]
        contents = [content for job in jobs for content in job.result()]
    return {entry.file: content for entry, content in zip(_MODELS, contents, strict=True)}


def run_engines(files: Mapping[str, bytes], windows: NDArray[np.float32]) -> tuple[Answer, ...]:
    """Run windows through every model in every installed engine, most preferred engine first.

    Parameters
    ----------
    files : model file -> content
    windows : (n, channels, samples), g

    Raises
    ------
    MissingExtraError : a format has no engine here, so its models could not be checked
    GateError : an engine cannot run a model
    """
    engines = installed_engines()
    for entry in _MODELS:
        if not any(ENGINES[name].format == entry.format for name in engines):
            kind = next(kind for kind in ENGINES.values() if kind.format == entry.format)
            raise MissingExtraError(kind.package, extra=kind.extra, purpose=f"checking {entry.file}")
    with TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_bytes(content)
        try:
            return tuple(infer_apart(name, _paths(Path(folder), name), windows) for name in engines)
        except EngineError as error:
            raise GateError(
                f"an exported model does not run: {error.message}",
                hint="Nothing was written. Mend or remove that engine, or report this with its version",
            ) from error


def _entries_for(engine: str) -> list[ModelEntry]:
    return [entry for entry in _MODELS if entry.format == ENGINES[engine].format]


def _paths(folder: Path, engine: str) -> list[Path]:
    return [folder / entry.file for entry in _entries_for(engine)]


def _first_answers(answers: tuple[Answer, ...]) -> dict[str, NDArray[np.float32]]:
    """Model file -> logits of the most preferred engine."""
    recorded: dict[str, NDArray[np.float32]] = {}
    for answer in answers:
        for entry, logits in zip(_entries_for(answer.engine), answer.logits, strict=True):
            recorded.setdefault(entry.file, logits)
    return recorded


def _judge(
    answers: tuple[Answer, ...], files: Mapping[str, bytes], contract: Contract, evidence: Evidence
) -> dict[str, Any]:
    """Every engine on every model, as the report's two tables; raises GateError."""
    float_rows, integer_rows = [], []
    for answer in answers:
        full, small = _entries_for(answer.engine)
        full_logits, small_logits = answer.logits
        who = {"engine": answer.engine, "version": answer.version}
        checked = check_float(full_logits, **who, file=full.file, contract=contract, evidence=evidence)
        ratio = len(files[full.file]) / len(files[small.file])
        measured = measure_integer(
            small_logits, **who, file=small.file, size_ratio=ratio, contract=contract, evidence=evidence
        )
        refuse_broken(measured)
        float_rows.append(to_mapping(checked))
        integer_rows.append(to_mapping(measured))
    return {"parity": float_rows, "integer": integer_rows}


def _judge_micro(model: bytes, expected: NDArray[np.float32], contract: Contract, evidence: Evidence) -> dict[str, Any]:
    """The integer model in TensorFlow Lite Micro, as the report holds it; raises GateError."""
    if not micro.is_installed():
        return {"skipped": "tflite-micro is not installed"}
    rows = golden_rows(evidence)
    rows = rows[np.linspace(0, len(rows) - 1, MICRO_WINDOWS).round().astype(np.intp)]
    run = micro.run_micro(model, evidence.windows[rows])
    sureness = margins(softmax(expected[rows], temperature=contract.decision.temperature))
    flipped = run.logits.argmax(axis=1) != expected[rows].argmax(axis=1)
    if (flipped & (sureness > FLIP_MARGIN)).any():
        name = evidence.names[rows[np.flatnonzero(flipped & (sureness > FLIP_MARGIN))[0]]]
        raise GateError(
            f"TensorFlow Lite Micro {run.version} gives window {name!r} another label than LiteRT, which was sure of it",
            hint="Nothing was written. Report this with the version of tflite-micro",
        )
    return {
        "version": run.version,
        "arena_bytes": run.arena_bytes,
        "windows": len(rows),
        "largest_difference": float(np.abs(run.logits - expected[rows]).max()),
        "flips": int(flipped.sum()),
    }


def _describe(windows: WindowSet, contract: Contract) -> dict[str, Any]:
    counts = Counter(contract.labels[label] for label in windows.labels.tolist())
    return {
        "windows": len(windows),
        "per_class": {label: counts[label] for label in contract.labels},
        "subjects": sorted(set(windows.subjects)),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
