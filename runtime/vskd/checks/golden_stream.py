"""The golden stream: samples of an imperfect sensor with the expected events, and the comparison with other events.

Golden vectors begin at the window. This begins at the sensor: timestamps with jitter, a gap, a NaN, a repeated and a
backward time, and the same again in m/s^2, in nanoseconds and in another device's axes. A bundle whose model decides on
whole recordings carries a recording instead, in both forms. The samples go through ``Classifier``; only the model's
inference happens elsewhere, as for the golden vectors.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vskd.bundle import Bundle, ModelEntry
from vskd.bundle_files import GOLDEN_EVENTS
from vskd.checks.golden import FLIP_MARGIN, gives_the_networks_logits
from vskd.classifier import Classifier
from vskd.closed import from_mapping
from vskd.contract import Contract, Unit
from vskd.decide import Event
from vskd.engines import Engine
from vskd.errors import BundleError, ConfigError
from vskd.sources.csv import SampleReader
from vskd.sources.feed import feed
from vskd.untrusted.documents import read_json
from vskd.untrusted.text import RESERVED_LABELS

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

SCHEMA_VERSION = 1

#: Probabilities are written with so many decimals.
DECIMALS = 7

#: Rows pushed at once; any other number gives the same events.
_PUSH_ROWS = 100


@dataclass(frozen=True)
class GoldenEvent:
    """One expected event of a stream.

    Attributes
    ----------
    start_s, end_s : exact, on the sensor's clock
    label, probability : as in ``vskd.decide.Event``
    probabilities : (classes,), in the order of the contract's labels
    """

    start_s: float
    end_s: float
    label: str
    probability: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class StreamCase:
    """One file of samples with its expected counts and events.

    Attributes
    ----------
    name : shown in messages
    file : CSV within the bundle
    unit, axes : of its samples, as ``Classifier`` takes them; its header names the time's unit
    health : counts of ``vskd.stream.Health``; empty for a recording
    events : of the trained network
    model_events : model file -> its own events at export; for models that only resemble the network
    """

    name: str
    file: str
    unit: Unit
    axes: str
    health: dict[str, int]
    events: tuple[GoldenEvent, ...]
    model_events: dict[str, tuple[GoldenEvent, ...]]


@dataclass(frozen=True)
class GoldenStream:
    """What ``golden/events.json`` holds."""

    cases: tuple[StreamCase, ...]
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise ConfigError(f"events have schema version {self.schema_version}, this vskd reads {SCHEMA_VERSION}")


class WindowCollector(Engine):
    """An engine that keeps the windows it is given and answers zeros."""

    name = version = "collector"

    def __init__(self, classes: int) -> None:
        self.windows: list[Float32] = []
        self._logits = np.zeros(classes, dtype=np.float32)

    def infer(self, window: Float32) -> Float32:
        """Zeros (classes,), whatever the window (channels, samples)."""
        self.windows.append(window)
        return self._logits


class RecordedEngine(Engine):
    """An engine whose answers are known: the next row of ``logits`` (windows, classes) for each window."""

    name = version = "recorded"

    def __init__(self, logits: Float32) -> None:
        self._rest = iter(logits)

    def infer(self, window: Float32) -> Float32:
        """Logits (classes,)."""
        return next(self._rest)


def play(contract: Contract, case: StreamCase, text: str, engine: Engine) -> tuple[list[Event], dict[str, int]]:
    """Send the samples of one case through a classifier.

    Parameters
    ----------
    contract : of the bundle
    case : names unit and axes
    text : the case's CSV
    engine : answers the windows

    Returns
    -------
    the events, and what the stream counted
    """
    reader = SampleReader.open(io.StringIO(text), name=case.file)
    classifier = Classifier(contract, engine, unit=case.unit, axes=case.axes, time_unit=reader.time_unit)
    events: list[Event] = []
    feed(classifier, reader.chunks(rows=_PUSH_ROWS), events.append)
    if contract.window.mode == "whole":
        return events, {}
    health = classifier.health
    counts = ("samples", "out_of_order", "not_finite", "gaps", "saturated")
    return events, {name: getattr(health, name) for name in counts}


def windows_of(contract: Contract, case: StreamCase, text: str) -> list[Float32]:
    """The windows (channels, samples) that a classifier cuts out of one case."""
    collector = WindowCollector(len(contract.labels))
    play(contract, case, text, collector)
    return collector.windows


def golden_events(events: Sequence[Event]) -> tuple[GoldenEvent, ...]:
    """Events in the form in which a bundle keeps them."""
    return tuple(
        GoldenEvent(
            event.start_s,
            event.end_s,
            event.label,
            round(event.probability, DECIMALS),
            tuple(round(value, DECIMALS) for value in event.probabilities.tolist()),
        )
        for event in events
    )


def read_golden_stream(bundle: Bundle) -> GoldenStream:
    """The golden stream's cases.

    Raises
    ------
    BundleError : the file is missing, changed, or holds something else
    """
    text = bundle.read_text(GOLDEN_EVENTS)
    try:
        golden = from_mapping(GoldenStream, read_json(text), where=GOLDEN_EVENTS)
        _check_events(golden, bundle.contract)
    except (ValueError, ConfigError) as error:
        what = f"{bundle.path / GOLDEN_EVENTS} holds no golden events: {error}"
        raise BundleError(what, hint="Export the run again") from error
    return golden


def _check_events(golden: GoldenStream, contract: Contract) -> None:
    """Refuse a stream that shows nothing, and events that this contract cannot give."""
    if not any(case.events for case in golden.cases):
        raise ValueError("there is no event")
    known = {*contract.labels, *RESERVED_LABELS}
    for case in golden.cases:
        for event in (*case.events, *(one for events in case.model_events.values() for one in events)):
            if event.label not in known or len(event.probabilities) != len(contract.labels):
                raise ValueError(
                    f"{case.name[:80]!r} has the label {event.label[:80]!r} with {len(event.probabilities)} "
                    f"probabilities, and the contract {len(contract.labels)} labels, "
                    f"{'' if event.label in known else 'not '}that one among them"
                )


@dataclass(frozen=True)
class StreamSamples:
    """One case with its text and the windows that come out of it."""

    case: StreamCase
    text: str
    windows: list[Float32]


def read_samples(bundle: Bundle) -> list[StreamSamples]:
    """Every case of the golden stream with its samples, cut into windows.

    Raises
    ------
    BundleError : the samples or the events are missing, or were changed
    """
    cases = read_golden_stream(bundle).cases
    texts = [bundle.read_text(case.file) for case in cases]
    return [
        StreamSamples(case, text, windows_of(bundle.contract, case, text))
        for case, text in zip(cases, texts, strict=True)
    ]


def compare_events(
    contract: Contract, entry: ModelEntry, samples: Sequence[StreamSamples], logits: Float32
) -> tuple[str, str]:
    """Send every case through a classifier whose model gives these logits (windows of all cases, classes).

    Returns
    -------
    what was found, and the first problem as one sentence, else nothing
    """
    borders = np.cumsum([len(each.windows) for each in samples])[:-1]
    count, largest, problems = 0, 0.0, []
    for each, answers in zip(samples, np.split(logits, borders), strict=True):
        events, health = play(contract, each.case, each.text, RecordedEngine(answers))
        difference, problem = compare(contract, entry, each.case, golden_events(events), health)
        count, largest = count + len(events), max(largest, difference)
        problems += [f"{each.case.name}: {problem}"] if problem else []
    return f"{count} events, probabilities at most {largest:.1e} from those at export", "".join(problems[:1])


def compare(
    contract: Contract, entry: ModelEntry, case: StreamCase, events: Sequence[GoldenEvent], health: dict[str, int]
) -> tuple[float, str]:
    """Compare the events with the expected ones.

    Times, counts and the number of events must be the golden ones exactly; probabilities lie within what the logits'
    tolerance allows (an integer model's within ``FLIP_MARGIN``), and labels differ only where that decides them.

    Returns
    -------
    (largest difference of a probability, one sentence when it failed)
    """
    exact = gives_the_networks_logits(entry)
    expected = case.events if exact else case.model_events.get(entry.file, case.events)
    if health != case.health:
        return float("nan"), f"the stream counted {health}, expected {case.health}"
    found_times = [(event.start_s, event.end_s) for event in events]
    if found_times != [(event.start_s, event.end_s) for event in expected]:
        return float("nan"), f"{len(events)} events at other times than the {len(expected)} expected"
    # Logits that move by e move no probability by more than e / 2 (softmax), and the last decimal is rounded.
    limit = contract.logit_tolerance / contract.decision.temperature + 10.0**-DECIMALS if exact else FLIP_MARGIN
    largest = 0.0
    for found, due in zip(events, expected, strict=True):
        difference = float(np.abs(np.subtract(found.probabilities, due.probabilities)).max())
        largest = max(largest, difference)
        if not difference <= limit:
            return (
                largest,
                f"the event at {due.end_s:.3f} s has probabilities {difference:.1e} off, above {limit:.0e}",
            )
        if found.label != due.label and not _is_open(contract, due, limit):
            return largest, f"the event at {due.end_s:.3f} s is {found.label!r}, expected {due.label!r}"
    return largest, ""


def _is_open(contract: Contract, event: GoldenEvent, limit: float) -> bool:
    """Whether probabilities that move by ``limit`` may decide for another label."""
    second, first = sorted(event.probabilities)[-2:]
    return first - second <= 2 * limit or abs(event.probability - contract.decision.unknown_below) <= limit
