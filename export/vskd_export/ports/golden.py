"""What a port must give: a bundle's golden windows and streams, answered by the plan on this machine.

The bundle's own golden answers are the trained network's. These are the integer network's, executed by
``vskd.plan``, and the streams' readings are rounded to float32, as a sensor's are on a device. So a port has to give
the same bits, and events with the same labels and times.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.checks.golden_stream import StreamCase, read_golden_stream
from vskd.classifier import Classifier
from vskd.contract import Unit
from vskd.decide import Event
from vskd.engines.plan import PlanEngine
from vskd.plan.steps import Plan
from vskd.sources.csv import SampleReader
from vskd.stream import TimeUnit


@dataclass(frozen=True, eq=False)
class Windows:
    """Golden windows (n, channels, samples), g, with the plan's logits, and embeddings if it gives any."""

    names: tuple[str, ...]
    windows: NDArray[np.float32]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Replay:
    """A stream and the events that come out of it.

    Attributes
    ----------
    name : of the case
    unit, axes, time_unit : of its samples, as ``Classifier`` takes them
    time : (n,), int64, or float64 where the unit is a second
    readings : (n, 3), float32
    events : of the plan
    """

    name: str
    unit: Unit
    axes: str
    time_unit: TimeUnit
    time: NDArray[Any]
    readings: NDArray[np.float32]
    events: tuple[Event, ...]


def golden_windows(bundle: Bundle, plan: Plan) -> Windows:
    """The bundle's golden windows, answered by a plan."""
    engine, golden = PlanEngine(bundle.contract, plan), read_golden(bundle)
    windows = np.asarray(golden.windows, np.float32)
    if plan.embedding is None:
        return Windows(tuple(golden.names), windows, np.stack([engine.infer(window) for window in windows]), None)
    logits, embeddings = zip(*(engine.infer_both(window) for window in windows), strict=True)
    return Windows(tuple(golden.names), windows, np.stack(logits), np.stack(embeddings))


def golden_replays(bundle: Bundle, plan: Plan) -> list[Replay]:
    """The bundle's golden streams, answered by a plan."""
    engine = PlanEngine(bundle.contract, plan)
    return [replayed(bundle, engine, case) for case in read_golden_stream(bundle).cases]


def replayed(bundle: Bundle, engine: PlanEngine, case: StreamCase) -> Replay:
    """One golden stream, its readings rounded to float32."""
    reader = SampleReader.open(io.StringIO(bundle.read_text(case.file)), name=case.file)
    chunks = list(reader.chunks(rows=1024))
    time = np.concatenate([chunk.time for chunk in chunks])
    readings = np.concatenate([chunk.xyz for chunk in chunks]).astype(np.float32)
    classifier = Classifier(bundle.contract, engine, unit=case.unit, axes=case.axes, time_unit=reader.time_unit)
    events = [*classifier.push(time, readings), *classifier.finish()]
    return Replay(case.name, case.unit, case.axes, reader.time_unit, time, readings, tuple(events))
