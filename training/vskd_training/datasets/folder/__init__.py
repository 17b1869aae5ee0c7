"""A user's own recordings in a folder: ``table`` reads the files that describe them, ``reader`` the recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vskd_training.datasets.data_set import About, DataSet, SourceOptions

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source


def _open(options: SourceOptions, root: Path) -> Source:
    from vskd_training.datasets.folder.reader import FolderSource

    return FolderSource.open(root, view=options.view, height=options.height, width=options.width)


def _about(root: Path) -> About:
    from vskd_training.datasets.folder.table import read_description

    description = read_description(root)
    return replace(description.about, title=description.about.title or description.name)


DATA_SET = DataSet(name="folder", views=("video", "joints", "sensors", "none"), open=_open, own_about=_about)
