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
from vskd.errors import ConfigError
from vskd_training.config import Config, DataConfig
from vskd_training.datasets.folder import FolderSource
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.datasets.protocols import Rules, Split, make_split, refuse_leak
from vskd_training.datasets.recording import RecordingInfo, Source
from vskd_training.datasets.synthetic import SyntheticSource
from vskd_training.datasets.utd_mhad import WRIST_LABELS, UtdMhadSource
from vskd_training.windows import WindowTable, cut

Part = Literal["train", "validation", "test"]

#: What the teacher may see of each data set; the first is what `vskd data check` reads.
VIEWS: dict[str, tuple[str, ...]] = {
    "synthetic": ("rendered",),
    "utd-mhad": ("skeleton", "depth", "rgb", "none"),
    "folder": ("video", "none"),
}


def source(data: DataConfig, root: Path | None) -> Source:
    """The data set that a config names.

    Parameters
    ----------
    data : which one
    root : its folder; None for the synthetic one

    Raises
    ------
    ConfigError : the view does not exist there, or no folder was given
    DataError : the folder does not hold it
    """
    if data.view not in VIEWS[data.dataset]:
        raise ConfigError(
            f"{data.dataset} has no view {data.view!r}", hint=f"Set data.view to {' or '.join(VIEWS[data.dataset])}"
        )
    if data.dataset == "synthetic":
        return SyntheticSource(data.synthetic)
    if root is None:
        raise ConfigError(f"{data.dataset} needs the folder that holds it", hint="Give --root DIR")
    size = {"height": data.frame_height, "width": data.frame_width}
    view: Any = data.view  # one of the data set's own, as was just seen
    if data.dataset == "folder":
        return FolderSource(root, view=view, **size)
    return UtdMhadSource(root, view=view, **size)


def split_of(infos: Sequence[RecordingInfo], data: DataConfig) -> Split:
    """The split that a config names.

    Raises
    ------
    ConfigError : it cannot be made of these recordings, or is leaky and ``allow_leak`` is not set
    """
    split = make_split(
        infos,
        data.protocol,
        fold=data.fold or None,
        validation_subjects=data.validation_subjects,
        rules=Rules(data.fold_count, data.split_column, data.train_subjects, data.test_subjects),
    )
    refuse_leak(split, allowed=data.allow_leak)
    return split


@dataclass(frozen=True)
class Experiment:
    """A config applied to prepared recordings.

    Attributes
    ----------
    config, prepared : what was put together
    split : who is on which side
    contract : what the student's window is
    """

    config: Config
    prepared: Prepared
    split: Split
    contract: Contract

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
        prepared = prepare(source(config.data, root), cache, progress=progress)
        split = split_of(prepared.infos, config.data)
        if config.data.train_on_validation:
            split = replace(
                split,
                train=tuple(sorted(split.train + split.validation)),
                train_subjects=tuple(sorted({*split.train_subjects, *split.validation_subjects})),
                validation=(),
                validation_subjects=(),
            )
        sensor = replace(config.sensor, placement=prepared.placement, gravity=prepared.gravity)
        contract = replace(config, sensor=sensor).contract(prepared.labels, prepared.name)
        return cls(config, prepared, split, contract)

    def windows(self, part: Part) -> WindowTable:
        """The windows of one side of the split."""
        return self._windows[part] if part in self._windows else self._cut(part)

    @cached_property
    def _windows(self) -> dict[Part, WindowTable]:
        return {}

    def _cut(self, part: Part) -> WindowTable:
        self._windows[part] = cut(self.prepared, self.contract, getattr(self.split, part))
        return self._windows[part]

    @property
    def wrist_labels(self) -> tuple[str, ...]:
        """The activities recorded at the wrist: all, but for UTD-MHAD, whose last six wore the sensor on the thigh."""
        return WRIST_LABELS if self.prepared.name == "utd-mhad" else self.contract.labels
