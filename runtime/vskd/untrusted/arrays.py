"""Arrays of numbers or text out of an ``.npz``, whose sizes are checked before memory is taken for them.

``numpy.load`` takes what a header claims: some hundred bytes can ask for a terabyte, and a compressed member can grow a
thousandfold. Here a member's header, its size in the archive's directory and its content must agree, and all of them
together stay within a limit. Arrays of Python objects and records are never read.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

#: Arrays in a file, and bytes of all of them together: an hour of video of 80 by 60 pixels has half of that.
MOST_ARRAYS, LARGEST_BYTES = 1000, 2**30

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

#: Kinds of numpy's types: bool, integers, floats, text.
_KINDS = "biufU"

_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, NotImplementedError, RuntimeError,
    TypeError, SyntaxError, tokenize.TokenError, LookupError, MemoryError, RecursionError, UnicodeError,
)  # fmt: skip


def read_npz(content: BinaryIO, *, largest_bytes: int = LARGEST_BYTES) -> dict[str, NDArray[Any]]:
    """Every array of an ``.npz``, by its name.

    Parameters
    ----------
    content : open for reading, at its start
    largest_bytes : of all arrays together

    Raises
    ------
    ValueError : no archive, a damaged or encrypted one, a member that is no plain array or not of its stated size, or
        more than may be read
    """
    try:
        with zipfile.ZipFile(content) as archive:
            members = archive.infolist()
            _check_directory(members, largest_bytes)
            return {member.filename.removesuffix(".npy"): _read(archive, member) for member in members}
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"it is no archive of arrays ({reason})") from error


def _check_directory(members: list[zipfile.ZipInfo], largest_bytes: int) -> None:
    names = [member.filename for member in members]
    if len(names) > MOST_ARRAYS:
        raise ValueError(f"it holds {len(names)} members, and at most {MOST_ARRAYS} are read")
    if len(set(names)) < len(names):
        raise ValueError("two of its members have one name")
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"its member {member.filename[:80]!r} is no array")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its member {member.filename[:80]!r} is compressed as numpy never does")
    total = sum(member.file_size for member in members)
    if total > largest_bytes:
        raise ValueError(f"its arrays have {total} bytes, and at most {largest_bytes} are read")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    name = member.filename[:80]
    with archive.open(member) as stream:
        # As many bytes as stated and no more: reading without a number unpacks a bomb before it is cut.
        content = io.BytesIO(stream.read(member.file_size))
    version = np.lib.format.read_magic(content)
    if version not in _HEADERS:
        raise ValueError(f"its member {name!r} has version {version} of the format")
    shape, by_column, dtype = _HEADERS[version](content)
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise ValueError(f"its member {name!r} holds {'Python objects' if dtype.hasobject else dtype}, not numbers")
    data = memoryview(content.getbuffer())[content.tell() :]
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"its member {name!r} has {len(data)} bytes, which are not {dtype} of shape {shape}")
    array = np.frombuffer(data, dtype=dtype) if len(data) else np.empty(0, dtype=dtype)
    if dtype.kind == "U" and len(data) and np.frombuffer(data, f"{dtype.byteorder}u4").max() > sys.maxunicode:
        raise ValueError(f"its member {name!r} holds text that is none")  # Python has no such character
    return array.reshape(shape, order="F" if by_column else "C")
