"""The worker's side of the conversation, without a process."""

from __future__ import annotations

import io
import json

import pytest

from vskd.errors import EngineError
from vskd_benchmarks.measure import Clock
from vskd_benchmarks.worker import Worker, serve


class Counting:
    """Its n-th call takes n ns in ``whole`` and 10 n in ``part``."""

    series = ("whole", "part")

    def __init__(self) -> None:
        self.calls = 0

    def run_once(self, clock: Clock) -> tuple[int, int]:
        self.calls += 1
        return self.calls, 10 * self.calls

    def describe(self) -> dict[str, str]:
        return {}


def converse(job, *commands):
    answers = io.StringIO()
    code = serve(job, io.StringIO("".join(json.dumps(command) + "\n" for command in commands)), answers)
    return code, [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_block_keeps_every_reading_but_the_discarded_first():
    answer = Worker({"a": Counting()}).answer({"do": "block", "case": "a", "calls": 3, "discard": 2})
    assert answer["latency_ns"] == {"whole": [3, 4, 5], "part": [30, 40, 50]}
    assert answer["wall_ns"] > 0
    assert answer["cpu_ns"] >= 0


def test_warm_up_looks_at_the_first_series():
    case = Counting()
    rule = {"block": 2, "agreeing": 2, "tolerance": 0.5, "ceiling_s": 5.0}
    answer = Worker({"a": case}).answer({"do": "warm_up", "case": "a", "rule": rule})
    # Medians 1.5, 3.5, 5.5, ...: the first two that lie within a half of each other are 5.5 and 7.5.
    assert answer["block_medians_ns"] == [2, 4, 6, 8]
    assert answer["steady"] is True
    assert answer["calls"] == case.calls == 8


def test_a_model_is_served(bundle):
    job = {"kind": "model", "bundle": str(bundle.path), "file": "model.fp32.onnx"}
    code, answers = converse(
        {**job, "engine": "onnxruntime", "threads": 1},
        {"do": "block", "case": "model", "calls": 2, "discard": 0},
        {"do": "memory"},
    )
    assert code == 0
    ready, block, memory = answers
    assert ready["ready"]["model"]["signal"]["source"] == "synthetic"
    assert set(block["latency_ns"]) == {
        "sensor_to_label",
        "resample",
        "infer",
        "decide",
        "model_only",
        "bare_call",
    }
    assert all(len(readings) == 2 for readings in block["latency_ns"].values())
    assert memory["memory"]["bytes"] > 10**6


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"engine": "tensorflux"}, "ConfigError", "there is no engine 'tensorflux'"),
        ({"engine": "litert"}, "EngineError", "litert runs .tflite files, not model.fp32.onnx"),
        ({"bundle": "nowhere.bundle"}, "BundleError", "there is no bundle at nowhere.bundle"),
    ],
)
def test_what_cannot_be_loaded_is_said_and_ends_the_worker(bundle, change, kind, message):
    job = {"kind": "model", "bundle": str(bundle.path), "file": "model.fp32.onnx", "engine": "onnxruntime"}
    code, answers = converse({**job, "threads": 1, **change})
    assert code == 1
    assert answers[0]["error"]["kind"] == kind
    assert answers[0]["error"]["message"] == message


def test_an_error_in_the_middle_is_said_and_ends_the_worker():
    class Failing(Counting):
        def run_once(self, clock: Clock) -> tuple[int, int]:
            raise EngineError("toy cannot run a window of shape (3, 4)")

    answers = io.StringIO()
    block = {"do": "block", "case": "a", "calls": 1, "discard": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vskd_benchmarks.worker.open_job", lambda job: ({"a": Failing()}, {}))
        code = serve({}, io.StringIO(json.dumps(block) + "\n"), answers)
    assert code == 1
    assert json.loads(answers.getvalue().splitlines()[-1])["error"] == {
        "kind": "EngineError",
        "message": "toy cannot run a window of shape (3, 4)",
        "hint": "",
    }


def test_a_baseline_holds_a_library_and_no_case():
    code, answers = converse({"kind": "baseline", "package": "json"}, {"do": "memory"})
    assert code == 0
    assert answers[0] == {"ready": {}}
    assert answers[1]["memory"]["source"] in ("VmHWM", "ru_maxrss")
