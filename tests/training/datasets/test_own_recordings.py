"""A user's own recordings through the command line: checked, prepared, trained on, and leaks refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.command_line import Command
from training.own_recordings import read_table, write_folder, write_table
from training.tiny_config import NETWORKS

CONFIG = """
threads = 1
[data]
dataset = "folder"
view = "video"
protocol = "leave-one-subject-out"
fold = "p2"
frame_height = 12
frame_width = 16
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four subjects, three activities, two sessions each; one clip has lost its samples."""
    root = write_folder(tmp_path_factory.mktemp("own") / "kitchen", subjects=4, duration_s=4.0)
    rows = [[*row[:5], str(1 + (index + index // 4) % 2)] for index, row in enumerate(read_table(root))]
    write_table(root, rows)
    (root / rows[-1][3]).write_text("")
    (root / "config.toml").write_text(CONFIG + NETWORKS)
    return root


@pytest.fixture
def settings(folder: Path) -> tuple[object, ...]:
    return ("--config", folder / "config.toml", "--root", folder, "--cache", folder / "cache")


def test_the_check_counts_subjects_columns_and_what_was_left_out(vskd: Command, folder: Path) -> None:
    done = vskd("data", "check", "--dataset", "folder", "--root", folder)
    assert done.code == 0, done.err
    assert done.out.startswith("kitchen, view video: 11 recordings\n")
    assert "subjects    p1: 3, p2: 3, p3: 3, p4: 2\n" in done.out
    assert "session     1: 6, 2: 5\n" in done.out
    assert "defects     1: 1 recording left out, 0 used in part, 0 doubtful\n  1 x empty file\n" in done.out
    assert "clips.csv, line 13" in done.out
    strict = vskd("data", "check", "--dataset", "folder", "--root", folder, "--view", "none", "--strict")
    assert strict.code == 1
    assert "1 recordings were left out, 0 things are doubtful\n" in strict.err


def test_notes_in_a_further_column_do_not_flood_the_screen(vskd: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sensors").symlink_to(folder / "sensors")
    (tmp_path / "dataset.toml").symlink_to(folder / "dataset.toml")
    rows = [[*row[:4], "", f"{number:02} {'la' * 500}"] for number, row in enumerate(read_table(folder)[:11])]
    write_table(tmp_path, rows)
    done = vskd("data", "check", "--dataset", "folder", "--root", tmp_path, "--view", "none")
    assert f"session     00 {'la' * 17}...: 1, 01 lala" in done.out
    assert "lala...: 1, and 1 other values\n" in done.out
    assert max(map(len, done.out.splitlines())) < 600


def test_a_teacher_on_its_videos_and_a_student_that_learns_from_it(
    vskd: Command, settings: tuple[object, ...], tmp_path: Path
) -> None:
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    done = vskd("train", "teacher", *settings, "--out", teacher)
    assert done.code == 0, done.err
    assert "kitchen, leave-one-subject-out: subjects train p1, p4; validation p3; test p2" in done.err
    assert "1 recording left out, 0 used in part, 0 doubtful; `vskd data check --dataset folder --view " in done.err
    done = vskd("train", "student", *settings[:2], *settings[4:], "--teacher", teacher, "--out", student)
    assert done.code == 0, done.err  # the teacher knows the folder
    card = json.loads((student / "run.json").read_text())
    assert card["data"]["dataset"] == card["contract"]["trained_on"] == "kitchen"
    assert card["data"]["split"]["test"] == ["p2"]
    assert not card["data"]["split"]["leaky"]
    assert card["contract"]["sensor"]["placement"] == "left wrist"
    assert card["contract"]["labels"] == ["jog", "squat", "wave"]
    assert [teacher["run"] for teacher in card["teacher"]] == ["teacher"]


def test_a_run_remembers_the_folder_of_its_recordings(vskd: Command, folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    shutil.copytree(folder, root)
    cache = ("--cache", folder / "cache")
    first = ("--config", root / "config.toml", "--root", root, "--set", "data.view=none", "--out", tmp_path / "first")
    assert vskd("train", "forest", *first, *cache).code == 0
    done = vskd("train", "forest", "--config", tmp_path / "first", "--out", tmp_path / "again", *cache)
    assert done.code == 0, done.err
    cards = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("first", "again")]
    assert cards[0]["config"] == cards[1]["config"]
    assert cards[0]["root"] == cards[1]["root"] == str(root)
    assert "root" not in cards[0]["data"]  # a bundle's report takes that over
    done = vskd("evaluate", tmp_path / "again", *cache)
    assert done.code == 0, done.err
    root.rename(tmp_path / "elsewhere")
    for words in (("evaluate", tmp_path / "again"), ("train", "forest", "--config", tmp_path / "again")):
        done = vskd(*words, *cache, *(("--out", tmp_path / "third") if words[0] == "train" else ()))
        assert done.code == 1
        said = " ".join(done.err.split())
        assert f"{root}, where the recordings of {tmp_path / 'again'} were, is gone Give --root DIR" in said
    assert not (tmp_path / "third").exists()
    assert vskd("evaluate", tmp_path / "again", "--root", tmp_path / "elsewhere", *cache).code == 0


def test_a_student_needs_no_video(vskd: Command, settings: tuple[object, ...], tmp_path: Path) -> None:
    words = ("--set", "data.view=none", "--set", "data.protocol=subject-folds", "--set", "data.fold_count=2")
    done = vskd("train", "student", *settings, *words, "--set", 'data.fold="1"', "--out", tmp_path / "alone")
    assert done.code == 0, done.err
    assert "subjects train p2; validation p4; test p1, p3" in done.err
    done = vskd("train", "teacher", *settings, "--set", "data.view=none", "--out", tmp_path / "teacher")
    assert done.code == 1
    assert "has the view 'none', which the teacher needs" in done.err


def test_one_subject_on_both_sides_is_refused_unless_asked_for_and_then_stamped(
    vskd: Command, settings: tuple[object, ...], tmp_path: Path
) -> None:
    words = ("--set", "data.view=none", "--set", "data.protocol=column", "--set", "data.split_column=session")
    words = (*words, "--set", 'data.fold="2"', "--out", tmp_path / "run")
    done = vskd("train", "student", *settings, *words)
    assert done.code == 1
    assert "column puts 'p1', 'p2', 'p3' and 1 more into training and test" in done.err
    assert "--allow-leak" in done.err
    assert not (tmp_path / "run").exists()
    done = vskd("train", "student", *settings, *words, "--allow-leak")
    assert done.code == 0, done.err
    assert "LEAKY" in done.err
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    assert card["data"]["split"]["leaky"]
    assert card["config"]["data"]["allow_leak"]


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of p1 (trains), p2 (tests) and p3 (decides) a clip has no label, and of p4 (trains) one has no video either."""
    root = write_folder(tmp_path_factory.mktemp("partly") / "kitchen", subjects=4, duration_s=4.0)
    rows = read_table(root)
    for subject, activity in (("p1", "wave"), ("p2", "jog"), ("p3", "squat"), ("p4", "jog")):
        (row,) = (row for row in rows if (row[1], row[2]) == (subject, activity))
        row[2] = ""
        row[4] = "" if subject == "p4" else row[4]
    write_table(root, rows)
    (root / "config.toml").write_text(CONFIG + NETWORKS)
    return root


