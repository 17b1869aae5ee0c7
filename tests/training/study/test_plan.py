"""A study file and the cells that it makes: who is trained on whom, taught by whom, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest

from training.study.tiny_study import ENSEMBLE, STUDY, WriteStudy
from vskd.errors import ConfigError
from vskd_training.data.labels import sides
from vskd_training.data.sources import open_source
from vskd_training.study.plan import Study, open_study

STUDIES = Path(__file__).parents[3] / "training" / "studies"


def test_teachers_come_first_and_each_cell_names_its_own(study: Study) -> None:
    taught = {cell.name: cell.taught_by for cell in study.cells}
    assert next(iter(taught)) == "camera/all/seed-5"
    assert taught["alone/all/seed-1"] == ()
    assert taught["distilled/all/seed-1"] == ("camera/all/seed-5",)
    assert taught["again/all/seed-1"] == ("alone/all/seed-1",)
    assert len(study.cells) == 7


def test_the_hashes_are_those_of_the_study_and_its_config(write_study: WriteStudy) -> None:
    path = write_study(STUDY)
    files = {"study": path, "config": path.with_name("tiny.toml")}
    assert open_study(path, root=None).sha256 == {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()
    }


def test_a_cell_trains_with_the_seed_and_the_fold_in_its_name(write_study: WriteStudy) -> None:
    by_fold = 'set = ["data.protocol=leave-one-subject-out", "labels.count=1", "'
    opened = open_study(write_study(STUDY.replace('set = ["', by_fold)), root=None)
    assert len(opened.cells) == 4 * 7
    for cell in opened.cells:
        assert cell.name == f"{cell.item}/fold-{cell.fold}/seed-{cell.seed}"
        assert (cell.config.seed, cell.config.data.fold) == (cell.seed, cell.fold)
    assert {cell.fold for cell in opened.cells} == set("1234")
    assert opened.cells[-1].taught_by == ("alone/fold-4/seed-1",)


def test_changes_reach_the_cells_that_they_are_for(write_study: WriteStudy) -> None:
    text = STUDY.replace("seeds = [5]", 'seeds = [5]\nset = ["teacher.width=0.25"]')
    text = text.replace('teacher = "camera"', 'teacher = "camera"\nset = ["loss.kd=0.75"]')
    opened = open_study(write_study(text), root=None)
    assert {cell.config.student_training.steps for cell in opened.cells} == {2}
    assert {cell.item for cell in opened.cells if cell.config.teacher.width == 0.25} == {"camera"}
    assert {cell.item for cell in opened.cells if cell.config.loss.kd == 0.75} == {"distilled"}


def test_teachers_are_of_the_same_fold(write_study: WriteStudy) -> None:
    text = (STUDY + ENSEMBLE).replace('set = ["', 'set = ["data.protocol=leave-one-subject-out", "labels.count=1", "')
    opened = open_study(write_study(text), root=None)
    for cell in opened.cells:
        assert all(f"/fold-{cell.fold}/" in name for name in cell.taught_by)
        assert len(cell.taught_by) == {"camera": 0, "alone": 0, "distilled": 1, "again": 1, "last": 3}[cell.item]


def test_the_subject_of_a_fold_is_tested_and_on_no_other_side(write_study: WriteStudy) -> None:
    text = STUDY.replace('set = ["', 'set = ["data.protocol=leave-one-subject-out", "labels.count=1", "')
    for cell in open_study(write_study(text), root=None).cells:
        infos = open_source(cell.config.data, None).infos()
        made = sides(infos, cell.config.data, cell.config.labels)
        split = made.split
        known = {infos[row].subject for row in (*split.train, *split.validation, *made.unlabelled)}
        assert {infos[row].subject for row in split.test} == {cell.fold}
        assert known == set("1234") - {cell.fold}


def test_members_teach_together_with_all_their_seeds(write_study: WriteStudy) -> None:
    opened = open_study(write_study(STUDY + ENSEMBLE), root=None)
    teachers = ("camera/all/seed-5", "alone/all/seed-0", "alone/all/seed-1")
    assert {cell.seed: cell.taught_by for cell in opened.cells_of("last")} == {0: teachers, 1: teachers}
    assert opened.cells_of("both") == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "seeds = []", r"needs at least one seed and one \[\[arm\]\]"),
        ("seeds = [0, 1]", "seeds = [1, 1]", r"must differ and not be negative, got \[1, 1\]. Give each seed once"),
        ('name = "again"', 'name = "alone"', "are called 'alone'. Rename one of them"),
        ('name = "again"', 'name = "../again"', r"small letters, digits and hyphens, got '\.\./again'"),
        (
            'teacher = "camera"',
            'teacher = "camrea"',
            r"'camrea', which is no teacher and no student before it.*'camera'",
        ),
        ('teacher = "camera"', 'teacher = "again"', "'again', which is no teacher and no student before it"),
        ("[[teacher]]", '[[compare]]\narm = "x"\nagainst = "alone"\n[[teacher]]', "names 'x', which is no arm"),
        ("[[teacher]]", "[[teachers]]", r"unknown key 'teachers' in study.toml. Did you mean 'teacher'\?"),
        (
            "student_training.steps",
            "student_training.stops",
            "^student_training.stops=2: unknown key 'stops'",
        ),
        (
            'name = "again"',
            'name = "again"\nset = ["loss.hint=1"]',
            "^'again' of the study tiny: loss.hint=1: ",
        ),
        ("name = ", "name = = ", "study.toml is not TOML"),
        ('"camera", "alone"', '"camera", "alnoe"', "'alnoe', a member of the teacher 'both', is no student.*'alone'"),
        (
            '"camera", "alone"',
            '"both"',
            "'both', a member of the teacher 'both', is no student and no teacher with net",
        ),
        ('"camera", "alone"', '"last"', "'last' is taught by 'both'.* has a member that is not before it"),
        ('["camera", "alone"]', '["alone"]\nseeds = [0, 1]', "'both' is an ensemble of others, so it has no seeds"),
        ('name = "again"', 'name = "again"\nkind = "forest"', "'again' is a forest, which cannot be taught, .*'alone'"),
        ('name = "alone"', 'name = "alone"\nkind = "forest"', "'alone', a member of the teacher 'both', is no student"),
        ('name = "again"', 'name = "again"\nkind = "tree"', r"kind cannot be 'tree'"),
        ("members = ", "of = ", "unknown key 'of' in .*teacher.* It is called members now"),
        ("seeds = [5]", "cross_fitted = true", "unknown key 'cross_fitted' in .* It was removed"),
        ("seeds = [0, 1]", 'folds = ["1"]\nseeds = [0, 1]', "unknown key 'folds' in .* every fold of data.protocol"),
        ("seeds = [0, 1]", 'activities = "wrist"\nseeds = [0, 1]', "unknown key 'activities' in .* It was removed"),
    ],
)
def test_a_study_file_with_a_mistake_is_refused(write_study: WriteStudy, old: str, new: str, message: str) -> None:
    text = STUDY + ENSEMBLE
    assert old in text
    with pytest.raises(ConfigError, match=message):
        open_study(write_study(text.replace(old, new, 1)), root=None)


@pytest.mark.data
@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_studies_open(path: Path, utd_mhad_root: Path) -> None:
    of_package = path.stem.startswith("shoulder-watch")
    if of_package and importlib.util.find_spec("seglearn") is None:
        pytest.skip("install the extra shoulder-watch to run this test")
    opened = open_study(path, root=None if of_package else utd_mhad_root)
    teachers = {cell.name: cell.config for cell in opened.cells if cell.role == "teacher"}
    for cell in opened.cells:
        assert cell.config.data.train_on_validation
        for name in set(cell.taught_by) & set(teachers):
            assert (teachers[name].data, teachers[name].labels) == (cell.config.data, cell.config.labels)
