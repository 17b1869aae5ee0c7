"""Reading a file in a child process, because the library that reads it can take its process down.

scipy's MATLAB reader, PyAV and pickles run C code on bytes that anybody may have made. A crafted or damaged file that
crashes them, hangs them or claims all memory costs the child, and the recording becomes a defect. One child reads one
file after another, and is started anew after it died.

What it sends back is JSON and arrays of plain numbers whose type and size are checked: a child that a file has taken
over can send wrong numbers, and nothing else. This module knows no format.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError, VskdError
from vskd_training.datasets.recording import BrokenFileError

#: A file is given this time, s, and 1 s more for each so many bytes: a film is decoded faster.
_LEAST_S = 60
_BYTES_PER_S = 100_000
#: Memory that the child may have, bytes: half of the machine's, and never less than libraries need to start.
_LEAST_MEMORY = 4 * 2**30
_NUMBERS = re.compile(r"[<|]?[biuf][1248]")


class Reading(NamedTuple):
    """What was read from a file: arrays of numbers, and beside them what JSON holds."""

    arrays: tuple[NDArray[Any], ...]
    plain: Any = None


def read_in_child(function: Callable[..., Reading], path: Path, *settings: Any, where: str) -> Reading:
    """Read a file by a function that runs in a child process.

    Parameters
    ----------
    function : of a module, so that the child can import it; takes ``path`` and the settings
    path : the file
    settings : what JSON holds
    where : how a defect names the file

    Raises
    ------
    BrokenFileError : the function raises it, or something unforeseen; the child crashed, or did not end in time
    DataError : as the function raises it
    """
    call = {"function": [function.__module__, function.__qualname__], "path": str(path), "settings": settings}
    with _LOCK:
        child = _running_child()
        try:
            _send(child.stdin, {**call, "limit_s": limit_s(path)})
            answer, arrays = _receive(child.stdout)
        except (OSError, EOFError, ValueError) as error:
            raise _died(_stop(child), path, where) from error
    if "broken" in answer:
        raise BrokenFileError(answer["where"] or where, answer["broken"], kind=answer["kind"])
    if "refused" in answer:
        raise DataError(answer["refused"], hint=answer["hint"])
    return Reading(arrays, answer["plain"])


def limit_s(path: Path) -> int:
    """Seconds that reading a file may take, s."""
    try:
        return _LEAST_S + path.stat().st_size // _BYTES_PER_S
    except OSError:
        return _LEAST_S


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]
    parent: int


_LOCK = threading.Lock()
#: The child of this process, if one was started.
_CHILDREN: list[_Child] = []


def _running_child() -> _Child:
    # A fork has its parent's list, and must leave the parent's child alone.
    if _CHILDREN and (_CHILDREN[0].parent != os.getpid() or _CHILDREN[0].process.poll() is not None):
        _CHILDREN.clear()
    if not _CHILDREN:
        # The child sees the folders that this process imports from, installed or not, and not the working directory.
        command = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if process.stdin is None or process.stdout is None:
            raise OSError("the child has no pipes")
        _CHILDREN.append(_Child(process, process.stdin, process.stdout, os.getpid()))
    return _CHILDREN[0]


def _stop(child: _Child) -> int:
    """End a child that no longer answers as it should; its exit code."""
    _CHILDREN.clear()
    with suppress(OSError):  # it no longer reads: what was left to send is lost, as it is
        child.stdin.close()
    child.stdout.close()
    try:
        return child.process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        child.process.kill()
        return child.process.wait()


@atexit.register
def _stop_at_exit() -> None:
    if _CHILDREN and _CHILDREN[0].parent == os.getpid():
        _stop(_CHILDREN[0])


def _died(code: int, path: Path, where: str) -> BrokenFileError:
    if code == -signal.SIGALRM:
        what = f"was not read within {limit_s(path)} s; record it again or drop the clip"
        return BrokenFileError(where, what, kind="takes too long to read")
    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    what = f"made its reader crash ({reason}); copy it again or drop the clip"
    return BrokenFileError(where, what, kind="crashes its reader")


def _send(stream: IO[bytes], content: Any, arrays: tuple[NDArray[Any], ...] = ()) -> None:
    """One line of JSON, then the arrays' bytes, in this machine's order."""
    arrays = tuple(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")) for array in arrays)
    described = [[array.dtype.str, list(array.shape)] for array in arrays]
    stream.write(json.dumps([content, described]).encode() + b"\n")
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[dict[str, Any], tuple[NDArray[Any], ...]]:
    line = stream.readline()
    if not line:
        raise EOFError
    content, described = json.loads(line)
    arrays = []
    for dtype, shape in described:
        if not _NUMBERS.fullmatch(dtype) or not all(isinstance(length, int) and length >= 0 for length in shape):
            raise ValueError(f"an array of {dtype!r}, shape {shape}")
        size = prod(shape) * np.dtype(dtype).itemsize
        if size > _memory():
            raise ValueError(f"an array of {size} bytes")
        content_of = stream.read(size)
        if len(content_of) < size:
            raise EOFError
        # A copy, because frombuffer's arrays are read-only.
        arrays.append(np.frombuffer(content_of, dtype=dtype).reshape(shape).copy())
    return content, tuple(arrays)


def _memory() -> int:
    return max(_LEAST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


def serve() -> NoReturn:
    """Read what is asked for until the parent goes away: the child's side."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries that print must not print into the answers
    resource.setrlimit(resource.RLIMIT_AS, (_memory(), _memory()))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while line := sys.stdin.buffer.readline():
        call, _ = json.loads(line)
        # Its default ends the process, also inside a library's C code.
        signal.alarm(call["limit_s"])
        content, arrays = _answer(call)
        signal.alarm(0)
        _send(answers, content, arrays)
    sys.exit(0)


def _answer(call: dict[str, Any]) -> tuple[dict[str, Any], tuple[NDArray[Any], ...]]:
    module, name = call["function"]
    try:
        reading: Reading = getattr(importlib.import_module(module), name)(Path(call["path"]), *call["settings"])
    except BrokenFileError as error:
        defect = error.defect
        return {"broken": defect.what, "where": defect.where, "kind": defect.kind}, ()
    except VskdError as error:
        return {"refused": error.message, "hint": error.hint}, ()
    except MemoryError:
        what = f"needs more than {_memory() / 2**30:.0f} GiB of memory to be read"
        return {"broken": what, "where": "", "kind": "needs too much memory"}, ()
    except Exception as error:  # noqa: BLE001  (a library's, on a file that nobody foresaw; it is shown with its type)
        what = f"cannot be read ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
        return {"broken": what, "where": "", "kind": "unreadable"}, ()
    return {"plain": reading.plain}, reading.arrays
