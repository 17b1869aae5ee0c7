"""Names from outside, and text that a terminal or a spreadsheet gets."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.untrusted.text import in_normal_form, label_problem, name_problem, shown, spreadsheet_cell

#: Nothing is seen of these, by Unicode's own list (Default_Ignorable_Code_Point) or by what fonts draw.
INVISIBLE = [
    "\u200b",
    "\u200d",
    "\u00ad",
    "\ufeff",
    "\u2060",
    "\u202e",
    "\u034f",
    "\u3164",
    "\ufe0f",
    "\U000e0041",
    "\u2800",
    "\u00a0",
]


@pytest.mark.parametrize("text", ["walk", "sit to stand", "Ann-Marie", "Müller", "歩く", "ходьба", "a/b", "🏃", "p. 1"])
def test_what_people_call_people_and_activities_is_a_name(text):
    assert name_problem(text) == label_problem(text) == ""


@pytest.mark.parametrize("character", INVISIBLE)
def test_an_invisible_character_is_named(character):
    assert name_problem(f"wa{character}lk") == f"holds the invisible character U+{ord(character):04X}"


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\n", "\t", "\x7f", "\x9b", "\ud800", "\u2028", "\ue000"])
def test_what_a_terminal_obeys_is_no_name(character):
    assert "invisible character" in name_problem(f"{character}[31m")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" walk", "begins or ends with a blank"),
        ("walk ", "begins or ends with a blank"),
        ("x" * 101, "has 101 characters; a name has at most 100"),
        ("José", "is not in Unicode's composed normal form (NFC)"),
        ("\u212b", "is not in Unicode's composed normal form (NFC)"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(text, problem):
    text = unicodedata.normalize("NFD", text) if text == "José" else text
    assert name_problem(text) == problem


@pytest.mark.parametrize(
    "text",
    [
        "still",
        "unknown",
        "no signal",
        "Still",
        "UNKNOWN",
        "No  Signal",
        "\uff55nknown",
    ],
)
def test_no_activity_is_called_as_an_event_without_one(text):
    assert label_problem(text) == "is what vskd calls an event without an activity"
    assert name_problem(text) == ""


@pytest.mark.parametrize("text", ["standing still", "unknowns", "signal"])
def test_a_label_that_only_holds_such_a_word_is_one(text):
    assert label_problem(text) == ""


@given(st.text(max_size=30))
def test_the_normal_form_is_one_for_every_spelling(text):
    """Unicode Annex 15: NFC of the canonical decomposition is NFC of the text."""
    assert in_normal_form(unicodedata.normalize("NFD", text)) == in_normal_form(text)
    assert in_normal_form(in_normal_form(text)) == in_normal_form(text)
    if not name_problem(text):
        assert in_normal_form(text) == text


@given(st.text())
def test_nothing_that_is_shown_can_be_obeyed(text):
    assert shown(text).isprintable()
    assert all(line.isprintable() for line in shown(text, lines=True).split("\n"))
    assert shown(shown(text)) == shown(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0")))
def test_what_can_be_seen_is_shown_as_it_is(text):
    assert shown(text) == text


def test_escapes_name_the_character():
    assert shown("a\x1b[2J\n\u202e\ud800") == r"a\x1b[2J\n\u202e\ud800"
    assert shown("one\ntwo\r", lines=True) == "one\ntwo\\r"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\uff1d1", "\r=1"])
def test_a_spreadsheet_gets_no_formula(text):
    assert spreadsheet_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["walk", "", "p(=1)", "|a| varies"])
def test_other_cells_stay(text):
    assert spreadsheet_cell(text) == text
