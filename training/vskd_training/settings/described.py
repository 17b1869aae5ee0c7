"""A config as a document: what every key means, and TOML that says it beside the keys.

The words are those of the settings' docstrings; whatever shows keys (``vskd config show``, the page of the config)
takes them from here.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vskd.closed import is_required, to_mapping
from vskd.schema import attributes, summary
from vskd_training.settings.config import Config

_COMMENT = textwrap.TextWrapper(88, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)


@dataclass(frozen=True)
class Key:
    """One key of the config.

    Attributes
    ----------
    section, name : as in the TOML file; the section is empty for a key above all sections
    kind : its type, or the values that it may have
    default : as in TOML; empty where the key must be given
    meaning : its words in the docstring
    """

    section: str
    name: str
    kind: str
    default: str
    meaning: str


def sections(kind: type[Any] = Config, within: str = "") -> Iterator[tuple[str, str, tuple[Key, ...]]]:
    """Each section of the config as (its name, what it is, its keys); the keys above all sections come first."""
    hints, words = typing.get_type_hints(kind), attributes(kind)
    fields = dataclasses.fields(kind)
    inner = [field for field in fields if dataclasses.is_dataclass(hints[field.name])]
    keys = tuple(
        Key(within, field.name, _kind(hints[field.name]), _default(field), _plain(words.get(field.name, "")))
        for field in fields
        if field not in inner
    )
    yield within, _plain(summary(kind)), keys
    for field in inner:
        yield from sections(hints[field.name], f"{within}.{field.name}" if within else field.name)


def toml_text(config: Config, *, every: bool, comment: Sequence[str] = ()) -> str:
    """A config as TOML that ``load_config`` reads back.

    Parameters
    ----------
    config : to write
    every : every key, with its meaning as a comment; else only keys that differ from their default, without one
    comment : lines ahead of all
    """
    lines = [f"# {line}".rstrip() for line in comment]
    for section, what, keys in sections():
        values = _section(to_mapping(config), section)
        shown = [key for key in keys if every or _toml(values[key.name]) != key.default]
        if not shown:
            continue
        lines.append("")
        if every and section:
            lines += _COMMENT.wrap(what)
        lines += [f"[{section}]"] if section else []
        for key in shown:
            lines += _COMMENT.wrap(key.meaning) if every else []
            lines.append(f"{key.name} = {_toml(values[key.name])}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _plain(words: str) -> str:
    return words.replace("``", "`")


def _section(mapping: dict[str, Any], section: str) -> dict[str, Any]:
    for name in section.split(".") if section else ():
        mapping = mapping[name]
    return mapping


def _kind(hint: Any) -> str:
    options = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(_toml(option) for option in options)
    if typing.get_origin(hint) is tuple:
        return f"list of {_kind(options[0])}"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}[hint]


def _default(field: dataclasses.Field[Any]) -> str:
    return "" if is_required(field) else _toml(field.default)


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
