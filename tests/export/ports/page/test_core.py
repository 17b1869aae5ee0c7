"""The core in JavaScript against the runtime: the same events of every stream, however broken."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.ports.page.node import NEEDS_NODE, Node, sendable
from vskd import Classifier, Contract, Event
from vskd.contract import (
    STANDARD_GRAVITY_M_S2,
    DecisionSpec,
    ExamplesSpec,
    ExampleWeights,
    GafSpec,
    LowPassSpec,
    ResamplingSpec,
    SensorSpec,
    SignalSpec,
    WindowSpec,
)
from vskd.errors import ProfileError, StreamError
from vskd.stream.unit_check import PLAUSIBLE_G
from vskd.wearer.features import joined
from vskd.wearer.recording import Samples, example_windows
from vskd.wearer.rule import ExampleRule, example_of
from vskd_export.ports.page.model import core_rules

pytestmark = NEEDS_NODE

UP = np.array([0.3, -0.62, 0.72]) / np.linalg.norm([0.3, -0.62, 0.72])
GAIN = 8.0
#: A low-pass filter of two periods; its shape does not matter here.
TAPS = tuple(round(0.9 * math.cos(math.pi * place / 32) ** 2 if place < 32 else 0.0, 6) for place in range(33))
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class StandIn:
    """In place of a network: the means of the axes, times a gain, in one order of summing."""

    name = version = "stand-in"

    def infer(self, window: np.ndarray) -> np.ndarray:
        return self.infer_both(window)[0]

    def infer_both(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means = []
        for row in window.tolist():
            total = 0.0
            for value in row:
                total += value
            means.append(total / len(row))
        logits = np.array([mean * GAIN for mean in means], dtype=np.float32)
        return logits, np.array([*logits, window[0, 0], window[1, -1]], dtype=np.float32)


def contracts(gravity: str = "included") -> dict[str, Contract]:
    window = WindowSpec(samples=32, hop_samples=8, rate_hz=50.0)
    signal = SignalSpec(
        min_rate_hz=30.0,
        largest_mean_g=1.5,
        largest_rms_g=3.0,
        gravity_direction=tuple(UP.tolist()),
        gravity_within_deg=60.0,
    )
    decision = DecisionSpec(
        temperature=0.8, smoothing=0.5, unknown_below=0.5, min_lead=0.05, min_dwell_windows=2, no_signal_after_s=0.5
    )
    filtered = ResamplingSpec(reorder_s=0.2, batch_s=4.0, low_pass=LowPassSpec(TAPS))
    plain = Contract(
        labels=("a", "b", "c"),
        window=window,
        gaf=GafSpec(size=8),
        sensor=SensorSpec(gravity=gravity),
        decision=decision,
    )
    judged = dataclasses.replace(plain, signal=signal)
    return {
        "as they come": plain,
        "judged": judged,
        "ordered": dataclasses.replace(judged, resampling=ResamplingSpec(reorder_s=0.2, batch_s=4.0)),
        "filtered": dataclasses.replace(judged, resampling=filtered),
        "long and gated": dataclasses.replace(
            judged,
            window=WindowSpec(samples=128, hop_samples=32, rate_hz=50.0),
            resampling=filtered,
            decision=dataclasses.replace(decision, still_below_g=0.03, min_dwell_windows=1),
        ),
    }


def played(
    contract: Contract,
    time: list[Any],
    xyz: np.ndarray,
    options: dict[str, str],
    *,
    rule: ExampleRule | None = None,
    silence: dict[int, list[float]] | None = None,
) -> tuple[list[Event], Classifier, str]:
    """As ``play`` of replay.mjs: one sample after another."""
    now = [0.0]
    classifier = Classifier(contract, StandIn(), clock=lambda: now[0], **options)  # type: ignore[arg-type]
    if rule is not None:
        classifier._decider = type(classifier._decider)(contract, rule)
    events: list[Event] = []
    times = np.array(time)
    try:
        for row in range(len(times)):
            if silence and row in silence:
                now[0] = silence[row][0]
            events += classifier.push(times[row : row + 1], xyz[row : row + 1])
            if silence and silence.get(row, [0, 0])[1]:
                events += classifier.silence(silence[row][1])
        events += classifier.finish()
    except StreamError as error:
        return events, classifier, error.hint
    return events, classifier, ""


def same(node: Node, contract: Contract, time: list[Any], xyz: np.ndarray, **how: Any) -> list[Event]:
    """Play in both, compare everything, and give Python's events."""
    options = {"unit": "g", "axes": "x,y,z", "time_unit": "s", **how.pop("options", {})}
    readings = xyz.astype(np.float32)
    rule, examples, silence = how.get("rule"), how.pop("examples", []), how.get("silence")
    events, classifier, wrong = played(contract, time, readings, options, **how)
    answer = node(
        "play",
        rules=core_rules(contract),
        options={"unit": options["unit"], "axes": options["axes"], "timeUnit": options["time_unit"]},
        samples=[
            [sendable(when), *map(sendable, row)] for when, row in zip(time, readings.tolist(), strict=True)
        ],
        gain=GAIN,
        examples=examples,
        silence=silence and {str(row): moment for row, moment in silence.items()},
    )  # fmt: skip
    assert bool(answer["wrong"]) == bool(wrong), (answer["wrong"], wrong)
    if wrong:
        assert answer["wrong"] in wrong.replace("acceleration without", "without")
        return events
    assert answer["labels"] == list(rule.labels if rule else contract.labels)
    health = dataclasses.asdict(classifier.health)
    health["turned"] = bool(health["turned"])
    for name, found in answer["health"].items():
        due = health[name]
        assert found == (pytest.approx(due, rel=1e-12) if isinstance(due, float) else due), name
    shown = [(one["startS"], one["endS"], one["label"], one["defects"]) for one in answer["events"]]
    expected = [(one.start_s, one.end_s, one.label, [defect.kind for defect in one.defects]) for one in events]
    assert shown == expected
    for found, event in zip(answer["events"], events, strict=True):
        assert found["delayS"] == pytest.approx(event.delay_s, rel=1e-12)
        assert found["probability"] == pytest.approx(event.probability, abs=1e-12)
        assert found["probabilities"] == pytest.approx(event.probabilities.tolist(), abs=1e-12)
        assert bool(found["reason"]) == bool(event.reason)
    return events


