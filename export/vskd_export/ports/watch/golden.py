"""The golden windows and streams, with the plan's answers, as a project's self-test reads them (``SelfTest.kt``)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vskd.decide import NO_SIGNAL, STILL, UNKNOWN, Event
from vskd_export.ports.golden import Replay, Windows
from vskd_export.ports.watch.asset import text

#: Of ``Samples.kt``; activities are 0 and up.
_CODES = {UNKNOWN: -1, NO_SIGNAL: -2, STILL: -3}
_UNITS, _TIME_UNITS = ("g", "m/s^2"), ("s", "ms", "us", "ns")


def golden_file(golden: Windows, replays: Sequence[Replay], labels: Sequence[str]) -> bytes:
    """What ``SelfTest.run`` reads.

    Parameters
    ----------
    golden, replays : with the plan's answers
    labels : of the contract
    """
    windows = [_window(golden, row) for row in range(len(golden.names))]
    streams = [_stream(one, labels) for one in replays]
    return b"".join([struct.pack(">i", len(windows)), *windows, struct.pack(">i", len(streams)), *streams])


def _window(golden: Windows, row: int) -> bytes:
    embedding = () if golden.embeddings is None else golden.embeddings[row]
    answers = (struct.pack(">i", len(one)) + _floats(one) for one in (golden.logits[row], embedding))
    return b"".join([text(golden.names[row]), _floats(golden.windows[row]), *answers])


def _stream(replay: Replay, labels: Sequence[str]) -> bytes:
    is_integer = replay.time.dtype.kind == "i"
    head = text(replay.name) + struct.pack(">i", _UNITS.index(replay.unit)) + text(replay.axes)
    head += struct.pack(">i?i", _TIME_UNITS.index(replay.time_unit), is_integer, len(replay.time))
    rows = zip(replay.time.tolist(), replay.readings.tolist(), strict=True)
    samples = (struct.pack(">qfff" if is_integer else ">dfff", time, *reading) for time, reading in rows)
    return b"".join([head, *samples, struct.pack(">i", len(replay.events)), *_events(replay.events, labels)])


def _events(events: Sequence[Event], labels: Sequence[str]) -> Iterator[bytes]:
    for event in events:
        label = _CODES[event.label] if event.label in _CODES else labels.index(event.label)
        yield struct.pack(f">idd{len(labels)}d", label, event.start_s, event.end_s, *event.probabilities)


def _floats(values: Any) -> bytes:
    return np.asarray(values, dtype=">f4").tobytes()
