"""The lines of a text file that is complete, plain or gzip, with the limit that a pipe's lines have.

This module does not depend on samples.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from vskd.sources.causes import TextError
from vskd.sources.live_text import LONGEST_LINE_BYTES, OTHER_FILE

#: A gzip file may unpack to so many times its size, or to so many characters: numbers give 3 to 20 times.
MOST_UNPACKED, LEAST_UNPACKED = 100, 2**25

_GZIP = b"\x1f\x8b"
#: First bytes of what is no text in UTF-8 -> what it is, and the way out.
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "Unpack it, or save it as CSV"),
    b"\xff\xfe": ("text in UTF-16", "Save it in UTF-8"),
    b"\xfe\xff": ("text in UTF-16", "Save it in UTF-8"),
    b"\xfd7zXZ": ("compressed by xz", "Unpack it, or compress it by gzip"),
    b"BZh": ("compressed by bzip2", "Unpack it, or compress it by gzip"),
    b"SQLite": ("a database", "Export it as CSV"),
}


def file_lines(path: Path, *, name: str) -> Iterator[str]:
    """The lines of a file, each with its end, one by one; a carriage return alone ends a line, too.

    Parameters
    ----------
    path : UTF-8, plain or gzip, whatever its name ends in
    name : of the file, for messages

    Raises
    ------
    TextError : it cannot be read, is no text in UTF-8, or has a line of more than ``LONGEST_LINE_BYTES``
    """
    line = 0
    try:
        with path.open("rb") as raw:
            start = raw.read(6)
            raw.seek(0)
            for magic, (what, way_out) in _FOREIGN.items():
                if start.startswith(magic):
                    raise TextError(name, f"it is {what}", kind="unreadable", hint=way_out)
            is_packed = start.startswith(_GZIP)
            binary = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if is_packed else raw
            left = max(MOST_UNPACKED * path.stat().st_size, LEAST_UNPACKED) if is_packed else math.inf
            with io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline=None) as text:
                while content := text.readline(LONGEST_LINE_BYTES + 1):
                    line += 1
                    left -= len(content)
                    if left < 0:
                        what = f"unpacked, it is more than {MOST_UNPACKED} times as long"
                        raise TextError(name, what, kind="unreadable", hint="Give it unpacked")
                    _refuse_no_text(content, f"{name}, line {line}")
                    yield content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = f"the gzip file is damaged ({error})"
        raise TextError(f"{name}, after line {line}", what, kind="unreadable", hint="Copy it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise TextError(name, f"cannot be read ({reason})", kind="unreadable", hint=OTHER_FILE) from error


def _refuse_no_text(line: str, where: str) -> None:
    if len(line) > LONGEST_LINE_BYTES:
        what = f"it has more than {LONGEST_LINE_BYTES} bytes"
        raise TextError(where, what, kind="unreadable", hint="Give CSV text in UTF-8")
    if not line.isascii() and (wrong := re.search("[\udc80-\udcff]", line)):
        byte = ord(wrong[0]) - 0xDC00
        what = f"byte 0x{byte:02x} is not UTF-8 (Latin-1?)"
        raise TextError(where, what, kind="unreadable", hint="Give CSV text in UTF-8")