def stream(seed: int) -> tuple[list[Any], np.ndarray, dict[str, str]]:
    """A wrist with jitter, gaps, packets, wild times, resets, holes, zeros, frozen and cut off stretches."""
    draw = np.random.default_rng(seed)

    def one_of(*choices: Any) -> Any:
        return choices[draw.integers(len(choices))]

    rate_hz, count = one_of(25.0, 50.0, 50.0, 64.0, 100.0, 200.0), int(draw.integers(40, 320))
    steps = np.full(count, 1.0 / rate_hz) * (1 + one_of(0.0, 0.05, 0.3) * draw.uniform(-1, 1, count))
    for row in draw.integers(1, count, draw.integers(0, 5)):
        steps[row] = one_of(0.0, 0.0, -0.01, -0.1, -0.3, 0.1, 0.24, 0.26, 0.7, 3.0, -50.0, 1e7)
    time = np.cumsum(steps) + one_of(0.0, 1_700_000_000.0, -5.0)
    if packet := one_of(0, 0, 0, 4, 10):
        time = time[(np.arange(count) // packet) * packet]
    swing = one_of(0.0, 0.5, 3.0) * np.sin(2 * np.pi * 1.3 * np.arange(count) / rate_hz)
    up = np.roll(UP, one_of(0, 1, 2)) * one_of(1, 1, 1, -1, 2)
    xyz = up + draw.normal(0, 0.02, (count, 3)) + swing[:, None] * np.array([0.8, 0.5, 0.3])
    for name in [one_of(*DAMAGES) for _ in range(draw.integers(0, 3))]:
        damage(name, time, xyz, one_of, start := int(draw.integers(count)), start + int(draw.integers(1, 120)))
    unit = one_of("g", "g", "g", "m/s^2")
    believed = one_of(*[unit] * 8, "g", "m/s^2")
    xyz = xyz * STANDARD_GRAVITY_M_S2 if unit == "m/s^2" else xyz
    time_unit = one_of("s", "ms", "us", "ns")
    times: list[Any] = time.tolist()
    if time_unit != "s":
        times = [round(value * PER_SECOND[time_unit]) for value in times]
    return times, xyz, {"unit": believed, "axes": one_of("x,y,z", "x,y,z", "-y,x,z", "z,-x,-y"), "time_unit": time_unit}


DAMAGES = ("hole", "frozen", "zeros", "asleep", "dead", "copy", "cut", "wild")


def damage(name: str, time: np.ndarray, xyz: np.ndarray, one_of: Callable[..., Any], start: int, end: int) -> None:
    """Break a stretch of a stream, in place."""
    if name == "hole":
        xyz[start, one_of(0, 1, 2)] = one_of(math.nan, math.inf, -math.inf, 1e30, 9.0)
    elif name == "frozen":
        xyz[start:end] = xyz[start]
    elif name in ("zeros", "asleep"):
        xyz[start if name == "zeros" else 0 : end] = 0.0
    elif name == "dead":
        xyz[:, 1] = 0.25
    elif name == "copy":
        xyz[start:, 2] = xyz[start:, 0]
    elif name == "cut":
        np.clip(xyz, -1.2, 1.2, out=xyz)
    else:
        time[start] += one_of(1e6, -1e6, 0.5)


@pytest.mark.parametrize("gravity", ["included", "removed"])
@pytest.mark.parametrize("name", list(contracts()))
def test_the_events_of_any_stream_are_those_of_the_runtime(node, name, gravity):
    contract = contracts(gravity)[name]

    @settings(max_examples=60)
    @given(st.integers(0, 10**6))
    def check(seed):
        time, xyz, options = stream(seed)
        same(node, contract, time, xyz - (UP if gravity == "removed" and seed % 4 else 0), options=options)

    check()


def wrist(seconds: float, *, rate_hz: float = 50.0, seed: int = 0) -> tuple[list[float], np.ndarray]:
    count = round(seconds * rate_hz)
    swing = np.sin(2 * np.pi * 1.3 * np.arange(count) / rate_hz)[:, None] * np.array([0.4, 0.3, 0.2])
    noise = np.random.default_rng(seed).normal(0, 0.02, (count, 3))
    return (np.arange(count) / rate_hz).tolist(), UP + swing + noise


def test_a_wrong_unit_is_refused_and_stays_refused(node):
    time, xyz = wrist(4.0)
    assert same(node, contracts()["ordered"], time, xyz * STANDARD_GRAVITY_M_S2) == []
    assert same(node, contracts()["as they come"], time, xyz / 100) == []
    assert PLAUSIBLE_G[1] < STANDARD_GRAVITY_M_S2


def test_a_silence_is_an_event_once_and_a_batch_is_not_silent(node):
    time, xyz = wrist(12.0)
    # Batches of two seconds: 100 samples arrive at once, and then nothing for two seconds.
    silence = {row: [time[row] // 2 * 2 + 2.0, 0.0] for row in range(len(time))}
    silence[299] = [silence[299][0], 1.9]  # within what was handed over
    silence[399] = [silence[399][0], 9.0]
    silence[400] = [silence[400][0] + 9.0, 0.0]
    events = same(node, contracts()["ordered"], time, xyz, silence=silence)
    assert [event.label for event in events].count("no signal") == 1


@pytest.mark.parametrize("time_unit", ["ms", "us", "ns"])
def test_a_clock_may_jump_by_all_that_an_integer_holds(node, time_unit):
    time, xyz = wrist(4.0)
    per_second = PER_SECOND[time_unit]
    for far in (2**62 + 12345, 2**63 - 1 - 300 * per_second, -(2**63) + 300 * per_second):
        times = [round(when * per_second) + (far if row >= 20 else 0) for row, when in enumerate(time)]
        same(node, contracts()["as they come"], times, xyz, options={"time_unit": time_unit})


@pytest.mark.parametrize("name", ["ordered", "filtered"])
@pytest.mark.parametrize("far_s", [0.0, 1e20])
def test_a_clock_that_stands_still_for_longer_than_samples_are_held_gives_nothing(node, name, far_s):
    time, xyz = wrist(18.0, rate_hz=100.0)
    stuck_s = [when if row < 700 or row > 1200 else time[700] + far_s for row, when in enumerate(time)]
    assert same(node, contracts()[name], stuck_s, xyz)


EXAMPLES = ExamplesSpec(
    score="means",
    weights=(ExampleWeights(0.5, 8.0, 0.9), ExampleWeights(0.25, 16.0, 0.95)),
    spectrum=0.5,
)


@pytest.mark.parametrize("score", ["nearest", "means", "ridge"])
@pytest.mark.parametrize("spectrum", [0.0, 0.6])
def test_the_wearers_examples_decide_alike(node, score, spectrum):
    spec = dataclasses.replace(EXAMPLES, score=score, spectrum=spectrum)
    decision = dataclasses.replace(contracts()["ordered"].decision, unknown_below_cosine=0.97, unknown_below=0.3)
    contract = dataclasses.replace(contracts()["ordered"], examples=spec, decision=decision)
    rules = core_rules(contract)
    examples = []
    for number, label in enumerate(["b", "hop", "b", "hop", "wave"]):
        time, xyz = wrist(3.0, seed=number)
        xyz = (xyz + np.array([0.1, 0.02, -0.03]) * number).astype(np.float32)
        windows = example_windows(contract, Samples(np.array(time), xyz))
        features = np.stack([joined(StandIn().infer_both(w.samples)[1], w.samples, spectrum) for w in windows])
        due = example_of(features).tolist()
        rows = [[when, *row] for when, row in zip(time, xyz.tolist(), strict=True)]
        assert node("example", rules=rules, options={}, samples=rows, gain=GAIN) == due
        examples.append({"label": label, "feature": due})
    features = np.array([one["feature"] for one in examples], dtype=np.int8)
    rule = ExampleRule.of(contract, [str(one["label"]) for one in examples], features)
    time, xyz = wrist(12.0, seed=9)
    xyz[300:] = np.roll(xyz[300:], 1, axis=1)
    events = same(node, contract, time, xyz, rule=rule, examples=examples)
    assert len({event.label for event in events}) > 1


def test_what_is_no_example_is_refused_by_both(node):
    contract = dataclasses.replace(contracts()["ordered"], examples=EXAMPLES)
    rules = core_rules(contract)
    for time, xyz, says in [
        (*wrist(0.4), "holds no window"),
        (np.arange(200) / 50, np.tile(UP, (200, 1)), "frozen"),
    ]:
        with pytest.raises(ProfileError, match=r"no window|no example"):
            example_windows(contract, Samples(np.array(time), np.asarray(xyz)))
        rows = [[float(when), *map(float, row)] for when, row in zip(time, xyz, strict=True)]
        assert says in node("example", rules=rules, options={}, samples=rows, gain=GAIN)


def test_exp_is_within_the_last_digits_of_the_librarys(node):
    values = [0.0, -0.0, -700.0, -700.5, *(-np.random.default_rng(0).exponential(50, 500)).tolist()]
    for value, found in zip(values, node("exp", rules=core_rules(contracts()["ordered"]), values=values), strict=True):
        assert found == pytest.approx(math.exp(value) if value >= -700 else 0.0, rel=1e-14, abs=0.0)
