"""Berkeley MHAD: 11 actions, 12 subjects, six accelerometers, twelve cameras, two Kinects. See ``reader``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vskd.errors import ConfigError
from vskd_training.datasets.data_set import About, BySubjectNumber, DataSet, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source


@dataclass(frozen=True)
class BerkeleySettings:
    """Which accelerometer is read.

    Attributes
    ----------
    shimmer : 1 (left wrist), 2 (right wrist), or 3 to 6
    """

    shimmer: int = 2

    DROPPED: ClassVar[Mapping[str, int]] = {"cluster": 1, "camera": 1, "kinect": 1}
    RETIRED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        DROPPED, "It was removed: camera 1 of cluster 1 and Kinect 1 are read"
    )

    def __post_init__(self) -> None:
        if not 1 <= self.shimmer <= 6:
            raise ConfigError(f"berkeley.shimmer must lie in 1..6, got {self.shimmer}")


def _open(options: SourceOptions, root: Path) -> Source:
    from vskd_training.datasets.berkeley_mhad.reader import BerkeleyMhadSource

    size = {"height": options.height, "width": options.width}
    return BerkeleyMhadSource.open(root, view=options.view, settings=options.own, **size)


DATA_SET = DataSet(
    name="berkeley-mhad",
    views=("rgb", "depth", "none"),
    open=_open,
    splits={"cross-subject": BySubjectNumber(last_training=7)},
    section="berkeley",
    about=About(
        title="Berkeley MHAD",
        description="11 actions of 12 subjects, with cameras, Kinects and six accelerometers.",
        citation="Ofli, Chaudhry, Kurillo, Vidal, Bajcsy: Berkeley MHAD: A Comprehensive Multimodal Human Action "
        "Database. WACV 2013",
    ),
)
