"""The one object of an application: samples in, events out, on real engines and on a counting one."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from vskd import Classifier, Contract
from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import ConfigError, ContractError, MissingExtraError, StreamError
from vskd.stream import cut_windows


class MeanEngine:
    """Answers with the mean of every axis, and counts."""

    name = "mean"
    version = "1"

    def __init__(self) -> None:
        self.windows: list[np.ndarray] = []

    def infer(self, window: np.ndarray) -> np.ndarray:
        self.windows.append(window)
        return window.mean(axis=1) * np.float32(8)


def turning(samples: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A wrist that points up with z, then x, then y."""
    up = np.repeat([2, 0, 1, 1], samples // 4)
    return np.arange(samples) / 50, np.eye(3)[up] + np.random.default_rng(0).normal(0, 0.02, (samples, 3))


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_a_bundle_classifies_a_stream_on_every_engine(tmp_path, make_bundle, contract, engine):
    classifier = Classifier.open(make_bundle(tmp_path / "x.bundle", contract), engine=engine)
    assert classifier.engine.name == engine
    time_s, xyz = turning()
    events = [event for start in range(0, 200, 16) for event in classifier.push(time_s[start:][:16], xyz[start:][:16])]
    assert len(events) == 1 + (200 - 32) // 16
    assert [events[0].label, events[-1].label] == ["z up", "y up"]
    assert "x up" in [event.label for event in events]
    assert all(event.end_s - event.start_s == pytest.approx(31 / 50) for event in events)
    assert classifier.health.samples == 200


def test_the_engine_sees_the_windows_of_the_stream(contract):
    engine = MeanEngine()
    time_s, xyz = turning()
    Classifier(contract, engine).push(time_s, xyz)
    expected = cut_windows(contract, time_s, xyz)
    np.testing.assert_array_equal(engine.windows, [window.samples for window in expected])


def test_unit_axes_and_time_unit_reach_the_stream(contract):
    time_s, xyz = turning()
    plain = Classifier(contract, MeanEngine()).push(time_s, xyz)
    turned = np.column_stack([xyz[:, 1], -xyz[:, 0], xyz[:, 2]]) * STANDARD_GRAVITY_M_S2
    other = Classifier(contract, MeanEngine(), unit="m/s^2", axes="-y,x,z", time_unit="ms").push(time_s * 1e3, turned)
    assert [event.label for event in other] == [event.label for event in plain]
    for one, two in zip(other, plain, strict=True):
        np.testing.assert_allclose(one.probabilities, two.probabilities, rtol=1e-4)


def test_a_wrong_unit_is_refused_before_any_inference(contract):
    engine = MeanEngine()
    time_s, xyz = turning()
    with pytest.raises(StreamError, match=r"looks like m/s\^2"):
        Classifier(contract, engine).push(time_s, xyz * STANDARD_GRAVITY_M_S2)
    assert engine.windows == []


def test_a_whole_recording_is_one_decision(tmp_path, make_bundle, whole_contract):
    classifier = Classifier.open(make_bundle(tmp_path / "x.bundle", whole_contract), engine="onnxruntime")
    time_s, xyz = turning()
    event = classifier.classify(1000 + time_s, xyz[:, [0, 2, 1]])
    assert (event.label, event.start_s, event.end_s) == ("z up", 1000.0, pytest.approx(1003.98))
    assert event.delay_s == 0.0
    assert classifier.health.samples == 0


def test_a_recording_does_not_remember_the_one_before(whole_contract):
    classifier = Classifier(whole_contract.with_decision(smoothing=0.1, min_dwell_windows=4), MeanEngine())
    time_s = np.arange(40) / 50
    assert classifier.classify(time_s, np.tile([1.0, 0, 0], (40, 1))).label == "x up"
    assert classifier.classify(time_s, np.tile([0, 1.0, 0], (40, 1))).label == "y up"


def test_each_mode_names_the_call_that_fits(contract, whole_contract):
    time_s, xyz = turning()
    with pytest.raises(ContractError, match=r"decides on sliding windows\. Call push"):
        Classifier(contract, MeanEngine()).classify(time_s, xyz)
    with pytest.raises(ContractError, match=r"decides on whole recordings.*Call classify"):
        Classifier(whole_contract, MeanEngine()).push(time_s, xyz)


def test_a_recording_that_is_none_is_refused(whole_contract):
    classifier = Classifier(whole_contract, MeanEngine())
    with pytest.raises(StreamError, match=r"samples must be time \(n,\) and xyz \(n, 3\)"):
        classifier.classify([0.0, 0.1], [1.0, 2.0, 3.0])
    with pytest.raises(StreamError, match="samples must be numbers"):
        classifier.classify(["now"], [[1.0, 2.0, 3.0]])


def test_a_model_that_does_not_fit_the_contract_is_refused(tmp_path, make_bundle, contract):
    four = Contract(labels=("a", "b", "c", "d"), window=contract.window, gaf=contract.gaf)
    classifier = Classifier.open(make_bundle(tmp_path / "x.bundle", four), engine="onnxruntime")
    with pytest.raises(ContractError, match=r"answer has shape \(3,\), the contract has 4 labels"):
        classifier.push(*turning())


def test_a_choice_that_cannot_be_kept_is_an_error_not_another_choice(tmp_path, make_bundle, contract, monkeypatch):
    bundle = make_bundle(tmp_path / "x.bundle", contract)
    with pytest.raises(ConfigError, match="no model of recipe int4 for litert"):
        Classifier.open(bundle, engine="litert", recipe="int4")
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"the engine litert needs ai_edge_litert.*vskd\[litert\]"):
        Classifier.open(bundle, engine="litert")
