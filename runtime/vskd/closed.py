"""Closed records: frozen dataclasses from mappings, where an unknown key is an error with a suggestion.

The contract of a bundle, every training config and every benchmark result are read and written through these functions.
What is supported is what they need and no more: bool, int, float, str, ``Literal``, ``X | None``, ``X | Y`` (the first
that fits), ``tuple[X, ...]``, ``dict[K, X]`` (K is str or ``Literal``) and nested dataclasses. Checks beyond types
belong in ``__post_init__`` of the dataclass; those of numbers are declared with the field (``number``) and made by
``check_numbers``. A key that is no name in Python stands in the metadata: ``field(metadata={"key": "p99.9_ns"})``.

A dataclass may name keys that it once had: ``RETIRED: ClassVar[Mapping[str, str]]``, old key -> what to write instead,
and ``DROPPED: ClassVar[Mapping[str, Any]]``, old key -> the value with which it changed nothing; with that value it is
passed over, so that what was written before can be read.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from vskd.errors import ConfigError, did_you_mean

Record = TypeVar("Record")

#: Characters of a value that a message quotes.
_QUOTED = 120


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The lowest and the highest value that a number may have, and its unit."""

    low: float
    high: float
    unit: str = ""


def number(default: float, low: float, high: float, unit: str = "") -> Any:
    """A field of a dataclass that holds a number between bounds, both included; ``check_numbers`` checks it."""
    return dataclasses.field(default=default, metadata={"bounds": Bounds(low, high, unit)})


def check_numbers(record: Any, where: str) -> None:
    """Refuse a number outside the bounds of its field; for ``__post_init__``.

    Parameters
    ----------
    record : a dataclass instance
    where : how a message names it

    Raises
    ------
    ConfigError
    """
    for one in dataclasses.fields(record):
        bounds: Bounds | None = one.metadata.get("bounds")
        value = getattr(record, one.name)
        if bounds is not None and not bounds.low <= value <= bounds.high:
            raise ConfigError(
                f"{where}.{one.name} must lie between {bounds.low:g} and {bounds.high:g} {bounds.unit}".rstrip()
                + f", got {_quoted(value)}"
            )


def from_mapping(kind: type[Record], mapping: Mapping[str, Any], *, where: str) -> Record:
    """Build a frozen dataclass from a mapping, refusing what it does not know.

    Parameters
    ----------
    kind : the dataclass
    mapping : its fields; missing ones take their defaults
    where : how a message names the place, e.g. ``"student.gaf"``; empty: it names the keys alone

    Raises
    ------
    ConfigError : an unknown or missing key, or a value of the wrong type
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where} must be a table of settings, got {_quoted(mapping)}")
    dropped: Mapping[str, Any] = getattr(kind, "DROPPED", {})
    mapping = {key: value for key, value in mapping.items() if key not in dropped or value != dropped[key]}
    hints = _hints(kind)  # type: ignore[arg-type]
    fields = {key_of(field): field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            retired: Mapping[str, str] = getattr(kind, "RETIRED", {})
            hint = retired.get(str(key)) or did_you_mean(str(key), fields)
            raise ConfigError(f"unknown key {_quoted(key)}" + (f" in {where}" if where else ""), hint=hint)
    for key, field in fields.items():
        if is_required(field) and key not in mapping:
            raise ConfigError(f"{where} lacks the key {key!r}", hint=f"Add it; {where} knows: {', '.join(fields)}")
    names = {key: field.name for key, field in fields.items()}
    within = f"{where}." if where else ""
    return kind(**{names[key]: _convert(value, hints[names[key]], f"{within}{key}") for key, value in mapping.items()})


def to_mapping(record: Any) -> dict[str, Any]:
    """The mapping that ``from_mapping`` reads back, with tuples as lists: ready for JSON.

    Parameters
    ----------
    record : a dataclass instance
    """
    return {key_of(field): _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}


def key_of(field: dataclasses.Field[Any]) -> str:
    """The key of a field in a mapping."""
    return str(field.metadata.get("key", field.name))


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether a mapping must hold the field: it has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _quoted(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or an integer of thousands of digits
        return f"a {type(value).__name__}"
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return _choice(value, typing.get_args(hint), where)
    if origin in (typing.Union, types.UnionType):
        return _union(value, typing.get_args(hint), where)
    if origin is tuple:
        return _sequence(value, typing.get_args(hint)[0], where)
    if origin is dict:
        key_hint, item_hint = typing.get_args(hint)
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {_quoted(value)}")
        return {
            _convert(str(key), key_hint, where): _convert(item, item_hint, f"{where}.{key}")
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type[Any], hint), value, where=where)
    return _scalar(value, hint, where)


def _union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1:
        return _convert(value, kinds[0], where)
    for kind in kinds:
        try:
            return _convert(value, kind, where)
        except ConfigError:
            continue
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise ConfigError(f"{where} must be of type {names}, got {_quoted(value)}")


def _choice(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value not in options:
        raise ConfigError(f"{where} cannot be {_quoted(value)}", hint=did_you_mean(str(value), map(str, options)))
    return value


def _sequence(value: Any, item_hint: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise ConfigError(f"{where} must be a list, got {_quoted(value)}")
    return tuple(_convert(item, item_hint, f"{where}[{index}]") for index, item in enumerate(value))


def _scalar(value: Any, kind: type[Any], where: str) -> Any:
    # A bool is an int in Python; a config with `seed = true` is a mistake.
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and (whole_number or isinstance(value, float)):
        return _finite(value, where)
    if (kind is int and whole_number) or (kind in (str, bool) and isinstance(value, kind)):
        return value
    raise ConfigError(f"{where} must be of type {kind.__name__}, got {_quoted(value)}")


def _finite(value: int | float, where: str) -> float:
    # JSON as Python reads it knows NaN and Infinity; no setting does.
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"{where} must be a finite number, got {number}")
    return number
