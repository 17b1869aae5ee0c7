"""The sentence that an export is: convert, calibrate, quantize, check, write.

Everything is made and judged in memory first; the bundle is written last, whole or not at all. This module knows the
order of the steps and leaves each step to the module of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry, refuse_existing, write_bundle
from vskd.contract import Contract
from vskd.description import FORMS, GRAPHS
from vskd.engines import installed_engines
from vskd.golden import GOLDEN_FILE, golden_to_bytes
from vskd_export import micro
from vskd_export.answers import run_engines
from vskd_export.breaches import Ledger
from vskd_export.c_array import c_files
from vskd_export.calibrate import WindowSet, draw_calibration
from vskd_export.describe import describe_model
from vskd_export.evidence import Evidence, gather_evidence
from vskd_export.forms import check_forms, make_forms
from vskd_export.gate import check_encoder, check_engines, check_micro, check_reference, check_sizes
from vskd_export.golden import golden_rows, make_golden
from vskd_export.golden_stream import make_golden_stream
from vskd_export.graph import frozen_copy
from vskd_export.layers import LAYER_WINDOWS, compare_layers
from vskd_export.recipes import INTEGER_RECIPE, MODELS, describe_recipes, entry, make_models
from vskd_export.report import REPORT_FILE, compose, to_bytes
from vskd_training.models.student import Student


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

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """A table for people: model, MB, engine, largest logit difference, flips, accuracy; a row per engine."""
        return [
            (
                row["file"],
                f"{self.content['models'][row['file']]['size_bytes'] / 1e6:.2f}",
                f"{row['engine']} {row['version']}",
                f"{row['largest_difference']:.1e}",
                str(row["flips"]),
                f"{row['accuracy']:.4f}",
            )
            for row in (*self.content["parity"], *self.content["quantized"])
        ]

    def worst_layers(self) -> tuple[str, ...]:
        """A sentence per integer model: which layers quantization hurts most, and how much signal is left there."""
        return tuple(
            f"{file}: least signal over noise in "
            + ", ".join(f"{row['layer']} ({row['sqnr_db']:.1f} dB)" for row in table["worst"])
            for file, table in self.content["layers"].items()
        )

    def degraded(self) -> tuple[str, ...]:
        """Every limit that the bundle does not keep, as a sentence; empty unless a degraded one was allowed."""
        return tuple(breach["message"] for breach in self.content["degraded"])


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
    allow_degraded: bool = False,
    models: Sequence[ModelEntry] = MODELS,
    forms: bool = False,
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
    allow_degraded : write the bundle even if a limit is broken, with every breach in its report
    models : what to make, see ``parse_recipes``
    forms : write image -> logits and the encoder alone too, see ``vskd_export.forms``

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
    ledger = Ledger(allow_degraded=allow_degraded)
    encoder, broken = check_encoder(frozen, contract, evidence)
    ledger.record(broken)
    progress("Converting to ONNX and TFLite, and quantizing")
    files = make_models(frozen, contract, drawn, models)
    judged, recorded = _judge_models(models, files, contract, evidence, ledger, progress)
    others, told = _judge_forms(frozen, contract, evidence, progress) if forms else ({}, {})
    graphs = {model.file: describe_model(files[model.file], model.format) for model in models}
    content = compose(
        contract,
        evidence=evidence,
        judged={"encoder": encoder, **judged, GRAPHS: graphs, FORMS: told},
        degraded=ledger.breaches,
        files=files,
        calibration=drawn,
        held_out=held_out,
        provenance=provenance,
        leaky=leaky,
    )
    progress(f"Writing {out}")
    golden = golden_to_bytes(make_golden(evidence, contract, recorded))
    stream = make_golden_stream(frozen, contract, evidence, files, models)
    extra = {**others, **_in_c(files, contract, judged["micro"]), **stream}
    everything = {**files, **extra, GOLDEN_FILE: golden, REPORT_FILE: to_bytes(content)}
    path = write_bundle(out, contract=contract, models=models, files=everything, overwrite=overwrite)
    return ExportReport(path, content)


def _in_c(files: Mapping[str, bytes], contract: Contract, found: Mapping[str, Any]) -> dict[str, bytes]:
    """The integer model for TensorFlow Lite Micro, where it was asked for."""
    smallest = entry("tflite", INTEGER_RECIPE).file
    return c_files(files[smallest], contract, name=smallest, micro=found) if smallest in files else {}


def _judge_forms(
    student: Student, contract: Contract, evidence: Evidence, progress: Callable[[str], None]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The other forms' files and the report's table of them; raises GateError."""
    progress("Converting and running image -> logits and the encoder alone")
    files = make_forms(student, contract)
    return files, check_forms(files, student, contract, evidence)


def _judge_models(
    models: Sequence[ModelEntry],
    files: Mapping[str, bytes],
    contract: Contract,
    evidence: Evidence,
    ledger: Ledger,
    progress: Callable[[str], None],
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The report's tables, and the logits to record; raises GateError."""
    progress(f"Running the models in {', '.join(installed_engines())}")
    answers = run_engines(models, files, evidence.windows)
    found, broken = check_engines(answers, contract, evidence)
    tables: dict[str, Any] = {**found}
    sizes, too_large = check_sizes(files, models)
    ledger.record([*broken, *too_large])
    recorded = answers.recorded()
    progress("Running LiteRT's reference kernels")
    tables["reference"], differs = check_reference(models, files, recorded, contract, evidence)
    ledger.record(differs)
    progress("Comparing the quantized models with the float ones, layer by layer")
    tables["recipes"] = describe_recipes(models)
    tables["layers"] = compare_layers(models, files, evidence.windows[golden_rows(evidence)[: 4 * LAYER_WINDOWS : 4]])
    tables["sizes"], tables["micro"] = sizes, {"skipped": f"no {INTEGER_RECIPE} .tflite was asked for"}
    smallest = entry("tflite", INTEGER_RECIPE).file
    if smallest in files:
        progress(f"{'Running' if micro.is_installed() else 'Not installed, left out:'} TensorFlow Lite Micro")
        tables["micro"], differs = check_micro(smallest, files[smallest], recorded[smallest], contract, evidence)
        ledger.record(differs)
    return tables, recorded
