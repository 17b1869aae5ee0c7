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
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vskd.errors import ConfigError, did_you_mean
from vskd_training.datasets.recording import RecordingInfo

SUBJECT_SPECIFIC = "subject-specific"
CROSS_SUBJECT = "cross-subject"
LEAVE_ONE_SUBJECT_OUT = "leave-one-subject-out"
PROTOCOLS = (SUBJECT_SPECIFIC, CROSS_SUBJECT, LEAVE_ONE_SUBJECT_OUT)

_VALIDATION_PARTS = 4


@dataclass(frozen=True)
class Split:
    """Recordings on three sides, none on two.

    Attributes
    ----------
    protocol : its name
    fold : the left-out person; None where the protocol has one split only
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


def folds(infos: Sequence[RecordingInfo], protocol: str) -> tuple[str, ...]:
    """The folds of a protocol, in natural order; empty where it has one split only.

    Parameters
    ----------
    infos : every recording
    protocol : one of ``PROTOCOLS``

    Raises
    ------
    ConfigError : an unknown protocol
    """
    _check_protocol(protocol)
    return _people(infos) if protocol == LEAVE_ONE_SUBJECT_OUT else ()


def make_split(
    infos: Sequence[RecordingInfo],
    protocol: str,
    *,
    fold: str | None,
    validation_subjects: tuple[str, ...] = (),
) -> Split:
    """Split recordings by a protocol.

    Parameters
    ----------
    infos : every recording
    protocol : one of ``PROTOCOLS``
    fold : the left-out person of ``leave-one-subject-out``, None for the others
    validation_subjects : people of the training side who decide instead of training; empty for the default above

    Raises
    ------
    ConfigError : an unknown protocol, fold or person, or a side without recordings
    """
    _check_protocol(protocol)
    if protocol == LEAVE_ONE_SUBJECT_OUT:
        return _leave_one_out(infos, fold, validation_subjects)
    if fold is not None:
        raise ConfigError(f"{protocol} has one split and no folds, got fold {fold!r}", hint="Leave the fold out")
    if protocol == CROSS_SUBJECT:
        return _cross_subject(infos, validation_subjects)
    return _subject_specific(infos, validation_subjects)


def _cross_subject(infos: Sequence[RecordingInfo], validation_subjects: tuple[str, ...]) -> Split:
    people = _people(infos)
    seen = [person for person in people if _number(person) % 2 == 1]
    default = seen[-_quarter(seen) :]
    return _by_people(infos, CROSS_SUBJECT, None, seen, validation_subjects or default)


def _leave_one_out(infos: Sequence[RecordingInfo], fold: str | None, validation_subjects: tuple[str, ...]) -> Split:
    people = _people(infos)
    if fold is None:
        raise ConfigError(
            f"{LEAVE_ONE_SUBJECT_OUT} needs a fold", hint=f"Name the left-out person: {', '.join(people)}"
        )
    if fold not in people:
        raise ConfigError(f"unknown fold {fold!r} of {LEAVE_ONE_SUBJECT_OUT}", hint=did_you_mean(fold, people))
    at = people.index(fold)
    seen = [*people[at + 1 :], *people[:at]]
    return _by_people(infos, LEAVE_ONE_SUBJECT_OUT, fold, seen, validation_subjects or seen[: _quarter(seen)])


def _by_people(
    infos: Sequence[RecordingInfo], protocol: str, fold: str | None, seen: list[str], deciding: Sequence[str]
) -> Split:
    for person in deciding:
        if person not in seen:
            raise ConfigError(
                f"validation subject {person!r} is not among the training subjects of {protocol}",
                hint=did_you_mean(person, seen),
            )
    train = [i for i, info in enumerate(infos) if info.subject in seen and info.subject not in deciding]
    validation = [i for i, info in enumerate(infos) if info.subject in deciding]
    test = [i for i, info in enumerate(infos) if info.subject not in seen]
    return _split(infos, protocol, fold, train, validation, test)


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


def _people(infos: Sequence[RecordingInfo]) -> tuple[str, ...]:
    """Everybody, in natural order: 2 before 10."""
    return tuple(sorted({info.subject for info in infos}, key=_natural))


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


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