def test_clips_without_a_label_join_distillation_where_their_subject_trains(
    vskd: Command, partly: Path, tmp_path: Path
) -> None:
    words = ("--config", partly / "config.toml", "--root", partly, "--cache", partly / "cache")
    checked = vskd("data", "check", "--dataset", "folder", "--root", partly)
    assert checked.code == 0, checked.err
    assert "(no label): 3\n" in checked.out
    assert "1 x neither label nor video\n" in checked.out
    done = vskd("train", "teacher", *words, "--out", tmp_path / "teacher")
    assert done.code == 0, done.err
    assert "subjects train p1, p4; validation p3; test p2; without labels p1" in done.err
    assert "recordings without a label: 1 of training subjects, used in distillation; 2 of others, not used" in (
        " ".join(done.err.split())
    )
    teacher = ("--teacher", tmp_path / "teacher")
    done = vskd("train", "student", *words, *teacher, "--out", tmp_path / "student")
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "student" / "run.json").read_text())
    assert card["data"]["split"]["unlabelled"] == ["p1"]
    assert card["data"]["split"]["without_label"] == {"distillation": 1, "unused": 2}
    assert card["data"]["split"]["recordings"] == [4, 2, 2]
    assert card["contract"]["labels"] == ["jog", "squat", "wave"]


