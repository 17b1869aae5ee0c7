"""Whose labels are known: a split in which some of the training subjects were recorded, but never annotated.

Labels cost more than recordings. With ``[labels]`` in the config, only the subjects named (or drawn) there are
labelled; the recordings of the other training subjects stay for distillation, and their labels are not read.

Validation subjects come out of the labelled ones: the last quarter of them, at least one. Of two labelled subjects one
trains and one validates; that is how settings are chosen. The reported run sets ``data.train_on_validation``: both
train, there is no validation, nothing is selected, and the temperature stays as it was. One labelled subject alone can
only be trained on. No test subject and no unlabelled subject is ever used for a choice.

Of single recordings without a label those of training subjects join the ones of unlabelled subjects. The others, of
validation and test subjects, are not used, and counted.

Activities of ``data.unknown_labels`` are on no side, and not among the recordings without a label either; the test
subjects' recordings of them are kept apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vskd.errors import ConfigError, did_you_mean
from vskd_training.data.protocols import EVERYBODY, SIDES, Split, on_sides, quarter, subjects_of
from vskd_training.data.splits import joins_distillation, split_of
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.settings import DataConfig, LabelsConfig


@dataclass(frozen=True)
class Sides:
    """A split, and the training side's recordings without a label.

    Attributes
    ----------
    split : train and validation are labelled
    unlabelled : indices into the recordings, ascending, for distillation only
    unlabelled_subjects : whose they are, in natural order
    unknown : the test subjects' recordings of activities that the network does not know, ascending
    unused : recordings without a label that are not used, ascending
    """

    split: Split
    unlabelled: tuple[int, ...] = ()
    unlabelled_subjects: tuple[str, ...] = ()
    unknown: tuple[int, ...] = ()
    unused: tuple[int, ...] = ()


def sides(infos: Sequence[RecordingInfo], data: DataConfig, labels: LabelsConfig) -> Sides:
    """Split recordings, and withhold the labels of some training subjects.

    Parameters
    ----------
    infos : every recording
    data : protocol, fold and validation subjects
    labels : whose labels are known

    Raises
    ------
    ConfigError : what ``split_of`` refuses; subjects who are not on the training side; no subject left to train on;
        unknown activities that are in no recording, or that leave a side without one
    """
    found = _add_recordings_without_label(infos, _by_subject(infos, data, labels), data)
    return _without_activities(infos, found, data.unknown_labels) if data.unknown_labels else found


def _by_subject(infos: Sequence[RecordingInfo], data: DataConfig, labels: LabelsConfig) -> Sides:
    """The split with the labels of some subjects withheld."""
    all_labelled = not labels.subjects and not labels.count
    # Validation subjects come out of the labelled ones, further below.
    split = split_of(infos, data if all_labelled else replace(data, validation_subjects=()))
    seen = sorted(split.train + split.validation)
    if all_labelled:
        all_train = on_sides(infos, split, train=seen, validation=(), test=split.test)
        return Sides(all_train if data.train_on_validation else split)
    if split.leaky:
        raise ConfigError(
            f"[labels] withholds subjects, and {split.protocol} has the same subjects on every side",
            hint="Take another data.protocol, or leave [labels] out",
        )
    pool = subjects_of([infos[row] for row in seen])
    labelled = _labelled(pool, labels, fold=data.fold)
    validating = _validating(labelled, data)

    def of(subjects: Collection[str]) -> tuple[int, ...]:
        return tuple(row for row in seen if infos[row].subject in subjects)

    train = of({*labelled} - {*validating})
    changed = on_sides(infos, split, train=train, validation=of(validating), test=split.test)
    return _with_unlabelled(infos, Sides(changed), of({*pool} - {*labelled}))


def _with_unlabelled(infos: Sequence[RecordingInfo], found: Sides, rows: Collection[int]) -> Sides:
    unlabelled = tuple(sorted(rows))
    subjects = subjects_of([infos[row] for row in unlabelled])
    return replace(found, unlabelled=unlabelled, unlabelled_subjects=subjects)


def _add_recordings_without_label(infos: Sequence[RecordingInfo], found: Sides, data: DataConfig) -> Sides:
    """Put single recordings without a label where they belong."""
    without = [row for row, info in enumerate(infos) if not info.label]
    if not without:
        return found
    joining = {row for row in without if joins_distillation(infos[row], found.split, data)}
    unused = tuple(row for row in without if row not in joining)
    return _with_unlabelled(infos, replace(found, unused=unused), joining.union(found.unlabelled))


def _without_activities(infos: Sequence[RecordingInfo], found: Sides, unknown: tuple[str, ...]) -> Sides:
    split = found.split
    _check_unknown(infos, split.test, unknown)

    def known(rows: Sequence[int]) -> list[int]:
        return [row for row in rows if infos[row].label not in unknown]

    rows = {side: known(getattr(split, side)) for side in SIDES}
    for side, kept in rows.items():
        if getattr(split, side) and not kept:
            raise ConfigError(f"data.unknown_labels leaves no recording for {side}: {', '.join(unknown)}")
    apart = tuple(row for row in split.test if infos[row].label in unknown)
    changed = replace(found, split=on_sides(infos, split, **rows), unknown=apart)
    return _with_unlabelled(infos, changed, known(found.unlabelled))


def _check_unknown(infos: Sequence[RecordingInfo], test: Sequence[int], unknown: tuple[str, ...]) -> None:
    # Where nobody is tested, an activity is left out of the training all the same.
    tested = {infos[row].label for row in (test or range(len(infos)))}
    for label in unknown:
        if label not in tested:
            raise ConfigError(
                f"data.unknown_labels names {label!r}, of which the test subjects have no recording",
                hint=did_you_mean(label, tested),
            )
    if len(set(unknown)) < len(unknown):
        raise ConfigError(f"data.unknown_labels names an activity twice: {', '.join(unknown)}")


def _labelled(pool: Sequence[str], labels: LabelsConfig, *, fold: str) -> tuple[str, ...]:
    """The labelled subjects, in the order given or drawn."""
    for subject in labels.subjects:
        if subject not in pool:
            raise ConfigError(
                f"labels.subjects names {subject!r}, who is not on the training side", hint=did_you_mean(subject, pool)
            )
    if labels.subjects:
        return labels.subjects
    if labels.count > len(pool):
        raise ConfigError(f"labels.count is {labels.count}, and the training side has {len(pool)} subjects")
    return draw_subjects(pool, labels.count, seed=labels.seed, fold=fold)


def draw_subjects(pool: Sequence[str], count: int, *, seed: int, fold: str) -> tuple[str, ...]:
    """So many subjects of a pool, in the order drawn; of a larger count the first ones are the same."""
    rng = np.random.default_rng([seed, zlib.crc32(fold.encode())])
    return tuple(pool[position] for position in rng.permutation(len(pool))[:count])


def _validating(labelled: tuple[str, ...], data: DataConfig) -> tuple[str, ...]:
    if data.train_on_validation or data.protocol == EVERYBODY:
        return ()
    for subject in data.validation_subjects:
        if subject not in labelled:
            raise ConfigError(
                f"validation subject {subject!r} is not among the labelled subjects",
                hint=did_you_mean(subject, labelled),
            )
    validating = data.validation_subjects or labelled[-quarter(labelled) :]
    if set(validating) == set(labelled):
        raise ConfigError(
            f"the labelled subjects ({', '.join(labelled)}) all validate, and none is left to train on",
            hint="Label one more, or set data.train_on_validation = true",
        )
    return validating
