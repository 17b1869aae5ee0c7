"""A user's own recordings in a folder: ``table`` reads the files that describe them, ``reader`` the recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vskd_training.datasets.data_set import DataSet

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source
    from vskd_training.settings import DataConfig


def _open(data: DataConfig, root: Path) -> Source:
    from vskd_training.datasets.folder.reader import FolderSource

    return FolderSource.open(root, view=data.view, height=data.frame_height, width=data.frame_width)


DATA_SET = DataSet(name="folder", views=("video", "sensors", "none"), open=_open)
