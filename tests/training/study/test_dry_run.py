"""`vskd study --plan`: what would be trained, counted as training counts it, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.command_line import Command
from training.study.tiny_study import STUDY, WriteStudy
from vskd_training.data.experiment import Experiment
from vskd_training.loop.tasks import student_task
from vskd_training.study import dry_run
from vskd_training.study.check import StudyData
from vskd_training.study.dry_run import Fold, Item, plan_in_words, plan_study
from vskd_training.study.plan import Study, open_study


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "seconds_per_step", lambda cell, experiment: 0.5)


@pytest.mark.usefixtures("untimed")
def test_the_plan_counts_cells_and_those_that_are_finished(
    vskd: Command, write_study: WriteStudy, finished: Path, tiny_cache: Path
) -> None:
    before = sorted(finished.rglob("*"))
    done = vskd("study", write_study(STUDY), "--out", finished, "--cache", tiny_cache, "--plan")
    assert done.code == 0, done.err
    assert sorted(finished.rglob("*")) == before
    assert "tiny: 7 cells, 7 finished, 0 to train." in done.out
    rows = (finished / "cells" / "camera" / "all" / "seed-5" / "log.jsonl").read_text().splitlines()
    seconds = sum(json.loads(row)["seconds"] for row in rows) / 2  # the log's, which is surer than a new timing
    assert f"| camera | teacher | 1 | 1 | 2 | {seconds:.3f} | 1 | 0.00 |" in done.out
    assert "- train: 1, 3 (24 recordings)\n- validation: none (0 recordings)\n- test: 2, 4 (24 recordings)" in done.out
    assert "The split of camera, alone, distilled, again:" in done.out


@pytest.mark.usefixtures("untimed")
def test_nothing_is_written_and_all_is_to_train(study: Study, tiny_cache: Path, tmp_path: Path) -> None:
    folds, items = plan_study(study, tmp_path / "out", root=None, cache=tiny_cache, progress=lambda *_: None)
    assert not (tmp_path / "out").exists()
    assert [(item.name, item.cells, item.finished) for item in items] == [
        ("camera", 1, 0), ("alone", 2, 0), ("distilled", 2, 0), ("again", 2, 0),
    ]  # fmt: skip
    assert len(folds) == 1
    text = plan_in_words(study, folds, items, jobs=2)
    assert "About 0.00 h one after the other, 0.00 h with --jobs 2" in text


def test_the_hours_are_steps_times_seconds_of_what_is_left() -> None:
    item = Item("a", "student", cells=10, finished=4, steps=600, seconds_per_step=0.5, threads=1)
    assert item.hours_left == 6 * 600 * 0.5 / 3600


@pytest.mark.parametrize("batch", [16, 7])
def test_steps_are_those_of_the_training(write_study: WriteStudy, tiny_cache: Path, batch: int) -> None:
    text = STUDY.replace('"student_training.steps=2"', f'"student_training.epochs=3", "student_training.batch={batch}"')
    study = open_study(write_study(text), root=None)
    data = StudyData(None, tiny_cache)
    cell = study.cells_of("alone")[0]
    experiment = Experiment.open(cell.config, root=None, cache=tiny_cache, progress=None)
    task = student_task(experiment.windows("train"), cell.config, 12)
    assert dry_run._steps(cell, cell.config.student_training, data) == 3 * task.steps(batch)


def test_a_step_of_each_kind_is_really_timed(study: Study, tiny_cache: Path) -> None:
    data = StudyData(None, tiny_cache)
    for name in ("camera", "distilled"):
        cell = study.cells_of(name)[0]
        assert 0 < dry_run.seconds_per_step(cell, data.experiment(cell)) < 60


def test_a_class_without_a_training_label_is_named() -> None:
    fold = Fold("3", ("alone",), {"train": (("1",), 4), "test": (("3",), 2)}, {"walk": 4, "sit": 0, "fall": 0})
    lines = list(dry_run._fold_in_words(fold))
    assert lines[0] == "Fold 3 of alone:"
    assert lines[-2:] == ["- training labels: walk 4, sit 0, fall 0", "- WITHOUT A TRAINING LABEL: sit, fall"]
