"""``report.json``: how well the exported models agree with the trained one, and where everything came from.

There is no date and no path in it, so that exporting one run twice gives the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vskd.bundle_files import VARIANTS
from vskd.closed import to_mapping
from vskd.report import GRAPHS
from vskd_export.judge.engines import EngineRun
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float_models import score_torch
from vskd_export.judge.variants import VariantParity
from vskd_export.judge.violations import Violation, with_remedies
from vskd_export.package.describe import describe_model, describe_signatures
from vskd_export.quantize.calibrate import WindowSet, calibration_digest
from vskd_export.quantize.recipes import describe_recipes, format_of
from vskd_export.request import ExportRequest
from vskd_training.models.student import Student

#: 2: ``forms`` is ``variants``; the ids of the calibration windows and of the judged ones are listed.
SCHEMA_VERSION = 2

#: Worst layers of a model to name on the terminal.
NAMED_LAYERS = 3

#: Everything whose version may change what an export writes.
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
class Findings:
    """What an export made and found out.

    Attributes
    ----------
    request : what was wanted
    student : as it is exported
    calibration : the windows that were drawn
    evidence : what the models were judged on
    files : model file -> content
    variants : file of a variant -> content
    runs : model file -> its answers in the most preferred engine, for the windows of the evidence
    tables : ``encoder``, ``layers``, and those of ``judge_models``
    variant_parity : what the gate found about the variants
    violations : every limit that is exceeded
    """

    request: ExportRequest
    student: Student
    calibration: WindowSet
    evidence: Evidence
    files: Mapping[str, bytes]
    variants: Mapping[str, bytes]
    runs: Mapping[str, EngineRun]
    tables: Mapping[str, Any]
    variant_parity: tuple[VariantParity, ...]
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class ExportReport:
    """What an export did. It stands for the bundle's folder wherever a path is taken.

    Attributes
    ----------
    path : of the bundle
    content : what ``report.json`` holds
    """

    path: Path
    content: Mapping[str, Any]

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        models = ", ".join(
            f"{file} {described['size_bytes'] / 1e6:.2f} MB" for file, described in self.content["models"].items()
        )
        return f"<ExportReport {self.path}: {models}{'; DEGRADED' if self.content['degraded'] else ''}>"

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """For a table: model, MB, engine, largest logit difference, flips, accuracy; a row per engine and model."""
        return [
            (
                row["file"],
                f"{self.content['models'][row['file']]['size_bytes'] / 1e6:.2f}",
                f"{row['engine']} {row['version']}",
                f"{row['largest_difference']:.1e}",
                str(row["flips"]),
                "" if row["accuracy"] is None else f"{row['accuracy']:.4f}",
            )
            for row in (*self.content["parity"], *self.content["quantized"])
        ]

    def worst_layers(self) -> tuple[str, ...]:
        """A sentence per integer model: which layers quantization hurts most, and how much signal is left there."""
        return tuple(
            f"{file}: least signal over noise in "
            + ", ".join(
                f"{row['layer']} ({row['sqnr_db']:.1f} dB)"
                for row in sorted(table["layers"], key=lambda row: row["sqnr_db"])[:NAMED_LAYERS]
            )
            for file, table in self.content["layers"].items()
        )

    def degraded(self) -> tuple[str, ...]:
        """Every limit that the bundle does not keep, as a sentence; empty unless a degraded one was allowed."""
        return tuple(violation["message"] for violation in self.content["degraded"])


def compose(findings: Findings) -> dict[str, Any]:
    """The content of the report. Of a network trained on everybody it holds no accuracy but its study's."""
    content = _content(findings)
    if not findings.request.seen_in_training:
        return content
    content["torch"] = {"windows": content["torch"]["windows"]}
    for table in ("parity", "quantized"):
        content[table] = [row | dict.fromkeys(_OF_TRUTH & row.keys()) for row in content[table]]
    return content


#: Scores against the truth, which windows seen in training cannot give.
_OF_TRUTH = {"accuracy", "macro_f1"}


def _content(findings: Findings) -> dict[str, Any]:
    request = findings.request
    contract, held_out = request.contract, request.held_out
    return {
        "schema_version": SCHEMA_VERSION,
        "trained_on": contract.trained_on,
        "licence": request.licence,
        "data_set": to_mapping(request.about),
        "leaky": request.leaky,
        "degraded": with_remedies(findings.violations),
        "refused": bool(findings.violations) and not request.allow_degraded,
        "seen_in_training": request.seen_in_training,
        "torch": score_torch(findings.evidence),
        **findings.tables,
        "recipes": describe_recipes(request.models),
        GRAPHS: {model.file: describe_model(findings.files[model.file], model.format) for model in request.models},
        VARIANTS: _describe_variants(findings.variants, findings.variant_parity),
        "models": {
            name: {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in findings.files.items()
        },
        "calibration": _describe(findings.calibration, contract.labels)
        | {"ids": list(findings.calibration.ids), "sha256": calibration_digest(findings.calibration)},
        "held_out": _describe(held_out, contract.labels) | {"judged_ids": list(findings.evidence.recorded_ids)},
        "provenance": dict(request.provenance),
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """The report as it is written; equal reports give equal bytes."""
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _describe_variants(files: Mapping[str, bytes], parity: Sequence[VariantParity]) -> dict[str, dict[str, Any]]:
    """File -> what it is made of, and how far it is from what it should give."""
    return {
        file: (describe_model(data, "onnx") if format_of(file) == "onnx" else describe_signatures(data))
        | {"parity": [to_mapping(row) for row in parity if row.file == file]}
        for file, data in files.items()
    }


def _describe(windows: WindowSet, labels: Sequence[str]) -> dict[str, Any]:
    counts = Counter(labels[label] for label in windows.labels.tolist())
    return {
        "windows": len(windows),
        "per_class": {label: counts[label] for label in labels},
        "subjects": sorted(set(windows.subjects)),
    }
