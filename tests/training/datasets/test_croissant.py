"""A folder of recordings in Croissant 1.1, judged by the reader of MLCommons."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from vskd.errors import ConfigError, DataError
from vskd_training.commands.data import data
from vskd_training.datasets.folder.croissant import croissant

ABOUT = """
[about]
title = "Meine Ärmel"
description = "Two people, one watch."
licence = "CC-BY-4.0"
url = "https://example.org/sleeves"
citation = "Someone 2026"
version = "1.0.0"
published = "2026-11-27"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "frames").mkdir()
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "sub/b.csv", "frames/1.png", "frames/2.png", "dataset.toml"):
        (tmp_path / name).write_text(f"content of {name}")
    (tmp_path / "dataset.toml").write_text(
        'name = "sleeves"\nunit = "m/s^2"\ngravity = true\nplacement = "left wrist"\n' + ABOUT
    )
    (tmp_path / "clips.csv").write_text(
        "# a comment\nclip,subject,label,sensor,video,session,start_s\n"
        "one,Ann,walk,a.csv,frames,1,\ntwo,Ben,,sub/b.csv,,2,0.5\n"
    )
    return tmp_path


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's, of itself
def test_its_reader_finds_nothing_to_remark_and_reads_the_clips(folder, caplog):
    import mlcroissant

    with caplog.at_level(logging.WARNING):
        assert CliRunner().invoke(data, ["croissant", str(folder)]).exit_code == 0
        read = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert caplog.text == ""
    assert [str(one) for one in read.metadata.conforms_to] == ["http://mlcommons.org/croissant/1.1"]
    rows = [{key.removeprefix("clips/"): value for key, value in row.items()} for row in read.records("clips")]
    one = {"clip": "one", "subject": "Ann", "label": "walk", "sensor": "a.csv", "video": "frames", "session": "1"}
    two = {"clip": "two", "subject": "Ben", "label": "", "sensor": "sub/b.csv", "video": "", "session": "2"}
    assert rows == [one | {"start_s": ""}, two | {"start_s": "0.5"}]
    names = {file.content_url: file.sha256 for file in read.metadata.distribution}
    assert names == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("dataset.toml", "clips.csv", "a.csv", "sub/b.csv", "frames/1.png", "frames/2.png")
    }


def test_the_same_folder_gives_the_same_bytes_without_its_path(folder):
    content = croissant(folder)
    assert content == croissant(folder)
    assert str(folder).encode() not in content


def test_a_file_that_is_not_there_is_named(folder):
    (folder / "a.csv").unlink()
    with pytest.raises(DataError, match=r"names a.csv, which is not there"):
        croissant(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("licence", "my own terms", "no SPDX identifier"),
        ("url", "example.org", "no address"),
        ("published", "yesterday", "no date"),
        ("title", "a\\u001bb", "one line"),
        ("creator", "me", "unknown key"),
    ],
)  # fmt: skip
def test_what_about_cannot_say_is_refused(folder, key, value, message):
    path = folder / "dataset.toml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{key} =")]
    path.write_text("\n".join([*lines, f'{key} = "{value}"']))
    with pytest.raises(ConfigError, match=message):
        croissant(folder)
