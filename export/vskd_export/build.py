"""The steps of an export: make, judge, add variants, write.

Everything is made and judged in memory first; the bundle is written last, whole or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from vskd.bundle import Bundle, refuse_existing, write_bundle
from vskd.bundle_files import BOM, CARD, DATA_LICENCE, GOLDEN_VECTORS, LAYOUT, REPORT, REPORT_PAGE, VARIANTS
from vskd.checks.golden import golden_to_bytes
from vskd.errors import BundleError
from vskd.report import GRAPHS
from vskd.writing import disk_errors, remove_folder, write_folder
from vskd_export.convert.graph import frozen_copy
from vskd_export.judge.classes import check_classes
from vskd_export.judge.encoder import check_encoder
from vskd_export.judge.evidence import gather_evidence
from vskd_export.judge.gate import judge_models
from vskd_export.judge.variants import VariantParity, check_variants
from vskd_export.judge.violations import Violation, refusal
from vskd_export.package.bom import bill_of_materials
from vskd_export.package.c_array import c_files
from vskd_export.package.card import card
from vskd_export.package.describe import graph_entry
from vskd_export.package.golden import make_golden
from vskd_export.package.golden_stream import make_golden_stream
from vskd_export.package.layers import compare_layers
from vskd_export.package.page import page
from vskd_export.package.report import ExportReport, Findings, compose, to_bytes
from vskd_export.ports.report import port_tables
from vskd_export.quantize.calibrate import WindowSet, draw_calibration
from vskd_export.quantize.models import make_models
from vskd_export.quantize.recipes import INTEGER_RECIPE, entry
from vskd_export.quantize.variants import make_variants
from vskd_export.request import ExportRequest

Progress = Callable[[str], None]


def export_bundle(request: ExportRequest, *, progress: Progress) -> ExportReport:
    """Export a trained student as a bundle.

    Parameters
    ----------
    request : what to export
    progress : called with one sentence before each step

    Raises
    ------
    GateError : an exported model does not do what the trained one does; only the report is written, see
        ``refused_folder``
    DataError : calibration windows come from held-out subjects
    BundleError : the folder exists or cannot be written
    MissingExtraError : a converter or an engine is not installed
    """
    refuse_existing(request.out, overwrite=request.overwrite)
    refused = refused_folder(request.out)
    drawn = draw_calibration(
        request.calibration, held_out=request.held_out, leaky=request.leaky or request.seen_in_training
    )
    hint = "Nothing was left behind. Free space there and in TMPDIR, the folder for temporary files"
    with disk_errors(request.out, BundleError, hint=hint):
        findings = _make_and_judge(request, drawn, progress)
        if findings.violations and not request.allow_degraded:
            content = compose(findings)
            files = {REPORT: to_bytes(content), REPORT_PAGE: page(content, request.contract)}
            write_folder(refused, files, replace=refused.exists())
            raise refusal(findings.violations, report=str(refused / REPORT_PAGE))
        progress(f"Writing {request.out}")
        report = _write(findings)
        if refused.exists():
            remove_folder(refused)
        return report


def refused_folder(out: Path) -> Path:
    """``NAME.bundle.refused``, beside the bundle: the report of an export that the gate refused.

    The next refusal replaces it, and a success removes it.

    Raises
    ------
    BundleError : something else has that name
    """
    folder = out.with_name(f"{out.name}.refused")
    known = {REPORT, REPORT_PAGE}
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= known):
        raise BundleError(
            f"{folder} is not the report of a refused export, and one would be written there",
            hint="Move it away, or give another --out",
        )
    return folder


def _make_and_judge(request: ExportRequest, drawn: WindowSet, progress: Progress) -> Findings:
    """Convert, quantize and judge everything that the bundle will hold."""
    student, contract = frozen_copy(request.student), request.contract
    seen = request.seen_in_training
    progress(f"Running the trained network on {'training' if seen else 'held-out'} and adversarial windows")
    evidence = gather_evidence(student, contract, request.held_out, drawn, seen_in_training=seen)
    training = request.training or Counter(contract.labels[label] for label in request.calibration.labels.tolist())
    classes, in_classes = check_classes(contract.labels, training, request.held_out)
    encoder, in_encoder = check_encoder(student, contract, evidence)
    progress("Converting to ONNX and TFLite, and quantizing")
    files = make_models(student, contract, drawn, request.models)
    judged = judge_models(request.models, files, contract, evidence, progress=progress)
    variants: dict[str, bytes] = {}
    parity: tuple[VariantParity, ...] = ()
    in_variants: tuple[Violation, ...] = ()
    if request.variants:
        progress("Making and running the variants")
        variants = make_variants(student, contract, files=files, calibration=drawn, models=request.models)
        logits = {file: run.logits for file, run in judged.runs.items()}
        parity, in_variants = check_variants(variants, student, contract, evidence, logits)
    progress("Comparing the quantized models with the float ones, layer by layer")
    layers = compare_layers(request.models, files, evidence.layer_windows())
    return Findings(
        request=request,
        student=student,
        calibration=drawn,
        evidence=evidence,
        files=files,
        variants=variants,
        runs=judged.runs,
        tables={"classes": classes, "encoder": encoder, "layers": layers, **judged.tables},
        variant_parity=parity,
        violations=(*in_classes, *in_encoder, *judged.violations, *in_variants),
    )


def _write(findings: Findings) -> ExportReport:
    """Write the bundle with everything that goes into it beside the models."""
    findings = _kept(findings) if findings.request.small else findings
    request, evidence, files = findings.request, findings.evidence, findings.files
    contract = request.contract
    golden = make_golden(evidence, contract, findings.runs, every=2 if request.small else 1)
    content = compose(findings)
    held = {
        **files,
        **findings.variants,
        **({} if request.small else _in_c(findings)),
        **({DATA_LICENCE: request.notice.encode()} if request.notice else {}),
        **({LAYOUT: request.files.as_toml().encode()} if request.files else {}),
        **make_golden_stream(findings.student, contract, evidence, files, request.models),
        GOLDEN_VECTORS: golden_to_bytes(golden),
    }
    write = partial(
        write_bundle,
        contract=contract,
        models=[replace(model, embedding_size=evidence.embeddings.shape[1]) for model in request.models],
        graphs={file: graph_entry(described) for file, described in (content[GRAPHS] | content[VARIANTS]).items()},
        degraded=[violation.message for violation in findings.violations],
    )
    if entry("tflite", INTEGER_RECIPE).file in files:
        # Ports are made of a bundle: of this one, before its report can tell of them. Their bytes hold the bundle's
        # name; a fixed one, so that the same run gives the same report under any name.
        with TemporaryDirectory() as folder:
            content |= port_tables(Bundle.open(write(Path(folder, "wrist.bundle"), files=held)))
    told = {REPORT: to_bytes(content), CARD: card(content, contract), BOM: bill_of_materials(content, contract)}
    if not request.small:
        told[REPORT_PAGE] = page(content, contract, golden)
    return ExportReport(write(request.out, files=held | told, overwrite=request.overwrite), content)


def _kept(findings: Findings) -> Findings:
    """What a small bundle holds of the models that were made and judged."""
    model = entry("tflite", INTEGER_RECIPE)
    tables = dict(findings.tables)
    for name in ("parity", "quantized"):
        tables[name] = [row for row in tables[name] if row["file"] == model.file]
    for name in ("layers", "sizes"):
        tables[name] = {model.file: tables[name][model.file]}
    return replace(
        findings,
        tables=tables,
        request=replace(findings.request, models=(model,)),
        files={model.file: findings.files[model.file]},
        runs={model.file: findings.runs[model.file]},
    )


def _in_c(findings: Findings) -> dict[str, bytes]:
    """The integer model for TensorFlow Lite Micro, where the bundle has it."""
    file = entry("tflite", INTEGER_RECIPE).file
    if file not in findings.files:
        return {}
    return c_files(findings.files[file], findings.request.contract, name=file, micro=findings.tables["micro"])
