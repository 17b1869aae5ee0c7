"""Every data set that configs and commands know, one line each. Importing this loads no reader."""

from __future__ import annotations

from vskd.errors import ConfigError, did_you_mean
from vskd_training.datasets import berkeley_mhad, folder, mmact, shoulder_watch, synthetic, utd_mhad
from vskd_training.datasets.data_set import DataSet

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
