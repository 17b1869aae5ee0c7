"""The Kotlin core's events and counts are those of ``vskd.Classifier``, on streams of imperfect sensors."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.ports.watch.kotlin_jvm import Jvm, StreamCase
from export.ports.watch.streams import CONTRACTS, TROUBLES, cases
from vskd import Classifier
from vskd.decide import NOT_FINITE, Decider, Event
from vskd.engines import Engine
from vskd.errors import ProfileError, StreamError
from vskd.wearer.features import joined
from vskd.wearer.recording import LONGEST_S, Samples, example_windows
from vskd.wearer.rule import ExampleRule, example_of

SEEDS = (1, 2, 3)

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

#: Sums have another order, and exp is another one.
PROBABILITY = 1e-11


class Readings(Engine):
    """As the one of ``Replay.kt``."""

    name = version = "readings"

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def infer(self, window: Any) -> Any:
        return self.infer_both(window)[0]

    def infer_both(self, window: Any) -> tuple[Any, Any]:
        def readings(count: int, step: int) -> Any:
            rows = np.arange(count)
            return window[rows % 3, step * rows % window.shape[1]]

        return readings(self._classes, 5), readings(8, 3)


def expected(case: StreamCase) -> list[str | Event]:
    """What Python says of a case, pushed sample by sample; a wrong unit is a line, as the last one of health is."""
    contract = CONTRACTS[case.contract]
    clock_s = [0.0]
    classifier = Classifier(
        contract, Readings(len(contract.labels)), unit=case.unit, axes=case.axes, time_unit=case.time_unit,
        clock=lambda: clock_s[0],
    )  # fmt: skip
    if case.examples:
        labels, features = zip(*case.examples, strict=True)
        classifier._decider = Decider(contract, ExampleRule.of(contract, labels, np.array(features)))
    found: list[str | Event] = []
    for row, (time, reading) in enumerate(zip(case.times, case.readings, strict=True)):
        for what, value in case.clock.get(row, ()):
            if what == "clock":
                clock_s[0] = value
            else:
                found += classifier.silence(value)
        try:
            found += classifier.push(np.array([time]), reading[np.newaxis])
        except StreamError:
            found.append("wrong unit")
    try:
        found += classifier.finish()
    except StreamError:
        found.append("wrong unit")
    return [*found, _health(classifier)]


def _health(classifier: Classifier) -> str:
    one = classifier.health
    counts = (
        one.samples, one.out_of_order, one.wild, one.reordered, one.spread, one.not_finite, one.gaps, one.resets,
        one.saturated, one.cut_off, one.windows, one.still, one.leading_zeros, one.without_activity, *one.flat,
        int(bool(one.turned)),
    )  # fmt: skip
    rate_hz = math.nan if one.recent_rate_hz is None else one.recent_rate_hz
    return f"health {' '.join(map(str, counts))} {rate_hz:.9g} {one.recent_saturated:.9g}"


def reason(event: Event) -> str:
    """The reason's code."""
    if any(defect.label and defect.text == event.reason for defect in event.defects):
        return "SIGNAL"
    begins = {
        "": "NONE", NOT_FINITE: "NOT_FINITE", "|a| varies": "STILL", "no samples": "NO_SAMPLES",
        "probability": "IMPROBABLE", "cosine": "UNLIKE_EXAMPLES",
    }  # fmt: skip
    return next(
        code for text, code in begins.items() if event.reason == text or (text and event.reason.startswith(text))
    )


def defects(event: Event) -> str:
    kinds = (one.kind.replace("dead axis", "dead").replace(" ", "_").upper() for one in event.defects)
    return ",".join(f"{kind}:{one.label}" for kind, one in zip(kinds, event.defects, strict=True))


def assert_same(given: str, due: str | Event, where: str) -> None:
    """A line of ``Replay.kt`` is what Python says."""
    if isinstance(due, str):
        assert given == due, where
        return
    kind, label, why, start_s, end_s, delay_s, probability, probabilities, wrong = given.split(";")
    assert (kind, label, why, wrong) == ("event", due.label, reason(due), defects(due)), where
    assert (float(start_s), float(end_s), float(delay_s)) == (due.start_s, due.end_s, due.delay_s), where
    numbers = [float(probability), *map(float, probabilities.split(" "))]
    assert np.abs(np.subtract(numbers, [due.probability, *due.probabilities])).max() < PROBABILITY, where


@pytest.fixture(scope="module", params=SEEDS)
def played(request: pytest.FixtureRequest, jvm: Jvm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Trouble -> its cases, with the lines of the core."""
    given = list(cases(request.param))
    lines = jvm.play([case.to_bytes() for case in given], tmp_path_factory.mktemp("cases"))
    found: dict[str, Any] = {name: [] for name in TROUBLES}
    for name, case, each in zip(len(CONTRACTS) * TROUBLES, given, lines, strict=True):
        found[name].append((case, each))
    return found


def example_in_python(case: StreamCase) -> str:
    """The rounded feature of a case's samples, or the beginning of why they are no example."""
    contract = CONTRACTS[case.contract]
    assert contract.examples is not None
    engine, share = Readings(len(contract.labels)), contract.examples.spectrum
    samples = Samples(case.times, case.readings, case.unit, case.axes, case.time_unit)
    try:
        windows = example_windows(contract, samples)
    except StreamError:
        return "wrong unit"
    except ProfileError as error:
        reasons = {"holds no window": "the recording holds", "is still": "the wrist does not move"}
        return next((due for text, due in reasons.items() if text in error.message), "no window of the recording")
    features = [joined(engine.infer_both(one.samples)[1], one.samples, share) for one in windows]
    return " ".join(map(str, example_of(np.stack(features)).tolist()))


def lasts_s(case: StreamCase) -> float:
    return abs(float(case.times[-1]) - float(case.times[0])) / PER_SECOND[case.time_unit]


def test_a_recording_is_the_example_of_python_to_the_bit(jvm: Jvm, tmp_path: Path) -> None:
    short = (dataclasses.replace(case, clock={}, examples=()) for case in cases(4) if CONTRACTS[case.contract].examples)
    given = [case for case in short if lasts_s(case) < LONGEST_S]
    lines = jvm.play([case.to_bytes(enrols=True) for case in given], tmp_path)
    assert sum(line[0].startswith(("-", *"0123456789")) for line in lines) > 20
    for case, (line,) in zip(given, lines, strict=True):
        assert line.startswith(example_in_python(case)), case


@pytest.mark.parametrize("trouble", TROUBLES)
def test_events_and_counts_are_pythons(played: dict[str, Any], trouble: str) -> None:
    for case, lines in played[trouble]:
        due = expected(case)
        for number, (given, one) in enumerate(zip(lines, due, strict=False)):
            assert_same(given, one, f"{case.contract}, line {number}")
        assert len(lines) == len(due), case.contract
