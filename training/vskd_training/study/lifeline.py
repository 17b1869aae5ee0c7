"""Workers that end with the process that they work for, however it ends.

A study that is killed frees its lock at once. A worker that went on would train a cell that the next study trains,
too. So each worker looks whose child it is, several times a second, and kills itself as soon as that has changed:
a process without a parent becomes another one's. This module knows nothing of studies.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

#: Between two looks, s.
_EVERY_S = 0.1


def with_parent(parent: int, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a worker that ends when its parent does.

    Parameters
    ----------
    parent : the process id that started the workers; in that process itself the function is only called
    call, arguments : what the worker does
    """
    if os.getpid() != parent:
        _end_with(parent)
    return call(*arguments)


@cache
def _end_with(parent: int) -> None:
    """Once in a process: watch the parent from a thread of its own."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_EVERY_S)
        os.kill(os.getpid(), signal.SIGKILL)  # as the parent was: nothing is left half done that a kill may not leave

    threading.Thread(target=watch, daemon=True, name="lifeline").start()
