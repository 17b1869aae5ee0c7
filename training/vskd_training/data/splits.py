"""The split that a config names: a protocol with its rules among the subjects who take part, and no split that leaks.

Recordings without a label are on no side of it; ``joins_distillation`` says which of them distillation may use.

This module knows configs and recordings' names. It reads no samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vskd.errors import ConfigError, did_you_mean
from vskd_training.data.protocols import (
    COLUMN,
    CROSS_SUBJECT,
    FIXED,
    SIDES,
    Split,
    folds,
    make_split,
    refuse_leak,
    trains_cross_subject,
)
from vskd_training.datasets.data_set import ByColumn, BySubjectNumber
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.datasets.registry import data_set
from vskd_training.settings import DataConfig


def split_of(infos: Sequence[RecordingInfo], data: DataConfig) -> Split:
    """Split all recordings as a config says; those without a label are on no side.

    Raises
    ------
    ConfigError : it cannot be made of these recordings, or is leaky and ``allow_leak`` is not set
    """
    declared = data_set(data.dataset)
    if data.protocol in declared.refused:
        raise ConfigError(declared.refused[data.protocol], hint="Take cross-subject")
    rows = _kept(infos, data)
    labelled = [infos[row] for row in rows]
    published = _published(labelled, data)
    if published and data.fold:
        raise ConfigError(f"{data.protocol} of {data.dataset} has one split and no folds, got fold {data.fold!r}")
    if published:
        split = replace(make_split(labelled, published), protocol=data.protocol, fold=None)
    else:
        split = make_split(labelled, _with_label(infos, labelled, data))
    refuse_leak(split, allowed=data.allow_leak)
    train, validation, test = (tuple(rows[position] for position in getattr(split, side)) for side in SIDES)
    return replace(split, train=train, validation=validation, test=test)


def joins_distillation(info: RecordingInfo, split: Split, data: DataConfig) -> bool:
    """Whether a recording without a label may join distillation.

    Its subject takes part, and is neither a validation nor a test subject. Where subjects without any label would be,
    the protocol says: ``cross-subject`` by their number, ``fixed`` by its list, ``column`` by the recording's
    value.

    Parameters
    ----------
    info : the recording
    split : of the recordings with a label
    data : what the split was made by
    """
    if data.subjects and info.subject not in data.subjects:
        return False
    if info.subject in (*split.test_subjects, *split.validation_subjects):
        return False
    if data.protocol == COLUMN:
        value = info.groups.get(data.split_column, "")
        return value not in ("", data.fold) if data.fold else value == "train"
    if data.protocol == CROSS_SUBJECT:
        return trains_cross_subject(info.subject)
    return data.protocol != FIXED or not data.train_subjects or info.subject in data.train_subjects


def folds_of(infos: Sequence[RecordingInfo], data: DataConfig) -> tuple[str, ...]:
    """The folds of a config's protocol; empty where it has one split only. Errors as ``split_of``."""
    labelled = [infos[row] for row in _kept(infos, data)]
    return () if _published(labelled, data) else folds(labelled, data)


def _kept(infos: Sequence[RecordingInfo], data: DataConfig) -> list[int]:
    """Rows of the recordings with a label of those who take part."""
    there = dict.fromkeys(info.subject for info in infos)
    for subject in data.subjects:
        if subject not in there:
            raise ConfigError(
                f"data.subjects names {subject!r}, of which there is no recording", hint=did_you_mean(subject, there)
            )
    return [
        row for row, info in enumerate(infos) if info.label and (not data.subjects or info.subject in data.subjects)
    ]


def _with_label(infos: Sequence[RecordingInfo], labelled: Sequence[RecordingInfo], data: DataConfig) -> DataConfig:
    """Subjects without any label may be named for training; they are on no side of the split."""
    without = {info.subject for info in infos} - {info.subject for info in labelled}
    train = tuple(subject for subject in data.train_subjects if subject not in without)
    if data.train_subjects and not train:
        raise ConfigError(
            f"none of data.train_subjects has a recording with a label: {', '.join(data.train_subjects)}",
            hint="Name one who has",
        )
    return replace(data, train_subjects=train)


def _published(infos: Sequence[RecordingInfo], data: DataConfig) -> DataConfig | None:
    """A data set's own split by another protocol; where a subject is missing, the others stay."""
    split = data_set(data.dataset).splits.get(data.protocol)
    if isinstance(split, BySubjectNumber):
        subjects = sorted({info.subject for info in infos}, key=int)
        train = tuple(subject for subject in subjects if int(subject) <= split.last_training)
        return replace(data, protocol=FIXED, fold="", train_subjects=train, test_subjects=tuple(subjects[len(train) :]))
    if isinstance(split, ByColumn):
        return replace(data, protocol=COLUMN, fold=split.tested, split_column=split.column)
    return None
