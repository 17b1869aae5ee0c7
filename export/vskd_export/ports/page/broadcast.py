"""A source of samples, handed to every page that listens."""

from __future__ import annotations

import json
import math
import queue
import threading
from collections.abc import Iterable

from vskd.errors import VskdError
from vskd.sources.csv import Chunk

Heard = queue.Queue[tuple[str, str]]

#: Pieces that a listener may lag behind; one that does not keep up is let go.
_MOST_WAITING = 512


class Broadcast:
    """What the pages hear.

    Parameters
    ----------
    unit, axes, time_unit : of the samples, see ``vskd.stream.Stream``
    waits : until somebody listens, as a recording can

    Attributes
    ----------
    how : the same, as the page calls them
    """

    def __init__(self, *, unit: str, axes: str, time_unit: str, waits: bool = False) -> None:
        self.how = {"unit": unit, "axes": axes, "timeUnit": time_unit}
        self._lock = threading.Lock()
        self._listeners: list[Heard] = []
        self._end: str | None = None
        self._may_begin = threading.Event()
        if not waits:
            self._may_begin.set()

    def run(self, chunks: Iterable[Chunk]) -> None:
        """Hand out the chunks until they end; an error of the source is the last thing that is heard."""
        self._may_begin.wait()
        try:
            for chunk in chunks:
                self._tell("message", _piece(chunk))
        except VskdError as error:
            self._finish(str(error))
        else:
            self._finish("the source has ended")

    def listen(self) -> Heard:
        """A new listener: kind of event and its text, from now on."""
        heard: Heard = queue.Queue(_MOST_WAITING)
        with self._lock:
            if self._end is not None:
                heard.put(("end", self._end))
            self._listeners.append(heard)
        self._may_begin.set()
        return heard

    def leave(self, heard: Heard) -> None:
        """A listener has gone."""
        with self._lock:
            if heard in self._listeners:
                self._listeners.remove(heard)

    def _finish(self, text: str) -> None:
        self._end = " ".join(text.split())
        self._tell("end", self._end)

    def _tell(self, kind: str, text: str) -> None:
        with self._lock:
            for heard in list(self._listeners):
                try:
                    heard.put_nowait((kind, text))
                except queue.Full:
                    self._listeners.remove(heard)


def _piece(chunk: Chunk) -> str:
    """Samples as JSON: whole times as texts, since they may have more digits than a number; NaN as null."""
    time = [str(when) if isinstance(when, int) else _number(when) for when in chunk.time.tolist()]
    return json.dumps({"time": time, "xyz": [[_number(value) for value in row] for row in chunk.xyz.tolist()]})


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
