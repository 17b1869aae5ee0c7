"""``report.json``: how well the exported models agree with the trained one, and where everything came from.

There is no date and no path in it, so that exporting one run twice gives the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.gate import score_torch
from vskd_export.judge.violations import Breach
from vskd_export.quantize.calibrate import WindowSet, calibration_digest

REPORT_FILE = "report.json"
SCHEMA_VERSION = 1

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


def compose(
    contract: Contract,
    *,
    evidence: Evidence,
    judged: Mapping[str, Any],
    degraded: Sequence[Breach],
    files: Mapping[str, bytes],
    calibration: WindowSet,
    held_out: WindowSet,
    provenance: Mapping[str, Any],
    leaky: bool,
) -> dict[str, Any]:
    """The content of the report.

    Parameters
    ----------
    contract : of the bundle
    evidence : what the models were judged on
    judged : the gate's tables
    degraded : limits that are not kept, and were allowed not to be
    files : model file -> content
    calibration : the windows that were drawn
    held_out : all held-out windows
    provenance : as given by the caller
    leaky : the protocol has the same people in training and test
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "trained_on": contract.trained_on,
        "leaky": leaky,
        "degraded": [to_mapping(breach) for breach in degraded],
        "torch": score_torch(evidence),
        **judged,
        "models": {
            name: {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
        "calibration": _describe(calibration, contract) | {"sha256": calibration_digest(calibration)},
        "held_out": _describe(held_out, contract),
        "provenance": dict(provenance),
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """The report as it is written; equal reports give equal bytes."""
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _describe(windows: WindowSet, contract: Contract) -> dict[str, Any]:
    counts = Counter(contract.labels[label] for label in windows.labels.tolist())
    return {
        "windows": len(windows),
        "per_class": {label: counts[label] for label in contract.labels},
        "subjects": sorted(set(windows.subjects)),
    }
