"""The JSON Schema of a closed record (``vskd.closed``); ``python -m vskd.schema`` writes those of a bundle.

Types, keys, which of them must be there and the bounds of numbers come from the dataclasses, descriptions from their
docstrings. Rules between keys, and for names, are the reader's alone. Nothing of vskd reads the files: they are for
others, who read bundles in another language. A test holds them equal to the records.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

from vskd import contract, manifest
from vskd.closed import is_required, key_of

FOLDER = Path(__file__).with_name("schemas")

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def schema_text(kind: type[Any], *, name: str, version: int) -> str:
    """The schema of a document as JSON; what holds only plain values stands on one line.

    Parameters
    ----------
    kind : the dataclass
    name, version : of the document, as in ``urn:vskd:NAME:VERSION``
    """
    definitions: dict[str, Any] = {}
    document = _record(kind, definitions)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:vskd:{name}:{version}",
        "title": f"vskd {name.replace('-', ' ')}, version {version}",
        **document,
        "$defs": dict(sorted(definitions.items())),
    }
    text = json.dumps(schema, indent=2)
    for inside in (r"\[([^\[\]{}]*)\]", r"\{([^{}]*)\}"):
        text = re.sub(inside, lambda found: " ".join(found[0].split()), text)
    return text + "\n"


def files() -> dict[Path, str]:
    """The schemas of a bundle: place -> content."""
    documents = (
        ("contract", contract.Contract, contract.SCHEMA_VERSION),
        ("manifest", manifest.Manifest, manifest.SCHEMA_VERSION),
    )
    return {
        FOLDER / f"{name}.v{version}.schema.json": schema_text(kind, name=name, version=version)
        for name, kind, version in documents
    }


def _record(kind: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """An object with the fields of a dataclass."""
    hints, words = typing.get_type_hints(kind), attributes(kind)
    properties = {}
    for field in dataclasses.fields(kind):
        described = {"description": words[field.name]} if field.name in words else {}
        bounds = field.metadata.get("bounds")
        limits = {"minimum": bounds.low, "maximum": bounds.high} if bounds else {}
        properties[key_of(field)] = {**_type(hints[field.name], definitions), **limits, **described}
    for key, value in getattr(kind, "DROPPED", {}).items():
        properties[key] = {"const": value, "deprecated": True}
    return {
        "description": summary(kind),
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


def summary(kind: type[Any]) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def attributes(kind: type[Any]) -> dict[str, str]:
    """Field -> its description in the docstrings of a dataclass and of those that it extends."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        section = inspect.cleandoc(each.__doc__ or "").partition("Attributes\n----------\n")[2]
        for names, text in re.findall(r"^(\w[\w, ]*) : (.*(?:\n    .*)*)", section, re.MULTILINE):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


def main() -> None:
    """Write the files."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
