"""`vskd train`: every option reaches the run, and what a run was trained on is what its card says."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import pytest

from training.command_line import Command
from vskd.errors import DataError
from vskd_training.data.experiment import Experiment
from vskd_training.loop import distributed, train

Words = tuple[object, ...]


@pytest.fixture
def words(tiny_config_file: Path, tmp_path: Path) -> Words:
    """Options of a training that ends after two steps, with a cache of its own."""
    changes = ("--set", "student_training.steps=2", "--set", "student_training.batch=4")
    return ("train", "student", "--config", tiny_config_file, "--cache", tmp_path / "cache", *changes)


def card(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def test_changes_and_cache_reach_the_run(vskd: Command, words: Words, tmp_path: Path) -> None:
    done = vskd(*words, "--set", "seed=9", "--set", "data.validation_subjects=[1]", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    made = card(tmp_path / "run")
    assert (made["config"]["seed"], made["config"]["student_training"]["steps"]) == (9, 2)
    split = made["data"]["split"]
    assert (split["train"], split["validation"], split["test"]) == (["3"], ["1"], ["2", "4"])
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert "subjects train 3; validation 1; test 2, 4" in done.err


def test_a_run_that_is_there_is_replaced_or_resumed_only_where_asked(
    vskd: Command, words: Words, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "run")
    assert vskd(*words, *out).code == 0
    first = (tmp_path / "run" / "run.json").read_bytes()
    again = vskd(*words, *out)
    assert again.code == 1
    assert "--overwrite" in again.err
    changed = ("--set", "seed=4")
    resumed = vskd(*words, *changed, *out, "--resume")
    assert resumed.code == 1, "a finished run, or one of another config, is not resumed"
    assert (tmp_path / "run" / "run.json").read_bytes() == first
    assert vskd(*words, *changed, *out, "--overwrite").code == 0
    assert card(tmp_path / "run")["config"]["seed"] == 4


def test_a_leak_is_refused_unless_allowed_and_then_stamped(vskd: Command, words: Words, tmp_path: Path) -> None:
    leaky = (*words, "--set", "data.protocol=subject-specific", "--set", "data.synthetic.trials=2")
    refused = vskd(*leaky, "--out", tmp_path / "run")
    assert refused.code == 1
    assert "--allow-leak" in refused.err
    assert not (tmp_path / "run").exists()
    done = vskd(*leaky, "--allow-leak", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "LEAKY: test subjects are also in the training" in done.err
    assert card(tmp_path / "run")["data"]["split"]["leaky"] is True


@pytest.mark.parametrize(
    ("place", "message"),
    [("file/run", "cannot write"), ("file", "is a file, and a run is a folder"), ("mine", "exists and is no run")],
)
def test_a_place_where_no_run_can_be_is_refused_before_recordings_are_prepared(
    vskd: Command, words: Words, tmp_path: Path, place: str, message: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "clips.csv").write_text("mine")
    for flags in ((), ("--overwrite",), ("--resume",)):
        done = vskd(*words, "--out", tmp_path / place, *flags)
        assert done.code == 1
        assert message in " ".join(done.err.split())
        assert "--overwrite" not in done.err
    assert not (tmp_path / "cache").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["clips.csv"]


def test_what_cannot_be_trained_leaves_no_folder(vskd: Command, words: Words, tmp_path: Path) -> None:
    done = vskd("train", "teacher", *words[2:], "--set", "teacher.backbone=joints", "--out", tmp_path / "run")
    assert (done.code, (tmp_path / "run").exists()) == (1, False)
    assert "'joints' does not take the view 'rendered'" in done.err


def test_the_processes_that_meet_are_those_that_train(
    vskd: Command, words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each would train alone, and all would write one folder."""
    met = distributed.Processes(local_rank=7)
    given: list[object] = []

    def stop(*_: object, processes: object, **__: object) -> NoReturn:
        given.append(processes)
        raise DataError("far enough")

    monkeypatch.setattr(distributed, "open_processes", lambda device: nullcontext(met))
    monkeypatch.setattr(train, "train_student", stop)
    assert "far enough" in vskd(*words, "--out", tmp_path / "run").err
    assert given == [met]


def test_a_device_that_is_not_there_is_refused(vskd: Command, words: Words, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = vskd(*words, "--device", "cuda", "--out", tmp_path / "run")
    assert done.code == 1
    assert "cuda" in done.err.lower()


def test_every_side_has_the_windows_of_its_own_subjects(tiny: Experiment) -> None:
    split = tiny.split
    sides = {"train": split.train_subjects, "validation": split.validation_subjects, "test": split.test_subjects}
    assert sides == {"train": ("1",), "validation": ("3",), "test": ("2", "4")}
    for side, subjects in sides.items():
        table = tiny.windows(side)  # type: ignore[arg-type]
        assert set(table.subjects) == set(subjects)
        infos = [tiny.prepared.infos[row] for row in table.recordings]
        assert [info.subject for info in infos] == list(table.subjects)
        assert [tiny.contract.labels[label] for label in table.labels] == [info.label for info in infos]
    assert tiny.data_card()["split"]["test"] == ["2", "4"]
