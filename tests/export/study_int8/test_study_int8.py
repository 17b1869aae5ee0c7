"""``vskd study-int8`` on a tiny study: each student's model is the one that was made, scored by an oracle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vskd.engines import open_engine
from vskd.errors import ConfigError
from vskd_export.search.costs import TFLITE
from vskd_export.search.latency import TIMED
from vskd_export.study_int8 import cell as cells
from vskd_export.study_int8.command import study_int8
from vskd_export.study_int8.study import students_of
from vskd_training.data.experiment import Experiment
from vskd_training.study.plan import Study, open_study
from vskd_training.study.running import run_study

CONFIG = """
threads = 1
[data]
dataset = "synthetic"
view = "rendered"
protocol = "fixed"
test_subjects = ["3", "4"]
train_on_validation = true
[data.synthetic]
subjects = 4
trials = 1
duration_s = 3.5
[window]
samples = 64
rate_hz = 25.0
hop_samples = 16
[student]
family = "raw-separable"
channels = 4
kernel = 3
stride = 4
[raw]
transforms = ["g"]
[student_training]
steps = 2
batch = 16
"""
STUDY = """
name = "tiny"
config = "tiny.toml"
seeds = [0, 1]

[[arm]]
name = "small"

[[arm]]
name = "forest"
kind = "forest"

[[compare]]
arm = "small"
against = "forest"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study")
    (made / "tiny.toml").write_text(CONFIG)
    (made / "study.toml").write_text(STUDY)
    return made


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    """The study, trained."""
    opened = open_study(folder / "study.toml", root=None)
    run_study(opened, folder / "out", root=None, cache=folder / "cache", jobs=1, progress=lambda *_: None)
    return opened


def call(folder: Path, *words: object, out: str = "out") -> Result:
    fixed = [folder / "study.toml", "--out", folder / out, "--cache", folder / "cache"]
    return CliRunner().invoke(study_int8, [*map(str, fixed), *map(str, words)])


@pytest.mark.slow
def test_the_int8_models_are_scored_and_kept(folder: Path, study: Study) -> None:
    done = call(folder, "--seed", 1)
    assert done.exit_code == 0, done.output
    found = json.loads((folder / "out/int8.json").read_text())
    (arm,) = found["arms"]  # the forest is no network
    ((name, scores),) = arm["cells"].items()
    assert name in {cell.name for cell in study.cells if cell.item == "small" and cell.seed == 1}
    assert set(arm["latency_us"]) == set(TIMED)
    path = folder / "out/int8" / name / TFLITE
    assert arm["costs"]["flash_bytes"] == path.stat().st_size

    # The oracle: that file, window by window, and recordings by the mean of their log-probabilities.
    run = cells.open_cell(folder / "out", next(one for one in study.cells if one.name == name))
    experiment = Experiment.open(run.config, root=None, cache=folder / "cache", progress=None)
    test = experiment.windows("test")
    engine = open_engine("litert", path)
    logits = np.stack([engine.infer(window) for window in test.samples]).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    right = [
        logs[test.recordings == row].sum(axis=0).argmax() == test.labels[test.recordings == row][0]
        for row in np.unique(test.recordings)
    ]
    assert scores["int8_accuracy"] == pytest.approx(np.mean(right))
    assert scores["float_accuracy"] == pytest.approx(run.card["metrics"]["test"]["recording"]["all"]["accuracy"])

    assert (folder / "out/int8.md").read_text() == done.stdout
    assert f"| small | {scores['float_accuracy']:.4f} | {scores['int8_accuracy']:.4f} |" in done.stdout


def test_what_is_there_is_not_made_again(folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = next(one for one in study.cells if one.role == "student")
    place = cells.Place(folder / "known", None, folder / "cache", "recording")
    known = cells.CellScores(0.5, 0.25, 0.5, 0.25, 0.125)
    place.folder(cell).mkdir(parents=True)
    (place.folder(cell) / "scores.json").write_text(json.dumps(cells.to_mapping(known)))
    monkeypatch.setattr(cells, "open_cell", lambda *_: pytest.fail("it was opened"))
    assert cells.score_cell(cell, place) == known


def test_an_unfinished_study_is_refused_with_its_first_cell(folder: Path, study: Study) -> None:
    done = call(folder, out="nothing")
    assert isinstance(done.exception, ConfigError)
    assert "2 of 2 students are not finished, small/" in str(done.exception)
    assert "vskd study STUDY.toml --out" in done.exception.hint


def test_a_seed_that_the_study_lacks_is_refused_with_those_it_has(folder: Path, study: Study) -> None:
    done = call(folder, "--seed", 7)
    assert isinstance(done.exception, ConfigError)
    assert "no students of seed 7" in str(done.exception)
    assert "0, 1" in done.exception.hint


def test_an_arm_that_is_no_student_is_refused(folder: Path, study: Study) -> None:
    done = call(folder, "--arm", "smal")
    assert isinstance(done.exception, ConfigError)
    assert "has no student 'smal'" in str(done.exception)
    assert "small" in done.exception.hint
    assert [cell.item for cell in students_of(study, folder / "out", (0,), ("small",))] == ["small"]
