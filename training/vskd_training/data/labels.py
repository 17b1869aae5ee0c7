"""Whose labels are known: a split in which some of the training people were recorded, but never annotated.

Labels cost more than recordings. With ``[labels]`` in the config, only the people named (or drawn) there are labelled;
the recordings of the other training people stay, for a teacher to speak about, and nobody reads their labels.

Who decides. Validation people come out of the labelled ones: the last quarter of them, at least one. Of two labelled
people one trains and one decides; that is how settings are chosen. The reported run sets ``data.train_on_validation``:
both train, nobody decides, nothing is selected, and the temperature stays as it was. One labelled person alone can
only be trained on. No test person and no unlabelled person ever decides anything.

Of single recordings without a label those of training people join the ones of unlabelled people. The others, whose
people decide or are tested, are used by nobody, and counted.

Activities of ``data.unknown_labels`` are on no side, and not among the recordings without a label either; the test
people's recordings of them are kept apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vskd.errors import ConfigError, did_you_mean
from vskd_training.data.protocols import LEAVE_ONE_SUBJECT_OUT, Split, folds
from vskd_training.data.splits import may_be_heard, split_of
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.settings import DataConfig, LabelsConfig

_VALIDATION_PARTS = 4


@dataclass(frozen=True)
class Sides:
    """A split, and the training side's recordings without a label.

    Attributes
    ----------
    split : train and validation are labelled
    unlabelled : indices into the recordings, ascending; a teacher may speak of them
    unlabelled_subjects : whose they are, in natural order
    unknown : the test people's recordings of activities that the network does not know, ascending
    unused : recordings without a label that nobody uses, ascending
    """

    split: Split
    unlabelled: tuple[int, ...] = ()
    unlabelled_subjects: tuple[str, ...] = ()
    unknown: tuple[int, ...] = ()
    unused: tuple[int, ...] = ()


def sides(infos: Sequence[RecordingInfo], data: DataConfig, labels: LabelsConfig) -> Sides:
    """Split recordings, and withhold the labels of some training people.

    Parameters
    ----------
    infos : every recording
    data : protocol, fold and validation people
    labels : whose labels are known

    Raises
    ------
    ConfigError : what ``split_of`` refuses; people who are not on the training side; nobody left to train on; unknown
        activities that are in no recording, or that leave a side without one
    """
    found = _with_nameless(infos, _with_labels(infos, data, labels), data)
    return _without_activities(infos, found, data.unknown_labels) if data.unknown_labels else found


def _with_labels(infos: Sequence[RecordingInfo], data: DataConfig, labels: LabelsConfig) -> Sides:
    everybody_labelled = not labels.subjects and not labels.count
    named = data.validation_subjects if everybody_labelled else ()
    split = split_of(infos, data, validation_subjects=named)
    if everybody_labelled:
        return Sides(_all_train(split) if data.train_on_validation else split)
    if split.leaky:
        raise ConfigError(
            f"[labels] withholds people, and {split.protocol} has the same people on every side",
            hint="Take another data.protocol, or leave [labels] out",
        )
    pool = _in_natural_order(infos, {*split.train_subjects, *split.validation_subjects})
    labelled = _labelled(pool, labels, fold=data.fold)
    deciding = _deciding(labelled, data)
    return _withhold(infos, split, pool, labelled, deciding)


def _with_nameless(infos: Sequence[RecordingInfo], found: Sides, data: DataConfig) -> Sides:
    """Put the recordings without a label where they belong."""
    nameless = tuple(row for row, info in enumerate(infos) if not info.label)
    if not nameless:
        return found
    heard = {row for row in nameless if may_be_heard(infos[row], found.split, data)}
    unlabelled = tuple(sorted({*found.unlabelled, *heard}))
    people = _in_natural_order(infos, {infos[row].subject for row in unlabelled})
    unused = tuple(row for row in nameless if row not in heard)
    return replace(found, unlabelled=unlabelled, unlabelled_subjects=people, unused=unused)


def _without_activities(infos: Sequence[RecordingInfo], found: Sides, unknown: tuple[str, ...]) -> Sides:
    _check_unknown(infos, found.split.test, unknown)

    def known(rows: tuple[int, ...], side: str = "") -> tuple[int, ...]:
        kept = tuple(row for row in rows if infos[row].label not in unknown)
        if side and rows and not kept:
            raise ConfigError(f"data.unknown_labels leaves no recording for {side}: {', '.join(unknown)}")
        return kept

    def people(rows: tuple[int, ...]) -> tuple[str, ...]:
        return _in_natural_order(infos, {infos[row].subject for row in rows})

    split, unlabelled = found.split, known(found.unlabelled)
    train, validation = known(split.train, "train"), known(split.validation, "validation")
    test = known(split.test, "test")
    changed = replace(
        split,
        train=train,
        validation=validation,
        test=test,
        train_subjects=people(train),
        validation_subjects=people(validation),
        test_subjects=people(test),
    )
    apart = tuple(row for row in split.test if infos[row].label in unknown)
    return replace(found, split=changed, unlabelled=unlabelled, unlabelled_subjects=people(unlabelled), unknown=apart)


def _check_unknown(infos: Sequence[RecordingInfo], test: Sequence[int], unknown: tuple[str, ...]) -> None:
    tested = {infos[row].label for row in test}
    for label in unknown:
        if label not in tested:
            raise ConfigError(
                f"data.unknown_labels names {label!r}, of which the test people have no recording",
                hint=did_you_mean(label, tested),
            )
    if len(set(unknown)) < len(unknown):
        raise ConfigError(f"data.unknown_labels names an activity twice: {', '.join(unknown)}")


def _all_train(split: Split) -> Split:
    return replace(
        split,
        train=tuple(sorted(split.train + split.validation)),
        train_subjects=tuple(sorted({*split.train_subjects, *split.validation_subjects})),
        validation=(),
        validation_subjects=(),
    )


def _labelled(pool: Sequence[str], labels: LabelsConfig, *, fold: str) -> tuple[str, ...]:
    """The labelled people, in the order given or drawn."""
    for person in labels.subjects:
        if person not in pool:
            raise ConfigError(
                f"labels.subjects names {person!r}, who is not on the training side", hint=did_you_mean(person, pool)
            )
    if labels.subjects:
        return labels.subjects
    if labels.count > len(pool):
        raise ConfigError(f"labels.count is {labels.count}, and the training side has {len(pool)} people")
    return people_drawn(pool, labels.count, seed=labels.seed, fold=fold)


def people_drawn(pool: Sequence[str], count: int, *, seed: int, fold: str) -> tuple[str, ...]:
    """So many people of a pool, in the order drawn; of a larger count the first ones are the same."""
    rng = np.random.default_rng([seed, zlib.crc32(fold.encode())])
    return tuple(pool[position] for position in rng.permutation(len(pool))[:count])


def _deciding(labelled: tuple[str, ...], data: DataConfig) -> tuple[str, ...]:
    if data.train_on_validation:
        return ()
    for person in data.validation_subjects:
        if person not in labelled:
            raise ConfigError(
                f"validation subject {person!r} is not among the labelled people",
                hint=did_you_mean(person, labelled),
            )
    deciding = data.validation_subjects or labelled[-max(1, len(labelled) // _VALIDATION_PARTS) :]
    if set(deciding) == set(labelled):
        raise ConfigError(
            f"the labelled people ({', '.join(labelled)}) all decide, and nobody is left to train on",
            hint="Label one more, or set data.train_on_validation = true",
        )
    return deciding


def _withhold(
    infos: Sequence[RecordingInfo],
    split: Split,
    pool: Sequence[str],
    labelled: tuple[str, ...],
    deciding: tuple[str, ...],
) -> Sides:
    trained = {*labelled} - {*deciding}
    unlabelled = {*pool} - {*labelled}

    def of(people: set[str]) -> tuple[int, ...]:
        seen = sorted(split.train + split.validation)
        return tuple(index for index in seen if infos[index].subject in people)

    changed = replace(
        split,
        train=of(trained),
        validation=of({*deciding}),
        train_subjects=_in_natural_order(infos, trained),
        validation_subjects=_in_natural_order(infos, {*deciding}),
    )
    return Sides(changed, of(unlabelled), _in_natural_order(infos, unlabelled))


def _in_natural_order(infos: Sequence[RecordingInfo], people: set[str]) -> tuple[str, ...]:
    return tuple(person for person in folds(infos, LEAVE_ONE_SUBJECT_OUT) if person in people)
