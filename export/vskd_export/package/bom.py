"""``bom.cdx.json``: what the models were made of and with, as a CycloneDX 1.7 bill of materials (ECMA-424).

The model with its card, its files, the recordings, the teachers' weights, and the packages that made it. No date and no
random number: the serial number follows from the files, so that equal exports give equal bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from vskd.contract import Contract
from vskd_export.package.card import KNOWN_LICENCES, model_name, scores

SPEC_VERSION = "1.7"


def bill_of_materials(content: Mapping[str, Any], contract: Contract) -> bytes:
    """The document, JSON.

    Parameters
    ----------
    content : of ``report.json``
    contract : of the bundle
    """
    files = [_file(name, told) for name, told in content["models"].items()]
    data, teachers = _recordings(content), _teachers(content)
    packages = [_package(name, version) for name, version in content["versions"].items()]
    inside = [*files, data, *teachers]
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(content['models'], sort_keys=True))}",
        "version": 1,
        "metadata": {"tools": {"components": packages}, "component": _model(content, contract)},
        "components": inside,
        "dependencies": [
            {"ref": "model", "dependsOn": sorted(one["bom-ref"] for one in inside)},
            *({"ref": one["bom-ref"]} for one in inside),
        ],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _model(content: Mapping[str, Any], contract: Contract) -> dict[str, Any]:
    channels, samples = contract.window_shape
    metrics = [
        {"type": kind, "value": f"{value:.6f}", "slice": f"{file}, windows of test subjects"}
        for file, accuracy, macro_f1 in scores(content)
        for kind, value in (("accuracy", accuracy), ("macro-F1", macro_f1))
        if value is not None
    ]
    student = content["provenance"].get("config", {}).get("student", {})
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": model_name(content),
        "description": f"Activities from the accelerometer on the {contract.sensor.placement}",
        **_licences(content["licence"]),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "classification",
                "architectureFamily": "convolutional neural network",
                "modelArchitecture": student.get("module") or student.get("family", "unknown"),
                "datasets": [{"ref": "recordings"}],
                "inputs": [{"format": f"float32 (1, {channels}, {samples}), g, {contract.window.rate_hz:g} Hz"}],
                "outputs": [{"format": f"float32 (1, {len(contract.labels)}): {', '.join(contract.labels)}"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": metrics},
            "considerations": {
                "useCases": ["Labels for windows of a wrist's accelerometer, among the activities it was trained on"],
                "technicalLimitations": [
                    "Activities that it was not trained on get the label of one that it was",
                    *(violation["message"] for violation in content["degraded"]),
                ],
            },
        },
    }


def _file(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{name}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": told["sha256"]}],
        "properties": [{"name": "vskd:size_bytes", "value": str(told["size_bytes"])}],
    }


def _recordings(content: Mapping[str, Any]) -> dict[str, Any]:
    about = content["data_set"]
    title = about["title"] or content["trained_on"] or "recordings"
    what = {"type": "dataset", "name": title, "description": about["description"]}
    return {
        "type": "data",
        "bom-ref": "recordings",
        "name": title,
        **_licences(about["licence"]),
        "data": [what | ({"contents": {"url": about["url"]}} if about["url"] else {})],
    }


def _teachers(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"teacher:{number}",
            "name": f"teacher {teacher['run']}",
            "hashes": [{"alg": "SHA-256", "content": teacher["sha256"]}],
        }
        for number, teacher in enumerate(content["provenance"].get("teacher") or [], start=1)
    ]


def _package(name: str, version: str) -> dict[str, Any]:
    """A package of PyPI; a local build such as ``2.13.0+cpu`` is that version."""
    return {
        "type": "library",
        "bom-ref": f"pypi:{name}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version.partition('+')[0]}",
    }


def _licences(licence: str) -> dict[str, Any]:
    """What is known of a licence: an SPDX identifier, or any other name."""
    if not licence:
        return {}
    return {"licenses": [{"license": {"id" if licence in KNOWN_LICENCES else "name": licence}}]}
