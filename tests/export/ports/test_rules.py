"""The rules of a core are the runtime's: its objects compute the same numbers, and what no core holds is refused."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal, localcontext
from typing import Any

import pytest

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
from vskd.decide import Decider
from vskd.errors import ContractError
from vskd.stream import Stream
from vskd.stream.judge import WindowJudge
from vskd.stream.low_pass import LowPass
from vskd_export.ports.rules import MOST_CLASSES, rules_of

LOW_PASS = LowPassSpec(taps=(0.9, 0.5, 0.1, -0.1, 0.0), taps_per_period=2)
WEIGHTS = (ExampleWeights(0.5, 8.0, 0.9),)
CONTRACTS = [
    Contract(labels=("a", "b"), signal=SignalSpec(largest_mean_g=2.0, largest_rms_g=3.0, min_rate_hz=45.0)),
    Contract(
        labels=("a", "b"),
        gaf=None,
        raw=RawSpec(),
        window=WindowSpec(samples=50, hop_samples=7, rate_hz=33.0),
        resampling=ResamplingSpec(reorder_s=0.2, low_pass=LOW_PASS, rate_tolerance=0.1),
        signal=SignalSpec(gravity_direction=(0.0, 0.6, 0.8), gravity_within_deg=100.0),
        decision=DecisionSpec(smoothing=0.3, min_dwell_windows=3),
    ),
    Contract(
        labels=("a", "b"),
        gaf=None,
        raw=RawSpec(),
        sensor=SensorSpec(gravity="removed"),
        window=WindowSpec(samples=8, hop_samples=1),
    ),
]
EACH = pytest.mark.parametrize("contract", CONTRACTS, ids=["usual", "low pass", "removed"])


@EACH
def test_the_numbers_are_those_that_the_runtime_computes(contract: Contract) -> None:
    rules, signal = rules_of(contract), contract.signal or SignalSpec()
    judge: Any = WindowJudge(contract, signal, axes="x,y,z")
    expected = {
        "columns_step": judge._step,
        "columns_middle": judge._middle.start,
        "slowest_hz": judge._slowest_hz,
        "fastest_hz": judge._fastest_hz,
        "filtered_hz": judge._filtered_hz,
        "smallest_limit_square": judge._smallest_limit,
        "is_long": judge._is_long,
        "slow_needed_s": judge._needed_s,
        "slow_newest": judge._newest,
        "overlapping": judge._overlapping,
        "direction_windows": judge._direction_windows,
        "window_s": (decider := _private(Decider(contract)))["_window_s"],
        "delay_s": decider["_delay_s"],
        "rate_steps": _private(Stream(contract))["_rate_steps"],
    }
    assert {name: getattr(rules, name) for name in expected} == expected


def _private(thing: object) -> dict[str, Any]:
    return vars(thing)


def test_the_low_pass_filter_is_the_runtime_s() -> None:
    rules, spec = rules_of(CONTRACTS[1]), CONTRACTS[1].resampling.low_pass
    assert spec is not None
    low_pass: Any = LowPass(spec, 33.0)
    found = (rules.taps, rules.taps_per_s, rules.half_s, rules.half_periods, rules.period_s)
    assert found == (low_pass._taps, low_pass._scale, low_pass.half_s, low_pass.half_periods, low_pass._period_s)


@pytest.mark.parametrize("within_deg", [1.0, 60.0, 90.0, 111.379, 179.999, 180.0])
def test_the_least_cosine_is_the_one_before_an_angle_too_large(within_deg: float) -> None:
    signal = SignalSpec(gravity_direction=(0.0, 0.0, 1.0), gravity_within_deg=within_deg)
    cosine = rules_of(Contract(labels=("a", "b"), signal=signal)).direction_cosine
    assert math.degrees(math.acos(cosine)) <= within_deg
    assert cosine == -1.0 or math.degrees(math.acos(math.nextafter(cosine, -2.0))) > within_deg


def test_the_parts_of_ln_2_have_more_bits_than_one_float64() -> None:
    rules = rules_of(CONTRACTS[0])
    with localcontext() as context:
        context.prec = 40
        assert abs(Decimal(rules.exp_ln2_high) + Decimal(rules.exp_ln2_low) - Decimal(2).ln()) < Decimal("1e-25")


@pytest.mark.parametrize(
    ("changes", "examples", "message"),
    [
        ({"window": WindowSpec(mode="whole")}, 0, "decides on whole recordings.*window.mode = 'sliding'"),
        ({"labels": tuple(map(str, range(MOST_CLASSES + 1)))}, 0, "at most 120 labels, and this one needs 121"),
        ({"window": WindowSpec(samples=5000, hop_samples=5000)}, 0, "at most 4096 samples in a window"),
        ({"window": WindowSpec(rate_hz=2000.0, samples=4096, hop_samples=1)}, 0, "marks of the sensor's rate.*4099"),
        ({}, 2, "does not say how a wearer's examples count"),
        ({"examples": ExamplesSpec("means", WEIGHTS)}, 257, "at most 256 examples of the wearer"),
    ],
)
def test_what_a_core_cannot_hold_is_refused(changes: dict[str, Any], examples: int, message: str) -> None:
    contract = dataclasses.replace(CONTRACTS[0], **changes)
    with pytest.raises(ContractError, match=message):
        rules_of(contract, examples=examples)
