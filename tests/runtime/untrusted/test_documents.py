"""JSON and TOML: what is read, and the one sentence for what is not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.untrusted.documents import DEEPEST, read_json, read_toml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_json_that_python_writes_is_read(content):
    assert read_json(json.dumps(content)) == content


@given(st.text(alphabet="{}[]\",:\\u0129ae.-+ \n=#'", max_size=60))
def test_what_python_reads_within_the_bounds_is_read_the_same(text):
    for ours, theirs in ((read_json, json.loads), (read_toml, tomllib.loads)):
        try:
            expected = theirs(text)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                ours(text)
            continue
        if "64 bits" not in (refused := refusal(ours, text)) and "twice" not in refused:
            assert repr(ours(text)) == repr(expected)


def refusal(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return ""


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_a_key_that_stands_twice_behind_many_others_is_found_at_once():
    """Counting every name took minutes: the time grew with its square."""
    keys = ",".join(f'"{index}":0' for index in range(300_000))
    with pytest.raises(ValueError, match="the key '299999' stands twice"):
        read_json(f'{{{keys},"299999":0}}')


@pytest.mark.parametrize("depth", [DEEPEST + 2, 1000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_nested_a_thousand_deep_is_one_sentence(depth, opening):
    text = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    with pytest.raises(ValueError, match=f"it is nested more than {DEEPEST} deep"):
        read_json(text)


@pytest.mark.parametrize("depth", [1000, 20_000])
@pytest.mark.parametrize("make", [lambda depth: f"a = {nested(depth)}", lambda depth: ".".join(["a"] * depth) + " = 1"])
def test_toml_nested_a_thousand_deep_is_one_sentence(depth, make):
    with pytest.raises(ValueError, match=f"it is nested more than {DEEPEST} deep"):
        read_toml(make(depth))


def test_as_deep_as_allowed_is_read():
    assert read_json(nested(DEEPEST)) is not None
    assert read_toml(f"a = {nested(DEEPEST - 1)}")


@pytest.mark.parametrize("digits", [20, 4000, 5000, 100_000])
@pytest.mark.parametrize(("read", "form"), [(read_json, "[{}]"), (read_toml, "a = {}"), (read_toml, "a = 0x{}")])
def test_an_integer_of_thousands_of_digits_is_one_sentence(digits, read, form):
    with pytest.raises(ValueError, match=r"^it holds an integer beyond 64 bits$"):
        read(form.format("9" * digits))


def test_a_key_that_stands_twice_is_named():
    with pytest.raises(ValueError, match="the key 'labels' stands twice"):
        read_json('{"a": {"labels": [1], "labels": [2]}}')


def test_the_bounds_themselves_are_read():
    assert read_json(nested(DEEPEST)) is not None
    assert [read_json(str(sign * 2**63)) for sign in (1, -1)] == [2**63, -(2**63)]
    for text in (nested(DEEPEST + 1), str(2**63 + 1), str(-(2**63) - 1)):
        with pytest.raises(ValueError, match=r"nested more than|beyond 64 bits"):
            read_json(text)


def test_a_long_text_is_not_parsed():
    with pytest.raises(ValueError, match="it has 11 characters, and at most 10 are read"):
        read_json(" " * 11, longest=10)
