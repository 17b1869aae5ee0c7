"""Lines of text that are still being written: out of a pipe, or out of a file that a logger appends to.

Only whole lines are given out. While none comes, the caller's ``waiting`` is called repeatedly with the time, so
that a silent sensor can be reported and a watchdog notified. This module does not depend on samples.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from vskd.errors import DataError

#: Called with the time since the last text, s.
Waiting = Callable[[float], None]
Clock = Callable[[], float]

#: Time between two looks at a source without new text, s.
POLL_S = 0.1

#: A line of a sensor log has some tens of bytes; what has so many without an end is no text.
LONGEST_LINE_BYTES = 2**16

#: The way out where there is no such file, or it cannot be opened.
OTHER_FILE = "Give the path of a file that you can read"


def pipe_lines(
    descriptor: int, *, waiting: Waiting, poll_s: float = POLL_S, clock: Clock = time.monotonic
) -> Iterator[str]:
    """Lines out of a pipe, each as soon as it is there, until the writer closes it.

    Parameters
    ----------
    descriptor : open for reading
    waiting : called every ``poll_s`` while nothing comes
    poll_s, clock : a test passes its own

    Raises
    ------
    DataError : a line without an end
    """
    lines = _Lines("standard input")
    since = clock()
    while True:
        ready, _, _ = select.select([descriptor], [], [], poll_s)
        if not ready:
            waiting(clock() - since)
            continue
        data = os.read(descriptor, LONGEST_LINE_BYTES)
        if not data:
            break
        since = clock()
        yield from lines.take(data)
    yield from lines.take(b"\n") if lines.rest else ()


def followed_lines(
    path: Path,
    *,
    waiting: Waiting,
    poll_s: float = POLL_S,
    clock: Clock = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Lines of a file that is still being written, without an end.

    A file that is removed is waited for. A new file of the same name, or one that was truncated, is read from its
    start; its first line must be the same header, which is not given out again. An incomplete line of the removed file
    is lost.

    Parameters
    ----------
    path : must be there at the start
    waiting : called every ``poll_s`` while nothing comes
    poll_s, clock, sleep : a test passes its own

    Raises
    ------
    DataError : the file is not there at the start, cannot be read, or was replaced by one with another header
    """
    following = _Following(path)
    since = clock()
    try:
        while True:
            data = following.read()
            if data:
                since = clock()
                yield from following.take(data)
            elif not following.reopened():
                waiting(clock() - since)
                sleep(poll_s)
    finally:
        following.close()


class _Lines:
    """Cuts bytes into lines; an incomplete one is kept in ``rest``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.rest = b""

    def take(self, data: bytes) -> Iterator[str]:
        *whole, self.rest = (self.rest + data).split(b"\n")
        for line in whole:
            # A garbled byte spoils its own line, not the stream.
            yield line.decode("utf-8", errors="replace") + "\n"
        if len(self.rest) > LONGEST_LINE_BYTES:
            raise DataError(
                f"{self._name}: a line of more than {LONGEST_LINE_BYTES} bytes", hint="Give CSV text in UTF-8"
            )


class _Following:
    """A file that may be removed, replaced and truncated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header = ""
        self._lines = _Lines(str(path))
        try:
            self._file: BinaryIO | None = path.open("rb")
        except OSError as error:
            raise self._unreadable(error) from error
        self._at_start = True

    def read(self) -> bytes:
        try:
            return self._file.read(LONGEST_LINE_BYTES) if self._file else b""
        except OSError as error:
            raise self._unreadable(error) from error

    def take(self, data: bytes) -> Iterator[str]:
        for line in self._lines.take(data):
            if self._at_start and self._header:
                self._refuse_other_header(line)
            else:
                self._header = self._header or line
                yield line
            self._at_start = False

    def reopened(self) -> bool:
        """Whether another file lies under the name now; it is read from its start."""
        try:
            there = self._path.stat()
            if self._file and _is_same(there, self._file):
                return False
            self.close()
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self.close()
            return False
        except OSError as error:
            raise self._unreadable(error) from error
        self._lines.rest = b""
        self._at_start = True
        return True

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    def _refuse_other_header(self, line: str) -> None:
        if line.strip() != self._header.strip():
            raise DataError(
                f"{self._path} was replaced by one with the header {line.strip()!r}; it was {self._header.strip()!r}",
                hint="Start again on the new file",
            )

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(f"cannot read {self._path}: {error.strerror}", hint=f"{OTHER_FILE}, or - for a pipe")


def _is_same(there: os.stat_result, file: BinaryIO) -> bool:
    """Whether what lies under the name is the open file, and no shorter than what was read of it."""
    ours = os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) and there.st_size >= file.tell()
