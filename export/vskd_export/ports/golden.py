"""What a port must give: a bundle's golden windows and streams, answered by the plan on this machine.

The bundle's own golden answers are the trained network's. These are the integer network's, executed by
``vskd.plan``, and the streams' readings are rounded to float32, as a sensor's are on a device. So a port has to give
the same bits, and events with the same labels and times.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.checks.golden import Golden, read_golden
from vskd.checks.golden_stream import StreamCase, read_golden_stream
from vskd.classifier import Classifier
from vskd.contract import Contract, Unit
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


def bundle_golden(bundle: Bundle, plan: Plan) -> tuple[Windows, list[Replay]]:
    """All golden windows and streams of a bundle, answered by its plan.

    Raises
    ------
    BundleError : they are missing, or were changed
    """
    windows = golden_windows(bundle.contract, plan, read_golden(bundle))
    return windows, golden_replays(bundle.contract, plan, read_golden_stream(bundle).cases, bundle.read_text)


def golden_windows(contract: Contract, plan: Plan, golden: Golden, *, most: int | None = None) -> Windows:
    """Golden windows, the first ``most`` of them, answered by a plan."""
    engine = PlanEngine(contract, plan)
    names, windows = tuple(golden.names)[:most], np.asarray(golden.windows, np.float32)[:most]
    if plan.embedding is None:
        return Windows(names, windows, np.stack([engine.infer(window) for window in windows]), None)
    logits, embeddings = zip(*(engine.infer_both(window) for window in windows), strict=True)
    return Windows(names, windows, np.stack(logits), np.stack(embeddings))


def golden_replays(
    contract: Contract,
    plan: Plan,
    cases: Iterable[StreamCase],
    text_of: Callable[[str], str],
    *,
    most_samples: int | None = None,
) -> list[Replay]:
    """Golden streams, their readings rounded to float32, answered by a plan.

    Parameters
    ----------
    contract, plan : of the bundle
    cases : of its golden stream
    text_of : gives the text of a case's file
    most_samples : only so many of each stream
    """
    engine = PlanEngine(contract, plan)
    return [_replayed(contract, engine, case, text_of(case.file), most_samples) for case in cases]


def _replayed(contract: Contract, engine: PlanEngine, case: StreamCase, text: str, most: int | None) -> Replay:
    reader = SampleReader.open(io.StringIO(text), name=case.file)
    chunks = list(reader.chunks(rows=1024))
    time = np.concatenate([chunk.time for chunk in chunks])[:most]
    readings = np.concatenate([chunk.xyz for chunk in chunks]).astype(np.float32)[:most]
    classifier = Classifier(contract, engine, unit=case.unit, axes=case.axes, time_unit=reader.time_unit)
    events = [*classifier.push(time, readings), *classifier.finish()]
    return Replay(case.name, case.unit, case.axes, reader.time_unit, time, readings, tuple(events))