def test_what_is_not_used_changes_nothing_and_what_joins_does(vskd: Command, partly: Path, tmp_path: Path) -> None:
    """Drop the clips without a label one subject after the other: only the training subject's changes the student."""
    rows = read_table(partly)

    def weights(name: str, dropped: set[str]) -> str:
        root = tmp_path / name
        root.mkdir()
        for folder in ("sensors", "videos"):
            (root / folder).symlink_to(partly / folder)
        (root / "dataset.toml").write_text((partly / "dataset.toml").read_text())
        write_table(root, [row for row in rows if row[2] or row[1] not in dropped])
        words = ("--config", partly / "config.toml", "--root", root, "--cache", tmp_path / "cache")
        for role, more in (("teacher", ()), ("student", ("--teacher", root / "teacher"))):
            done = vskd("train", role, *words, *more, "--out", root / role)
            assert done.code == 0, done.err
        cards = [json.loads((root / role / "run.json").read_text()) for role in ("teacher", "student")]
        assert len({card["weights_sha256"] for card in cards}) == 2
        return "".join(str(card["weights_sha256"]) for card in cards)

    whole = weights("whole", set())
    assert weights("unused", {"p2", "p3", "p4"}) == whole
    teacher_length = len(whole) // 2
    without = weights("without", {"p1"})
    assert without[:teacher_length] == whole[:teacher_length]
    assert without[teacher_length:] != whole[teacher_length:]


def test_some_filmed_all_strapped(vskd: Command, settings: tuple[object, ...], folder: Path, tmp_path: Path) -> None:
    """Whoever was not filmed trains, validates and is tested by label; a subject without any film is a fold, too."""
    rows = read_table(folder)
    unfilmed = [[*row[:4], "" if row[1] == "p2" or row[0] == rows[0][0] else row[4], row[5]] for row in rows]
    root = tmp_path / "kitchen"
    root.mkdir()
    for name in ("sensors", "videos", "dataset.toml"):
        (root / name).symlink_to(folder / name)
    write_table(root, unfilmed)
    words = [*settings[:2], "--root", root, "--cache", tmp_path / "cache"]
    done = vskd("train", "teacher", *words, "--out", tmp_path / "teacher")
    assert done.code == 0, done.err
    assert "nobody is tested" in done.err
    assert "p2" in json.loads((tmp_path / "teacher" / "run.json").read_text())["data"]["split"]["test"]
    done = vskd("train", "student", *words, "--teacher", tmp_path / "teacher", "--out", tmp_path / "student")
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "student" / "run.json").read_text())
    assert card["windows"]["test"] > 0
    assert np.sum(card["metrics"]["test"]["confusion"]) > 0
    assert "teacher_metrics" not in card
    teacher_windows = json.loads((tmp_path / "teacher" / "run.json").read_text())["windows"]["train"]
    assert card["windows"]["train"] > teacher_windows


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ('data.fold="p3"', "data.fold = 'p2', this config 'p3'"),
        ("data.frame_height=24", "data.frame_height = 12, this config 24"),
        ("labels.count=1", "labels.count = 0, this config 1"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_read(
    vskd: Command, settings: tuple[object, ...], tmp_path: Path, change: str, names: str
) -> None:
    teacher = tmp_path / "teacher"
    assert vskd("train", "teacher", *settings, "--out", teacher).code == 0
    words = (*settings[:2], "--root", tmp_path / "nowhere", "--cache", tmp_path / "cache", "--set", change)
    done = vskd("train", "student", *words, "--teacher", teacher, "--out", tmp_path / "student")
    assert done.code == 1
    assert f"has {names}" in done.err
    assert not (tmp_path / "student").exists()
    assert not (tmp_path / "cache").exists()
