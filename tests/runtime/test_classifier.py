"""The one object of an application: samples in, events out, on real engines and on a counting one."""

from __future__ import annotations

import importlib.util
import math
import statistics
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from runtime.mean_engine import MeanEngine
from vskd import Bundle, Classifier, Contract, Event
from vskd.contract import STANDARD_GRAVITY_M_S2
from vskd.errors import ConfigError, ContractError, EngineError, MissingExtraError, StreamError, UseError
from vskd.stream import Window, cut_windows
from vskd.stream.window import movement


class ForgetfulEngine:
    """Answers like the other, and keeps nothing."""

    name = "mean"
    version = "1"

    def infer(self, window: np.ndarray) -> np.ndarray:
        return window.mean(axis=1) * np.float32(8)


def turning(samples: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A wrist that points up with z, then x, then y."""
    up = np.repeat([2, 0, 1, 1], samples // 4)
    return np.arange(samples) / 50, np.eye(3)[up] + np.random.default_rng(0).normal(0, 0.02, (samples, 3))


def test_every_option_of_open_is_used(tmp_path, make_bundle, contract, monkeypatch):
    asked = {}

    def noting(name, model, *, threads):
        asked.update(name=name, file=model.name, threads=threads)
        return MeanEngine()

    monkeypatch.setattr("vskd.bundle.open_engine", noting)
    classifier = Classifier.open(
        make_bundle(tmp_path / "x.bundle", contract), engine="litert", recipe="fp32", threads=3,
        unit="m/s^2", axes="-z,x,y", time_unit="ms", decision={"min_lead": 0.25},
    )  # fmt: skip
    assert asked == {"name": "litert", "file": "model.fp32.tflite", "threads": 3}
    assert classifier.contract.decision.min_lead == 0.25
    time_s, xyz = turning()
    turned = np.stack([xyz[:, 1], xyz[:, 2], -xyz[:, 0]], axis=1)  # -z, x, y of these are the contract's x, y, z
    expected = Classifier(classifier.contract, MeanEngine()).push(time_s, xyz)
    found = classifier.push(time_s * 1000, turned * STANDARD_GRAVITY_M_S2)
    assert len(found) == len(expected) > 0
    assert [event.label for event in found] == [event.label for event in expected]
    np.testing.assert_allclose([event.end_s for event in found], [event.end_s for event in expected])


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
    rotated = np.column_stack([xyz[:, 1], -xyz[:, 0], xyz[:, 2]]) * STANDARD_GRAVITY_M_S2
    other = Classifier(contract, MeanEngine(), unit="m/s^2", axes="-y,x,z", time_unit="ms").push(time_s * 1e3, rotated)
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
    with pytest.raises(EngineError, match=r"gives \(3,\) values for a window, the contract has 4 labels"):
        Classifier.open(make_bundle(tmp_path / "x.bundle", four), engine="onnxruntime")
    with pytest.raises(ContractError, match=r"answer has shape \(3,\), the contract has 4 labels"):
        Classifier(four, MeanEngine()).push(*turning())


def test_a_choice_that_cannot_be_kept_is_an_error_not_another_choice(tmp_path, make_bundle, contract, monkeypatch):
    bundle = make_bundle(tmp_path / "x.bundle", contract)
    with pytest.raises(ConfigError, match="no model of recipe int4 for litert"):
        Classifier.open(bundle, engine="litert", recipe="int4")
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"the engine litert needs ai_edge_litert.*vskd\[litert\]"):
        Classifier.open(bundle, engine="litert")


# --- pauses, silence, stillness


def with_pause(pause_s: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    time_s, xyz = turning()
    time_s[100:] += pause_s
    return time_s, xyz


def summary(events: list[Event]) -> list[tuple[str, float, float]]:
    return [(event.label, round(event.start_s, 6), round(event.end_s, 6)) for event in events]


@pytest.mark.parametrize("size", [1, 7, 99, 100, 101, 200])
def test_a_pause_is_an_event_between_the_windows_however_the_stream_is_cut(contract, size):
    classifier = Classifier(contract.with_decision(no_signal_after_s=2.0), MeanEngine())
    time_s, xyz = with_pause()
    events = [event for at in range(0, 200, size) for event in classifier.push(time_s[at:][:size], xyz[at:][:size])]
    labels = [event.label for event in events]
    assert labels.count("no signal") == 1
    pause = events[labels.index("no signal")]
    assert (pause.start_s, pause.end_s) == (pytest.approx(1.98), pytest.approx(7.0))
    assert pause.reason == "no samples for 5.020 s"
    assert [event.end_s for event in events] == sorted(event.end_s for event in events)
    assert labels.index("no signal") == 1 + (100 - 32) // 16
    assert classifier.health.windows == len(events) - 1


def test_a_short_gap_and_a_clock_set_back_are_no_pause(contract):
    judged = contract.with_decision(no_signal_after_s=2.0)
    time_s, xyz = with_pause(1.0)
    assert "no signal" not in [event.label for event in Classifier(judged, MeanEngine()).push(time_s, xyz)]
    time_s, xyz = with_pause(-1000.0)
    classifier = Classifier(judged, MeanEngine())
    assert "no signal" not in [event.label for event in classifier.push(time_s, xyz)]
    assert classifier.health.gaps == 1


def test_a_silence_is_told_once_and_not_again_by_the_samples_that_end_it(contract):
    classifier = Classifier(contract.with_decision(no_signal_after_s=2.0), MeanEngine())
    time_s, xyz = with_pause()
    assert classifier.silence(60.0) == []  # nothing has come yet: the sensor's clock is not known
    classifier.push(time_s[:100], xyz[:100])
    assert classifier.silence(1.9) == []
    assert summary(classifier.silence(2.5)) == [("no signal", 1.98, 4.48)]
    assert classifier.silence(3.5) == []
    events = classifier.push(time_s[100:], xyz[100:])
    assert events
    assert "no signal" not in [event.label for event in events]
    assert summary(classifier.silence(2.5)) == [("no signal", 8.98, 11.48)]  # the next silence is another one


def test_a_silence_before_the_unit_is_believed_is_told_once(contract):
    classifier = Classifier(contract.with_decision(no_signal_after_s=2.0), MeanEngine())
    time_s, xyz = with_pause()
    classifier.push(time_s[90:100], xyz[90:100])
    assert len(classifier.silence(3.0)) == 1
    events = [event for at in range(100, 200, 5) for event in classifier.push(time_s[at:][:5], xyz[at:][:5])]
    assert events
    assert "no signal" not in [event.label for event in events]


def test_silence_of_nanoseconds_since_1970_is_told_once(contract):
    classifier = Classifier(contract.with_decision(no_signal_after_s=2.0), MeanEngine(), time_unit="ns")
    time_s, xyz = with_pause()
    time_ns = 1_700_000_000_123_456_789 + np.round(time_s * 1e9).astype(np.int64)
    classifier.push(time_ns[:100], xyz[:100])
    assert len(classifier.silence(3.0)) == 1
    assert "no signal" not in [event.label for event in classifier.push(time_ns[100:], xyz[100:])]


def test_a_still_wrist_does_not_wake_the_network_and_the_share_is_counted(contract):
    engine = MeanEngine()
    classifier = Classifier(contract.with_decision(still_below_g=0.05), engine)
    still = np.tile([0.0, 0.0, 1.0], (100, 1)) + np.random.default_rng(0).normal(0, 0.005, (100, 3))
    moving = still + np.sin(np.arange(100))[:, np.newaxis] * 0.5
    events = classifier.push(np.arange(200) / 50, np.concatenate([still, moving]))
    labels = [event.label for event in events]
    assert labels[0] == "still"
    assert labels[-1] != "still"
    assert classifier.health.windows == len(events) == len(engine.windows) + labels.count("still")
    assert classifier.health.still == labels.count("still") == 5  # windows that end by sample 100
    assert classifier.health.still_share == pytest.approx(5 / len(events))


def test_without_a_limit_the_gate_is_open(contract):
    engine = MeanEngine()
    classifier = Classifier(contract, engine)
    classifier.push(np.arange(100) / 50, np.tile([0.0, 0.0, 1.0], (100, 1)))
    assert len(engine.windows) == classifier.health.windows > 0
    assert (classifier.health.still, classifier.health.still_share) == (0, 0.0)
    assert Classifier(contract, engine).health.still_share == 0.0


def test_movement_is_the_standard_deviation_of_the_magnitude_at_any_size():
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(3, 32)).astype(np.float32)
    magnitude = [math.sqrt(sum(float(value) ** 2 for value in column)) for column in samples.T]
    assert movement(Window(samples, 0, 1, True)) == pytest.approx(statistics.pstdev(magnitude), rel=1e-12)
    huge = np.full((3, 32), 3e38, np.float32)
    huge[:, 0] = 0
    assert math.isfinite(movement(Window(huge, 0, 1, True)))


def test_every_rule_can_be_overridden_when_the_bundle_is_opened(tmp_path, make_bundle, contract):
    bundle = make_bundle(tmp_path / "x.bundle", contract)
    rules = {"smoothing": 0.25, "min_dwell_windows": 3, "min_lead": 0.1, "still_below_g": 0.2}
    classifier = Classifier.open(bundle, engine="litert", decision=rules)
    assert {name: getattr(classifier.contract.decision, name) for name in rules} == rules
    with pytest.raises(ConfigError, match=r"unknown key 'smothing' in decision.*Did you mean 'smoothing'"):
        Classifier.open(bundle, decision={"smothing": 0.5})
    with pytest.raises(ContractError, match=r"a pause of up to 0\.25 s"):
        Classifier.open(bundle, decision={"no_signal_after_s": 0.1})


def test_memory_does_not_grow_with_the_samples(contract):
    """Stream, gate, smoothing and pauses together; ten million samples need no more than the first few thousand."""
    rules = {"smoothing": 0.2, "min_dwell_windows": 3, "no_signal_after_s": 2.0, "still_below_g": 0.05}
    classifier = Classifier(contract.with_decision(**rules), ForgetfulEngine())
    xyz = np.random.default_rng(0).normal([0, 0, 1], 0.2, (500, 3))
    xyz[:200] = [0, 0, 1]
    tracemalloc.start()
    try:
        for start in range(0, 5000, 500):
            classifier.push((start + np.arange(500)) / 50, xyz)
        before, _ = tracemalloc.get_traced_memory()
        for start in range(5000, 155_000, 500):
            classifier.push((start + start // 5000 * 500 + np.arange(500)) / 50, xyz)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert classifier.health.gaps > 20
    assert classifier.health.still > 100
    assert after - before < 20_000  # 150,000 samples are 4.8 MB


def test_single_samples_are_pushed_as_numbers(contract):
    time_s, xyz = turning()
    whole = Classifier(contract, MeanEngine()).push(time_s, xyz)
    classifier = Classifier(contract, MeanEngine())
    singly = [event for when, reading in zip(time_s, xyz, strict=True) for event in classifier.push(when, reading)]
    assert [event.to_mapping(classifier.labels) for event in singly] == [
        event.to_mapping(classifier.labels) for event in whole
    ]
    assert classifier.push(1_000_000, [0, 0, 1]) == []
    for time, reading in [(1.0, [0.0, 1.0]), ([1.0, 2.0], [0.0, 0.0, 1.0]), (1.0, [[0.0, 0.0, 1.0]])]:
        with pytest.raises(StreamError, match=r"samples must be time \(n,\) and xyz \(n, 3\), got "):
            classifier.push(time, reading)


def test_after_a_reset_it_is_as_new(contract):
    """With smoothing, dwell and a half-filled window behind it, and a clock that begins anew."""
    rules = contract.with_decision(smoothing=0.3, min_dwell_windows=2, no_signal_after_s=1.0)
    time_s, xyz = turning()
    used = Classifier(rules, MeanEngine())
    used.push(time_s[:90] + 500, xyz[:90])
    used.silence(5.0)
    used.reset()
    assert used.health.samples == 0
    assert used.silence(5.0) == []
    fresh = Classifier(rules, MeanEngine())
    found, expected = used.push(time_s, xyz), fresh.push(time_s, xyz)
    assert [event.to_mapping(fresh.labels) for event in found] == [event.to_mapping(fresh.labels) for event in expected]
    assert used.health == fresh.health


def test_with_closes_and_what_is_closed_says_so(tmp_path, make_bundle, contract):
    time_s, xyz = turning()
    with Classifier.open(make_bundle(tmp_path / "x.bundle", contract), engine="litert") as classifier:
        assert classifier.push(time_s, xyz)
        engine = weakref.ref(classifier.engine)
    assert engine() is None, "the model's memory is free"
    classifier.close()
    assert (classifier.labels, classifier.health.samples) == (contract.labels, 200)
    assert ", closed; " in repr(classifier)
    window = cut_windows(contract, time_s, xyz)[0]
    for call in (
        lambda: classifier.push(0.0, xyz[0]),
        lambda: classifier.decide(window),
        lambda: classifier.silence(9.0),
        lambda: classifier.enroll("wave", time_s, xyz),
        classifier.finish,
        classifier.reset,
    ):
        with pytest.raises(UseError, match=r"this classifier is closed\. Open it again"):
            call()


class WaitingEngine(MeanEngine):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def infer(self, window: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.go.wait(30)
        return super().infer(window)


def test_a_second_caller_is_refused_and_the_first_one_is_right(contract):
    time_s, xyz = turning()
    window = cut_windows(contract, time_s, xyz)[0]
    engine, found = WaitingEngine(), []
    classifier = Classifier(contract, engine)
    first = threading.Thread(target=lambda: found.extend(classifier.push(time_s, xyz)))
    first.start()
    assert engine.entered.wait(30)
    for name, words in {
        "push": (time_s, xyz), "decide": (window,), "silence": (9.0,), "finish": (), "reset": (),
        "classify": (time_s, xyz), "enroll": ("wave", time_s, xyz),
    }.items():  # fmt: skip
        message = f"two callers are in one classifier at the same time, the second in {name}. Open one for each thread"
        with pytest.raises(UseError, match=message):
            getattr(classifier, name)(*words)
    assert classifier.labels == contract.labels
    assert "so far" in repr(classifier)
    engine.go.set()
    first.join()
    expected = Classifier(contract, MeanEngine()).push(time_s, xyz)
    assert [event.probability for event in found] == [event.probability for event in expected]
    assert classifier.finish() == []


def test_threads_may_take_turns_and_an_error_ends_a_turn(contract):
    time_s, xyz = turning()
    classifier, found = Classifier(contract, MeanEngine()), []
    with pytest.raises(StreamError, match="samples must be time"):
        classifier.push(time_s, xyz[:3])
    for start in range(0, 200, 40):
        part = slice(start, start + 40)
        thread = threading.Thread(target=lambda part=part: found.extend(classifier.push(time_s[part], xyz[part])))
        thread.start()
        thread.join()
    expected = Classifier(contract, MeanEngine()).push(time_s, xyz)
    assert [event.label for event in found] == [event.label for event in expected]


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_threads_that_hurry_get_right_answers_or_the_sentence(tmp_path, make_bundle, contract, engine):
    """Before, LiteRT answered with an internal error, or with another window's logits."""
    alone = {"smoothing": 1.0, "min_dwell_windows": 1}
    classifier = Classifier.open(make_bundle(tmp_path / "x.bundle", contract), engine=engine, decision=alone)
    windows = cut_windows(contract, *turning())[:4]
    right = [Classifier(contract, MeanEngine()).decide(window).label for window in windows]
    wrong: list[object] = []

    def decide(row: int) -> None:
        for _ in range(200):
            try:
                label = classifier.decide(windows[row]).label
            except UseError:
                continue
            if label != right[row]:
                wrong.append((row, label))

    threads = [threading.Thread(target=decide, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_says_what_it_is(tmp_path, make_bundle, contract, whole_contract):
    bundle = make_bundle(tmp_path / "x.bundle", contract)
    classifier = Classifier.open(bundle, engine="litert", unit="m/s^2", axes="-y,x,z", time_unit="ms")
    assert repr(classifier) == (
        f"<Classifier: 3 activities by 0.64 s of samples every 0.32 s, litert {classifier.engine.version}; "
        "m/s^2, axes -y,x,z, time in ms; 0 samples so far>"
    )
    whole = Classifier(whole_contract, MeanEngine())
    assert repr(whole).startswith("<Classifier: 3 activities by whole recordings, mean 1; g, ")
    assert repr(whole.classify(*turning())).startswith("Event(label='")
    assert "probabilities" not in repr(whole.classify(*turning()))
    assert repr(Bundle.open(bundle)).startswith(f"<Bundle {bundle}: 3 activities, model.fp32.")
