"""Who is trained on, who decides, who is tested: the splits of the literature over any list of recordings.

This module knows recordings by their ``RecordingInfo`` only. It does not read samples and does not cut windows; windows
follow their recording, so that no recording is on two sides.

Validation is always taken from the training side, by default about a quarter of it:

- ``cross-subject``: the last quarter of the training people, at least one. On UTD-MHAD that is subject 7, as in the
  published 1, 3, 5 / 7 / 2, 4, 6, 8 split.
- ``leave-one-subject-out``: the quarter that follows the left-out person, in a circle. Over all folds everybody decides
  equally often, so that no one person's habits choose every model.
- ``subject-specific``: of the last training trial every second pair of person and action, as on a chessboard, so that
  every person and every action is on both sides.
- ``subject-folds``: people in natural order are dealt into k folds; one fold is tested, the next quarter decides.
- ``column``: a further column of the table. One that holds ``train``, ``validation`` and ``test`` is the split; of any
  other the fold names the value that is tested, and the last quarter of the other people decides.
- ``fixed``: lists of people.

A split with one person on both sides says nothing about new people: ``refuse_leak`` refuses it unless it was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vskd.errors import ConfigError, did_you_mean
from vskd_training.datasets.recording import RecordingInfo

SUBJECT_SPECIFIC = "subject-specific"
CROSS_SUBJECT = "cross-subject"
LEAVE_ONE_SUBJECT_OUT = "leave-one-subject-out"
SUBJECT_FOLDS = "subject-folds"
COLUMN = "column"
FIXED = "fixed"
PROTOCOLS = (SUBJECT_SPECIFIC, CROSS_SUBJECT, LEAVE_ONE_SUBJECT_OUT, SUBJECT_FOLDS, COLUMN, FIXED)
SIDES = ("train", "validation", "test")

_VALIDATION_PARTS = 4


@dataclass(frozen=True)
class Rules:
    """What some protocols need beside the recordings.

    Attributes
    ----------
    fold_count : of ``subject-folds``
    column : of ``column``
    train_subjects, test_subjects : of ``fixed``; no training people take everybody else
    """

    fold_count: int = 5
    column: str = ""
    train_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """Recordings on three sides, none on two.

    Attributes
    ----------
    protocol : its name
    fold : the left-out person, group of people or value; None where the protocol has one split only
    train, validation, test : indices into ``infos``, ascending
    train_subjects, validation_subjects, test_subjects : the people on each side, in natural order
    leaky : a person of the test side was seen in training or validation. Such a result says nothing about new people
    """

    protocol: str
    fold: str | None
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    train_subjects: tuple[str, ...]
    validation_subjects: tuple[str, ...]
    test_subjects: tuple[str, ...]
    leaky: bool


def folds(infos: Sequence[RecordingInfo], protocol: str, rules: Rules = Rules()) -> tuple[str, ...]:
    """The folds of a protocol, in natural order; empty where it has one split only.

    Parameters
    ----------
    infos : every recording
    protocol : one of ``PROTOCOLS``
    rules : of the protocol

    Raises
    ------
    ConfigError : an unknown protocol or column, or more folds than people
    """
    _check_protocol(protocol)
    if protocol == LEAVE_ONE_SUBJECT_OUT:
        return _people(infos)
    if protocol == SUBJECT_FOLDS:
        people = len(_people(infos))
        if not 2 <= rules.fold_count <= people:
            raise ConfigError(f"{SUBJECT_FOLDS} needs 2 to {people} folds for {people} people, got {rules.fold_count}")
        return tuple(str(number) for number in range(1, rules.fold_count + 1))
    if protocol == COLUMN:
        values = set(_values(infos, rules.column))
        return () if _are_sides(values) else tuple(sorted(values, key=natural))
    return ()


def make_split(
    infos: Sequence[RecordingInfo],
    protocol: str,
    *,
    fold: str | None,
    validation_subjects: tuple[str, ...] = (),
    rules: Rules = Rules(),
) -> Split:
    """Split recordings by a protocol.

    Parameters
    ----------
    infos : every recording
    protocol : one of ``PROTOCOLS``
    fold : one of ``folds``, None where there is none
    validation_subjects : people of the training side who decide instead of training; empty for the default above
    rules : of the protocol

    Raises
    ------
    ConfigError : an unknown protocol, fold, column or person, or a side without recordings
    """
    _check_fold(protocol, fold, folds(infos, protocol, rules))
    splitters: dict[str, Callable[[], Split]] = {
        SUBJECT_SPECIFIC: lambda: _subject_specific(infos, validation_subjects),
        CROSS_SUBJECT: lambda: _cross_subject(infos, validation_subjects),
        LEAVE_ONE_SUBJECT_OUT: lambda: _leave_out(infos, protocol, fold, {fold or ""}, validation_subjects),
        SUBJECT_FOLDS: lambda: _leave_out(
            infos, protocol, fold, set(_people(infos)[int(fold or 1) - 1 :: rules.fold_count]), validation_subjects
        ),
        COLUMN: lambda: _by_column(infos, rules.column, fold, validation_subjects),
        FIXED: lambda: _fixed(infos, rules, validation_subjects),
    }
    return splitters[protocol]()


def refuse_leak(split: Split, *, allowed: bool) -> None:
    """Refuse a split that tests people who were trained on, unless that was asked for.

    Raises
    ------
    ConfigError : the split is leaky and not allowed
    """
    if not split.leaky or allowed:
        return
    shared = [person for person in split.test_subjects if person in {*split.train_subjects, *split.validation_subjects}]
    raise ConfigError(
        f"{split.protocol} puts {_some(shared)} into training and test, so its result says nothing of new people",
        hint=f"Take {LEAVE_ONE_SUBJECT_OUT} or {SUBJECT_FOLDS}, or add --allow-leak (data.allow_leak = true), which "
        "stamps every report LEAKY",
    )


def _some(people: Sequence[str]) -> str:
    named = ", ".join(repr(person) for person in people[:3])
    return named if len(people) <= 3 else f"{named} and {len(people) - 3} more"


def _cross_subject(infos: Sequence[RecordingInfo], validation_subjects: tuple[str, ...]) -> Split:
    people = _people(infos)
    seen = [person for person in people if trains_cross_subject(person)]
    default = seen[-_quarter(seen) :]
    return _by_people(infos, CROSS_SUBJECT, None, seen, validation_subjects or default)


def _leave_out(
    infos: Sequence[RecordingInfo],
    protocol: str,
    fold: str | None,
    tested: set[str],
    validation_subjects: tuple[str, ...],
) -> Split:
    """Test some people; of the others, the quarter that follows the first of them decides."""
    people = _people(infos)
    at = min(people.index(person) for person in tested)
    seen = [person for person in (*people[at + 1 :], *people[:at]) if person not in tested]
    return _by_people(infos, protocol, fold, seen, validation_subjects or seen[: _quarter(seen)])


def _by_column(
    infos: Sequence[RecordingInfo], column: str, fold: str | None, validation_subjects: tuple[str, ...]
) -> Split:
    values = _values(infos, column)
    if fold is None:
        sides = [[i for i, value in enumerate(values) if value == side] for side in SIDES]
        if validation_subjects and sides[1]:
            raise ConfigError(f"the column {column!r} says who decides, got validation subjects {validation_subjects}")
        train, validation, test = sides
    else:
        train = [i for i, value in enumerate(values) if value != fold]
        validation, test = [], [i for i, value in enumerate(values) if value == fold]
    if not validation:
        people = _people([infos[i] for i in train])
        deciding = validation_subjects or people[-_quarter(people) :]
        _check_deciding(COLUMN, deciding, people)
        validation = [i for i in train if infos[i].subject in deciding]
        train = [i for i in train if infos[i].subject not in deciding]
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


def _fixed(infos: Sequence[RecordingInfo], rules: Rules, validation_subjects: tuple[str, ...]) -> Split:
    people = _people(infos)
    if not rules.test_subjects:
        raise ConfigError(f"{FIXED} needs data.test_subjects", hint=f"Name some of: {', '.join(people)}")
    for person in (*rules.train_subjects, *rules.test_subjects):
        if person not in people:
            raise ConfigError(f"{FIXED} names an unknown person {person!r}", hint=did_you_mean(person, people))
    seen = [person for person in people if person in (rules.train_subjects or people)]
    if not rules.train_subjects:
        seen = [person for person in seen if person not in rules.test_subjects]
    if both := [person for person in seen if person in rules.test_subjects]:
        raise ConfigError(f"{FIXED} names {_some(both)} for training and for test", hint="Take one of the two")
    used = [i for i, info in enumerate(infos) if info.subject in {*seen, *rules.test_subjects}]
    return _by_people(infos, FIXED, None, seen, validation_subjects or seen[-_quarter(seen) :], used=used)


def _by_people(
    infos: Sequence[RecordingInfo],
    protocol: str,
    fold: str | None,
    seen: Sequence[str],
    deciding: Sequence[str],
    *,
    used: Sequence[int] | None = None,
) -> Split:
    _check_deciding(protocol, deciding, seen)
    mine = [(i, infos[i].subject) for i in (range(len(infos)) if used is None else used)]
    train = [i for i, person in mine if person in seen and person not in deciding]
    validation = [i for i, person in mine if person in deciding]
    test = [i for i, person in mine if person not in seen]
    return _split(infos, protocol, fold, train, validation, test)


def _check_deciding(protocol: str, deciding: Sequence[str], seen: Sequence[str]) -> None:
    for person in deciding:
        if person not in seen:
            raise ConfigError(
                f"validation subject {person!r} is not among the training subjects of {protocol}",
                hint=did_you_mean(person, seen),
            )


def _subject_specific(infos: Sequence[RecordingInfo], validation_subjects: tuple[str, ...]) -> Split:
    if validation_subjects:
        raise ConfigError(
            f"{SUBJECT_SPECIFIC} takes its validation by trial, got validation subjects {list(validation_subjects)}",
            hint="Leave them out: everybody is on every side",
        )
    trials = sorted({info.trial for info in infos})
    # On UTD-MHAD: trials 1 and 2 train, 3 and 4 test.
    seen = trials[: len(trials) // 2]
    row = {person: position for position, person in enumerate(_people(infos))}
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
    train: list[int],
    validation: list[int],
    test: list[int],
) -> Split:
    sides = {"train": train, "validation": validation, "test": test}
    for side, indices in sides.items():
        if not indices:
            raise ConfigError(
                f"{protocol} leaves no recording for {side}: the data set has {len(infos)} recordings "
                f"of {len(_people(infos))} people",
                hint="Take fewer validation subjects, another protocol, or more recordings",
            )
    people = {side: _people([infos[i] for i in indices]) for side, indices in sides.items()}
    return Split(
        protocol=protocol,
        fold=fold,
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(test),
        train_subjects=people["train"],
        validation_subjects=people["validation"],
        test_subjects=people["test"],
        leaky=not set(people["test"]).isdisjoint(people["train"] + people["validation"]),
    )


def _check_protocol(protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {protocol!r}", hint=did_you_mean(protocol, PROTOCOLS))


def _check_fold(protocol: str, fold: str | None, known: tuple[str, ...]) -> None:
    if fold is None and known:
        names = {LEAVE_ONE_SUBJECT_OUT: "the left-out person", SUBJECT_FOLDS: "one", COLUMN: "the value to test"}
        hint = f"Name {names[protocol]}: {', '.join(known)} (data.fold)"
        raise ConfigError(f"{protocol} needs a fold", hint=hint)
    if fold is not None and not known:
        raise ConfigError(f"{protocol} has one split and no folds, got fold {fold!r}", hint="Leave the fold out")
    if fold is not None and fold not in known:
        raise ConfigError(f"unknown fold {fold!r} of {protocol}", hint=did_you_mean(fold, known))


def _people(infos: Sequence[RecordingInfo]) -> tuple[str, ...]:
    """Everybody, in natural order: 2 before 10."""
    return tuple(sorted({info.subject for info in infos}, key=natural))


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts names in natural order: 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def trains_cross_subject(person: str) -> bool:
    """Whether ``cross-subject`` has this person on the training side: the odd numbers.

    Raises
    ------
    ConfigError : the name ends in no number
    """
    return _number(person) % 2 == 1


def _number(person: str) -> int:
    match = re.search(r"(\d+)$", person)
    if match is None:
        raise ConfigError(
            f"{CROSS_SUBJECT} tells odd from even subject numbers, and {person!r} ends in none",
            hint=f"Take {LEAVE_ONE_SUBJECT_OUT}, or number the subjects",
        )
    return int(match.group(1))


def _quarter(people: Sequence[str]) -> int:
    return max(1, len(people) // _VALIDATION_PARTS)
