"""An experiment: a config applied to recordings. Data, split, contract and windows, ready to train or test on.

Everything that ``train``, ``evaluate`` and ``export`` must agree on is decided here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.config import Config, DataConfig
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.datasets.protocols import Split, make_split
from vskd_training.datasets.recording import Source
from vskd_training.datasets.synthetic import SyntheticSource
from vskd_training.datasets.utd_mhad import WRIST_LABELS, UtdMhadSource
from vskd_training.windows import WindowTable, cut

Part = Literal["train", "validation", "test"]


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
    if data.dataset == "synthetic":
        if data.view != "rendered":
            raise ConfigError(f"the synthetic data set has no view {data.view!r}", hint="Set data.view = 'rendered'")
        return SyntheticSource(data.synthetic)
    if root is None:
        raise ConfigError(f"{data.dataset} needs the folder that holds it", hint="Give --root DIR")
    if data.view == "rendered":
        raise ConfigError("utd-mhad has no view 'rendered'", hint="Set data.view to depth, rgb or skeleton")
    return UtdMhadSource(root, view=data.view, height=data.frame_height, width=data.frame_width)


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
        split = make_split(
            prepared.infos,
            config.data.protocol,
            fold=config.data.fold or None,
            validation_subjects=config.data.validation_subjects,
        )
        if config.data.train_on_validation:
            split = replace(
                split,
                train=tuple(sorted(split.train + split.validation)),
                train_subjects=tuple(sorted({*split.train_subjects, *split.validation_subjects})),
                validation=(),
                validation_subjects=(),
            )
        return cls(config, prepared, split, config.contract(prepared.labels, prepared.name))

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
