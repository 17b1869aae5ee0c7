"""Seven shoulder exercises of ten subjects with a smartwatch, inside the package `seglearn`. See ``reader``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vskd_training.datasets.data_set import About, DataSet, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source


def _open(options: SourceOptions, root: Path) -> Source:
    from vskd_training.datasets.shoulder_watch.reader import ShoulderWatchSource

    return ShoulderWatchSource.open(root, view=options.view)


DATA_SET = DataSet(
    name="shoulder-watch",
    views=("sensors", "none"),
    open=_open,
    needs_root=False,
    inside="seglearn/data",
    extra="shoulder-watch",
    about=About(
        title="Shoulder exercises with a smartwatch (seglearn)",
        description="Seven physiotherapy exercises of ten subjects, a smartwatch on either wrist.",
        licence="BSD-3-Clause",
        url="https://github.com/dmbee/seglearn",
        citation="Burns, Leung, Hardisty, Whyne, Henry, McLachlin: Shoulder physiotherapy exercise recognition: "
        "machine learning the inertial signals from a smartwatch. Physiological Measurement 39 (2018)",
    ),
)
