"""Networks trained on everybody: nobody is tested, and the accuracy is copied from a study of the same config."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.command_line import Command
from vskd.errors import ConfigError, DataError, VskdError
from vskd_training.data.labels import sides
from vskd_training.data.sources import open_source
from vskd_training.loop.train import student_config
from vskd_training.runs.run import Run
from vskd_training.settings import Config, LabelsConfig
from vskd_training.study.check import StudyData, check_study
from vskd_training.study.plan import Study
from vskd_training.study.shipping import in_words, study_card

#: The changes that the tiny study makes to its config.
CHANGES = ("--set", "student_training.steps=2", "--set", "teacher_training.steps=2")


@pytest.fixture
def key(finished: Path) -> str:
    return str(json.loads((finished / "result.json").read_text())["dataset"]["key"])


@pytest.fixture
def alone(study: Study) -> Config:
    """The config of the arm alone, for everybody, with another seed."""
    config = study.cells_of("alone")[0].config
    return replace(config, data=config.data.everybody(), seed=77)


def test_everybody_trains_and_nobody_is_on_another_side(alone: Config) -> None:
    infos = open_source(alone.data, None).infos()
    made = sides(infos, alone.data, alone.labels)
    assert made.split.train == tuple(range(len(infos)))
    assert (made.split.validation, made.split.test, made.unlabelled, made.split.leaky) == ((), (), (), False)
    few = sides(infos, alone.data, LabelsConfig(subjects=("1", "2")))
    assert (few.split.train_subjects, few.unlabelled_subjects, few.split.validation) == (("1", "2"), ("3", "4"), ())


def test_every_key_that_splits_is_cleared(alone: Config) -> None:
    data = replace(
        alone.data, protocol="fixed", fold="3", test_subjects=("1",), train_subjects=("2",), validation_subjects=("2",),
        train_on_validation=True, allow_leak=True,
    )  # fmt: skip
    assert data.everybody() == alone.data


def test_activities_left_out_are_not_trained_on(alone: Config) -> None:
    infos = open_source(alone.data, None).infos()
    data = replace(alone.data, unknown_labels=("wave",))
    train = sides(infos, data, alone.labels).split.train
    assert {infos[row].label for row in range(len(infos))} - {infos[row].label for row in train} == {"wave"}


def test_the_card_has_the_studys_figures_and_no_others(
    vskd: Command, tiny_config_file: Path, tiny_cache: Path, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shipped"
    words = ("train", "student", "--config", tiny_config_file, "--cache", tiny_cache, *CHANGES, "--everybody")
    done = vskd(*words, "--study", finished, "--out", out)
    assert done.code == 0, done.err
    card = json.loads((out / "run.json").read_text())
    split = card["data"]["split"]
    assert (split["train"], split["validation"], split["test"]) == (["1", "2", "3", "4"], [], [])
    assert (card["metrics"], card["windows"]["test"]) == ({}, 0)
    raw = (finished / "result.json").read_bytes()
    arm = json.loads(raw)["arms"]["alone"]
    assert card["study"] == {
        "name": "tiny", "arm": "alone", "result_sha256": hashlib.sha256(raw).hexdigest(), "decisions": "recording",
        "accuracy": arm["accuracy"], "macro_f1": arm["macro_f1"],
        "interval_over_subjects": arm["interval_over_subjects"],
        "worst_subject": {
            "name": min(arm["by_subject"], key=arm["by_subject"].get), "accuracy": min(arm["by_subject"].values()),
        },
        "subjects": 2, "seeds": 2,
    }  # fmt: skip
    assert "its accuracy is that of the arm alone of the study tiny" in done.err
    assert not (out / "confusion.png").exists()
    tested = vskd("evaluate", out, "--cache", tiny_cache)
    assert tested.code == 1
    assert "a network trained on everybody has no test subjects" in tested.err
    # Without a study the accuracy is unknown, and nothing takes its place.
    done = vskd(*words, "--out", tmp_path / "unknown")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "unknown" / "run.json").read_text())["study"] is None
    assert "its accuracy is unknown" in done.err


def test_a_refusal_comes_before_the_training(
    vskd: Command, tiny_config_file: Path, tiny_cache: Path, finished: Path, tmp_path: Path
) -> None:
    words = ("train", "student", "--config", tiny_config_file, "--cache", tiny_cache, *CHANGES, "--out", tmp_path / "r")
    done = vskd(*words, "--everybody", "--study", finished, "--set", "augment.scale=0.5")
    assert done.code == 1
    assert "no arm of the study tiny is this student; the nearest is 'alone', where augment.scale is" in " ".join(
        done.err.split()
    )
    assert not (tmp_path / "r").exists()
    assert vskd(*words, "--study", finished).code == 2


def test_the_arm_is_found_by_config_and_teachers(
    finished: Path, study: Study, alone: Config, key: str, tmp_path: Path
) -> None:
    camera = Run.open(finished / "cells" / "camera" / "all" / "seed-5", role="teacher")
    itself = Run.open(finished / "cells" / "alone" / "all" / "seed-0", role="student")
    taught = student_config(study.cells_of("distilled")[0].config, taught=True)
    assert study_card(finished, alone, (), data_key=key)["arm"] == "alone"
    assert study_card(finished, taught, (camera,), data_key=key)["arm"] == "distilled"
    assert study_card(finished, taught, (itself,), data_key=key)["arm"] == "again"
    with pytest.raises(ConfigError, match="where the student has 1 teachers there and 2 here"):
        study_card(finished, taught, (camera, camera), data_key=key)
    other = replace(camera, config=replace(camera.config, teacher=replace(camera.config.teacher, dropout=0.1)))
    with pytest.raises(ConfigError, match=r"no teacher is seed-5: .*"):
        study_card(finished, taught, (other,), data_key=key)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda path, content: path.unlink(), DataError, "cannot read .*result.json"),
        (lambda path, content: path.write_text("{"), DataError, "is no result of a study"),
        (lambda path, content: path.write_text("{}"), DataError, "is no result of a study: it lacks arms"),
        (lambda path, content: path.write_text(json.dumps({**content, "leaky": True})), DataError, "is LEAKY"),
        (
            lambda path, content: path.write_text(json.dumps({**content, "dataset": {"key": "f" * 64}})),
            DataError,
            "tested other recordings than these: ffffffffffff",
        ),
        (
            lambda path, content: (
                content["arms"]["alone"]["cells"][0].update(weights_sha256="0") or path.write_text(json.dumps(content))
            ),
            DataError,
            "was trained again after",
        ),
    ],
    ids=["none", "no json", "empty", "leaky", "recordings", "weights"],
)
def test_a_study_that_cannot_vouch_is_refused(
    finished: Path, alone: Config, key: str, tmp_path: Path, change: Any, kind: type[VskdError], message: str
) -> None:
    out = shutil.copytree(finished, tmp_path / "study")
    change(out / "result.json", json.loads((out / "result.json").read_text()))
    with pytest.raises(kind, match=message) as raised:
        study_card(out, alone, (), data_key=key)
    assert raised.value.hint


def test_a_study_does_not_train_on_everybody(study: Study, tiny_cache: Path) -> None:
    cells = tuple(replace(cell, config=replace(cell.config, data=cell.config.data.everybody())) for cell in study.cells)
    with pytest.raises(ConfigError, match=r"trains on everybody .* and a study tests on others"):
        check_study(replace(study, cells=cells), StudyData(None, tiny_cache))


def test_no_study_is_said() -> None:
    assert "its accuracy is unknown" in in_words(None)
