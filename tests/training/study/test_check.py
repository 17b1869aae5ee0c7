"""What a study refuses before its first cell, each by the command's own path; nothing is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.study.tiny_study import STUDY, WriteStudy
from vskd.errors import ConfigError, DataError, VskdError
from vskd_training.evaluation.classes import class_windows
from vskd_training.study import check, running
from vskd_training.study.check import StudyData, check_study, first_seeds
from vskd_training.study.plan import Study, open_study
from vskd_training.study.running import run_study

BY_SUBJECT = STUDY.replace('set = ["', 'set = ["data.protocol=leave-one-subject-out", "')


def with_set(text: str, arm: str, *changes: str) -> str:
    """The study with changes to one arm."""
    listed = ", ".join(f"'{change}'" for change in changes)
    return text.replace(f'name = "{arm}"', f'name = "{arm}"\nset = [{listed}]', 1)


def test_a_sound_study_passes(study: Study, tiny_cache: Path) -> None:
    check_study(study, StudyData(None, tiny_cache))


def test_every_item_and_fold_is_looked_at_once(write_study: WriteStudy) -> None:
    study = open_study(write_study(BY_SUBJECT), root=None)
    found = [(cell.item, cell.fold) for cell in first_seeds(study)]
    assert len(found) == len(set(found)) == 4 * 4


def test_windows_are_counted_as_they_are_cut(study: Study, tiny_cache: Path) -> None:
    data = StudyData(None, tiny_cache)
    for cell in first_seeds(study):
        experiment = data.experiment(cell)
        for part in ("train", "test"):
            rows = getattr(experiment.split, part)
            assert data.windows(cell, rows) == len(experiment.windows(part))  # type: ignore[arg-type]
            assert len(rows) > 0


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            with_set(
                STUDY, "again", "data.protocol=fixed", 'data.test_subjects=["2"]', 'data.train_subjects=["1","3"]'
            ),
            ConfigError,
            r"again was tested on 2, alone on 2, 4, so they cannot be compared. Give both arms the same \[data\]",
        ),
        (
            STUDY.replace('set = ["', 'set = ["data.protocol=fixed", \'data.test_subjects=["2"]\', "'),
            ConfigError,
            r"distilled and alone would be compared over one test subject \(2\).*two are needed. Take data",
        ),
        (
            with_set(STUDY, "camera", 'data.validation_subjects=["3"]', "data.train_on_validation=false"),
            ConfigError,
            r"the cell distilled/all/seed-0 cannot be trained: its teacher 'camera' knows another split: train is",
        ),
        (
            with_set(STUDY, "alone", "window.samples=4096"),
            DataError,
            r"the cell alone/all/seed-0 cannot be trained: its \d+ training recordings hold 0 windows of 163.84 s, and",
        ),
        (
            with_set(STUDY, "alone", "window.samples=32"),
            ConfigError,
            r"again/all/seed-0 cannot be trained: its teacher 'alone' is a student that reads other windows",
        ),
        (
            with_set(STUDY, "camera", "teacher.backbone=joints"),
            ConfigError,
            r"camera/all/seed-5 cannot be trained: the teacher 'joints' does not take the view 'rendered'",
        ),
        (
            STUDY.replace('set = ["', 'set = [\'data.subjects=["1", "9"]\', "'),
            ConfigError,
            r"data.subjects names '9', of which there is no recording",
        ),
    ],
    ids=["other test subjects", "one test subject", "other split", "windows", "other windows", "network", "subject"],
)
def test_what_cannot_be_trained_or_compared_is_refused_before_the_first_cell(
    write_study: WriteStudy,
    tiny_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    kind: type[VskdError],
    message: str,
) -> None:
    monkeypatch.setattr(running, "attempt_cell", lambda *_, **__: pytest.fail("a cell was trained"))

    def run() -> None:
        study = open_study(write_study(text), root=None)
        run_study(study, tmp_path / "out", root=None, cache=tiny_cache, jobs=1, progress=lambda *_: None)

    with pytest.raises(kind, match=message) as raised:
        run()
    assert raised.value.hint
    assert not (tmp_path / "out" / "cells").exists()


def test_a_study_of_one_arm_may_have_one_test_subject(write_study: WriteStudy, tiny_cache: Path) -> None:
    """Nothing is compared there."""
    one = STUDY.partition("[[teacher]]")[0] + '[[arm]]\nname = "alone"\n'
    text = one.replace('set = ["', 'set = ["data.protocol=fixed", \'data.test_subjects=["2"]\', "')
    check_study(open_study(write_study(text), root=None), StudyData(None, tiny_cache))


def test_classes_are_counted_as_training_counts_them(
    study: Study, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, seen = StudyData(None, tiny_cache), []
    monkeypatch.setattr(check, "refuse_untaught", lambda counts, *, allowed: seen.append((counts, allowed)))
    check_study(study, data)
    for cell, (counts, allowed) in zip(first_seeds(study), seen, strict=True):
        expected = class_windows(data.experiment(cell))
        assert not allowed
        for label, sides in expected.items():
            assert {side: counts[label][side] for side in sides if side != "validation"} == {
                side: count for side, count in sides.items() if side != "validation"
            }
