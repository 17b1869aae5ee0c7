"""The JSON Schema of ``result.json``, made from its records: ``python -m vskd_benchmarks.result.schema`` writes it.

Types, keys and which of them must be there come from the dataclasses, descriptions from their docstrings. Nothing of
vskd reads the file: it is for others, who read results in another language. A test holds it equal to the records.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from typing import Any

from vskd.closed import is_required, key_of
from vskd_benchmarks.result.folder import SCHEMA, SCHEMA_VERSION
from vskd_benchmarks.result.records.result import Result

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def schema() -> dict[str, Any]:
    """The schema of the whole document."""
    definitions: dict[str, Any] = {}
    document = _record(Result, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:vskd:bench-result:{SCHEMA_VERSION}",
        "title": f"vskd bench result, version {SCHEMA_VERSION}",
        **document,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """The content of the schema's file: what holds only plain values stands on one line."""
    text = json.dumps(schema(), indent=2)
    for inside in (r"\[([^\[\]{}]*)\]", r"\{([^{}]*)\}"):
        text = re.sub(inside, lambda found: " ".join(found[0].split()), text)
    return text + "\n"


def _record(kind: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """An object with the fields of a dataclass."""
    hints, words = typing.get_type_hints(kind), _attributes(kind)
    properties = {}
    for field in dataclasses.fields(kind):
        described = {"description": words[field.name]} if field.name in words else {}
        properties[key_of(field)] = {**_type(hints[field.name], definitions), **described}
    return {
        "description": _summary(kind),
        "type": "object",
        "additionalProperties": False,
        "required": [key_of(field) for field in dataclasses.fields(kind) if is_required(field)],
        "properties": properties,
    }


def _type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"const": options[0]} if len(options) == 1 else {"enum": list(options)}
    if origin in (typing.Union, types.UnionType):
        return _union([_type(option, definitions) for option in options])
    if origin is tuple:
        return {"type": "array", "items": _type(options[0], definitions)}
    if origin is dict:
        names = {} if options[0] is str else {"propertyNames": _type(options[0], definitions)}
        return {"type": "object", **names, "additionalProperties": _type(options[1], definitions)}
    if dataclasses.is_dataclass(hint):
        name = typing.cast(type[Any], hint).__name__
        if name not in definitions:
            definitions[name] = _record(typing.cast(type[Any], hint), definitions)
        return {"$ref": f"#/$defs/{name}"}
    return {"type": _SCALARS[hint]}


def _union(options: list[dict[str, Any]]) -> dict[str, Any]:
    names = [option.get("type") for option in options]
    if all(list(option) == ["type"] for option in options):
        # A whole number is a number.
        return {"type": [name for name in names if name != "integer" or "number" not in names]}
    return {"anyOf": options}


def _summary(kind: type[Any]) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def _attributes(kind: type[Any]) -> dict[str, str]:
    """Field -> its description in the docstrings of a dataclass and of those that it extends."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        section = inspect.cleandoc(each.__doc__ or "").partition("Attributes\n----------\n")[2]
        for names, text in re.findall(r"^(\w[\w, ]*) : (.*(?:\n    .*)*)", section, re.MULTILINE):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def main() -> None:
    """Write the file."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
