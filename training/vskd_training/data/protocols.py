"""Training, validation and test subjects: the splits of the literature over any list of recordings.

This module knows recordings by their ``RecordingInfo`` only, and of a config the keys that split. It does not read
samples and does not cut windows; windows follow their recording, so that no recording is on two sides.

Validation is always taken from the training side, by default about a quarter of it:

- ``cross-subject``: the last quarter of the training subjects, at least one. On UTD-MHAD that is subject 7, as in the
  published 1, 3, 5 / 7 / 2, 4, 6, 8 split.
- ``leave-one-subject-out``: the quarter that follows the left-out subject, in a circle. Over all folds every subject
  validates equally often, so that no one subject's habits choose every model.
- ``subject-specific``: of the last training trial every second pair of subject and action, as on a chessboard, so that
  every subject and every action is on both sides.
- ``subject-folds``: subjects in natural order are dealt into k folds; one fold is tested, and a quarter of the others
  validates, dealt in the same way.
- ``column``: a further column of the table. One that holds ``train``, ``validation`` and ``test`` is the split; of any
  other the fold names the value that is tested, and the last quarter of the other subjects validates.
- ``fixed``: lists of subjects.
- ``everybody``: all subjects train, for a network that ships after a study; nobody validates, and nobody is tested.

A split with one subject on both sides says nothing about new subjects: ``refuse_leak`` refuses it unless allowed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from vskd.errors import ConfigError, did_you_mean
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.settings import DataConfig

SUBJECT_SPECIFIC = "subject-specific"
CROSS_SUBJECT = "cross-subject"
LEAVE_ONE_SUBJECT_OUT = "leave-one-subject-out"
SUBJECT_FOLDS = "subject-folds"
COLUMN = "column"
FIXED = "fixed"
EVERYBODY = "everybody"
PROTOCOLS = (SUBJECT_SPECIFIC, CROSS_SUBJECT, LEAVE_ONE_SUBJECT_OUT, SUBJECT_FOLDS, COLUMN, FIXED, EVERYBODY)
SIDES = ("train", "validation", "test")

_VALIDATION_PARTS = 4


@dataclass(frozen=True)
class Split:
    """Recordings on three sides, none on two.

    Attributes
    ----------
    protocol : its name
    fold : the left-out subject, group of subjects or value; None where the protocol has one split only
    train, validation, test : indices into ``infos``, ascending
    train_subjects, validation_subjects, test_subjects : those on each side, in natural order
    leaky : a test subject is in training or validation. Such a result says nothing about new subjects
    """

    protocol: str
    fold: str | None
    train: tuple[int, ...] = ()
    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()
    train_subjects: tuple[str, ...] = ()
    validation_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()
    leaky: bool = False


def folds(infos: Sequence[RecordingInfo], data: DataConfig) -> tuple[str, ...]:
    """The folds of a config's protocol, in natural order; empty where it has one split only.

    Raises
    ------
    ConfigError : an unknown protocol or column, or more folds than subjects
    """
    if data.protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {data.protocol!r}", hint=did_you_mean(data.protocol, PROTOCOLS))
    if data.protocol == LEAVE_ONE_SUBJECT_OUT:
        return subjects_of(infos)
    if data.protocol == SUBJECT_FOLDS:
        subjects = len(subjects_of(infos))
        if not 2 <= data.fold_count <= subjects:
            raise ConfigError(
                f"{SUBJECT_FOLDS} needs 2 to {subjects} folds for {subjects} subjects, got {data.fold_count}"
            )
        return tuple(str(number) for number in range(1, data.fold_count + 1))
    if data.protocol == COLUMN:
        values = set(_values(infos, data.split_column))
        return () if _are_sides(values) else tuple(sorted(values, key=natural))
    return ()


def make_split(infos: Sequence[RecordingInfo], data: DataConfig) -> Split:
    """Split every recording by a config's protocol, one of ``PROTOCOLS``, with its fold and its rules.

    Raises
    ------
    ConfigError : an unknown protocol, fold, column or subject, or a side without recordings
    """
    fold = data.fold or None
    _check_fold(data.protocol, fold, folds(infos, data))
    if data.protocol == EVERYBODY:
        return on_sides(infos, Split(EVERYBODY, None), train=range(len(infos)), validation=(), test=())
    if data.protocol == SUBJECT_SPECIFIC:
        return _subject_specific(infos, data.validation_subjects)
    if data.protocol == COLUMN:
        return _by_column(infos, data.split_column, fold, data.validation_subjects)
    training, test = _subjects_by_side(infos, data)
    validating = data.validation_subjects or training[-quarter(training) :]
    _check_validation(data.protocol, validating, training)

    def rows(subjects: Collection[str]) -> list[int]:
        return [row for row, info in enumerate(infos) if info.subject in subjects]

    return _split(infos, data.protocol, fold, rows({*training} - {*validating}), rows(validating), rows(test))


def refuse_leak(split: Split, *, allowed: bool) -> None:
    """Refuse a split that tests subjects who were trained on, unless that was allowed.

    Raises
    ------
    ConfigError : the split is leaky and not allowed
    """
    if not split.leaky or allowed:
        return
    shared = [
        subject for subject in split.test_subjects if subject in {*split.train_subjects, *split.validation_subjects}
    ]
    raise ConfigError(
        f"{split.protocol} puts {_some(shared)} into training and test, so its result says nothing about new subjects",
        hint=f"Take {LEAVE_ONE_SUBJECT_OUT} or {SUBJECT_FOLDS}, or add --allow-leak (data.allow_leak = true), which "
        "stamps every report LEAKY",
    )


def _some(subjects: Sequence[str]) -> str:
    named = ", ".join(repr(subject) for subject in subjects[:3])
    return named if len(subjects) <= 3 else f"{named} and {len(subjects) - 3} more"


def _subjects_by_side(infos: Sequence[RecordingInfo], data: DataConfig) -> tuple[list[str], list[str]]:
    """Training subjects, the last quarter of whom validates by default, and test subjects."""
    subjects = list(subjects_of(infos))
    if data.protocol == FIXED:
        return _fixed(subjects, data)
    if data.protocol == CROSS_SUBJECT:
        training = [subject for subject in subjects if trains_cross_subject(subject)]
        return training, [subject for subject in subjects if subject not in training]
    if data.protocol == SUBJECT_FOLDS:
        return _dealt(subjects, int(data.fold) - 1, data.fold_count)
    # In a circle, so that those who follow the test subject come last.
    at = subjects.index(data.fold)
    return [*reversed([*subjects[at + 1 :], *subjects[:at]])], [data.fold]


def _dealt(subjects: Sequence[str], fold: int, count: int) -> tuple[list[str], list[str]]:
    """Training subjects, those who validate last, and test subjects; ``fold`` counts from 0.

    Where subjects are sorted by age or session, a quarter of neighbours would be all of one kind. Those who validate
    are dealt as those who are tested: whole folds as long as one fits, evenly chosen, and of the last one some.
    """
    folds = [list(subjects[number::count]) for number in range(count)]
    needed = quarter(range(len(subjects) - len(folds[fold])))
    whole = -(-needed // max(1, len(subjects) // count))
    chosen = [1 + place * (count - 1) // whole for place in range(min(whole, count - 1))]
    steps = [*chosen, *(step for step in range(1, count) if step not in chosen)]
    order = [folds[(fold + step) % count] for step in steps]
    validating: list[str] = []
    for dealt in order:
        places = min(needed - len(validating), len(dealt))
        validating += [dealt[(2 * place + 1) * len(dealt) // (2 * places)] for place in range(places)]
    training = [subject for dealt in order for subject in dealt if subject not in validating]
    return [*training, *validating], folds[fold]


def _by_column(
    infos: Sequence[RecordingInfo], column: str, fold: str | None, validation_subjects: tuple[str, ...]
) -> Split:
    values = _values(infos, column)
    if fold is None:
        sides = [[i for i, value in enumerate(values) if value == side] for side in SIDES]
        if validation_subjects and sides[1]:
            raise ConfigError(
                f"the column {column!r} names the validation recordings, got validation subjects {validation_subjects}"
            )
        train, validation, test = sides
    else:
        train = [i for i, value in enumerate(values) if value != fold]
        validation, test = [], [i for i, value in enumerate(values) if value == fold]
    if not validation:
        subjects = subjects_of([infos[i] for i in train])
        validating = validation_subjects or subjects[-quarter(subjects) :]
        _check_validation(COLUMN, validating, subjects)
        validation = [i for i in train if infos[i].subject in validating]
        train = [i for i in train if infos[i].subject not in validating]
    return _split(infos, COLUMN, fold, train, validation, test)


def _values(infos: Sequence[RecordingInfo], column: str) -> list[str]:
    """What the column holds for each recording."""
    known = sorted({name for info in infos for name in info.groups})
    if column not in known:
        hint = did_you_mean(column, known) if known else "The data set has no further columns"
        raise ConfigError(f"there is no column {column!r} to split by (data.split_column)", hint=hint)
    for info in infos:
        if not info.groups.get(column):
            raise ConfigError(f"{info.id} has no value in the column {column!r}", hint="Give every clip one")
    return [info.groups[column] for info in infos]


def _are_sides(values: set[str]) -> bool:
    return {"train", "test"} <= values <= set(SIDES)


def _fixed(subjects: Sequence[str], data: DataConfig) -> tuple[list[str], list[str]]:
    if not data.test_subjects:
        raise ConfigError(f"{FIXED} needs data.test_subjects", hint=f"Name some of: {', '.join(subjects)}")
    for subject in (*data.train_subjects, *data.test_subjects):
        if subject not in subjects:
            raise ConfigError(f"{FIXED} names an unknown subject {subject!r}", hint=did_you_mean(subject, subjects))
    if both := [subject for subject in data.train_subjects if subject in data.test_subjects]:
        raise ConfigError(f"{FIXED} names {_some(both)} for training and for test", hint="Take one of the two")
    wanted = data.train_subjects or [subject for subject in subjects if subject not in data.test_subjects]
    return [subject for subject in subjects if subject in wanted], list(data.test_subjects)


def _check_validation(protocol: str, validating: Sequence[str], seen: Sequence[str]) -> None:
    for subject in validating:
        if subject not in seen:
            raise ConfigError(
                f"validation subject {subject!r} is not among the training subjects of {protocol}",
                hint=did_you_mean(subject, seen),
            )


def _subject_specific(infos: Sequence[RecordingInfo], validation_subjects: tuple[str, ...]) -> Split:
    if validation_subjects:
        raise ConfigError(
            f"{SUBJECT_SPECIFIC} takes its validation by trial, got validation subjects {list(validation_subjects)}",
            hint="Leave them out: every subject is on every side",
        )
    trials = sorted({info.trial for info in infos})
    # On UTD-MHAD: trials 1 and 2 train, 3 and 4 test.
    seen = trials[: len(trials) // 2]
    row = {subject: position for position, subject in enumerate(subjects_of(infos))}
    column = {label: position for position, label in enumerate(sorted({info.label for info in infos}))}
    train, validation, test = [], [], []
    for i, info in enumerate(infos):
        if info.trial not in seen:
            test.append(i)
        elif info.trial == seen[-1] and (row[info.subject] + column[info.label]) % 2 == 0:
            validation.append(i)
        else:
            train.append(i)
    return _split(infos, SUBJECT_SPECIFIC, None, train, validation, test)


def _split(
    infos: Sequence[RecordingInfo],
    protocol: str,
    fold: str | None,
    train: Sequence[int],
    validation: Sequence[int],
    test: Sequence[int],
) -> Split:
    for side, rows in zip(SIDES, (train, validation, test), strict=True):
        if not rows:
            raise ConfigError(
                f"{protocol} leaves no recording for {side}: the data set has {len(infos)} recordings "
                f"of {len(subjects_of(infos))} subjects",
                hint="Take fewer validation subjects, another protocol, or more recordings",
            )
    split = on_sides(infos, Split(protocol, fold), train=train, validation=validation, test=test)
    seen = {*split.train_subjects, *split.validation_subjects}
    return replace(split, leaky=not seen.isdisjoint(split.test_subjects))


def on_sides(
    infos: Sequence[RecordingInfo],
    split: Split,
    *,
    train: Sequence[int],
    validation: Sequence[int],
    test: Sequence[int],
) -> Split:
    """The same split with other recordings on its sides: indices into ``infos``, ascending."""
    return replace(
        split,
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(test),
        train_subjects=subjects_of([infos[row] for row in train]),
        validation_subjects=subjects_of([infos[row] for row in validation]),
        test_subjects=subjects_of([infos[row] for row in test]),
    )


def _check_fold(protocol: str, fold: str | None, known: tuple[str, ...]) -> None:
    if fold is None and known:
        names = {LEAVE_ONE_SUBJECT_OUT: "the left-out subject", SUBJECT_FOLDS: "one", COLUMN: "the value to test"}
        hint = f"Name {names[protocol]}: {', '.join(known)} (data.fold)"
        raise ConfigError(f"{protocol} needs a fold", hint=hint)
    if fold is not None and not known:
        raise ConfigError(f"{protocol} has one split and no folds, got fold {fold!r}", hint="Leave the fold out")
    if fold is not None and fold not in known:
        raise ConfigError(f"unknown fold {fold!r} of {protocol}", hint=did_you_mean(fold, known))


def subjects_of(infos: Sequence[RecordingInfo]) -> tuple[str, ...]:
    """Every subject, in natural order: 2 before 10."""
    return tuple(sorted({info.subject for info in infos}, key=natural))


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts names in natural order: 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def trains_cross_subject(subject: str) -> bool:
    """Whether ``cross-subject`` has this subject on the training side: the odd numbers.

    Raises
    ------
    ConfigError : the name ends in no number
    """
    return _number(subject) % 2 == 1


def _number(subject: str) -> int:
    match = re.search(r"(\d+)$", subject)
    if match is None:
        raise ConfigError(
            f"{CROSS_SUBJECT} tells odd from even subject numbers, and {subject!r} ends in none",
            hint=f"Take {LEAVE_ONE_SUBJECT_OUT}, or number the subjects",
        )
    return int(match.group(1))


def quarter(subjects: Sequence[object]) -> int:
    """How many of the training subjects validate by default."""
    return max(1, len(subjects) // _VALIDATION_PARTS)
