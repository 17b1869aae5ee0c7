"""The schema of a result is made from its records, and says of results what the records say."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError
from vskd_benchmarks.result.folder import SCHEMA, result_from
from vskd_benchmarks.result.records.result import Result
from vskd_benchmarks.result.schema import result_schema

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = sorted((ROOT / "benchmarks" / "results").rglob("result.json"))
OF_VERSION = {
    version: [path for path in COMMITTED if json.loads(path.read_text())["schema_version"] == version]
    for version in (2, 3)
}

DOCUMENT = json.loads(result_schema())
VALIDATOR = jsonschema.Draft202012Validator(DOCUMENT)
#: The older committed results are of version 2, whose schema is kept for them.
BEFORE = jsonschema.Draft202012Validator(json.loads(SCHEMA.with_name("result.v2.schema.json").read_text()))


def test_the_committed_schema_is_the_one_that_the_records_make():
    hint = "make it anew: python -m vskd_benchmarks.result.schema"
    assert SCHEMA.read_text(encoding="utf-8") == result_schema(), hint
    jsonschema.Draft202012Validator.check_schema(DOCUMENT)


def test_every_committed_result_is_of_a_known_version():
    assert sorted(OF_VERSION[2] + OF_VERSION[3]) == COMMITTED
    assert all(OF_VERSION.values())


def with_later_fields(mapping):
    """An older result with what was added since, at its default."""
    for bundle in mapping["bundles"]:
        for model in bundle["models"]:
            model.setdefault("accuracy", {})
    return mapping


@pytest.mark.parametrize("path", OF_VERSION[3], ids=lambda path: path.parent.name)
def test_committed_results_of_today_follow_it_and_are_read_whole(path):
    mapping = json.loads(path.read_text())
    VALIDATOR.validate(mapping)
    assert to_mapping(result_from(mapping, where="result.json")) == with_later_fields(mapping)


@pytest.mark.parametrize("path", OF_VERSION[2], ids=lambda path: path.parent.name)
def test_committed_results_of_version_2_follow_theirs_and_are_read_whole(path):
    mapping = json.loads(path.read_text())
    BEFORE.validate(mapping)
    written = to_mapping(result_from(mapping, where="result.json"))
    VALIDATOR.validate(written)
    mapping = with_later_fields(mapping)
    added = {"profile": None, "energy": None, "goals_version": 1, "yardstick": None}
    assert {key: value for key, value in written.items() if key not in mapping} == added
    assert {key: written[key] for key in ("environment", "validity")} == {
        key: mapping[key] for key in ("environment", "validity")
    }
    for key, more in (
        ("ratios", {"in_yardsticks": None}),
        ("goals", {"status": None}),
        ("bundles", {"transforms": []}),
    ):
        renamed = [{{"image_shape": "encoded_shape"}.get(name, name): value for name, value in each.items()} | more
                   for each in mapping[key]]  # fmt: skip
        assert written[key] == renamed
    assert written["schema_version"] == 3


def test_every_field_of_every_record_is_described_or_speaks_for_itself():
    records = [DOCUMENT, *DOCUMENT["$defs"].values()]
    bare = {name for record in records for name, field in record["properties"].items() if "description" not in field}
    assert bare == {
        "kind", "schema_version", "p50_ns", "low_ns", "high_ns", "status", "reasons", "outputs", "repeated_input",
        "accuracy", "name", "bundle", "reason",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("cases", 0, "engine"), None, r"cases\[0\]\.engine must be of type str, got None"),
        (("cases", 0, "id"), "../x", "'../x' is no id of a case"),
        (("cases", 0, "raw"), "raw/x.npz", "the raw file of .* is raw/.*npz, got 'raw/x.npz'"),
        (("cases", 0, "scopes", "whole"), {}, "scopes cannot be 'whole'"),
        (("validity", "status"), "fine", "validity.status cannot be 'fine'"),
        (("schema_version",), 4, "schema_version cannot be 4"),
        (("bundles", 0, "encoded_shape"), "64", r"bundles\[0\]\.encoded_shape"),
        (("environment", "machine", "cores"), 1.5, r"machine\.cores must be of type int, got 1\.5"),
        (("remark",), "fine", "unknown key 'remark' in result.json"),
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused_by_the_records(path, value, message):
    mapping = to_mapping(result_from(json.loads(COMMITTED[0].read_text()), where="result.json"))
    place = mapping
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=message):
        from_mapping(Result, mapping, where="result.json")
    if path[-1] not in ("id", "raw"):  # what a value of the right type must look like, the records alone know
        assert not VALIDATOR.is_valid(mapping)
