"""A class that no window teaches is refused, or named everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.command_line import Command
from training.own_recordings import DESCRIPTION, HEADER, write_sensor, write_table
from training.tiny_config import NETWORKS
from vskd.errors import ConfigError
from vskd_training.evaluation.classes import in_words, refuse_untaught, without_training
from vskd_training.evaluation.tables import metrics_table, temperature_warning

CONFIG = """
threads = 1
[data]
dataset = "folder"
view = "none"
protocol = "fixed"
train_subjects = ["ann", "bob", "cat"]
validation_subjects = ["cat"]
test_subjects = ["dan"]
"""
G = 9.80665


def write(root: Path, *, short: str = "wave", only: str = "") -> Path:
    """Four subjects at three activities; clips of ``short`` last a second, ``only`` is of the test subject alone."""
    (root / "sensors").mkdir(parents=True)
    rows = []
    for who, subject in enumerate(("ann", "bob", "cat", "dan")):
        for what, label in enumerate(("jog", "walk", "wave")):
            if label == only and subject != "dan":
                continue
            rng = np.random.default_rng(10 * who + what)
            time_s = np.arange(50 if label == short else 400) / 50
            swing = 0.5 * np.sin(2 * np.pi * (1 + what) * time_s)[:, np.newaxis] * [1, 0, 0.5]
            xyz = np.array([0.3, -0.6, 0.74]) + swing + rng.normal(0, 0.05, (len(time_s), 3))
            name = f"{subject}_{label}"
            write_sensor(root / "sensors" / f"{name}.csv", time_s, G * xyz)
            rows.append([name, subject, label, f"sensors/{name}.csv", "", "1"])
    (root / "dataset.toml").write_text(DESCRIPTION)
    write_table(root, rows, HEADER)
    (root / "config.toml").write_text(CONFIG + NETWORKS)
    return root


def words(root: Path) -> tuple[object, ...]:
    return ("--config", root / "config.toml", "--root", root, "--cache", root / "cache")


def test_a_class_of_short_clips_is_refused_and_with_the_flag_named_everywhere(vskd: Command, tmp_path: Path) -> None:
    root = write(tmp_path / "own")
    refused = vskd("train", "forest", *words(root), "--out", tmp_path / "run")
    assert refused.code == 1
    assert "1 of 3 activities have no training window: wave (no window at all)" in refused.err
    assert "--allow-missing-classes" in refused.err
    assert not (tmp_path / "run").exists()
    done = vskd("train", "forest", *words(root), "--allow-missing-classes", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "windows of each activity (train/validation/test): jog " in done.err
    assert "MISSING: no training window of wave" in done.err
    assert "1 of 3 activities have no test window: wave" in done.err
    assert "note: 2 of 6 train recordings hold no window\n" in done.err
    assert "2 of 3" in done.err.split("worst subject")[1]
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    assert card["windows"]["by_class"]["wave"] == {"train": 0, "validation": 0, "test": 0}
    assert card["windows"]["by_class"]["walk"]["train"] > 0
    assert card["config"]["data"]["allow_missing_classes"]
    assert card["metrics"]["test"]["window"]["all"]["classes"] == 2
    assert card["metrics"]["test"]["window"]["all"]["of_classes"] == 3


def test_a_class_of_test_subjects_alone_is_refused_before_anything_is_trained(vskd: Command, tmp_path: Path) -> None:
    root = write(tmp_path / "own", short="", only="wave")
    for role in ("student", "forest"):
        refused = vskd("train", role, *words(root), "--out", tmp_path / "run")
        assert refused.code == 1
        assert "no training window: wave (" in refused.err
        assert "of test)" in refused.err
        assert not (tmp_path / "run").exists()


def test_a_subject_of_whom_no_window_is_left_is_named(vskd: Command, tmp_path: Path) -> None:
    root = write(tmp_path / "own", short="")
    for path in (root / "sensors").glob("dan_[jw]a*.csv"):
        path.write_text("\n".join(path.read_text().split("\n")[:51]))
    for path in (root / "sensors").glob("bob_*.csv"):
        path.write_text("\n".join(path.read_text().split("\n")[:51]))
    done = vskd("train", "forest", *words(root), "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "note: 3 of 6 train recordings hold no window, so nothing is left of the subjects bob\n" in done.err
    assert "note: 2 of 3 test recordings hold no window\n" in done.err
    evaluated = vskd("evaluate", tmp_path / "run", "--root", root, "--cache", root / "cache")
    assert evaluated.code == 0, evaluated.err
    assert "without a window, and not tested: 2 test recordings" in evaluated.err


def test_a_draw_of_subjects_that_leaves_a_class_without_a_label_is_warned_of(vskd: Command, tmp_path: Path) -> None:
    root = write(tmp_path / "own", short="")
    rows = [row.split(",") for row in (root / "clips.csv").read_text().split("\n")[1:] if row]
    write_table(root, [row for row in rows if (row[1], row[2]) != ("ann", "wave")], HEADER)
    labelled = ("--set", 'labels.subjects=["ann"]', "--set", "data.train_on_validation=true")
    done = vskd("train", "forest", *words(root), *labelled, "--set", "data.validation_subjects=[]",
                "--out", tmp_path / "run")  # fmt: skip
    assert "warning: no labelled window of wave" in done.err
    assert done.code == 0, done.err


def test_a_clip_without_a_label_excuses_no_class(vskd: Command, tmp_path: Path) -> None:
    """It may join distillation, but nobody withheld its label."""
    root = write(tmp_path / "own")
    rows = [row.split(",") for row in (root / "clips.csv").read_text().split("\n")[1:] if row]
    write_table(root, [[*row[:2], "" if row[0] == "ann_walk" else row[2], *row[3:]] for row in rows], HEADER)
    refused = vskd("train", "forest", *words(root), "--out", tmp_path / "run")
    assert refused.code == 1
    assert "1 of 3 activities have no training window: wave" in refused.err


def test_what_is_missing_is_refused_or_warned_of() -> None:
    counts = {"jog": {"train": 5, "test": 1}, "walk": {"train": 2, "test": 0}, "wave": {"train": 0, "test": 3}}
    assert without_training(counts) == ["wave"]
    with pytest.raises(ConfigError, match=r"1 of 3 activities have no training window: wave \(3 of test\)"):
        refuse_untaught(counts, allowed=False)
    refuse_untaught(counts, allowed=True)
    assert in_words(counts, withheld=False) == [
        "windows of each activity (train/test): jog 5/1, walk 2/0, wave 0/3",
        "MISSING: no training window of wave: never found, though listed",
        "note: 1 of 3 activities have no test window: walk",
    ]
    assert "warning: no labelled window of wave" in in_words(counts, withheld=True)[1]


def test_a_table_says_all_of_no_fewer() -> None:
    scores = {"count": 4, "accuracy": 1.0, "macro_f1": 1.0, "worst_subject": "a", "worst_accuracy": 1.0}
    old = {"all": scores}
    fewer = {"all": scores | {"classes": 2, "of_classes": 3}, "wrist": scores | {"classes": 1, "of_classes": 2}}
    table = metrics_table("t", {"test": {"window": fewer, "recording": old}})
    assert [row[2] for row in table.rows] == ["2 of 3", "wrist, 1 of 2", "all"]


def test_a_temperature_at_a_bound_is_a_warning() -> None:
    def metrics(**temperature: object) -> dict[str, object]:
        return {"calibration": {"temperature": {"value": 20.0, **temperature}}}

    high, low = (temperature_warning(metrics(at_bound=True, value=value)) for value in (20.0, 0.05))
    assert "the temperature 20 is at a bound of its fit, 0.05 to 20: validation windows are recognised no" in high
    # At this bound nothing is wrong, and the page shows a calibration error of 0: it must not deny that.
    assert "hardly a validation window is wrong" in low
    assert "not calibrated" not in low
    assert temperature_warning(metrics(at_bound=False)) == ""
    assert temperature_warning(metrics()) == ""
