"""Samples from any source through a classifier to a callback, as fast as they come or at the speed of a replay.

A source is anything with a ``time_unit`` and ``chunks``; a sink is any function of an event. This module knows of no
file format.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from vskd.classifier import Classifier
from vskd.decide import Event
from vskd.sources.csv import Chunk
from vskd.stream import TimeUnit, per_second

OnEvent = Callable[[Event], object]

#: A replay keeps a pause of so long, s; a longer one only where the recording before it was longer still.
LONGEST_PAUSE_S = 10.0


class Source(Protocol):
    """Where samples come from.

    Attributes
    ----------
    time_unit : of its times
    """

    time_unit: TimeUnit

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Chunks of so many samples, the last one shorter."""
        ...


def feed(classifier: Classifier, chunks: Iterable[Chunk], on_event: OnEvent) -> None:
    """Push chunks through a classifier until they end; each event goes to ``on_event`` as soon as it is decided.

    Parameters
    ----------
    classifier : opened with the time unit of the source
    chunks : of one recording or one live stream
    on_event : called with each event

    Raises
    ------
    VskdError : what the source and the classifier raise; events before it have been handed out
    """
    if classifier.contract.window.mode == "whole":
        held = list(chunks)
        times, xyz = np.concatenate([one.time for one in held]), np.concatenate([one.xyz for one in held])
        on_event(classifier.classify(times, xyz))
        return
    for chunk in chunks:
        for event in classifier.push(chunk.time, chunk.xyz):
            on_event(event)
    for event in classifier.finish():
        on_event(event)


def paced(
    chunks: Iterable[Chunk],
    *,
    speed: float,
    time_unit: TimeUnit,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Chunk]:
    """Hand out a recording at a multiple of the speed at which it was made.

    Each chunk comes when its last sample would have; after a clock that steps back, or a pause that is longer than
    ``LONGEST_PAUSE_S`` and all before it, as a wild time makes one, the pace starts anew.

    Parameters
    ----------
    chunks : of the recording; small ones replay smoothly
    speed : 1 is as it was, 10 ten times faster
    time_unit : of the chunks
    clock, sleep : a test passes its own
    """
    start = start_s = latest_s = 0.0
    is_first = True
    for chunk in chunks:
        now_s = float(chunk.time[-1]) / per_second(time_unit)
        if not np.isfinite(now_s):  # the stream drops and counts such a sample
            yield chunk
            continue
        if is_first or not 0 <= now_s - latest_s <= max(LONGEST_PAUSE_S, latest_s - start_s):
            start, start_s, is_first = clock(), now_s, False
        latest_s = now_s
        wait_s = start + (now_s - start_s) / speed - clock()
        if wait_s > 0:
            sleep(wait_s)
        yield chunk
