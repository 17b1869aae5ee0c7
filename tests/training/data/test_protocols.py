"""The splits: who is on which side, for UTD-MHAD and for any list of recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import ConfigError
from vskd_training.data import protocols
from vskd_training.data.protocols import PROTOCOLS, Split, refuse_leak
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.settings import DataConfig


def grid(
    *, subjects: list[str], labels: int, trials: int, missing: frozenset[tuple[int, str, int]] = frozenset()
) -> tuple[RecordingInfo, ...]:
    return tuple(
        RecordingInfo(f"a{action}_s{subject}_t{trial}", subject, f"action{action}", trial)
        for action in range(1, labels + 1)
        for subject in subjects
        for trial in range(1, trials + 1)
        if (action, subject, trial) not in missing
    )


#: The 861 trials of UTD-MHAD.
UTD = grid(
    subjects=[str(subject) for subject in range(1, 9)],
    labels=27,
    trials=4,
    missing=frozenset({(8, "1", 4), (23, "6", 4), (27, "8", 4)}),
)


def folds(infos: Sequence[RecordingInfo], protocol: str, **rules: Any) -> tuple[str, ...]:
    return protocols.folds(infos, DataConfig("folder", "none", protocol=protocol, **rules))


def make_split(infos: Sequence[RecordingInfo], protocol: str, *, fold: str | None, **rules: Any) -> Split:
    return protocols.make_split(infos, DataConfig("folder", "none", protocol=protocol, fold=fold or "", **rules))


#: Those that need no column and no list; three folds, so that three subjects are enough.
BY_SUBJECT_OR_TRIAL = [name for name in PROTOCOLS if name not in ("column", "fixed", "everybody")]
THREE = {"fold_count": 3}


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.validation), len(split.test)


def test_cross_subject_on_utd_mhad() -> None:
    split = make_split(UTD, "cross-subject", fold=None)
    assert sizes(split) == (323, 108, 430)
    assert (split.train_subjects, split.validation_subjects) == (("1", "3", "5"), ("7",))
    assert split.test_subjects == ("2", "4", "6", "8")
    assert not split.leaky


def test_subject_specific_on_utd_mhad_is_the_papers_and_is_stamped() -> None:
    split = make_split(UTD, "subject-specific", fold=None)
    assert len(split.train) + len(split.validation) == 432
    assert len(split.test) == 429
    assert split.leaky
    assert {UTD[i].trial for i in split.test} == {3, 4}
    assert {UTD[i].trial for i in split.validation} == {2}
    everybody = tuple("12345678")
    assert split.train_subjects == split.validation_subjects == split.test_subjects == everybody
    # A quarter decides; every subject and every action is on both sides, in equal parts.
    assert len(split.validation) == 108
    assert set(Counter(UTD[i].label for i in split.validation).values()) == {4}
    assert set(Counter(UTD[i].subject for i in split.validation).values()) <= {13, 14}
    assert len({UTD[i].label for i in split.train}) == 27


def test_leave_one_subject_out_on_utd_mhad() -> None:
    names = folds(UTD, "leave-one-subject-out")
    assert names == tuple("12345678")
    splits = [make_split(UTD, "leave-one-subject-out", fold=fold) for fold in names]
    assert [split.test_subjects for split in splits] == [(name,) for name in names]
    assert [len(split.test) for split in splits] == [107, 108, 108, 108, 108, 107, 108, 107]
    assert not any(split.leaky for split in splits)
    # Everybody decides once.
    assert sorted(split.validation_subjects for split in splits) == [(name,) for name in names]
    assert splits[7].validation_subjects == ("1",)


def test_the_other_protocols_have_no_folds() -> None:
    assert folds(UTD, "cross-subject") == folds(UTD, "subject-specific") == ()


def test_subjects_are_in_natural_order_and_a_quarter_decides() -> None:
    many = grid(subjects=[f"P{number}" for number in range(1, 17)], labels=2, trials=1)
    assert folds(many, "leave-one-subject-out")[:3] == ("P1", "P2", "P3")
    split = make_split(many, "cross-subject", fold=None)
    assert split.train_subjects == ("P1", "P3", "P5", "P7", "P9", "P11")
    assert split.validation_subjects == ("P13", "P15")
    left_out = make_split(many, "leave-one-subject-out", fold="P15")
    assert left_out.validation_subjects == ("P1", "P2", "P16")


def test_validation_subjects_can_be_named() -> None:
    split = make_split(UTD, "cross-subject", fold=None, validation_subjects=("1", "5"))
    assert (split.train_subjects, split.validation_subjects) == (("3", "7"), ("1", "5"))
    left_out = make_split(UTD, "leave-one-subject-out", fold="3", validation_subjects=("8",))
    assert (left_out.validation_subjects, left_out.test_subjects) == (("8",), ("3",))
    assert len(left_out.train_subjects) == 6


@given(
    subjects=st.lists(st.integers(0, 40), min_size=3, max_size=12, unique=True),
    labels=st.integers(2, 5),
    trials=st.integers(2, 5),
    protocol=st.sampled_from(BY_SUBJECT_OR_TRIAL),
    data=st.data(),
)
def test_no_recording_is_on_two_sides_and_none_is_lost(
    subjects: list[int], labels: int, trials: int, protocol: str, data: st.DataObject
) -> None:
    infos = grid(subjects=[f"s{subject}" for subject in subjects], labels=labels, trials=trials)
    enough = sum(subject % 2 for subject in subjects) >= 2 and any(subject % 2 == 0 for subject in subjects)
    if protocol == "cross-subject" and not enough:
        with pytest.raises(ConfigError, match="cross-subject leaves no recording for"):
            make_split(infos, protocol, fold=None)
        return
    names = folds(infos, protocol, **THREE)
    split = make_split(infos, protocol, fold=data.draw(st.sampled_from(names)) if names else None, **THREE)
    together = [*split.train, *split.validation, *split.test]
    assert sorted(together) == list(range(len(infos)))
    assert all(list(side) == sorted(side) for side in (split.train, split.validation, split.test))
    known = {infos[i].subject for i in (*split.train, *split.validation)}
    assert split.leaky == bool(known & {infos[i].subject for i in split.test})
    assert split.leaky == (protocol == "subject-specific")
    assert split == make_split(infos, protocol, fold=split.fold, **THREE)


@given(data=st.data())
def test_the_order_of_recordings_does_not_change_the_sides(data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(grid(subjects=["1", "2", "3", "5"], labels=3, trials=2)))
    protocol = data.draw(st.sampled_from(BY_SUBJECT_OR_TRIAL))
    names = folds(shuffled, protocol, **THREE)
    split = make_split(shuffled, protocol, fold=names[0] if names else None, **THREE)
    straight = sorted(shuffled, key=lambda info: info.id)
    again = make_split(straight, protocol, fold=names[0] if names else None, **THREE)
    assert {shuffled[i] for i in split.validation} == {straight[i] for i in again.validation}
    assert {shuffled[i] for i in split.test} == {straight[i] for i in again.test}


def with_groups(infos: tuple[RecordingInfo, ...], column: str, values: list[str]) -> tuple[RecordingInfo, ...]:
    return tuple(replace(info, groups={column: values[i % len(values)]}) for i, info in enumerate(infos))


@given(subjects=st.integers(3, 15), folds_wanted=st.integers(2, 15))
def test_every_subject_is_tested_in_exactly_one_of_the_folds(subjects: int, folds_wanted: int) -> None:
    infos = grid(subjects=[f"p{subject}" for subject in range(subjects)], labels=2, trials=1)
    rules = {"fold_count": folds_wanted}
    if folds_wanted > subjects:
        with pytest.raises(
            ConfigError, match=f"needs 2 to {subjects} folds for {subjects} subjects, got {folds_wanted}"
        ):
            folds(infos, "subject-folds", **rules)
        return
    if subjects - -(-subjects // folds_wanted) < 2:
        return
    splits = [make_split(infos, "subject-folds", fold=fold, **rules) for fold in folds(infos, "subject-folds", **rules)]
    tested = [subject for split in splits for subject in split.test_subjects]
    assert sorted(tested) == sorted({info.subject for info in infos})
    assert max(len(split.test_subjects) for split in splits) - min(len(split.test_subjects) for split in splits) <= 1
    assert not any(split.leaky for split in splits)


@given(subjects=st.integers(3, 40), count=st.integers(2, 12))
def test_validation_subjects_are_dealt_like_test_subjects(subjects: int, count: int) -> None:
    """Sorted by age, a side that is dealt holds young and old; and over five folds everybody validates once."""
    if count > subjects or subjects - -(-subjects // count) < 2:
        return
    infos = grid(subjects=[f"p{subject}" for subject in range(subjects)], labels=1, trials=1)
    rules = {"fold_count": count}
    splits = [make_split(infos, "subject-folds", fold=fold, **rules) for fold in folds(infos, "subject-folds", **rules)]
    for split in splits:
        assert len(split.validation_subjects) == max(1, (subjects - len(split.test_subjects)) // 4)
        ages = sorted(int(subject[1:]) for subject in split.validation_subjects)
        if len(ages) > 2:
            assert ages[-1] - ages[0] >= subjects / 3
    times = Counter(subject for split in splits for subject in split.validation_subjects)
    if count == 5 and subjects % count == 0:
        assert set(times.values()) == {1}


def test_a_column_that_says_the_sides_is_the_split() -> None:
    subjects = grid(subjects=["ann", "bob", "cem", "dan"], labels=2, trials=2)
    sides = {"ann": "train", "bob": "train", "cem": "validation", "dan": "test"}
    infos = tuple(replace(info, groups={"side": sides[info.subject]}) for info in subjects)
    rules = {"split_column": "side"}
    assert folds(infos, "column", **rules) == ()
    split = make_split(infos, "column", fold=None, **rules)
    assert (split.train_subjects, split.validation_subjects, split.test_subjects) == (
        ("ann", "bob"),
        ("cem",),
        ("dan",),
    )
    assert not split.leaky


def test_a_column_of_sessions_leaves_one_value_out_and_says_that_subjects_are_on_both_sides() -> None:
    infos = with_groups(grid(subjects=["1", "2", "3"], labels=2, trials=4), "session", ["1", "2", "3", "10"])
    rules = {"split_column": "session"}
    assert folds(infos, "column", **rules) == ("1", "2", "3", "10")
    split = make_split(infos, "column", fold="2", **rules)
    assert {infos[i].groups["session"] for i in split.test} == {"2"}
    assert {infos[i].groups["session"] for i in (*split.train, *split.validation)} == {"1", "3", "10"}
    assert split.validation_subjects == ("3",)
    assert split.leaky
    refuse_leak(split, allowed=True)
    with pytest.raises(ConfigError, match=r"column puts '1', '2', '3' into training and test.*--allow-leak"):
        refuse_leak(split, allowed=False)


def test_a_leak_names_three_subjects_and_counts_the_others() -> None:
    with pytest.raises(ConfigError, match="subject-specific puts '1', '2', '3' and 5 more into training and test"):
        refuse_leak(make_split(UTD, "subject-specific", fold=None), allowed=False)
    refuse_leak(make_split(UTD, "cross-subject", fold=None), allowed=False)


def test_fixed_lists_of_subjects() -> None:
    rules = {"train_subjects": ("1", "2", "3"), "test_subjects": ("7",)}
    split = make_split(UTD, "fixed", fold=None, **rules)
    assert (split.train_subjects, split.validation_subjects, split.test_subjects) == (("1", "2"), ("3",), ("7",))
    everybody_else = make_split(UTD, "fixed", fold=None, test_subjects=("7",), validation_subjects=("1",))
    assert everybody_else.train_subjects == ("2", "3", "4", "5", "6", "8")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, r"needs data\.test_subjects\. Name some of: 1, 2"),
        ({"test_subjects": ("9",)}, "names an unknown subject '9'"),
        ({"train_subjects": ("1", "2"), "test_subjects": ("2", "3")}, "names '2' for training and for test"),
    ],
)
def test_fixed_lists_that_cannot_be_meant(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_split(UTD, "fixed", fold=None, **rules)


def test_a_column_must_be_there_and_full() -> None:
    infos = with_groups(UTD, "session", ["1", ""])
    with pytest.raises(ConfigError, match=r"no column 'sesion' .*Did you mean 'session'\?"):
        make_split(infos, "column", fold=None, split_column="sesion")
    with pytest.raises(ConfigError, match="a1_s1_t2 has no value in the column 'session'"):
        make_split(infos, "column", fold=None, split_column="session")
    with pytest.raises(ConfigError, match="The data set has no further columns"):
        make_split(UTD, "column", fold=None, split_column="session")


# --- refusals -----------------------------------------------------------------------------------------------------


def test_an_unknown_protocol_is_refused_with_a_suggestion() -> None:
    for call in (lambda: make_split(UTD, "cross_subject", fold=None), lambda: folds(UTD, "cross_subject")):
        with pytest.raises(
            ConfigError, match=r"'cross_subject'\. Did you mean 'cross-subject'\? Known: column, cross-subject, "
        ):
            call()


def test_folds_are_asked_for_and_only_where_there_are_any() -> None:
    with pytest.raises(ConfigError, match=r"needs a fold\. Name the left-out subject: 1, 2, 3"):
        make_split(UTD, "leave-one-subject-out", fold=None)
    with pytest.raises(ConfigError, match="unknown fold '9' of leave-one-subject-out"):
        make_split(UTD, "leave-one-subject-out", fold="9")
    with pytest.raises(ConfigError, match="cross-subject has one split and no folds, got fold '1'"):
        make_split(UTD, "cross-subject", fold="1")


@pytest.mark.parametrize(
    ("protocol", "fold", "subject"),
    [
        ("cross-subject", None, "2"),
        ("leave-one-subject-out", "4", "4"),
        ("leave-one-subject-out", "4", "99"),
    ],
)
def test_a_validation_subject_must_be_a_training_subject(protocol: str, fold: str | None, subject: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{subject}' is not among the training subjects of {protocol}"):
        make_split(UTD, protocol, fold=fold, validation_subjects=(subject,))


def test_subject_specific_takes_no_validation_subjects() -> None:
    with pytest.raises(ConfigError, match="takes its validation by trial"):
        make_split(UTD, "subject-specific", fold=None, validation_subjects=("1",))


def test_somebody_must_be_left_to_train() -> None:
    with pytest.raises(
        ConfigError, match="leaves no recording for train: the data set has 861 recordings of 8 subjects"
    ):
        make_split(UTD, "cross-subject", fold=None, validation_subjects=("1", "3", "5", "7"))


def test_subjects_without_numbers_are_neither_odd_nor_even() -> None:
    named = grid(subjects=["ann", "bob", "cem"], labels=2, trials=2)
    with pytest.raises(ConfigError, match=r"'ann' ends in none\. Take leave-one-subject-out"):
        make_split(named, "cross-subject", fold=None)
    assert make_split(named, "leave-one-subject-out", fold="bob").train_subjects == ("ann",)
