"""The self-test passes where everything is right, and names the stage where one thing is not."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from vskd.checks.selftest import StageResult, check_clock, selftest
from vskd.contract import STANDARD_GRAVITY_M_S2, Contract
from vskd.sources.csv import SampleReader
from vskd.stream import Stream

STAGES = ["integrity", "clock", "stream", "encoder", "engine", "decision"]


def failed(results: tuple[StageResult, ...]) -> dict[str, str]:
    return {result.stage: result.problem for result in results if not result.passed}


def source(samples: int = 300, rate_hz: float = 50.0, factor: float = 1.0) -> SampleReader:
    xyz = np.random.default_rng(1).normal([0, 0, 1], 0.05, (samples, 3)) * factor
    rows = [f"{index / rate_hz},{x},{y},{z}" for index, (x, y, z) in enumerate(xyz.tolist())]
    return SampleReader.open(["time_s,ax,ay,az", *rows], name="log.csv")


@pytest.mark.parametrize("mode", ["sliding", "whole"])
def test_a_sound_machine_passes_every_stage(tmp_path, make_golden_bundle, contract, whole_contract, mode):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract if mode == "sliding" else whole_contract)
    results = selftest(bundle, source=source())
    assert failed(results) == {}
    assert [result.stage for result in results] == [*STAGES, "source"]
    details = {result.stage: result.detail for result in results}
    assert "8 windows in pieces of 7" in details["stream"]
    assert "model.fp32.onnx on onnxruntime" in details["engine"]
    assert "9 windows" in details["decision"]
    assert ("50.00 Hz, 300 samples" if mode == "sliding" else "300 samples in 5.98 s") in details["source"]


@pytest.fixture
def arrays(contract: Contract, golden_arrays) -> dict[str, np.ndarray]:
    return golden_arrays(contract)


@pytest.mark.parametrize(
    ("stage", "name", "problem"),
    [
        ("encoder", "images", "the encoder's image of window 'real 0' differs by"),
        ("engine", "logits", "logits of window 'real 0' differ by 1.0e+00, above 1e-04"),
        ("decision", "probabilities", "the probabilities are not the golden ones"),
        ("decision", "labels", "the probabilities are not the golden ones"),
    ],
)
def test_one_wrong_answer_fails_its_stage(tmp_path, make_golden_bundle, contract, arrays, stage, name, problem):
    wrong = arrays[name].copy()
    wrong[0] += 1
    results = selftest(make_golden_bundle(tmp_path / "x.bundle", contract, **{name: wrong}))
    assert list(failed(results)) == [stage]  # all logits of a window moved by one leave its probabilities as they are
    assert problem in failed(results)[stage]
    assert [result.stage for result in results] == STAGES


def test_a_stream_that_changes_a_window_is_found(tmp_path, make_golden_bundle, contract, monkeypatch):
    sound = Stream.advance

    def wrong(self, *samples):
        return [dataclasses.replace(item, samples=item.samples * np.float32(1.001)) for item in sound(self, *samples)]

    monkeypatch.setattr(Stream, "advance", wrong)
    results = selftest(make_golden_bundle(tmp_path / "x.bundle", contract))
    assert failed(results) == {"stream": "a window changed on its way, above 1e-05"}


def test_golden_windows_that_no_wrist_makes_do_not_pass_for_a_tried_stream(
    tmp_path, make_golden_bundle, contract, arrays
):
    results = selftest(make_golden_bundle(tmp_path / "x.bundle", contract, windows=arrays["windows"] * 0))
    assert "nothing was tried" in failed(results)["stream"]


def test_a_changed_byte_ends_the_test_at_once(tmp_path, make_golden_bundle, contract):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    model = bundle / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    (result,) = selftest(bundle)
    assert result.stage == "integrity"
    assert "model.fp32.onnx was changed" in result.problem
    (result,) = selftest(tmp_path / "no.bundle")
    assert "there is no bundle" in result.problem


def test_no_engine_is_a_failed_stage_that_says_what_is_missing(tmp_path, make_golden_bundle, contract, monkeypatch):
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    problem = failed(selftest(bundle))["engine"]
    assert problem == "no engine here runs model.fp32.onnx; installed: none. See `vskd doctor`"


# --- clock


def ticking(*times_ns: int):
    """A clock that reads these, and then its last reading for ever."""
    readings = itertools.chain(times_ns, itertools.repeat(times_ns[-1]))
    return lambda: next(readings)


def test_a_clock_is_judged_by_its_steps(monkeypatch):
    monkeypatch.setattr("vskd.checks.selftest.STOPPED_CLOCK_READINGS", 1000)
    assert check_clock(ticking(*range(0, 50_000, 50))).detail == "monotonic, smallest step 50 ns"
    assert check_clock(ticking(0, 100, 60)).problem == "the clock went back by 40 ns"
    assert check_clock(ticking(7)).problem == "the clock does not advance"
    assert "coarser than 1000000 ns" in check_clock(ticking(0, 4_000_000, 8_000_000)).problem


# --- source


@pytest.mark.parametrize(
    ("samples", "rate_hz", "factor", "problem"),
    [
        (300, 25.0, 1.0, "the sensor runs at 25.0 Hz; the model was trained at 50 Hz"),
        (300, 50.0, STANDARD_GRAVITY_M_S2, "--unit m/s^2"),
        (60, 50.0, 1.0, "too short: two seconds without a gap are needed"),
        (0, 50.0, 1.0, "log.csv holds a header and no samples"),
    ],
)
def test_a_source_that_does_not_fit_is_named(tmp_path, make_golden_bundle, contract, samples, rate_hz, factor, problem):
    results = selftest(make_golden_bundle(tmp_path / "x.bundle", contract), source=source(samples, rate_hz, factor))
    assert list(failed(results)) == ["source"]
    assert problem in failed(results)["source"]


def test_a_sample_that_is_not_finite_is_counted_and_kept_out_of_the_median(tmp_path, make_golden_bundle, contract):
    rows = [f"{index / 50},0,nan,1" if index == 40 else f"{index / 50},0,0.5,1" for index in range(300)]
    reader = SampleReader.open(["time_s,ax,ay,az", *rows], name="log.csv")
    *_, result = selftest(make_golden_bundle(tmp_path / "x.bundle", contract), source=reader)
    assert "1 not finite; 0 gaps; median x +0.00 g, y +0.50 g, z +1.00 g" in result.detail


def test_a_live_source_is_read_for_ten_seconds_and_no_longer(tmp_path: Path, make_golden_bundle, contract):
    def endless():
        yield "time_s,ax,ay,az"
        for index in itertools.count():
            if index > 600:
                pytest.fail("read on after ten seconds")
            yield f"{index / 50},0,0,1"

    results = selftest(
        make_golden_bundle(tmp_path / "x.bundle", contract), source=SampleReader.open(endless(), name="standard input")
    )
    assert results[-1].detail.startswith("50.00 Hz, 501 samples")
