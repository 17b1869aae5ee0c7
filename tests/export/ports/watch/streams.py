"""Streams of imperfect sensors, and contracts under which they are decided on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from export.ports.watch.kotlin_jvm import StreamCase
from vskd.contract import (
    Contract,
    DecisionSpec,
    ExamplesSpec,
    ExampleWeights,
    LowPassSpec,
    RawSpec,
    ResamplingSpec,
    SensorSpec,
    SignalSpec,
    WindowSpec,
)

LABELS = ("rest", 'a "quoted" $label', "größer")
_TAPS = tuple(round(0.5 * (1 + math.cos(math.pi * tap / 32)), 6) for tap in range(33))

_FULL = Contract(
    labels=LABELS,
    window=WindowSpec(samples=64, hop_samples=16),
    gaf=None,
    raw=RawSpec(),
    resampling=ResamplingSpec(reorder_s=0.2, batch_s=5.0, low_pass=LowPassSpec(taps=_TAPS, taps_per_period=8)),
    signal=SignalSpec(
        min_rate_hz=30.0, largest_mean_g=2.4, largest_rms_g=5.0, gravity_direction=(0.0, 0.6, 0.8),
        gravity_within_deg=60.0,
    ),
    decision=DecisionSpec(
        temperature=0.7, unknown_below=0.4, smoothing=0.5, min_lead=0.05, min_dwell_windows=2, no_signal_after_s=0.5,
        still_below_g=0.02,
    ),
)  # fmt: skip
_EXAMPLES = (ExampleWeights(0.5, 4.0, 0.5), ExampleWeights(0.25, 8.0, 0.6))

CONTRACTS = {
    "Wrist": _FULL,
    # From before order, filter and judge.
    "Old": dataclasses.replace(
        _FULL, signal=None, resampling=ResamplingSpec(), decision=DecisionSpec(smoothing=0.3, unknown_below=0.36)
    ),
    # Windows of more than two seconds, without gravity, every rule of the decision off.
    "Removed": dataclasses.replace(
        _FULL,
        window=WindowSpec(samples=128, hop_samples=128),
        sensor=SensorSpec(gravity="removed", range_g=4.0),
        signal=SignalSpec(),
        decision=DecisionSpec(no_signal_after_s=1.0),
    ),
    # Windows of more than two seconds, with gravity.
    "Wide": dataclasses.replace(_FULL, window=WindowSpec(samples=128, hop_samples=32)),
    "Nearest": dataclasses.replace(
        _FULL,
        examples=ExamplesSpec("nearest", _EXAMPLES, spectrum=0.7),
        decision=dataclasses.replace(_FULL.decision, unknown_below_cosine=0.8),
    ),
    "Means": dataclasses.replace(_FULL, examples=ExamplesSpec("means", _EXAMPLES)),
    "Ridge": dataclasses.replace(_FULL, examples=ExamplesSpec("ridge", _EXAMPLES, ridge=0.2)),
}


def movement(random: np.random.Generator, time_s: Any, *, gravity: float = 1.0) -> Any:
    """(n, 3), g: a wrist that moves now and then."""
    phase, frequency = random.uniform(0, 6.28, 3), random.uniform(0.5, 3.0, 3)
    strength = random.choice([0.0, 0.3, 1.0, 3.0]) * (np.sin(time_s / random.uniform(2, 6)) > -0.3)
    waves = strength[:, None] * np.sin(2 * np.pi * frequency * time_s[:, None] + phase)
    noise = random.normal(0, random.choice([0.0, 0.004, 0.03]), (len(time_s), 3))
    return gravity * np.array([0.0, 0.6, 0.8]) + waves + noise


def cases(seed: int) -> Iterator[StreamCase]:
    """One stream for each contract and each way in which a sensor is imperfect."""
    random = np.random.default_rng(seed)
    for contract in CONTRACTS:
        for name in TROUBLES:
            yield _case(random, contract, name)


#: Ways in which a sensor is imperfect.
TROUBLES = (
    "none", "jitter", "lost", "gaps", "resets", "packets", "repeated", "late", "wild", "not finite", "zeros",
    "asleep", "frozen", "copied", "dead axis", "saturated", "cut off", "fast", "slow", "rates", "turned",
    "m/s^2", "wrong unit", "wrong scale", "axes", "everything", "extreme times",
)  # fmt: skip


def _case(random: np.random.Generator, contract: str, name: str) -> StreamCase:
    rate_hz = {"fast": random.choice([62.0, 100.0, 417.0]), "slow": random.choice([20.0, 35.0, 42.0])}.get(name, 50.0)
    time_s = np.arange(int(random.uniform(6, 34) * rate_hz)) / rate_hz
    gravity = 0.0 if CONTRACTS[contract].sensor.gravity == "removed" and name != "turned" else 1.0
    xyz = movement(random, time_s, gravity=gravity)
    every = ("jitter", "lost", "gaps", "packets", "late", "wild", "not finite", "frozen", "saturated")
    for one in every if name == "everything" else (name,):
        time_s, xyz = _spoilt(random, one, time_s, xyz)
    unit, factor = ("m/s^2", 9.80665) if name in ("m/s^2", "everything") else ("g", 1.0)
    if name == "wrong unit":
        unit, factor = random.choice([("g", 9.80665), ("m/s^2", 1.0), ("g", 0.01), ("m/s^2", 0.01)]).tolist()
    axes = random.choice(["-y,x,z", "z,-x,-y"]) if name in ("axes", "everything") else "x,y,z"
    time_unit = str(random.choice(["s", "ms", "us", "ns"]))
    times = _times(random, time_s, time_unit, is_extreme=name == "extreme times")
    return StreamCase(
        contract, times, (xyz * float(factor)).astype(np.float32), unit, str(axes), time_unit,
        clock=_clock(random, time_s), examples=_some_examples(random, contract),
    )  # fmt: skip


def _times(random: np.random.Generator, time_s: Any, time_unit: str, *, is_extreme: bool) -> Any:
    start_s = random.choice([0.0, 1000.001644, 1.7e9])
    if time_unit == "s":
        return time_s + start_s
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[time_unit]
    times = (np.round(time_s * 1e9).astype(np.int64) + int(start_s * 1e9)) // (10**9 // per_second)
    if is_extreme:  # differences beyond what float64 and int64 hold
        times[len(times) // 3 :] += 2**60 + 12345
        times[::97] = random.choice([-(2**63), 2**63 - 1])
    return times


def _clock(random: np.random.Generator, time_s: Any) -> dict[int, list[tuple[str, float]]]:
    """Batches, and a source that waits."""
    clock: dict[int, list[tuple[str, float]]] = {}
    for row in range(0, len(time_s), 40):
        said = [("clock", 500.0 + float(time_s[row])), ("silence", float(random.choice([0.1, 0.7, 7.0])))]
        clock[row] = said if random.uniform() < 0.2 else said[:1]
    return clock


def _some_examples(random: np.random.Generator, contract: str) -> list[tuple[str, Any]]:
    spec = CONTRACTS[contract].examples
    if spec is None:
        return []
    width = 8 + (21 if spec.spectrum else 0)
    features = random.integers(-127, 128, (4, width)).astype(np.int8)
    return list(zip(("rest", "new", LABELS[1], "new"), features, strict=True))


def _spoilt(random: np.random.Generator, name: str, time_s: Any, xyz: Any) -> tuple[Any, Any]:  # noqa: C901, PLR0912
    """Times and readings with one kind of trouble."""
    count = len(time_s)
    time_s, xyz, some = time_s.copy(), xyz.copy(), random.integers(1, count, 5)
    stretch = slice(int(some[0]) // 2, int(some[0]) // 2 + int(random.integers(20, 200)))
    match name:
        case "jitter":
            time_s += random.uniform(-0.012, 0.012, count)
        case "lost":
            kept = random.uniform(size=count) > random.choice([0.05, 0.3])
            return time_s[kept], xyz[kept]
        case "gaps":
            for at in some:
                time_s[at:] += random.choice([0.2, 0.3, 0.8, 6.0])
        case "resets":
            for at in some:
                time_s[at:] -= random.choice([0.01, 0.1, 3.0, 100.0])
        case "packets":
            size = int(random.integers(2, 12))
            time_s = time_s[np.minimum(np.arange(count) // size * size + size - 1, count - 1)]
        case "repeated":
            rows = np.sort(np.concatenate([np.arange(count), random.integers(0, count, count // 4)]))
            return time_s[rows], xyz[rows]
        case "late":
            order = np.argsort(np.arange(count) + random.uniform(0, random.choice([3, 20]), count), kind="stable")
            return time_s[order], xyz[order]
        case "wild":
            time_s[random.integers(0, count, 12)] += random.choice([-1e6, 5.0, 1e4], 12)
        case "not finite":
            xyz[random.integers(0, count, 20), random.integers(0, 3, 20)] = random.choice([np.nan, np.inf, -np.inf], 20)
        case "zeros":
            xyz[stretch] = 0
        case "asleep":
            xyz[: int(random.integers(1, 200))] = 0
        case "frozen":
            xyz[stretch] = xyz[stretch.start]
        case "copied":
            xyz[:, 0] = xyz[:, 1]
        case "dead axis":
            xyz[:, int(random.integers(0, 3))] = random.choice([0.0, 0.25])
        case "saturated":
            xyz[random.integers(0, count, count // 8), int(random.integers(0, 3))] = 9.0
        case "cut off":
            xyz = np.clip(1.7 * xyz, -2, 2)
        case "rates":
            step = np.where(np.arange(count) // 300 % 2 == 0, 0.02, 0.01)
            time_s = np.cumsum(step)
        case "turned":
            xyz[:, 1:] *= -1
        case "wrong scale":
            xyz *= random.choice([0.5, 2.0])
    return time_s, xyz
