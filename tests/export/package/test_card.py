"""The model card as the hub reads it, and the bill of materials by the published schema of CycloneDX."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import pytest

from vskd.bundle import Bundle
from vskd.bundle_files import BOM, CARD
from vskd_export.package.bom import bill_of_materials
from vskd_export.package.card import card, scores
from vskd_export.package.report import ExportReport


@pytest.fixture(scope="module")
def validator() -> Any:
    """The schema of CycloneDX 1.7, with the two that it refers to, as the project publishes them."""
    from jsonschema import Draft7Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    folder = files("cyclonedx.schema") / "_res"
    names = ("bom-1.7", "spdx", "jsf-0.82", "cryptography-defs")
    found = {name: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text()) for name in names}
    resources = {name: Resource.from_contents(one, default_specification=DRAFT7) for name, one in found.items()}
    # They refer to each other by the names of their files, relative to the first.
    known = [(f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", one) for name, one in resources.items()]
    return Draft7Validator(found["bom-1.7"], registry=Registry().with_resources(known))


@pytest.fixture
def content(exported: ExportReport) -> dict[str, Any]:
    """A report that a test may change."""
    return copy.deepcopy(dict(exported.content))


def read_card(text: str) -> Any:
    from huggingface_hub import ModelCard

    return ModelCard(text, ignore_metadata_errors=False)


def test_the_hub_reads_the_card_of_a_real_export(exported: ExportReport, bundle: Bundle) -> None:
    read = read_card(bundle.checked_path(CARD).read_text())
    results = {result.metric_name: result.metric_value for result in read.data.eval_results}
    for row in exported.content["quantized"]:
        if row["engine"] == "litert":
            assert results[f"Accuracy of {row['file']}"] == row["accuracy"]
            assert results[f"Macro-F1 of {row['file']}"] == row["macro_f1"]
    assert {result.dataset_name for result in read.data.eval_results}
    assert read.data.license == "unknown"
    for label in bundle.contract.labels:
        assert label in read.text


def test_the_bill_of_a_real_export_keeps_the_published_schema(bundle: Bundle, validator: Any) -> None:
    bill = json.loads(bundle.read(BOM))
    assert [error.message for error in validator.iter_errors(bill)] == []
    hashes = {one["name"]: one["hashes"][0]["content"] for one in bill["components"] if one["type"] == "file"}
    assert hashes == {model.file: bundle.files[model.file].sha256 for model in bundle.models}
    references = {one["bom-ref"] for one in bill["components"]} | {"model"}
    assert {one["ref"] for one in bill["dependencies"]} == references


def test_the_schema_would_have_said_so(bundle: Bundle, validator: Any) -> None:
    bill = json.loads(bundle.read(BOM)) | {"specVersion": 1.7}
    assert list(validator.iter_errors(bill))


@pytest.mark.parametrize("licence", ["", "Apache-2.0", "LicenseRef-mine", "CC-BY-3.0"])
def test_a_licence_is_what_the_hub_and_the_schema_take(content, bundle, validator, licence) -> None:
    content["licence"] = content["data_set"]["licence"] = licence
    content["data_set"]["url"] = "https://example.org/a"
    content["data_set"]["title"] = 'My "own": recordings | 1'
    expected = {"": "unknown", "Apache-2.0": "apache-2.0"}.get(licence, "other")
    assert read_card(card(content, bundle.contract).decode()).data.license == expected
    assert [one.message for one in validator.iter_errors(json.loads(bill_of_materials(content, bundle.contract)))] == []


def test_a_network_trained_on_everybody_has_no_results_and_says_whose_study(content, bundle, validator) -> None:
    content |= {"seen_in_training": True, "torch": {"windows": 3}}
    for table in ("parity", "quantized"):
        content[table] = [
            {key: row[key] for key in row if key not in ("accuracy", "macro_f1")} for row in content[table]
        ]
    assert list(scores(content)) == []
    text = card(content, bundle.contract).decode()
    assert read_card(text).data.eval_results is None
    assert "Trained on everybody: its accuracy is unknown" in text
    assert not list(validator.iter_errors(json.loads(bill_of_materials(content, bundle.contract))))


def test_equal_reports_give_equal_cards_and_bills(content, bundle) -> None:
    assert card(content, bundle.contract) == bundle.read(CARD)
    assert bill_of_materials(content, bundle.contract) == bundle.read(BOM)
