"""The training commands as a user meets them: what they print, their exit codes, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.command_line import Command


@pytest.fixture
def settings(tiny_config_file: Path, tiny_cache: Path) -> tuple[object, ...]:
    return ("--config", tiny_config_file, "--cache", tiny_cache)


def test_train_teacher_then_student_and_look_at_the_result(
    vskd: Command, settings: tuple[object, ...], tmp_path: Path
) -> None:
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    done = vskd("train", "teacher", *settings, "--out", teacher)
    assert done.code == 0, done.err
    assert "synthetic, cross-subject: subjects train 1; validation 3; test 2, 4" in done.err
    assert done.out == ""
    done = vskd("train", "student", *settings, "--teacher", teacher, "--out", student)
    assert done.code == 0, done.err
    assert "recording" in done.err
    card = json.loads((student / "run.json").read_text())
    assert card["teacher"][0]["run"] == "teacher"
    assert (
        card["teacher_metrics"]["test"]["window"]
        == json.loads((teacher / "run.json").read_text())["metrics"]["test"]["window"]
    )
    assert "\n teachers " in done.err


def test_a_stream_is_of_a_synthetic_subject_who_is_there(vskd: Command, tiny_config_file: Path, tmp_path: Path) -> None:
    out, truth = tmp_path / "day.csv", tmp_path / "truth.csv"
    words = ("data", "stream", "--config", tiny_config_file, "--out", out, "--truth", truth, "--subject")
    for subject, change, message in (
        (2, ("--set", "data.dataset=utd-mhad", "--set", "data.view=depth"), "tiny.toml has the data set utd-mhad"),
        (99, (), "there is no synthetic subject '99' Take 1 to 4"),
    ):
        done = vskd(*words, subject, *change)
        assert (done.code, out.exists()) == (1, False)
        assert message in " ".join(done.err.split())


def test_a_recording_is_written_as_csv(vskd: Command, settings: tuple[object, ...], tmp_path: Path) -> None:
    done = vskd("data", "recording", *settings, "--id", "nobody", "--out", tmp_path / "x.csv")
    assert (done.code, done.out) == (1, "")
    known = done.err.partition("Known: ")[2].split(",")[0].strip()
    assert vskd("data", "recording", *settings, "--id", known, "--out", tmp_path / "x.csv").code == 0
    assert (tmp_path / "x.csv").read_text().startswith("time_s,ax_g,ay_g,az_g\n")


def test_check_prints_counts(vskd: Command) -> None:
    done = vskd("data", "check", "--dataset", "utd-mhad", "--root", "/nowhere")
    assert done.code == 1
    assert "/nowhere" in done.err


MISTAKES = [
    (("train", "student", "--config", "missing.toml", "--out", "x"), 1, "no preset, file or run 'missing.toml'"),
    (("train", "student", "--set", "gaf.sise=1", "--out", "x"), 1, "Did you mean 'size'?"),
    (("train", "student", "--set", "data.protocol=cross-subjekt", "--out", "x"), 1, "Did you mean 'cross-subject'?"),
    (("train", "student", "--set", "data.dataset=utd-mhda", "--out", "x"), 1, "Did you mean 'utd-mhad'?"),
    (("train", "student", "--set", "data.view=depth", "--out", "x"), 1, "has no view 'depth'"),
    (("train", "student", "--teacher", "nowhere", "--out", "x"), 1, "nowhere holds no run"),
    (("train", "student"), 2, "Missing option '--out'"),
    (("train", "pupil"), 2, "No such command 'pupil'"),
    (("export", "nowhere", "--out", "x.bundle"), 1, "nowhere holds no run"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes_are_one_sentence_and_leave_nothing(
    vskd: Command,
    settings: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if words[0] == "train" and "--config" not in words and words[1] != "pupil":
        words = (*words, *map(str, settings))
    done = vskd(*words)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(tmp_path.iterdir())


def test_a_data_set_without_its_folder_names_the_option(
    vskd: Command, settings: tuple[object, ...], tmp_path: Path
) -> None:
    words = ("--set", "data.dataset=utd-mhad", "--set", "data.view=joints", "--out", tmp_path / "x")
    done = vskd("train", "student", *settings, *words)
    assert done.code == 1
    assert "--root DIR" in done.err
