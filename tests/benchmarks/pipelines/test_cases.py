"""What is timed on a model: the split adds up, and the bare call is the same model."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.encoders.gaf import GafEncoder
from vskd.engines import open_engine
from vskd.engines.tflite import TfliteEngine
from vskd.errors import EngineError
from vskd.stream import Window
from vskd_benchmarks.pipelines.cases import Network, PipelineCase, SensorPath, bare_call, open_model
from vskd_benchmarks.pipelines.wrist_signal import ready_windows, wrist_signal


@pytest.fixture(params=["bundle", "whole_bundle"])
def case(request):
    bundle = request.getfixturevalue(request.param)
    return open_model(bundle, bundle.models[0], engine="onnxruntime", threads=1)


@pytest.fixture
def image_case(bundle):
    """Its network answers with the corner of the image, so that nobody can have skipped the encoder."""
    encode = GafEncoder(bundle.contract.gaf, bundle.contract.window.samples)
    return PipelineCase(bundle, Network(lambda image: image[:, 0, 1], "1", encode, trained=False), wrist_signal(bundle))


def test_the_split_adds_up_in_every_window(case):
    for _ in range(100):
        measured = dict(zip(case.series, case.run_once(time.perf_counter_ns), strict=True))
        assert measured["sensor_to_label"] == measured["resample"] + measured["infer"] + measured["decide"]
        assert min(measured.values()) > 0


def test_each_part_is_timed_between_its_own_readings(case, ticks):
    # Steps double, so a duration is a sum of powers of two that names the steps it spans: parts are single steps.
    first, second, third = (dict(zip(case.series, case.run_once(ticks), strict=True)) for _ in range(3))
    for measured in (first, second, third):
        parts = [measured[name] for name in ("resample", "infer", "decide", "model_only", "bare_call")]
        assert all(part.bit_count() == 1 for part in parts)
        assert len(set(parts)) == len(parts)
        assert measured["resample"] * 2 == measured["infer"]
        assert measured["infer"] * 2 == measured["decide"]
    assert measured["sensor_to_label"] == measured["resample"] + measured["infer"] + measured["decide"]
    # Who comes first changes from call to call.
    smallest = [min(measured, key=measured.get) for measured in (first, second, third)]
    assert sorted(smallest) == ["bare_call", "model_only", "resample"]


def test_the_path_gives_the_streams_windows_and_starts_again(bundle):
    signal = wrist_signal(bundle)
    path = SensorPath(bundle.contract, signal)
    expected = ready_windows(bundle.contract, signal)[1:]
    for _ in range(2):
        for samples in expected:
            window = path.window(path.next_delivery())
            assert np.array_equal(window.samples, samples)


def test_the_bare_call_is_the_engines_model(bundle):
    engine = open_engine("onnxruntime", bundle.model_path(bundle.models[0]))
    window = ready_windows(bundle.contract, wrist_signal(bundle))[0]
    assert np.array_equal(bare_call(engine)(window[np.newaxis])[0], engine.infer(window))


class Interpreter:
    """The interface of TensorFlow Lite; its logits are the means of the axes."""

    def __init__(self, model_content: bytes, num_threads: int) -> None:
        self.calls: list[str] = []

    def allocate_tensors(self) -> None:
        self.calls.append("allocate")

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": 4}]

    def get_output_details(self) -> list[dict[str, int]]:
        return [{"index": 7}]

    def set_tensor(self, index: int, value: np.ndarray) -> None:
        self.calls.append(f"set {index} {value.shape}")
        self.window = value

    def invoke(self) -> None:
        self.calls.append("invoke")

    def get_tensor(self, index: int) -> np.ndarray:
        self.calls.append(f"get {index}")
        return self.window.mean(axis=2)


def test_the_bare_call_of_an_interpreter_is_what_its_engine_calls():
    engine = TfliteEngine("toy", "1", b"model", Interpreter(model_content=b"model", num_threads=1), (4, 7))
    window = np.arange(12, dtype=np.float32).reshape(3, 4)
    logits = bare_call(engine)(window[np.newaxis])
    bare = engine._interpreter.calls.copy()
    assert np.array_equal(logits[0], engine.infer(window))
    assert bare == ["set 4 (1, 3, 4)", "invoke", "get 7"]
    assert engine._interpreter.calls == bare + bare


def test_an_engine_that_nobody_knows_has_no_bare_call():
    class Strange:
        name = "strange"
        version = "1"

        def infer(self, window: Window) -> Window:
            return window

    with pytest.raises(EngineError, match="does not know the library's own call of strange"):
        bare_call(Strange())


def test_an_image_is_drawn_on_the_path_and_timed_as_a_stage_of_its_own(image_case, ticks):
    assert image_case.series == ("sensor_to_label", "resample", "encode", "infer", "decide", "model_only")
    measured = dict(zip(image_case.path_series, image_case.run_path(ticks), strict=True))
    parts = [measured[name] for name in ("resample", "encode", "infer", "decide")]
    assert measured["sensor_to_label"] == sum(parts)
    assert [later // earlier for earlier, later in itertools.pairwise(parts)] == [2, 2, 2]
    row, logits = image_case.last_output()
    assert np.array_equal(logits, image_case.all_outputs()[row])
    assert np.array_equal(logits, image_case.inputs()[row][:, 0, 1])
    assert image_case.golden_outputs() is None


def test_outputs_of_the_path_are_those_of_all_windows(case):
    expected = case.all_outputs()
    for _ in range(len(expected) + 2):
        case.run_once(time.perf_counter_ns)
        row, logits = case.last_output()
        assert np.array_equal(logits, expected[row])
    assert row == 2 % len(expected)


def test_golden_windows_go_through_the_same_network(make_bundle, golden, tmp_path):
    bundle = Bundle.open(make_bundle(tmp_path / "golden.bundle", files={"golden/vectors.npz": golden}))
    case = open_model(bundle, bundle.models[0], engine="onnxruntime", threads=1)
    np.testing.assert_allclose(case.golden_outputs(), read_golden(bundle).logits, rtol=1e-4)


def test_a_case_says_what_it_is(case):
    description = case.describe()
    assert description["engine_version"]
    assert description["signal"]["source"] == "synthetic"
    assert description["options"]["session.intra_op.allow_spinning"] == "0"
