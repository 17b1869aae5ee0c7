"""Flatbuffers of strangers, read by position: as much of the format as ``.tflite`` files need (FlatBuffers internals).

A table knows where its fields lie; what a field holds is for the caller to say. Nothing is copied, every read is
bounds-checked, and what leads outside raises ``struct.error`` or ``IndexError``.
"""

from __future__ import annotations

import struct


def root(content: memoryview) -> int:
    """Position of the root table."""
    return _follow(content, 0)


def field(content: memoryview, table: int, index: int) -> int | None:
    """Position of a table's field; None where it has its default."""
    (back,) = struct.unpack_from("<i", content, table)
    vtable = table - back
    if vtable < 0:
        raise IndexError(f"a table's index lies at {vtable}")
    (size,) = struct.unpack_from("<H", content, vtable)
    if 4 + 2 * index >= size:
        return None
    (offset,) = struct.unpack_from("<H", content, vtable + 4 + 2 * index)
    return table + offset if offset else None


def number(content: memoryview, table: int, index: int, form: str, default: int = 0) -> int:
    """A table's integer of a ``struct`` form, such as ``"<i"``."""
    position = field(content, table, index)
    return default if position is None else int(struct.unpack_from(form, content, position)[0])


def child(content: memoryview, table: int, index: int) -> int | None:
    """Position of the table that a field names; None where there is none."""
    position = field(content, table, index)
    return None if position is None else _follow(content, position)


def vector(content: memoryview, table: int, index: int, *, width: int = 1) -> memoryview | None:
    """The bytes of a field's vector, whose items have so many each; None where there is none."""
    position = field(content, table, index)
    if position is None:
        return None
    start = _follow(content, position)
    (size,) = struct.unpack_from("<I", content, start)
    if start + 4 + width * size > len(content):
        raise IndexError(f"a list of {size} ends behind the file")
    return content[start + 4 : start + 4 + width * size]


def tables(content: memoryview, table: int, index: int) -> list[int]:
    """Positions of the tables that a field's vector names; none where there is no vector."""
    position = field(content, table, index)
    if position is None:
        return []
    start = _follow(content, position)
    (size,) = struct.unpack_from("<I", content, start)
    if start + 4 + 4 * size > len(content):
        raise IndexError(f"a list of {size} ends behind the file")
    return [_follow(content, start + 4 + 4 * item) for item in range(size)]


def _follow(content: memoryview, position: int) -> int:
    """Where the offset at this position points."""
    return position + int(struct.unpack_from("<I", content, position)[0])
