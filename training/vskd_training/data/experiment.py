"""An experiment: a config applied to recordings. Data, split, contract and windows, ready to train or test on.

Everything that ``train``, ``evaluate`` and ``export`` must agree on is decided here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from vskd.contract import Contract
from vskd.errors import ConfigError, DataError
from vskd.sources.layout import Described
from vskd_training.data.labels import Sides, sides
from vskd_training.data.protocols import SIDES, Split
from vskd_training.data.sources import open_source
from vskd_training.data.windows import WindowTable, cut, joined
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.datasets.registry import data_set
from vskd_training.datasets.signal_limits import with_signal_limits
from vskd_training.settings import Config

Part = Literal["train", "validation", "test", "unlabelled", "unknown"]


@dataclass(frozen=True)
class Experiment:
    """A config applied to prepared recordings.

    Attributes
    ----------
    config, prepared : what was put together
    sides : who is on which side, and whose labels are known
    contract : what the student's window is
    root : folder that the recordings were read from; None where none was given
    files : what the sensor's files are; None of a data set whose files `vskd run` does not read
    all_sides : of an experiment that is restricted to what a teacher sees: the sides of all recordings
    """

    config: Config
    prepared: Prepared
    sides: Sides
    contract: Contract
    root: Path | None = None
    files: Described | None = None
    all_sides: Sides | None = None

    @classmethod
    def open(
        cls, config: Config, *, root: Path | None, cache: Path, progress: Callable[[int, int], None] | None
    ) -> Experiment:
        """Prepare the recordings (once; the cache is used again) and split them.

        Parameters
        ----------
        root : folder of the data set, None for the synthetic one
        cache : folder for prepared recordings
        progress : called with (recordings done, in all) while they are prepared
        """
        source = open_source(config.data, root)
        made = cls.of(config, prepare(source, cache, progress=progress))
        return replace(made, root=root and root.resolve(), files=source.files)

    @classmethod
    def of(cls, config: Config, prepared: Prepared) -> Experiment:
        """Split recordings that are prepared: those of the config's data."""
        known = sides(prepared.infos, config.data, config.labels)
        sensor = replace(config.sensor, placement=prepared.placement, gravity=prepared.gravity)
        classes = tuple(label for label in prepared.labels if label not in config.data.unknown_labels)
        contract = replace(config, sensor=sensor).contract(classes, prepared.name)
        return cls(
            config, prepared, known, with_signal_limits(contract, prepared, (*known.split.train, *known.unlabelled))
        )

    @property
    def split(self) -> Split:
        """Training subjects with labels, validation and test subjects."""
        return self.sides.split

    @property
    def labels_withheld(self) -> bool:
        """Whether ``[labels]`` withholds those of some training subjects: what they perform is not looked at."""
        labels = self.config.labels
        return bool(labels.subjects or labels.count) and bool(self.sides.unlabelled)

    def has_frames(self, recording: int) -> bool:
        """Whether a recording has what the view shows."""
        return len(self.prepared.video(recording)[0]) > 0

    def seen(self) -> Experiment:
        """The same with the recordings that a teacher sees: it neither trains nor is tested on the others.

        Raises
        ------
        DataError : no training recording has what the view shows
        """
        unseen = {row for row in range(len(self.prepared)) if not self.has_frames(row)}
        if not unseen:
            return self

        def kept(record: Any, names: Sequence[str]) -> dict[str, Any]:
            return {name: tuple(row for row in getattr(record, name) if row not in unseen) for name in names}

        split = replace(self.split, **kept(self.split, SIDES))
        if not split.train:
            raise DataError(
                f"none of {len(self.split.train)} training recordings has the view {self.prepared.view!r}, which the "
                "teacher needs",
                hint="Set data.view, or train the student alone",
            )
        sides = replace(self.sides, split=split, **kept(self.sides, ("unlabelled", "unknown")))
        return replace(self, sides=sides, all_sides=self.sides)

    def windows(self, part: Part) -> WindowTable:
        """The windows of one side of the split, of the training subjects without labels, or of unknown activities."""
        return self._windows[part] if part in self._windows else self._cut(part)

    @cached_property
    def _windows(self) -> dict[Part, WindowTable]:
        return {}

    def _cut(self, part: Part) -> WindowTable:
        if part in ("unlabelled", "unknown"):
            table = cut(self.prepared, self.contract, getattr(self.sides, part), labelled=False)
        elif part == "test" and not self.split.test:
            if self.split.test_subjects:
                raise ConfigError(f"no test recording has the view {self.prepared.view!r}")
            raise ConfigError(
                "a network trained on everybody has no test subjects", hint="Its accuracy is that of its study"
            )
        else:
            table = cut(self.prepared, self.contract, getattr(self.split, part))
        self._windows[part] = table
        return table

    def with_config(self, config: Config) -> Experiment:
        """The same windows under another config for the training, whose data, window and labels are the same."""
        changed = replace(self, config=config)
        changed._windows.update(self._windows)
        return changed

    def paired_windows(self) -> WindowTable:
        """What a student with a teacher is trained on: the training subjects' windows, with labels or without."""
        train = self.windows("train")
        return joined(train, self.windows("unlabelled")) if self.sides.unlabelled else train

    def without_label(self) -> dict[str, int]:
        """How many recordings without a label take part in distillation, and how many are not used."""
        sides = self.all_sides or self.sides
        joining = sum(not self.prepared.infos[row].label for row in sides.unlabelled)
        return {"distillation": joining, "unused": len(sides.unused)}

    def data_card(self) -> dict[str, Any]:
        """Which recordings, and who is on which side: what a run's card keeps, ready for JSON."""
        sides = self.all_sides or self.sides
        split = sides.split
        card: dict[str, Any] = {
            "protocol": split.protocol,
            "fold": split.fold,
            "leaky": split.leaky,
            "train": list(split.train_subjects),
            "validation": list(split.validation_subjects),
            "test": list(split.test_subjects),
            "recordings": [len(split.train), len(split.validation), len(split.test)],
        }
        if sides.unlabelled:
            card["unlabelled"] = list(sides.unlabelled_subjects)
        if any(not info.label for info in self.prepared.infos):
            card["without_label"] = self.without_label()
        if sides.unknown:
            card["unknown"] = {"labels": list(self.config.data.unknown_labels), "recordings": len(sides.unknown)}
        return {
            "dataset": self.prepared.name,
            "view": self.prepared.view,
            "key": self.prepared.key,
            "defects": len(self.prepared.defects),
            "split": card,
        }

    @property
    def wrist_labels(self) -> tuple[str, ...]:
        """The classes recorded at the wrist: the data set's group ``wrist``, or all of them."""
        known = self.contract.labels
        group = data_set(self.config.data.dataset).label_groups.get("wrist", known)
        return tuple(name for name in known if name in group)
