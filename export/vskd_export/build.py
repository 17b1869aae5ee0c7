"""The sentence that an export is: make, judge, add variants, write.

Everything is made and judged in memory first; the bundle is written last, whole or not at all. This module knows the
order of the steps and leaves each step to the room of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry, refuse_existing, write_bundle
from vskd.bundle_files import GOLDEN_VECTORS, REPORT, REPORT_PAGE
from vskd.checks.golden import golden_to_bytes
from vskd.contract import Contract
from vskd.errors import BundleError
from vskd_export.convert.graph import frozen_copy
from vskd_export.judge.encoder import check_encoder
from vskd_export.judge.evidence import Evidence, gather_evidence
from vskd_export.judge.gate import judge_models
from vskd_export.judge.variants import VariantParity, check_variants
from vskd_export.judge.violations import Collector
from vskd_export.package.c_array import c_files
from vskd_export.package.describe import graph_entry
from vskd_export.package.golden import make_golden
from vskd_export.package.golden_stream import make_golden_stream
from vskd_export.package.layers import compare_layers
from vskd_export.package.page import page
from vskd_export.package.report import ExportReport, Findings, compose, to_bytes
from vskd_export.quantize.calibrate import WindowSet, draw_calibration
from vskd_export.quantize.models import make_models
from vskd_export.quantize.recipes import INTEGER_RECIPE, MODELS, entry, format_of
from vskd_export.quantize.variants import make_variants
from vskd_training.models.student import Student

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and on which terms.

    Attributes
    ----------
    student : trained; not changed
    contract : what a window is
    calibration : windows of training subjects; the integer models are calibrated on some of them
    held_out : windows of other subjects, on which the exported models are judged
    provenance : where the student comes from (run, configuration, data); goes into the report, so no date, no path
    out : folder to write, e.g. ``wrist.bundle``
    overwrite : replace a bundle that is there
    leaky : the run's protocol has the same subjects in training and test, and is stamped so
    allow_degraded : write the bundle even if a limit is broken, with every violation in its report
    models : what to make, see ``parse_recipes``
    variants : write the variants too, see ``vskd_export.quantize.variants``
    """

    student: Student
    contract: Contract
    calibration: WindowSet
    held_out: WindowSet
    provenance: Mapping[str, Any]
    out: Path
    overwrite: bool = False
    leaky: bool = False
    allow_degraded: bool = False
    models: tuple[ModelEntry, ...] = MODELS
    variants: bool = False


@dataclass(frozen=True)
class _Made:
    """The student as it is exported, its models, and what they are judged by."""

    student: Student
    calibration: WindowSet
    evidence: Evidence
    encoder: Mapping[str, Any]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class _Variants:
    """The variants' files, and what the gate found about them."""

    files: Mapping[str, bytes]
    parity: tuple[VariantParity, ...]


def export_bundle(request: ExportRequest, *, progress: Progress) -> ExportReport:
    """Export a trained student as a bundle.

    Parameters
    ----------
    request : what to export
    progress : called with one sentence before each step

    Raises
    ------
    GateError : an exported model does not do what the trained one does; nothing is written
    DataError : calibration windows come from held-out subjects, or a set is empty or not finite
    ContractError : windows or labels do not fit the contract
    BundleError : the folder exists or cannot be written
    MissingExtraError : a converter or an engine is not installed
    """
    contract, collector = request.contract, Collector(request.allow_degraded)
    refuse_existing(request.out, overwrite=request.overwrite)
    request.calibration.check(contract, name="calibration")
    request.held_out.check(contract, name="held-out")
    drawn = draw_calibration(request.calibration, held_out=request.held_out, leaky=request.leaky)
    with _one_sentence_for_a_full_disk():
        made = _make(request, drawn, collector, progress)
        judged = judge_models(
            request.models, made.files, contract, made.evidence, collector=collector, progress=progress
        )
        variants = _add_variants(request, made, judged.logits, collector, progress)
        progress("Comparing the quantized models with the float ones, layer by layer")
        layers = compare_layers(request.models, made.files, made.evidence.layer_windows())
        findings = Findings(
            contract=contract,
            models=request.models,
            files=made.files,
            variants=variants.files,
            evidence=made.evidence,
            tables={"encoder": made.encoder, "layers": layers, **judged.tables},
            variant_parity=variants.parity,
            violations=tuple(collector.violations),
            calibration=drawn,
            held_out=request.held_out,
            provenance=request.provenance,
            leaky=request.leaky,
        )
        progress(f"Writing {request.out}")
        return _write(request, findings, made.student, judged.logits)


@contextmanager
def _one_sentence_for_a_full_disk() -> Iterator[None]:
    """What the operating system refuses to write, in the folder for temporary files too, as an error of ours."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"the export could not write a file: {error}",
            hint="Nothing was left behind. Free space there; TMPDIR names another folder for temporary files",
        ) from error


def _make(request: ExportRequest, drawn: WindowSet, collector: Collector, progress: Progress) -> _Made:
    """Check the encoder, then convert and quantize."""
    student = frozen_copy(request.student)
    progress("Running the trained network on held-out and adversarial windows")
    evidence = gather_evidence(student, request.contract, request.held_out)
    encoder, violations = check_encoder(student, request.contract, evidence)
    collector.record(violations)
    progress("Converting to ONNX and TFLite, and quantizing")
    files = make_models(student, request.contract, drawn, request.models)
    return _Made(student, drawn, evidence, encoder, files)


def _add_variants(
    request: ExportRequest,
    made: _Made,
    logits: Mapping[str, NDArray[np.float32]],
    collector: Collector,
    progress: Progress,
) -> _Variants:
    """Make the variants and judge them, where the request wants them."""
    if not request.variants:
        return _Variants({}, ())
    progress("Making and running the variants")
    files = make_variants(
        made.student, request.contract, files=made.files, calibration=made.calibration, models=request.models
    )
    parity, violations = check_variants(files, made.student, request.contract, made.evidence, logits)
    collector.record(violations)
    return _Variants(files, parity)


def _write(
    request: ExportRequest, findings: Findings, student: Student, logits: Mapping[str, NDArray[np.float32]]
) -> ExportReport:
    """Write the bundle with everything that goes into it beside the models."""
    contract, content = request.contract, compose(findings)
    graphs = {**findings.files, **findings.variants}
    path = write_bundle(
        request.out,
        contract=contract,
        models=request.models,
        files={
            **graphs,
            **_in_c(findings),
            **make_golden_stream(student, contract, findings.evidence, findings.files, request.models),
            GOLDEN_VECTORS: golden_to_bytes(make_golden(findings.evidence, contract, logits)),
            REPORT: to_bytes(content),
            REPORT_PAGE: page(content, contract),
        },
        graphs={file: graph_entry(data, format_of(file)) for file, data in graphs.items()},
        degraded=[violation.message for violation in findings.violations],
        overwrite=request.overwrite,
    )
    return ExportReport(path, content)


def _in_c(findings: Findings) -> dict[str, bytes]:
    """The integer model for TensorFlow Lite Micro, where the bundle has it."""
    smallest = entry("tflite", INTEGER_RECIPE).file
    if smallest not in findings.files:
        return {}
    return c_files(findings.files[smallest], findings.contract, name=smallest, micro=findings.tables["micro"])
