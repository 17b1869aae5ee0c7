"""A candidate as a config file that ``vskd train student --config`` takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from vskd.closed import to_mapping
from vskd.errors import ConfigError
from vskd.writing import write_file
from vskd_training.settings import Config, load_config


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
    lines = [*(f"# {line}".rstrip() for line in comment), "", *_lines(config, "")]
    write_file(path, ("\n".join(lines).rstrip() + "\n").encode())
    if to_mapping(load_config(path)) != to_mapping(config):
        raise ConfigError(f"the config cannot be written as TOML: {path} reads otherwise")


def _lines(record: Any, section: str) -> Iterator[str]:
    """A record's keys, then its sections."""
    changed = [item for item in fields(record) if getattr(record, item.name) != _default(item)]
    plain = [item for item in changed if not is_dataclass(getattr(record, item.name))]
    if section and plain:
        yield f"[{section}]"
    for item in plain:
        yield f"{item.name} = {json.dumps(getattr(record, item.name), ensure_ascii=False)}"
    if plain:
        yield ""
    for item in changed:
        if item not in plain:
            yield from _lines(getattr(record, item.name), f"{section}.{item.name}" if section else item.name)


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default
