"""The JSON Schemas say what the reader does: same keys, types, choices, defaults and bounds, and equally closed."""

from __future__ import annotations

import copy
import dataclasses
import json
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vskd
from vskd.bundle import Bundle, FileEntry, ModelEntry
from vskd.bundle_files import MANIFEST
from vskd.closed import from_mapping, to_mapping
from vskd.contract import Contract
from vskd.errors import BundleError, ContractError, VskdError
from vskd.manifest import SCHEMA_VERSION, Manifest, read_manifest

FOLDER = Path(vskd.__file__).parent / "schemas"
SCALARS = {str: "string", int: "integer", float: "number"}


def schema_of(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.v1.schema.json").read_text())
    return schema


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(name))


def accepts(name: str, value: Any) -> bool:
    return validator(name).is_valid(value)


@pytest.mark.parametrize("name", ["contract", "manifest"])
def test_each_is_a_schema_of_the_draft_that_it_names_and_of_the_version_that_it_names(name):
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"urn:vskd:{name}:{schema['properties']['schema_version']['const']}"


def test_the_versions_are_the_readers():
    assert schema_of("contract")["properties"]["schema_version"]["const"] == vskd.contract.SCHEMA_VERSION
    assert schema_of("manifest")["properties"]["schema_version"]["const"] == SCHEMA_VERSION


# --- no drift: the schema's structure is derived from the dataclasses and compared


def shape_of(hint: Any) -> Any:
    """What a type hint of ours is in JSON Schema, without descriptions and bounds."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": shape_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": shape_of(arguments[1])}
    return record_shape(hint) if dataclasses.is_dataclass(hint) else {"type": SCALARS[hint]}


def record_shape(kind: type) -> dict[str, Any]:
    hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(required),
        "properties": {field.name: shape_of(hints[field.name]) for field in fields},
    }


def current(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The properties but those that only what was written before may have."""
    return {name: inner for name, inner in schema.get("properties", {}).items() if not inner.get("deprecated")}


def bare(schema: Any) -> Any:
    """A schema reduced to what ``shape_of`` derives."""
    kept: dict[str, Any] = {key: schema[key] for key in ("type", "enum") if key in schema}
    if "items" in schema:
        kept["items"] = bare(schema["items"])
    if "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        kept["additionalProperties"] = inner if isinstance(inner, bool) else bare(inner)
    if "properties" in schema:
        kept["required"] = sorted(schema["required"])
        kept["properties"] = {name: bare(inner) for name, inner in current(schema).items()}
    return kept


@pytest.mark.parametrize(("name", "kind"), [("contract", Contract), ("manifest", Manifest)])
def test_keys_types_choices_and_what_is_required_are_the_dataclasses(name, kind):
    assert bare(schema_of(name)) == shape_of(kind)


