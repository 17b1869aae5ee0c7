"""The split that a config names: a protocol with its rules, and the refusal of a split that leaks.

This module knows configs and recordings' names. It reads no samples.
"""

from __future__ import annotations

from collections.abc import Sequence

from vskd_training.config import DataConfig
from vskd_training.datasets.protocols import Rules, Split, make_split, refuse_leak
from vskd_training.datasets.recording import RecordingInfo


def split_of(infos: Sequence[RecordingInfo], data: DataConfig, *, validation_subjects: tuple[str, ...]) -> Split:
    """Split recordings as a config says.

    Parameters
    ----------
    infos : every recording
    data : protocol, fold and their rules
    validation_subjects : people of the training side who decide; empty takes the protocol's default

    Raises
    ------
    ConfigError : it cannot be made of these recordings, or is leaky and ``allow_leak`` is not set
    """
    split = make_split(
        infos,
        data.protocol,
        fold=data.fold or None,
        validation_subjects=validation_subjects,
        rules=Rules(data.fold_count, data.split_column, data.train_subjects, data.test_subjects),
    )
    refuse_leak(split, allowed=data.allow_leak)
    return split
