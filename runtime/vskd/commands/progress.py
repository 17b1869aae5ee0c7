"""How far a long command is, on standard error: a bar on a terminal; a line a minute where a log is kept.

rich and numpy load when something is shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from vskd.commands.terminal import say

#: Between two lines of a log, s.
EVERY_S = 60.0


@contextmanager
def progress_bar(title: str, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Show progress; yields a function that takes (done, in all, a note).

    Parameters
    ----------
    title : names the work
    shown : whether anything is shown
    """
    if not shown:
        yield lambda done, total, note="": None
    elif sys.stderr is not None and sys.stderr.isatty():
        yield from _bar(title)
    else:
        yield from _lines(title)


def _bar(title: str) -> Iterator[Callable[..., None]]:
    from rich import progress

    from vskd.commands.rich_console import SafeConsole

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    with progress.Progress(*columns, console=SafeConsole(stderr=True), speed_estimate_period=600) as bar:

        def update(done: float, total: float, note: str = "") -> None:
            # What is there already (a cache) reports no progress, and then there is no bar.
            task = bar.task_ids[0] if bar.task_ids else bar.add_task(title, note="")
            bar.update(task, completed=done, total=total, note=note)

        yield update


def _lines(title: str) -> Iterator[Callable[..., None]]:
    """The lines come from a thread: one step may take many minutes, and the log says that it lasts."""
    log, ended = Log(title), Event()

    def speak() -> None:
        while not ended.wait(EVERY_S):
            if line := log.line():
                say(line, err=True)

    thread = Thread(target=speak, daemon=True, name="progress")
    thread.start()
    try:
        yield log.update
    finally:
        ended.set()
        thread.join()


@dataclass
class Log:
    """What was reported last, as a line for a log.

    Attributes
    ----------
    title : names the work
    clock : s
    """

    title: str
    clock: Callable[[], float] = time.monotonic
    _first: tuple[float, float] | None = field(default=None, init=False)
    _last: tuple[float, float, str] | None = field(default=None, init=False)

    def update(self, done: float, total: float, note: str = "") -> None:
        """Take (done, in all, a note)."""
        if self._first is None:
            self._first = (self.clock(), done)
        self._last = (done, total, note)

    def line(self) -> str:
        """``train student: 120 of 900, 2:10, about 14:05 left, loss 0.412``; empty before anything was reported."""
        if self._first is None or self._last is None:
            return ""
        (start, before), (done, total, note) = self._first, self._last
        lasted_s = self.clock() - start
        parts = [f"{self.title}: {done:g} of {total:g}", _clock(lasted_s)]
        if before < done < total:
            parts.append(f"about {_clock(lasted_s / (done - before) * (total - done))} left")
        return ", ".join([*parts, *([note] if note else [])])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
