"""Arrays and plain values out of an ``.npy`` of one pickled object, without running anything that the pickle names.

A pickle is a program. This reader gives it nothing to call but the stand-ins below, which keep what they are given;
arrays are built afterwards, from the bytes, by a type out of a short list and a shape that must fit them. numpy's own
constructors are never handed out: with a type's flags cleared, or a state of its own making, they take bytes for
pointers. The unpickler is the one in Python, whose memory grows with the file; the one in C takes as much as a number
in the file says. This module knows no data set.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import tokenize
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError

#: Bytes of a file; the one in seglearn has 18 million.
LARGEST_BYTES = 2**28

#: Values in all; each takes some tens of bytes.
MOST_VALUES = 1_000_000

#: Lists within lists that are looked into: a mapping of lists of arrays.
DEEPEST = 4

#: numpy's short names of numbers, of text and of bytes.
_NUMBER = re.compile(r"[biuf][1248]|[SU]\d{1,4}", re.ASCII)

#: What a damaged pickle, or one that asks for what it may not have, is refused with.
_CANNOT_BE_UNPICKLED = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, MemoryError, OverflowError,
    RecursionError, SyntaxError, tokenize.TokenError, UnicodeError, struct.error,
)  # fmt: skip


def read_mapping(path: Path, *, way_out: str) -> dict[str, Any]:
    """The mapping inside an .npy file of one pickled object.

    Parameters
    ----------
    path : the file
    way_out : hint of every error

    Returns
    -------
    by name: arrays of numbers or text, lists, strings, numbers

    Raises
    ------
    DataError : no such file, not an .npy file of one object, a pickle that asks for anything else, or arrays that
        their bytes are not
    """
    try:
        with path.open("rb") as file:
            content = io.BytesIO(file.read(LARGEST_BYTES + 1))
        if content.getbuffer().nbytes > LARGEST_BYTES:
            raise DataError(f"{path} has more than {LARGEST_BYTES} bytes", hint=way_out)
        version = np.lib.format.read_magic(content)
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
        if version != (1, 0) or shape != () or dtype != np.dtype(object):
            raise DataError(f"{path} holds {dtype} {shape}, not one object", hint=way_out)
        found = _Settling().plain(_Unpickler(content).load())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint=way_out) from error
    except _CANNOT_BE_UNPICKLED as error:
        raise DataError(f"{path} cannot be read: {str(error) or type(error).__name__}", hint=way_out) from error
    # numpy pickles an object array of no dimensions, which holds the mapping.
    mapping = found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(mapping, dict):
        raise DataError(f"{path} holds a {type(mapping).__name__}, not a mapping of arrays", hint=way_out)
    return mapping


class _Kept:
    """What stands for an object of the pickle: its state is kept, and nothing is made of it yet."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Kept):
    """An array to be built."""

    __slots__ = ()


class _Dtype(_Kept):
    """A type of numbers: its short name, and its byte order in the state."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _Callable:
    """What a pickle may call; it can neither be changed nor be given a state."""

    __slots__ = ("_unpickler", "_what")

    def __init__(self, unpickler: _Unpickler, what: str) -> None:
        self._unpickler, self._what = unpickler, what

    def __call__(self, *arguments: Any) -> Any:
        return self._unpickler.made(self._what, arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes a function")


#: What a pickle of arrays names -> what stands for it.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy", "ndarray"): "kind of array",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "bytes",
    ("__builtin__", "bytes"): "no bytes",
}


def _refuse_buffer(_: Any) -> None:
    raise pickle.UnpicklingError("it holds a buffer, which pickles of protocol 4 have not")


class _Unpickler(pickle._Unpickler):  # the one that is written in Python
    """Plain values and stand-ins; whatever else a pickle names is refused before it is looked up."""

    #: Protocol 5 makes a buffer as large as a number in the file says.
    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        **dict.fromkeys(pickle.BYTEARRAY8 + pickle.NEXT_BUFFER + pickle.READONLY_BUFFER, _refuse_buffer),
    }

    def __init__(self, content: io.BytesIO) -> None:
        super().__init__(content)
        self._bytes_left = content.getbuffer().nbytes

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, and only numpy arrays are read")
        return _Callable(self, _ALLOWED[module_name, global_name])

    def made(self, what: str, arguments: tuple[Any, ...]) -> Any:
        """The stand-in for what numpy would make of these arguments."""
        if what == "array":
            return _Array()  # its arguments describe an empty one; what it is stands in its state
        if what == "dtype" and arguments and isinstance(arguments[0], str):
            return _Dtype(arguments[0])
        if what == "bytes":
            return self._latin_1(*arguments)
        if what == "no bytes" and not arguments:
            return b""
        raise pickle.UnpicklingError(f"it calls a {what} with {len(arguments)} arguments")

    def _latin_1(self, text: str, encoding: str) -> bytes:
        """How Python 2's bytes travel in a pickle. The same text again and again would fill the memory."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise pickle.UnpicklingError("it makes more bytes than it holds")
        return text.encode("latin1")


class _Settling:
    """Makes arrays and plain values of what was kept, and counts them."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def plain(self, value: Any, depth: int = 0) -> Any:
        """The value without stand-ins; an array of objects becomes a list of its items, row by row."""
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise ValueError(f"it holds more than {MOST_VALUES} values, or lists nested more than {DEEPEST} deep")
        if isinstance(value, dict):
            return {self._key(key): self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item, depth + 1) for item in value]
        if isinstance(value, _Array):
            return self._array(value.state, depth)
        if value is not None and not isinstance(value, bool | int | float | str | bytes):
            raise ValueError(f"it holds a {type(value).__name__.lstrip('_')} by itself")
        return value

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise ValueError(f"a name is a {type(key).__name__}")
        return key

    def _array(self, state: Any, depth: int) -> NDArray[Any] | list[Any]:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise ValueError("an array has no state")
        _, shape, dtype, by_column, data = state
        if not isinstance(dtype, _Dtype) or not _is_shape(shape):
            raise ValueError("an array has no type or no shape")
        if dtype.name in ("O", "O8") and isinstance(data, list) and len(data) == math.prod(shape):
            return [self.plain(item, depth + 1) for item in data]
        kind = _dtype_of(dtype)
        if not isinstance(data, bytes) or len(data) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"an array of {kind} has other bytes than its shape {shape} takes")
        if kind.kind == "U" and data and np.frombuffer(data, f"{kind.byteorder}u4").max() > 0x10FFFF:
            raise ValueError("an array holds text that is none")
        return np.frombuffer(data, dtype=kind).reshape(shape, order="F" if by_column else "C")


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= 8
        and all(type(length) is int and 0 <= length <= LARGEST_BYTES for length in shape)
    )


def _dtype_of(dtype: _Dtype) -> np.dtype[Any]:
    """The type, out of its short name and its byte order; whatever else its state says is left aside."""
    order = dtype.state[1] if isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "|"
    if not _NUMBER.fullmatch(dtype.name) or order not in ("<", ">", "=", "|"):
        raise ValueError(f"an array of {dtype.name[:20]!r}, and only numbers and text are read")
    return np.dtype(f"{order}{dtype.name}")
