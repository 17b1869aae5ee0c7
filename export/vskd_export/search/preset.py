"""A candidate as a config file that ``vskd train student --config`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vskd.closed import to_mapping
from vskd.errors import ConfigError
from vskd.writing import write_file
from vskd_training.settings import Config, load_config
from vskd_training.settings.described import toml_text


def write_preset(path: Path, config: Config, comment: Sequence[str]) -> None:
    """Write a config, without the keys that have their default.

    Parameters
    ----------
    path : the TOML file
    config : to write
    comment : lines ahead of it

    Raises
    ------
    ConfigError : the file would not be read as this config
    """
    write_file(path, toml_text(config, every=False, comment=comment).encode())
    if to_mapping(load_config(path)) != to_mapping(config):
        raise ConfigError(f"the config cannot be written as TOML: {path} reads otherwise")
