"""Names in clips.csv and dataset.toml: one spelling for one person, nothing invisible, no label an event has."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from training.own_recordings import DESCRIPTION, write_table
from vskd.errors import ConfigError, DataError
from vskd_training.datasets.folder.table import ClipRow, read_description, read_table

JOSE = "Jos\u00e9"


def rows_of(root: Path, *rows: tuple[str, str, str], description: str = DESCRIPTION) -> tuple[ClipRow, ...]:
    """The table of (clip, subject, label), each with a sensor file of its own."""
    (root / "dataset.toml").write_text(description, encoding="utf-8")
    write_table(root, [[*row, f"sensors/{index}.csv", "", "1"] for index, row in enumerate(rows)])
    return read_table(root, read_description(root))


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_one_person_in_two_spellings_is_one_subject(tmp_path, form):
    spelt = unicodedata.normalize(form, JOSE)
    rows = rows_of(tmp_path, ("a", JOSE, "walk"), ("b", spelt, "ru\u0308n"), ("c", spelt, "r\u00fcn"))
    assert {row.subject for row in rows} == {JOSE}
    assert {row.label for row in rows} == {"walk", "r\u00fcn"}


@pytest.mark.parametrize("character", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\x1b", "\u3164", "\ufe0f"])
@pytest.mark.parametrize(("column", "place"), [("clip", 0), ("subject", 1), ("label", 2)])
def test_what_nobody_sees_tells_nobody_apart(tmp_path, column, place, character):
    row = ["b", "ann", "walk"]
    row[place] = f"a{character}b"
    with pytest.raises(
        DataError, match=rf"clips\.csv, line 3: the {column} '.*' holds the invisible character U\+"
    ) as caught:
        rows_of(tmp_path, ("a", "ann", "walk"), tuple(row))
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("label", ["still", "Unknown", "NO SIGNAL", "no  signal"])
def test_no_class_is_called_as_an_event_without_an_activity(tmp_path, label):
    with pytest.raises(DataError, match="is what vskd calls an event without an activity"):
        rows_of(tmp_path, ("a", "ann", label), ("b", "ann", "walk"))
    with pytest.raises(ConfigError, match="is what vskd calls an event without an activity"):
        rows_of(tmp_path, ("a", "ann", "walk"), description=f'labels = ["walk", "{label}"]\n{DESCRIPTION}')


def test_a_subject_may_be_called_so(tmp_path):
    assert rows_of(tmp_path, ("a", "unknown", "walk"))[0].subject == "unknown"


def test_a_name_that_fills_a_screen_is_refused(tmp_path):
    with pytest.raises(DataError, match="has 5000 characters; a name has at most 100"):
        rows_of(tmp_path, ("a", "x" * 5000, "walk"))


@pytest.mark.parametrize("place", ["left\\u200bwrist", "\\u001b[2J", "x" * 200])
def test_a_placement_that_a_contract_cannot_hold_is_refused_before_training(tmp_path, place):
    with pytest.raises(ConfigError, match=r"dataset\.toml: .*(invisible|at most 100)"):
        rows_of(tmp_path, ("a", "ann", "walk"), description=DESCRIPTION.replace("left wrist", place))


@pytest.mark.parametrize("text", ["a = " + "[" * 1000 + "]" * 1000, "a = " + "1" * 5000, ".".join("a" * 5000) + " = 1"])
def test_a_description_that_overflows_is_one_sentence(tmp_path, text):
    with pytest.raises(ConfigError, match=r"is not TOML in UTF-8: it (is nested more|holds an integer)"):
        rows_of(tmp_path, ("a", "ann", "walk"), description=text)
