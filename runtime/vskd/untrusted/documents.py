"""JSON and TOML from outside: read whole, or refused in one sentence.

Python's own readers overflow the stack on a thousand brackets, let a key stand twice, make integers of thousands of
digits that nothing can print, and raise five kinds of exception. Here depth, size and integers have bounds that no
document of vskd comes near.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: Characters of a document: reports and results of benchmarks have some MB, files that people write some kB.
LONGEST_JSON, LONGEST_TOML = 64 * 2**20, 2**20

#: Tables and lists within each other.
DEEPEST = 32

#: Integers lie within +- this: 64 bits.
LARGEST_INTEGER = 2**63


def read_json(text: str, *, longest: int = LONGEST_JSON) -> Any:
    """What a JSON text holds.

    Parameters
    ----------
    text : one document
    longest : characters that it may have

    Raises
    ------
    ValueError : too long, no JSON, a key that stands twice, nested too deep, or an integer beyond 64 bits
    """
    _check_length(text, longest)
    with _one_kind_of_error():
        return _checked(json.loads(text, object_pairs_hook=_object))


def read_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds; errors as of ``read_json``."""
    _check_length(text, LONGEST_TOML)
    with _one_kind_of_error():
        content: dict[str, Any] = _checked(tomllib.loads(text))
        return content


@contextmanager
def _one_kind_of_error() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        if str(error).startswith("Exceeds the limit"):  # of digits that Python converts; its hint is for programmers
            raise _too_large() from error
        raise


def _check_length(text: str, longest: int) -> None:
    if len(text) > longest:
        raise ValueError(f"it has {len(text)} characters, and at most {longest} are read")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:80]!r} stands twice")
        found[name] = value
    return found


def _checked(content: Any) -> Any:
    """Level by level, since what is nested too deep cannot be walked by recursion."""
    level: list[Any] = [content]
    for _ in range(DEEPEST + 1):
        if not level:
            return content
        for value in level:
            if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
                raise _too_large()
        level = [item for value in level for item in _inside(value)]
    raise _too_deep()


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {DEEPEST} deep")


def _too_large() -> ValueError:
    return ValueError("it holds an integer beyond 64 bits")
