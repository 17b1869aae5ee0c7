"""Closed records name the key that took an old one's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    subjects: tuple[str, ...] = ()
    RETIRED: ClassVar[Mapping[str, str]] = {"people": "It is called 'subjects' now"}


def test_a_retired_key_is_refused_with_the_new_one_named():
    with pytest.raises(ConfigError, match="unknown key 'people' in data") as caught:
        from_mapping(Settings, {"people": ["a"]}, where="data")
    assert caught.value.hint == "It is called 'subjects' now"


def test_an_unknown_key_that_was_never_one_gets_the_nearest():
    with pytest.raises(ConfigError) as caught:
        from_mapping(Settings, {"subject": ["a"]}, where="data")
    assert caught.value.hint == "Did you mean 'subjects'? Known: subjects"


def test_the_list_of_retired_keys_is_no_setting():
    assert to_mapping(Settings()) == {"subjects": []}
