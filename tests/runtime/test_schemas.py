"""The JSON Schemas of a bundle are made from its records, and say of documents what the records say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from vskd.bundle import Bundle
from vskd.bundle_files import MANIFEST
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.errors import BundleError, ContractError, VskdError
from vskd.schema import FOLDER, files


def schema_of(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.v1.schema.json").read_text())
    return schema


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(name))


def test_the_committed_schemas_are_those_that_the_records_make():
    found = {path: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert found == files(), "make them anew: python -m vskd.schema"
    for name in ("contract", "manifest"):
        schema = schema_of(name)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
        assert schema["$id"] == f"urn:vskd:{name}:1"


def test_every_field_of_every_record_is_described_or_speaks_for_itself():
    records = [
        record for name in ("contract", "manifest") for record in (schema_of(name), *schema_of(name)["$defs"].values())
    ]
    bare = {
        name
        for record in records
        for name, field in record["properties"].items()
        if "description" not in field and "$ref" not in field and not field.get("deprecated")
    }
    assert bare <= {"schema_version", "sha256", "size_bytes"}


def test_a_bundles_manifest_and_contract_are_valid(tmp_path, make_bundle, contract, whole_contract):
    for index, kind in enumerate((contract, whole_contract)):
        folder = make_bundle(tmp_path / f"{index}.bundle", kind)
        validator("manifest").validate(json.loads((folder / MANIFEST).read_text()))
        validator("contract").validate(json.loads((folder / "contract.json").read_text()))


@pytest.mark.parametrize("where", ["top", "models", "files"])
def test_an_unknown_key_of_the_manifest_is_refused_by_both(tmp_path, make_bundle, contract, where):
    folder = make_bundle(tmp_path / "x.bundle", contract)
    mapping = json.loads((folder / MANIFEST).read_text())
    inner = {"top": mapping, "models": mapping["models"][0], "files": mapping["files"]["contract.json"]}[where]
    inner["flie"] = "x"
    (folder / MANIFEST).write_text(json.dumps(mapping))
    with pytest.raises(
        BundleError, match=r"unknown key 'flie' in manifest\.json.*(Did you mean 'files?'|Known: sha256)"
    ):
        Bundle.open(folder)
    with pytest.raises(jsonschema.ValidationError, match=r"Additional properties are not allowed \('flie'"):
        validator("manifest").validate(mapping)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("window", "sample"), 3),
        (("window", "samples"), "128"),
        (("window", "mode"), "slidng"),
        (("labels",), None),
        (("decision", "smoothing_rule"), "majority"),
        (("decision", "majority_windows"), 5),
    ],
)
def test_what_is_no_contract_is_refused_by_both(contract, path, value):
    mapping = to_mapping(contract)
    inner = mapping
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(VskdError, match=path[-1]):
        Contract.from_mapping(mapping)
    assert not validator("contract").is_valid(mapping)


def test_a_rule_that_was_removed_is_read_by_both_where_it_was_off(contract):
    mapping = to_mapping(contract)
    mapping["decision"] |= {"smoothing_rule": "exponential", "majority_windows": 1}
    validator("contract").validate(mapping)
    assert Contract.from_mapping(mapping) == contract
    mapping["decision"]["smoothing_rule"] = "majority"
    with pytest.raises(
        ContractError, match=r"unknown key .* in contract\.decision\. The majority .* was removed: smooth"
    ):
        Contract.from_mapping(mapping)


def test_the_reader_fills_in_what_the_schema_calls_optional():
    validator("contract").validate({"labels": ["a", "b"]})
    assert Contract.from_mapping({"labels": ["a", "b"]}) == Contract(labels=("a", "b"))
