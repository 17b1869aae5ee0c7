"""MMAct: 37 activities, 20 subjects, a watch, four cameras. See ``reader``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vskd.errors import ConfigError
from vskd_training.datasets.data_set import About, ByColumn, BySubjectNumber, DataSet, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source


@dataclass(frozen=True)
class MmactSettings:
    """Which camera is read.

    Attributes
    ----------
    camera : its number, 1 to 4
    """

    camera: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.camera <= 4:
            raise ConfigError(f"mmact.camera must lie in 1..4, got {self.camera}")


def _open(options: SourceOptions, root: Path) -> Source:
    from vskd_training.datasets.mmact.reader import MmactSource

    size = {"height": options.height, "width": options.width}
    return MmactSource.open(root, view=options.view, settings=options.own, **size)


DATA_SET = DataSet(
    name="mmact",
    views=("rgb", "none"),
    open=_open,
    splits={
        "cross-subject": BySubjectNumber(last_training=16),
        "cross-session": ByColumn("session", tested="5"),
        "cross-scene": ByColumn("scene", tested="2"),
    },
    refused={
        "cross-view": "cross-view trains on cameras 1 to 3 and tests on camera 4, but the sensor file is the same for "
        "all of them: a student that sees the sensor alone would be tested on what it was trained on"
    },
    section="mmact",
    about=About(
        title="MMAct",
        description="37 activities of 20 subjects, with a watch, a phone and four cameras.",
        citation="Kong, Wu, Deng, Klinkigt, Tong, Murakami: MMAct: A Large-Scale Dataset for Cross Modal Human Action "
        "Understanding. ICCV 2019",
    ),
)
