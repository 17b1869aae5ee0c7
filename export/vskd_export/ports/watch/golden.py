"""The golden windows and streams as a project's self-test replays them, with what this machine's plan gives for them.

The bundle's own golden events are the trained network's. Here the expected logits and events are those of the integer
network, executed by ``vskd.plan``, and of readings rounded to float32, as a sensor's are on a watch; so a core must
give the same bits. ``SelfTest.kt`` reads the file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.checks.golden_stream import StreamCase, read_golden_stream
from vskd.classifier import Classifier
from vskd.contract import Contract
from vskd.decide import NO_SIGNAL, STILL, UNKNOWN, Event
from vskd.engines.plan import PlanEngine
from vskd.plan.steps import Plan
from vskd.sources.csv import SampleReader
from vskd_export.ports.watch.asset import text

#: Of ``Samples.kt``; activities are 0 and up.
_CODES = {UNKNOWN: -1, NO_SIGNAL: -2, STILL: -3}
_UNITS, _TIME_UNITS = ("g", "m/s^2"), ("s", "ms", "us", "ns")


def golden_file(bundle: Bundle, plan: Plan) -> bytes:
    """What ``SelfTest.run`` reads.

    Parameters
    ----------
    bundle : opened
    plan : of its int8 model
    """
    engine = PlanEngine(bundle.contract, plan)
    golden = read_golden(bundle)
    windows = [_window(plan, engine, *one) for one in zip(golden.names, golden.windows, strict=True)]
    streams = [_stream(bundle, engine, case) for case in read_golden_stream(bundle).cases]
    return b"".join([struct.pack(">i", len(windows)), *windows, struct.pack(">i", len(streams)), *streams])


def _window(plan: Plan, engine: PlanEngine, name: str, window: Any) -> bytes:
    logits, embedding = engine.infer_both(window) if plan.embedding is not None else (engine.infer(window), ())
    answers = (struct.pack(">i", len(one)) + _floats(one) for one in (logits, embedding))
    return b"".join([text(name), _floats(window), *answers])


def _stream(bundle: Bundle, engine: PlanEngine, case: StreamCase) -> bytes:
    contract = bundle.contract
    reader = SampleReader.open(io.StringIO(bundle.read_text(case.file)), name=case.file)
    classifier = Classifier(contract, engine, unit=case.unit, axes=case.axes, time_unit=reader.time_unit)
    samples: list[bytes] = []
    events: list[Event] = []
    is_integer = True
    for chunk in reader.chunks(rows=100):
        readings = chunk.xyz.astype(np.float32)
        is_integer = chunk.time.dtype.kind == "i"
        rows = zip(chunk.time.tolist(), readings.tolist(), strict=True)
        samples += [struct.pack(">qfff" if is_integer else ">dfff", time, *reading) for time, reading in rows]
        events += classifier.push(chunk.time, readings)
    events += classifier.finish()
    head = text(case.name) + struct.pack(">i", _UNITS.index(case.unit)) + text(case.axes)
    head += struct.pack(">i?i", _TIME_UNITS.index(reader.time_unit), is_integer, len(samples))
    return b"".join([head, *samples, struct.pack(">i", len(events)), *_events(contract, events)])


def _events(contract: Contract, events: list[Event]) -> Iterator[bytes]:
    for event in events:
        label = _CODES[event.label] if event.label in _CODES else contract.labels.index(event.label)
        yield struct.pack(f">idd{len(contract.labels)}d", label, event.start_s, event.end_s, *event.probabilities)


def _floats(values: Any) -> bytes:
    return np.asarray(values, dtype=">f4").tobytes()
