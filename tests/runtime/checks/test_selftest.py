"""Every check passes where everything is right, and names what is not where one thing is not."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.conftest import GOLDEN_MODEL, golden_of, golden_stream_of, mean_model_onnx
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.bundle_files import GOLDEN_EVENTS, GOLDEN_VECTORS, model_file
from vskd.checks.golden import cosines, golden_to_bytes, least_cosine
from vskd.checks.selftest import Check, selftest
from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import BundleError
from vskd.sources.csv import SampleReader
from vskd.stream import Stream

STAGES = ["integrity", "contract", "encoder", "engine", "stream"]


def failed(results: Iterable[Check]) -> dict[str, str]:
    return {result.stage: result.problem for result in results if result.problem}


def source(samples: int = 300, rate_hz: float = 50.0, factor: float = 1.0) -> SampleReader:
    xyz = np.random.default_rng(1).normal([0, 0, 1], 0.05, (samples, 3)) * factor
    rows = [f"{index / rate_hz},{x},{y},{z}" for index, (x, y, z) in enumerate(xyz.tolist())]
    return SampleReader.open(["time_s,ax,ay,az", *rows], name="log.csv")


@pytest.fixture
def checks(tmp_path: Path, make_golden_bundle, contract):
    """Check the golden bundle; what a broken machine would have can be put in place of its golden arrays."""

    def run(*, of=contract, source: SampleReader | None = None, **changes: object) -> list[Check]:
        return list(selftest(Bundle.open(make_golden_bundle(tmp_path / "x.bundle", of, **changes)), source=source))

    return run


@pytest.mark.parametrize("mode", ["sliding", "whole"])
def test_a_sound_machine_passes_every_check(checks, contract, whole_contract, mode):
    results = checks(of=contract if mode == "sliding" else whole_contract, source=source())
    assert failed(results) == {}
    assert [result.stage for result in results] == [*STAGES, "source"]
    details = {result.stage: result.detail for result in results}
    assert "model.fp32.onnx on onnxruntime" in details["engine"]
    assert "9 windows" in details["engine"]
    assert ("3 events" if mode == "sliding" else "1 events") in details["stream"]
    assert ("50.00 Hz, 300 samples" if mode == "sliding" else "300 samples in 5.98 s") in details["source"]


@pytest.mark.parametrize(
    ("stage", "name", "problem"),
    [
        ("encoder", "images", "the encoder's output for window 'real 0' differs by"),
        ("engine", "logits", "logits of window 'real 0' differ by 1.0e+00, above 1e-04"),
    ],
)
def test_one_wrong_answer_fails_its_check(checks, contract, stage, name, problem):
    wrong = getattr(golden_of(contract), name).copy()
    wrong[0] += 1
    results = checks(**{name: wrong})
    assert list(failed(results)) == [stage]
    assert problem in failed(results)[stage]
    assert [result.stage for result in results] == STAGES


def test_a_stream_that_changes_a_window_is_found(checks, monkeypatch):
    sound = Stream.advance

    def wrong(self, *samples):
        return [dataclasses.replace(item, samples=item.samples * np.float32(1.01)) for item in sound(self, *samples)]

    monkeypatch.setattr(Stream, "advance", wrong)
    assert "regular: the event at 0.620 s has probabilities" in failed(checks())["stream"]


def rewritten(folder: Path, contract, **files: bytes) -> Bundle:
    content = {
        GOLDEN_MODEL: mean_model_onnx(contract=contract), GOLDEN_VECTORS: golden_to_bytes(golden_of(contract)),
        **golden_stream_of(contract), **files,
    }  # fmt: skip
    models = [ModelEntry(GOLDEN_MODEL, "onnx", "fp32")]
    return Bundle.open(write_bundle(folder, contract=contract, models=models, files=content))


def test_other_events_and_another_contract_inside_the_model_are_found(tmp_path, contract):
    expected = json.loads(golden_stream_of(contract)[GOLDEN_EVENTS])
    expected["cases"][0]["events"][1]["label"] = "x up"
    other = contract.with_decision(smoothing=0.5)
    changes = {GOLDEN_EVENTS: json.dumps(expected).encode(), GOLDEN_MODEL: mean_model_onnx(contract=other)}
    assert failed(selftest(rewritten(tmp_path / "x.bundle", contract, **changes))) == {
        "contract": "the contract inside model.fp32.onnx is not that of contract.json",
        "stream": "regular: the event at 0.940 s is 'z up', expected 'x up'",
    }


@pytest.mark.parametrize(("recipe", "problem"), [("w8a8-static-pc", ""), ("fp32", "logits of window")])
def test_only_an_integer_model_may_answer_otherwise_than_the_network(tmp_path, contract, recipe, problem):
    golden, file = golden_of(contract), model_file(recipe, "onnx")
    network = np.roll(golden.logits, 1, axis=1) * 9  # other labels, all of them certain
    recorded = dataclasses.replace(golden, logits=network, model_logits={file: golden.logits})
    files = {
        file: mean_model_onnx(contract=contract), GOLDEN_VECTORS: golden_to_bytes(recorded),
        **golden_stream_of(contract),
    }  # fmt: skip
    models = [ModelEntry(file, "onnx", recipe)]
    bundle = Bundle.open(write_bundle(tmp_path / "x.bundle", contract=contract, models=models, files=files))
    found = failed(selftest(bundle))
    assert found.get("engine", "").startswith(problem)
    assert list(found) == (["engine"] if problem else [])


@pytest.mark.parametrize(
    ("recipe", "turn", "problem"),
    [
        ("fp32", 1.0, ""),
        ("fp32", 1.01, "the embedding of window 'real 1' is another one: largest difference from the trained network"),
        ("w8a8-static-pc", 1.01, ""),
        ("w8a8-static-pc", -1.0, "the embedding of window 'real 1' is another one: least cosine to export's"),
    ],
)
def test_an_embedding_is_the_networks_or_points_where_it_pointed_at_export(tmp_path, contract, recipe, turn, problem):
    golden, file = golden_of(contract), model_file(recipe, "onnx")
    largest = golden.windows.max(axis=2)
    expected = largest * np.where(np.arange(len(golden)) == 1, np.float32([[turn], [1], [1]]), 1).T
    recorded = dataclasses.replace(
        golden, model_logits={file: golden.logits}, embeddings=expected, model_embeddings={file: expected}
    )
    files = {
        file: mean_model_onnx(contract=contract, embedding=True), GOLDEN_VECTORS: golden_to_bytes(recorded),
        **golden_stream_of(contract),
    }  # fmt: skip
    models = [ModelEntry(file, "onnx", recipe, embedding_size=3)]
    results = list(
        selftest(Bundle.open(write_bundle(tmp_path / "x.bundle", contract=contract, models=models, files=files)))
    )
    assert [result.stage for result in results] == [*STAGES[:-1], "embedding", "stream"]
    assert list(failed(results)) == (["embedding"] if problem else [])
    assert failed(results).get("embedding", "").startswith(problem)


@given(rows=hnp.arrays(np.float32, (2, 4), elements=st.floats(-4, 4, width=16)), factor=st.floats(0.25, 4, width=16))
def test_the_cosine_is_that_of_the_definition(rows, factor):
    one, other = rows.astype(np.float64)
    lengths = math.sqrt(math.fsum(one**2)) * math.sqrt(math.fsum(other**2))
    expected = math.fsum(one * other) / lengths if lengths else float(not one.any() and not other.any())
    assert cosines(rows[:1], rows[1:])[0] == pytest.approx(expected, abs=1e-9)
    assert cosines(rows[:1] * np.float32(factor), rows[:1])[0] == pytest.approx(1.0)


def test_the_least_cosine_passes_over_what_is_too_short_to_point_anywhere():
    expected = np.float32([[3, 4], [1, 0], [0, 2], [0.01, 0]])
    given = np.float32([[3, 4], [1, 1], [0, 1], [0, 0.01]])
    assert least_cosine(given, expected) == (pytest.approx(math.sqrt(0.5)), 1)


def test_a_changed_byte_ends_the_test_at_once(tmp_path, make_golden_bundle, contract):
    bundle = Bundle.open(make_golden_bundle(tmp_path / "x.bundle", contract))
    model = bundle.path / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx was changed"):
        next(selftest(bundle))


def test_no_engine_is_a_failed_check_that_says_what_is_missing(checks, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    problem = failed(checks())["engine"]
    assert problem == "running x.bundle needs an engine, which is not installed. pip install 'vskd[litert]'"


# --- source


@pytest.mark.parametrize(
    ("samples", "rate_hz", "factor", "problem"),
    [
        (300, 25.0, 1.0, "the sensor runs at 25.0 Hz; the model was trained at 50 Hz"),
        (300, 50.0, STANDARD_GRAVITY_M_S2, "--unit m/s^2"),
        (60, 50.0, 1.0, "too short: two seconds without a gap are needed"),
        (0, 50.0, 1.0, "log.csv: holds no samples"),
    ],
)
def test_a_source_that_does_not_fit_is_named(checks, samples, rate_hz, factor, problem):
    results = checks(source=source(samples, rate_hz, factor))
    assert list(failed(results)) == ["source"]
    assert problem in failed(results)["source"]


def test_a_sample_that_is_not_finite_is_counted_and_kept_out_of_the_median(checks):
    rows = [f"{index / 50},0,nan,1" if index == 40 else f"{index / 50},0,0.5,1" for index in range(300)]
    reader = SampleReader.open(["time_s,ax,ay,az", *rows], name="log.csv")
    *_, result = checks(source=reader)
    assert "1 not finite; 0 gaps; median x +0.00 g, y +0.50 g, z +1.00 g" in result.detail


def test_a_live_source_is_read_for_ten_seconds_and_no_longer(checks):
    def endless():
        yield "time_s,ax,ay,az"
        for index in itertools.count():
            if index > 600:
                pytest.fail("read on after ten seconds")
            yield f"{index / 50},0,0,1"

    results = checks(source=SampleReader.open(endless(), name="standard input"))
    assert results[-1].detail.startswith("50.00 Hz, 501 samples")
