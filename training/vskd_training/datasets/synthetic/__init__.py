"""The embedded default data set: a body, a camera and a wrist sensor, generated. See ``generator``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vskd.errors import ConfigError
from vskd_training.datasets.data_set import About, DataSet, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source

LONGEST_RECORDING_S = 600.0


@dataclass(frozen=True)
class SyntheticSettings:
    """What is generated.

    Attributes
    ----------
    subjects : how many; their ids are ``"1"`` to ``str(subjects)``
    trials : recordings of each activity by each subject
    duration_s : length of a recording, s
    seed : a different one gives different subjects
    """

    subjects: int = 16
    trials: int = 3
    duration_s: float = 5.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.subjects < 1 or self.trials < 1:
            raise ConfigError(
                f"a synthetic data set needs at least 1 subject and 1 trial, "
                f"got {self.subjects} subjects and {self.trials} trials"
            )
        if not 0.5 <= self.duration_s <= LONGEST_RECORDING_S:
            raise ConfigError(
                f"a synthetic recording lasts 0.5 s to {LONGEST_RECORDING_S:g} s, got {self.duration_s} s"
            )
        if self.seed < 0:
            raise ConfigError(f"the seed of a synthetic data set must be at least 0, got {self.seed}")


def _open(options: SourceOptions, root: Path) -> Source:
    from vskd_training.datasets.synthetic.generator import SyntheticSource

    del root  # nothing is read from disk
    return SyntheticSource(options.own)


DATA_SET = DataSet(
    name="synthetic",
    views=("rendered",),
    open=_open,
    needs_root=False,
    section="synthetic",
    about=About(
        title="Synthetic wrists of vskd",
        description="A body, a camera and a wrist sensor, generated; no person was recorded.",
        licence="Apache-2.0",
    ),
)
