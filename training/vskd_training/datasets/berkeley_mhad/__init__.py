"""Berkeley MHAD: 11 actions, 12 subjects, six accelerometers, twelve cameras, two Kinects. See ``reader``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vskd.errors import ConfigError
from vskd_training.datasets.data_set import BySubjectNumber, DataSet, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source


@dataclass(frozen=True)
class BerkeleySettings:
    """Which of the sensors and cameras are read.

    Attributes
    ----------
    shimmer : accelerometer, 1 (left wrist), 2 (right wrist) to 6
    cluster, camera : of the view ``rgb``: clusters 1 and 2 have four cameras, 3 and 4 have two
    kinect : of the view ``depth``, 1 or 2
    """

    shimmer: int = 2
    cluster: int = 1
    camera: int = 1
    kinect: int = 1

    def __post_init__(self) -> None:
        cameras = 4 if self.cluster in (1, 2) else 2
        for name, value, most in (
            ("shimmer", self.shimmer, 6),
            ("cluster", self.cluster, 4),
            ("camera", self.camera, cameras),
            ("kinect", self.kinect, 2),
        ):
            if not 1 <= value <= most:
                raise ConfigError(f"berkeley.{name} must lie in 1..{most}, got {value}")


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
)
