"""A run's folder: where it cannot be made, that is one sentence with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from vskd.errors import DataError
from vskd_training.runs.run import start_run
from vskd_training.settings import load_config


@pytest.mark.parametrize("again", [{"overwrite": False, "resume": False}, {"overwrite": True, "resume": False}])
def test_a_file_is_no_place_for_a_run(tmp_path: Path, again: dict[str, bool]) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"file is a file, and a run is a folder\. Give another --out"):
        start_run(tmp_path / "file", config=load_config("demo"), **again)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"cannot write .*config.json: Not a directory\. Give another name"):
        start_run(tmp_path / "file" / "run", config=load_config("demo"), overwrite=False, resume=False)
