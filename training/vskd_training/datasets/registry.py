"""Every data set that configs and commands know, one line each. Importing this loads no reader."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vskd.errors import ConfigError, MissingExtraError, did_you_mean
from vskd_training.datasets import berkeley_mhad, folder, mmact, shoulder_watch, synthetic, utd_mhad
from vskd_training.datasets.data_set import DataSet

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source
    from vskd_training.settings import DataConfig

DATA_SETS: tuple[DataSet, ...] = (
    synthetic.DATA_SET,
    utd_mhad.DATA_SET,
    berkeley_mhad.DATA_SET,
    mmact.DATA_SET,
    folder.DATA_SET,
    shoulder_watch.DATA_SET,
)
NAMES: tuple[str, ...] = tuple(one.name for one in DATA_SETS)
#: Every view of any data set, each once.
VIEWS: tuple[str, ...] = tuple(dict.fromkeys(view for one in DATA_SETS for view in one.views))


def data_set(name: str) -> DataSet:
    """The declaration of a data set.

    Raises
    ------
    ConfigError : there is none of that name
    """
    for one in DATA_SETS:
        if one.name == name:
            return one
    raise ConfigError(f"there is no data set {name!r}", hint=did_you_mean(name, NAMES))


def open_source(data: DataConfig, root: Path | None) -> Source:
    """The recordings that a config names.

    Parameters
    ----------
    data : which data set, and which view of it
    root : its folder; None for the synthetic one, and for one inside an installed package

    Raises
    ------
    ConfigError : no folder was given, and the data set needs one
    MissingExtraError : the package that holds the recordings is not installed
    DataError : the folder does not hold the data set
    """
    declared = data_set(data.dataset)
    if root is None and declared.needs_root:
        raise ConfigError(f"{declared.name} needs the folder that holds it", hint="Give --root DIR")
    if root is None:
        root = _inside_package(declared) if declared.inside else Path()
    return declared.open(data, root)


def _inside_package(declared: DataSet) -> Path:
    package, _, below = declared.inside.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(package, extra=declared.extra, purpose=f"the data set {declared.name}")
    return Path(next(iter(spec.submodule_search_locations))) / below
