"""Closed records: retired keys, unions, and keys that are no names in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    subjects: tuple[str, ...] = ()
    RETIRED: ClassVar[Mapping[str, str]] = {"people": "It is called 'subjects' now", "rule": "It was removed"}
    DROPPED: ClassVar[Mapping[str, Any]] = {"rule": "none"}


def test_a_retired_key_is_refused_with_the_new_one_named():
    with pytest.raises(ConfigError, match="unknown key 'people' in data") as caught:
        from_mapping(Settings, {"people": ["a"]}, where="data")
    assert caught.value.hint == "It is called 'subjects' now"


def test_a_dropped_key_is_passed_over_only_where_it_changed_nothing():
    assert from_mapping(Settings, {"rule": "none", "subjects": ["a"]}, where="data") == Settings(("a",))
    with pytest.raises(ConfigError, match=r"unknown key 'rule' in data\. It was removed"):
        from_mapping(Settings, {"rule": "all"}, where="data")


def test_an_unknown_key_that_was_never_one_gets_the_nearest():
    with pytest.raises(ConfigError) as caught:
        from_mapping(Settings, {"subject": ["a"]}, where="data")
    assert caught.value.hint == "Did you mean 'subjects'? Known: subjects"


def test_the_list_of_retired_keys_is_no_setting():
    assert to_mapping(Settings()) == {"subjects": []}


@dataclass(frozen=True)
class Reading:
    value: int | float | str | None
    each: dict[str, float | None] = field(default_factory=dict)
    p99_9_ns: int | None = field(default=None, metadata={"key": "p99.9_ns"})
    number: float | str = 0.0


@pytest.mark.parametrize("value", [3, 0.25, "0x0", None])
def test_a_union_takes_each_of_its_types_as_it_is(value):
    reading = from_mapping(Reading, {"value": value}, where="reading")
    assert (reading.value, type(reading.value)) == (value, type(value))


@pytest.mark.parametrize(("key", "value"), [("value", True), ("value", [1]), ("number", None), ("value", float("inf"))])
def test_a_value_of_no_type_of_a_union_is_refused_with_all_of_them(key, value):
    with pytest.raises(ConfigError, match=rf"reading\.{key} must be of type (int or )?float or str, got "):
        from_mapping(Reading, {"value": 1, key: value}, where="reading")


def test_a_key_that_is_no_name_is_read_and_written_by_its_own_words():
    mapping = {"value": 1, "each": {"a": 0.5, "b": None}, "p99.9_ns": 7, "number": 0.0}
    reading = from_mapping(Reading, mapping, where="reading")
    assert (reading.p99_9_ns, reading.each) == (7, {"a": 0.5, "b": None})
    assert to_mapping(reading) == mapping
    with pytest.raises(ConfigError, match="unknown key 'p99_9_ns' in reading"):
        from_mapping(Reading, {"value": 1, "p99_9_ns": 7}, where="reading")
