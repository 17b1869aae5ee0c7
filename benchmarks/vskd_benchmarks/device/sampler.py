"""Takes readings again and again, on a thread of its own, while something else runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Sampler:
    """Takes a reading when it is entered, one each ``every_s`` meanwhile, and a last one when it is left.

    Parameters
    ----------
    read : takes a reading and keeps it
    every_s : between two readings
    """

    def __init__(self, read: Callable[[], None], every_s: float) -> None:
        self._read = read
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read_until_done, daemon=True)

    def __enter__(self) -> Self:
        self._read()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._read()

    def _read_until_done(self) -> None:
        while not self._done.wait(self._every_s):
            self._read()
