"""``[data]`` and ``[labels]``: which recordings, how they are split by subject, and whose labels are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from vskd.errors import ConfigError
from vskd_training.datasets.berkeley_mhad import BerkeleySettings
from vskd_training.datasets.mmact import MmactSettings
from vskd_training.datasets.registry import data_set
from vskd_training.datasets.synthetic import SyntheticSettings

#: Keys of ``[data]`` that say who is on which side of the split.
SPLIT_KEYS = ("protocol", "fold", "split_column", "train_subjects", "test_subjects", "validation_subjects")


@dataclass(frozen=True)
class DataConfig:
    """Which recordings, and which subjects are on which side of the split.

    Attributes
    ----------
    dataset : ``synthetic`` is the embedded one, ``folder`` your own recordings; ``vskd data check --help`` lists all
    view : the teacher's input: images (``rendered``, ``depth``, ``rgb``, ``video``), ``joints``,
        ``sensors`` (accelerometer and gyroscope), or ``none``; one of the data set's ``views``
    protocol : who is tested: ``leave-one-subject-out``, ``subject-folds``, ``column``, ``fixed``, or one of the data
        set's own, such as ``cross-subject``; ``vskd train --everybody`` sets ``everybody``
    fold : what is left out: the subject of ``leave-one-subject-out``, the number of one of ``subject-folds``, the value
        of a ``column``
    fold_count : how many folds ``subject-folds`` has
    split_column : the column of ``clips.csv`` that the protocol ``column`` splits by
    train_subjects : who trains under ``fixed``; empty: all who are not tested
    test_subjects : who is tested under ``fixed``
    subjects : only these take part, on any side; recordings of others are not used. Empty: all. Settings are chosen
        among subjects who are not test subjects of the reported run
    allow_leak : take a split with the same subjects in training and test; every report is stamped LEAKY
    allow_missing_classes : train although an activity has no training window; it is named wherever accuracy is
    validation_subjects : training subjects who only validate; empty takes the protocol's default
    train_on_validation : the reported run, after every choice was made on the validation subjects: train on them too
    unknown_labels : activities that the network does not know: no class, not trained on, not used for any choice. The
        test subjects' recordings of them show whether it can be seen that they are unknown
    frame_height : height of the teacher's frames, pixels
    frame_width : width of the teacher's frames, pixels
    synthetic : settings of the generator
    berkeley, mmact : which sensor and camera of these data sets
    """

    dataset: str
    view: str
    protocol: str = "cross-subject"
    fold: str = ""
    fold_count: int = 5
    split_column: str = ""
    train_subjects: tuple[str, ...] = ()
    test_subjects: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    allow_leak: bool = False
    allow_missing_classes: bool = False
    validation_subjects: tuple[str, ...] = ()
    train_on_validation: bool = False
    unknown_labels: tuple[str, ...] = ()
    frame_height: int = 60
    frame_width: int = 80
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    berkeley: BerkeleySettings = field(default_factory=BerkeleySettings)
    mmact: MmactSettings = field(default_factory=MmactSettings)

    RETIRED: ClassVar[Mapping[str, str]] = {"people": "It is called subjects now"}

    def __post_init__(self) -> None:
        data_set(self.dataset).check_view(self.view, height=self.frame_height, width=self.frame_width)

    def everybody(self) -> DataConfig:
        """The same recordings, with all who take part in training, and nobody for validation or test."""
        cleared: dict[str, Any] = {item.name: item.default for item in fields(self) if item.name in SPLIT_KEYS}
        return replace(self, **{**cleared, "protocol": "everybody"}, allow_leak=False, train_on_validation=False)

    def reading(self) -> DataConfig:
        """The keys that name recordings; those that split them take their defaults."""
        names = ["dataset", "view", "frame_height", "frame_width", data_set(self.dataset).section]
        return DataConfig(**{name: getattr(self, name) for name in names if name})


@dataclass(frozen=True)
class LabelsConfig:
    """Whose labels are known; with neither ``subjects`` nor ``count``, those of all. See ``data.labels``.

    Attributes
    ----------
    subjects : the training subjects with labels; the recordings of the others stay, without labels
    count : instead of names, so many of the training subjects, drawn by ``seed`` and the fold
    seed : of the draw; not the run's, so that all seeds of a study know the same labels
    """

    subjects: tuple[str, ...] = ()
    count: int = 0
    seed: int = 0

    RETIRED: ClassVar[Mapping[str, str]] = {
        "people": "It is called subjects now",
        "left_out": "It was removed: no study used it",
    }

    def __post_init__(self) -> None:
        if self.count < 0 or self.seed < 0:
            raise ConfigError(f"labels.count and labels.seed must not be negative, got {self.count} and {self.seed}")
        if self.subjects and self.count:
            raise ConfigError(
                "labels.subjects and labels.count exclude each other", hint="Name the subjects, or draw them"
            )
        if len(set(self.subjects)) < len(self.subjects):
            raise ConfigError(f"labels.subjects names a subject twice: {', '.join(self.subjects)}")
