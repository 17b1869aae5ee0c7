"""Scarce labels: whose are known, who validates, and that the others are not read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment
from vskd_training.data.labels import sides
from vskd_training.data.windows import UNLABELLED
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.loop.fit import Progress
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.runs.run import Run
from vskd_training.settings import Config, DataConfig, LabelsConfig, load_config

INFOS = tuple(
    RecordingInfo(f"a{action}_s{subject}_t{trial}", str(subject), f"action{action}", trial)
    for action in range(1, 4)
    for subject in range(1, 9)
    for trial in range(1, 5)
)


def data(**changes: object) -> DataConfig:
    return DataConfig(**{"dataset": "utd-mhad", "view": "joints", **changes})  # type: ignore[arg-type]


def subjects(rows: tuple[int, ...]) -> set[str]:
    return {INFOS[row].subject for row in rows}


def test_of_two_labelled_subjects_one_trains_and_one_validates() -> None:
    found = sides(INFOS, data(), LabelsConfig(subjects=("1", "3")))
    assert (found.split.train_subjects, found.split.validation_subjects) == (("1",), ("3",))
    assert found.unlabelled_subjects == ("5", "7")
    assert found.split.test_subjects == ("2", "4", "6", "8")
    assert subjects(found.split.train) == {"1"}
    assert subjects(found.split.validation) == {"3"}
    assert subjects(found.unlabelled) == {"5", "7"}


def test_in_the_reported_run_both_train_and_there_is_no_validation() -> None:
    found = sides(INFOS, data(train_on_validation=True), LabelsConfig(subjects=("1", "3")))
    assert (found.split.train_subjects, found.split.validation_subjects) == (("1", "3"), ())
    assert subjects(found.split.train) == {"1", "3"}
    assert found.split.validation == ()
    assert found.unlabelled_subjects == ("5", "7")


def test_whoever_trains_is_named_in_natural_order() -> None:
    infos = [RecordingInfo(f"s{number}", str(number), "walk", 1) for number in range(1, 15)]
    found = sides(infos, data(train_on_validation=True), LabelsConfig())
    assert found.split.train_subjects == ("1", "3", "5", "7", "9", "11", "13")


def test_without_the_section_nothing_is_withheld() -> None:
    everybody = sides(INFOS, data(), LabelsConfig())
    assert (everybody.unlabelled, everybody.unlabelled_subjects) == ((), ())
    assert everybody.split.validation_subjects == ("7",)
    named = sides(INFOS, data(validation_subjects=("1",)), LabelsConfig())
    assert named.split.train_subjects == ("3", "5", "7")


def test_validation_subjects_can_be_named_among_the_labelled() -> None:
    found = sides(INFOS, data(validation_subjects=("1",)), LabelsConfig(subjects=("1", "3", "5")))
    assert (found.split.train_subjects, found.split.validation_subjects) == (("3", "5"), ("1",))
    assert found.unlabelled_subjects == ("7",)


@given(st.integers(1, 7), st.integers(0, 50), st.sampled_from("12345678"), st.booleans())
def test_every_recording_is_on_one_side_only(count: int, seed: int, fold: str, reported: bool) -> None:
    reported = reported or count == 1
    settings = data(protocol="leave-one-subject-out", fold=fold, train_on_validation=reported)
    found = sides(INFOS, settings, LabelsConfig(count=count, seed=seed))
    split = found.split
    rows = [*split.train, *split.validation, *split.test, *found.unlabelled]
    assert sorted(rows) == list(range(len(INFOS)))
    assert split.test_subjects == (fold,)
    assert len(split.train_subjects) + len(split.validation_subjects) == count
    assert len(found.unlabelled_subjects) == 7 - count
    assert found == sides(INFOS, settings, LabelsConfig(count=count, seed=seed))


def test_the_draw_differs_by_seed_and_by_fold() -> None:
    def drawn(fold: str, seed: int) -> tuple[str, ...]:
        settings = data(protocol="leave-one-subject-out", fold=fold, train_on_validation=True)
        return sides(INFOS, settings, LabelsConfig(count=2, seed=seed)).split.train_subjects

    assert len({drawn("1", seed) for seed in range(20)}) > 5
    assert len({drawn(fold, 0) for fold in "12345678"}) > 3


@pytest.mark.parametrize(
    ("settings", "labels", "message"),
    [
        ({}, {"subjects": ("1", "2")}, "names '2', who is not on the training side"),
        ({}, {"count": 5}, "labels.count is 5, and the training side has 4 subjects"),
        ({}, {"subjects": ("1",)}, r"\(1\) all validate, and none is left.*train_on_validation = true"),
        ({"validation_subjects": ("5",)}, {"subjects": ("1", "3")}, "'5' is not among the labelled subjects"),
        (
            {"protocol": "subject-specific", "allow_leak": True},
            {"subjects": ("1",)},
            "subject-specific has the same subjects on every side",
        ),
    ],
)
def test_labels_that_cannot_be_are_refused(
    settings: dict[str, object], labels: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        sides(INFOS, data(**settings), LabelsConfig(**labels))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"subjects": ("1",), "count": 1}, "exclude each other"),
        ({"subjects": ("1", "1")}, "names a subject twice: 1, 1"),
        ({"count": -1}, "must not be negative, got -1"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(labels: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelsConfig(**labels)  # type: ignore[arg-type]


# --- single recordings without a label --------------------------------------------------------------------------------


def without_labels(nameless: set[int], *, groups: tuple[str, ...] = ()) -> tuple[RecordingInfo, ...]:
    """Some recordings lose their label; a column `part` holds one of the groups in turn."""
    return tuple(
        dataclasses.replace(
            info,
            label="" if row in nameless else info.label,
            groups={"part": groups[row % len(groups)]} if groups else {},
        )
        for row, info in enumerate(INFOS)
    )


PROTOCOLS: list[dict[str, object]] = [
    {},
    {"train_on_validation": True},
    {"protocol": "leave-one-subject-out", "fold": "3"},
    {"protocol": "subject-folds", "fold_count": 3, "fold": "2"},
    {"protocol": "fixed", "test_subjects": ("1", "2")},
    {"protocol": "fixed", "test_subjects": ("1", "2"), "train_subjects": ("3", "4", "5")},
    {"protocol": "subject-specific", "allow_leak": True},
]


@given(st.sets(st.integers(0, len(INFOS) - 1), max_size=40), st.sampled_from(PROTOCOLS))
def test_recordings_without_a_label_join_training_subjects_or_none(
    nameless: set[int], settings: dict[str, object]
) -> None:
    infos = without_labels(nameless)
    found = sides(infos, data(**settings), LabelsConfig())
    labelled = [row for row in range(len(INFOS)) if row not in nameless]
    split = sides([INFOS[row] for row in labelled], data(**settings), LabelsConfig()).split
    for part in ("train", "validation", "test"):
        assert getattr(found.split, part) == tuple(labelled[row] for row in getattr(split, part))
    assert sorted([*found.unlabelled, *found.unused]) == sorted(nameless)
    apart = {*found.split.validation_subjects, *found.split.test_subjects}
    assert subjects(found.unlabelled).isdisjoint(apart)
    for row in found.unused:
        subject = INFOS[row].subject
        assert subject in apart or subject not in found.split.train_subjects
    assert subjects(found.unlabelled) == set(found.unlabelled_subjects)


def rows_of(subject: str) -> set[int]:
    return {row for row, info in enumerate(INFOS) if info.subject == subject}


@pytest.mark.parametrize(
    ("settings", "joins"),
    [
        ({"protocol": "leave-one-subject-out", "fold": "1"}, ("5", "6")),
        ({}, ("5",)),
        ({"protocol": "fixed", "test_subjects": ("1",)}, ("5", "6")),
        ({"protocol": "fixed", "test_subjects": ("1",), "train_subjects": ("2", "3", "6")}, ("6",)),
    ],
    ids=["left out", "odd and even", "everybody else", "listed"],
)
def test_subjects_without_any_label_are_where_the_protocol_has_them(
    settings: dict[str, object], joins: tuple[str, ...]
) -> None:
    infos = without_labels(rows_of("5") | rows_of("6"))
    found = sides(infos, data(**settings), LabelsConfig())
    assert found.unlabelled_subjects == joins
    assert {*found.split.train_subjects, *found.split.validation_subjects}.isdisjoint({"5", "6"})
    assert len(found.unlabelled) + len(found.unused) == len(rows_of("5")) * 2


def test_a_column_says_of_each_recording_where_it_may_be_heard() -> None:
    column = {"protocol": "column", "split_column": "part"}
    nameless = rows_of("1") | rows_of("2")
    infos = without_labels(nameless, groups=("train", "train", "validation", "test"))
    # Everybody else has recordings in every part, so the split leaks; 1 and 2 have no label and test nothing.
    found = sides(infos, data(**column, allow_leak=True), LabelsConfig())
    assert {infos[row].groups["part"] for row in found.unlabelled} == {"train"}
    assert {infos[row].groups["part"] for row in found.unused} == {"validation", "test"}
    folded = without_labels(nameless, groups=("1", "2"))
    found = sides(folded, data(**column, fold="2", allow_leak=True), LabelsConfig())
    assert {folded[row].groups["part"] for row in found.unlabelled} == {"1"}
    assert {folded[row].groups["part"] for row in found.unused} == {"2"}


def test_withheld_subjects_and_recordings_without_a_label_join_alike() -> None:
    infos = without_labels({0, *rows_of("5"), *rows_of("2")})
    found = sides(infos, data(train_on_validation=True), LabelsConfig(subjects=("1", "3")))
    assert INFOS[0].subject == "1"
    assert 0 in found.unlabelled
    assert 0 not in found.split.train
    assert found.unlabelled_subjects == ("1", "5", "7")
    assert found.unused == tuple(sorted(rows_of("2")))


def test_a_training_list_without_a_label_is_refused() -> None:
    settings = data(protocol="fixed", test_subjects=("1",), train_subjects=("5", "6"))
    with pytest.raises(ConfigError, match=r"none of data\.train_subjects has a recording with a label: 5, 6"):
        sides(without_labels(rows_of("5") | rows_of("6")), settings, LabelsConfig())


# --- from the config to the weights ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scarce_config(tiny_config_file: Path) -> Config:
    """Of the training subjects 1 and 3, only 1 is labelled."""
    changes = ('labels.subjects=["1"]', "data.train_on_validation=true", "student_training.steps=5")
    return load_config(tiny_config_file, changes=changes)


def taught(experiment: Experiment, folder: Path) -> tuple[Run, Run]:
    teacher = train_teacher(experiment, folder / "teacher")
    return teacher, train_student(experiment, folder / "student", teachers=[teacher])


@pytest.fixture(scope="module")
def scarce(scarce_config: Config, tiny_cache: Path) -> Experiment:
    return Experiment.open(scarce_config, root=None, cache=tiny_cache, progress=None)


def test_unlabelled_windows_carry_no_label(scarce: Experiment) -> None:
    assert set(scarce.windows("unlabelled").labels) == {UNLABELLED}
    assert set(scarce.windows("unlabelled").subjects) == {"3"}
    paired = scarce.paired_windows()
    assert set(paired.subjects) == {"1", "3"}
    assert len(paired) == len(scarce.windows("train")) + len(scarce.windows("unlabelled"))
    assert len(set(paired.ids)) == len(paired)


def test_labels_of_unlabelled_subjects_are_not_used(scarce: Experiment, tmp_path: Path) -> None:
    """Replace them by garbage that is no class at all: not a byte of teacher or student changes."""
    garbage = Experiment(scarce.config, scarce.prepared, scarce.sides, scarce.contract)
    prepared = _with_infos(
        scarce,
        tuple(
            dataclasses.replace(info, label="garbage") if row in scarce.sides.unlabelled else info
            for row, info in enumerate(scarce.prepared.infos)
        ),
    )
    garbage = dataclasses.replace(garbage, prepared=prepared)
    with_labels, without = taught(scarce, tmp_path / "a"), taught(garbage, tmp_path / "b")
    for one, other in zip(with_labels, without, strict=True):
        for name in ("model.safetensors", "run.json"):
            assert (one.path / name).read_bytes() == (other.path / name).read_bytes()
    card = with_labels[1].card
    assert card["data"]["split"]["unlabelled"] == ["3"]
    assert card["data"]["split"]["train"] == ["1"]


def _with_infos(experiment: Experiment, infos: tuple[RecordingInfo, ...]) -> object:
    prepared = experiment.prepared
    changed = object.__new__(type(prepared))
    changed.__dict__.update(prepared.__dict__, infos=infos)
    return changed


def test_unlabelled_pairs_change_the_student(scarce: Experiment, tmp_path: Path) -> None:
    teacher, student = taught(scarce, tmp_path)
    nobody = dataclasses.replace(scarce.sides, unlabelled=())
    without = dataclasses.replace(scarce, sides=nobody)
    without.windows("train")
    card = {**teacher.card, "data": without.data_card()}
    other = train_student(without, tmp_path / "other", teachers=[dataclasses.replace(teacher, card=card)])
    assert other.card["weights_sha256"] != student.card["weights_sha256"]


def test_arms_take_equally_many_steps(scarce: Experiment, tmp_path: Path) -> None:
    """With two subjects' windows and with one's: 5 steps each, though an epoch has more of them for two."""
    counted: dict[str, int] = {}

    def count(name: str) -> Progress:
        def progress(done: int, total: int, parts: dict[str, float]) -> None:
            del parts
            assert total == 5
            counted[name] = done

        return progress

    teacher = train_teacher(scarce, tmp_path / "teacher")
    train_student(scarce, tmp_path / "alone", teachers=(), progress=count("alone"))
    train_student(scarce, tmp_path / "both", teachers=[teacher], progress=count("both"))
    assert counted == {"alone": 5, "both": 5}
    assert len(scarce.paired_windows()) > len(scarce.windows("train"))


def test_a_teacher_who_knows_other_labels_is_refused(scarce: Experiment, tiny_cache: Path, tmp_path: Path) -> None:
    teacher = train_teacher(scarce, tmp_path / "teacher")
    config = dataclasses.replace(scarce.config, labels=LabelsConfig(subjects=("3",)))
    other = Experiment.open(config, root=None, cache=tiny_cache, progress=None)
    with pytest.raises(ConfigError, match=r"knows another split.*the sections data and labels"):
        train_student(other, tmp_path / "student", teachers=[teacher])
    assert np.array_equal(other.sides.unlabelled, scarce.split.train)
