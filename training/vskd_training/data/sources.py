"""The recordings that ``[data]`` of a config names: its data set, opened."""

from __future__ import annotations

from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vskd.errors import ConfigError, MissingExtraError
from vskd_training.datasets.data_set import About, DataSet, SourceOptions
from vskd_training.datasets.registry import NAMES, data_set

if TYPE_CHECKING:  # numpy, which the help of a command does without
    from vskd_training.datasets.examined import Examined
    from vskd_training.settings import DataConfig


def open_source(data: DataConfig, root: Path | None) -> Examined:
    """The recordings that a config names, examined: see ``datasets.examined``.

    Parameters
    ----------
    data : which data set, and which view of it
    root : its folder; None for the synthetic one, and for one inside an installed package

    Raises
    ------
    ConfigError : no folder was given, and the data set needs one; recordings of one's own have the name of a data set
    MissingExtraError : the package that holds the recordings is not installed
    DataError : the folder does not hold the data set
    """
    from vskd_training.datasets.examined import Examined

    declared = data_set(data.dataset)
    if root is None and declared.needs_root:
        raise ConfigError(f"{declared.name} needs the folder that holds it", hint="Give --root DIR")
    if root is None:
        root = _inside_package(declared) if declared.inside else Path()
    own = getattr(data, declared.section) if declared.section else None
    source = declared.open(SourceOptions(data.view, data.frame_height, data.frame_width, own), root)
    # Reports and caches tell data sets apart by name.
    if source.name != declared.name and source.name in NAMES:
        raise ConfigError(f"{root} is called {source.name!r}, which is another data set's name", hint="Rename it")
    return Examined(source)


def about(data: DataConfig, root: Path | None) -> tuple[About, str]:
    """Where a config's recordings come from, and the licence's text where an installed package brings it.

    Parameters
    ----------
    data, root : as of ``open_source``
    """
    declared = data_set(data.dataset)
    if root is not None and declared.own_about:
        return declared.own_about(root), ""
    package = declared.inside.partition("/")[0]
    return declared.about, (distribution(package).read_text("LICENSE") or "") if package else ""


def _inside_package(declared: DataSet) -> Path:
    package, _, below = declared.inside.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(package, extra=declared.extra, purpose=f"the data set {declared.name}")
    return Path(next(iter(spec.submodule_search_locations))) / below
