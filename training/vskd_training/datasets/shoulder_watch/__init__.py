"""Seven shoulder exercises of ten subjects with a smartwatch, inside the package `seglearn`. See ``reader``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vskd_training.datasets.data_set import DataSet, SourceOptions

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
)