def properties_of(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in current(schema).items():
        yield (*path, name), inner
        yield from properties_of(inner, (*path, name))


def test_the_contracts_defaults_are_the_dataclasses():
    plain = to_mapping(Contract(labels=("a", "b")))
    stated = {path: inner["default"] for path, inner in properties_of(schema_of("contract")) if "default" in inner}
    leaves = {path for path, inner in properties_of(schema_of("contract")) if "properties" not in inner}
    assert set(stated) == leaves - {("labels",)}
    for path, value in stated.items():
        inner: Any = plain
        for key in path:
            inner = inner[key]
        assert inner == value, path


@pytest.mark.parametrize("name", ["contract", "manifest"])
def test_every_property_is_described(name):
    undescribed = [path for path, inner in properties_of(schema_of(name)) if not inner.get("description")]
    assert not undescribed


# --- equally strict: the reader and the schema give one verdict

#: At every bound and beside it, and of every wrong type. Whole floats are left out: JSON Schema calls 64.0 an integer.
VALUES = st.sampled_from(
    [
        *(-1, 0, 1, 2, 7, 8, 33, 100, -0.5, 0.5, 1e-9, 1.5, True, False, None),
        *("", "x", "g", "onnx", "tanh", "a\\b", "f" * 64),
        *([], ["a"], ["a", "a"], ["a", "b"], ["gasf"], ["gadf", "gasf"], ["gadf", "gadf"], [1, 2], {}, {"x": 1}),
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(data: st.DataObject, plain: dict[str, Any]) -> dict[str, Any]:
    """A copy with one value replaced, removed or added."""
    mapping = copy.deepcopy(plain)
    path = data.draw(st.sampled_from(list(places(mapping))))
    inner: Any = mapping
    for key in path[:-1]:
        inner = inner[key]
    how = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "remove":
        del inner[path[-1]]
    elif how == "add" and isinstance(inner, dict):
        inner[data.draw(st.sampled_from(["x", "schema", "sizes", "../up", "a b"]))] = data.draw(VALUES)
    else:
        inner[path[-1]] = data.draw(VALUES)
    return mapping


def beyond_the_schema(mapping: dict[str, Any]) -> bool:
    """The contract's three rules between keys, which JSON Schema cannot say."""
    window = {"samples": 128, "hop_samples": 32} | mapping.get("window", {})
    silence_s = mapping.get("decision", {}).get("no_signal_after_s", 0.0)
    return (
        window["hop_samples"] > window["samples"]
        or mapping.get("gaf", {}).get("size", 64) > window["samples"]
        or 0 < silence_s < mapping.get("resampling", {}).get("max_gap_s", 0.25)
    )


@settings(max_examples=400)
@given(data=st.data())
def test_reader_and_schema_agree_on_any_changed_contract(data):
    mapping = changed(data, to_mapping(Contract(labels=("a", "b"))))
    try:
        Contract.from_json(json.dumps(mapping))
        read = True
    except ContractError:
        read = False
    valid = accepts("contract", mapping)
    assert valid == read or (valid and beyond_the_schema(mapping))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reader_and_schema_agree_on_any_changed_manifest(data):
    plain = to_plain(Manifest(1, (ModelEntry("m.onnx", "onnx", "fp32"),), {"m.onnx": FileEntry("0" * 64, 3)}))
    mapping = changed(data, plain)
    try:
        read_manifest(json.dumps(mapping), where=MANIFEST)
        read = True
    except BundleError:
        read = False
    assert accepts("manifest", mapping) == read


def to_plain(manifest: Manifest) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(manifest)))
    return plain


# --- real ones


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


def test_an_unknown_key_of_the_contract_is_refused_by_both(contract):
    mapping = to_mapping(contract)
    mapping["window"]["sample"] = 3
    with pytest.raises(VskdError, match=r"unknown key 'sample' in contract\.window.*Did you mean 'samples'"):
        Contract.from_mapping(mapping)
    with pytest.raises(jsonschema.ValidationError, match=r"Additional properties are not allowed \('sample'"):
        validator("contract").validate(mapping)


@pytest.mark.parametrize(("rule", "windows"), [("exponential", 1), ("majority", 1), ("exponential", 5)])
def test_a_rule_that_was_removed_is_read_by_both_where_it_was_off(contract, rule, windows):
    mapping = to_mapping(contract)
    mapping["decision"] |= {"smoothing_rule": rule, "majority_windows": windows}
    was_off = (rule, windows) == ("exponential", 1)
    assert accepts("contract", mapping) == was_off
    if was_off:
        assert Contract.from_mapping(mapping) == contract
        return
    with pytest.raises(
        ContractError, match=r"unknown key .* in contract\.decision\. The majority .* was removed: smooth"
    ):
        Contract.from_mapping(mapping)


def test_the_reader_fills_in_what_the_schema_calls_optional():
    assert accepts("contract", {"labels": ["a", "b"]})
    assert from_mapping(Contract, {"labels": ["a", "b"]}, where="contract") == Contract(labels=("a", "b"))
