"""An experiment: a config applied to recordings. Data, split, contract and windows, ready to train or test on.

Everything that ``train``, ``evaluate`` and ``export`` must agree on is decided here, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.data.labels import Sides, sides
from vskd_training.data.protocols import Split
from vskd_training.data.windows import WindowTable, cut, joined
from vskd_training.datasets.berkeley_mhad import BerkeleyMhadSource
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.mmact import MmactSource
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.datasets.recording import Source
from vskd_training.datasets.shoulder_watch import ShoulderWatchSource
from vskd_training.datasets.synthetic.generator import SyntheticSource
from vskd_training.datasets.utd_mhad import WRIST_LABELS, UtdMhadSource
from vskd_training.settings import Config, DataConfig

Part = Literal["train", "validation", "test", "unlabelled", "unknown"]

#: What the teacher may see of each data set; the first is what `vskd data check` reads.
VIEWS: dict[str, tuple[str, ...]] = {
    "synthetic": ("rendered",),
    "utd-mhad": ("skeleton", "joints", "depth", "rgb", "none"),
    "berkeley-mhad": ("rgb", "depth", "none"),
    "mmact": ("rgb", "none"),
    "folder": ("video", "sensors", "none"),
    "shoulder-watch": ("sensors", "none"),
}


def source(data: DataConfig, root: Path | None) -> Source:
    """The data set that a config names.

    Parameters
    ----------
    data : which one
    root : its folder; None for the synthetic one, and for the one inside a package

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
    view: Any = data.view  # one of the data set's own, as was just seen
    if data.dataset == "shoulder-watch":
        return ShoulderWatchSource(root, view=view)
    if root is None:
        raise ConfigError(f"{data.dataset} needs the folder that holds it", hint="Give --root DIR")
    size = {"height": data.frame_height, "width": data.frame_width}
    if data.dataset == "folder":
        return FolderSource(root, view=view, **size)
    if data.dataset == "berkeley-mhad":
        return BerkeleyMhadSource(root, view=view, settings=data.berkeley, **size)
    if data.dataset == "mmact":
        return MmactSource(root, view=view, settings=data.mmact, **size)
    return UtdMhadSource(root, view=view, **size)


@dataclass(frozen=True)
class Experiment:
    """A config applied to prepared recordings.

    Attributes
    ----------
    config, prepared : what was put together
    sides : who is on which side, and whose labels are known
    contract : what the student's window is
    """

    config: Config
    prepared: Prepared
    sides: Sides
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
        known = sides(prepared.infos, config.data, config.labels)
        sensor = replace(config.sensor, placement=prepared.placement, gravity=prepared.gravity)
        classes = tuple(label for label in prepared.labels if label not in config.data.unknown_labels)
        contract = replace(config, sensor=sensor).contract(classes, prepared.name)
        return cls(config, prepared, known, contract)

    @property
    def split(self) -> Split:
        """Who is trained on with labels, who decides, who is tested."""
        return self.sides.split

    def windows(self, part: Part) -> WindowTable:
        """The windows of one side of the split, of the training people without labels, or of unknown activities."""
        return self._windows[part] if part in self._windows else self._cut(part)

    @cached_property
    def _windows(self) -> dict[Part, WindowTable]:
        return {}

    def _cut(self, part: Part) -> WindowTable:
        if part in ("unlabelled", "unknown"):
            table = cut(self.prepared, self.contract, getattr(self.sides, part), labelled=False)
        else:
            table = cut(self.prepared, self.contract, getattr(self.split, part))
        self._windows[part] = table
        return table

    def paired_windows(self) -> WindowTable:
        """What a student is trained on beside a teacher: the training people's windows, with labels or without."""
        train = self.windows("train")
        return joined(train, self.windows("unlabelled")) if self.sides.unlabelled else train

    def without_label(self) -> dict[str, int]:
        """How many recordings without a label a teacher may speak of, and how many nobody uses."""
        heard = sum(not self.prepared.infos[row].label for row in self.sides.unlabelled)
        return {"distillation": heard, "unused": len(self.sides.unused)}

    def data_card(self) -> dict[str, Any]:
        """Which recordings, and who is on which side: what a run's card keeps, ready for JSON."""
        split = self.split
        card: dict[str, Any] = {
            "protocol": split.protocol,
            "fold": split.fold,
            "leaky": split.leaky,
            "train": list(split.train_subjects),
            "validation": list(split.validation_subjects),
            "test": list(split.test_subjects),
            "recordings": [len(split.train), len(split.validation), len(split.test)],
        }
        if self.sides.unlabelled:
            card["unlabelled"] = list(self.sides.unlabelled_subjects)
        if any(not info.label for info in self.prepared.infos):
            card["without_label"] = self.without_label()
        if self.sides.unknown:
            card["unknown"] = {"labels": list(self.config.data.unknown_labels), "recordings": len(self.sides.unknown)}
        return {
            "dataset": self.prepared.name,
            "view": self.prepared.view,
            "key": self.prepared.key,
            "defects": len(self.prepared.defects),
            "split": card,
        }

    @property
    def wrist_labels(self) -> tuple[str, ...]:
        """The classes recorded at the wrist: all, but for UTD-MHAD, whose last six wore the sensor on the thigh."""
        known = self.contract.labels
        return tuple(name for name in known if name in WRIST_LABELS) if self.prepared.name == "utd-mhad" else known
