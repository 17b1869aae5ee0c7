"""The worker's side of the conversation, without a process."""

from __future__ import annotations

import inspect
import io
import json
import pkgutil

import numpy as np
import pytest

from vskd.errors import EngineError
from vskd_benchmarks.measure.worker import Worker, open_job, serve
from vskd_benchmarks.pipelines.cases import Clock


class Counting:
    """Its n-th call takes n ns in ``whole`` and 10 n in ``part``; its output is (n, n)."""

    series = ("whole", "part")
    path_series = ("whole",)

    def __init__(self) -> None:
        self.calls = 0
        self.given: list[int] = []

    def run_once(self, clock: Clock) -> tuple[int, ...]:
        self.calls += 1
        return self.calls, 10 * self.calls

    def run_path(self, clock: Clock) -> tuple[int, ...]:
        return self.run_once(clock)[:1]

    def last_output(self) -> tuple[int, np.ndarray] | None:
        return self.calls, np.full(2, self.calls, np.float32)

    def all_outputs(self) -> np.ndarray | None:
        return np.arange(6, dtype=np.float32).reshape(3, 2)

    def golden_outputs(self) -> np.ndarray | None:
        return None

    def inputs(self) -> list[int]:
        return [0, 1, 2, 3, 4]

    def call(self, ready: int) -> object:
        self.given.append(ready)
        return None

    def describe(self) -> dict[str, str]:
        return {}


BLOCK = {"do": "block", "path_only": False, "calls": 3, "discard": 2, "period_ns": 0}


def converse(job, *commands):
    answers = io.StringIO()
    code = serve(job, io.StringIO("".join(json.dumps(command) + "\n" for command in commands)), answers)
    return code, [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_block_keeps_every_reading_but_the_discarded_first():
    answer = Worker(Counting()).answer(BLOCK)
    assert answer["latency_ns"] == {"whole": [3, 4, 5], "part": [30, 40, 50]}
    assert answer["sampled"] == [[3, [3, 3]], [4, [4, 4]], [5, [5, 5]]]
    assert answer["started_ns"] == sorted(answer["started_ns"])
    assert answer["wall_ns"] > 0
    assert answer["own_ns"] >= answer["cpu_ns"] >= 0
    assert answer["resident_bytes"] > 10**6


def test_the_yardstick_is_read_before_and_after_the_calls_and_outside_of_their_time(monkeypatch):
    now, ran = [0], []

    def run(yardstick):
        ran.append(case.calls)
        now[0] += 300

    monkeypatch.setattr("vskd_benchmarks.measure.yardstick.Yardstick.run", run)
    case = Counting()
    answer = Worker(case, clock=lambda: now[0]).answer(BLOCK)
    assert ran == [0] * 10 + [5] * 10  # two of each ten bring the caches back; two calls are discarded, three counted
    assert answer["yardstick_ns"] == [300] * 16
    assert (answer["wall_ns"], answer["interval_ns"]) == (0, [3_000, 3_000])


def test_of_many_calls_a_few_outputs_are_kept():
    answer = Worker(Counting()).answer({**BLOCK, "calls": 80, "discard": 0})
    assert [row for row, _ in answer["sampled"]] == [1, 11, 21, 31, 41, 51, 61, 71]


def test_a_path_is_measured_alone_when_asked():
    answer = Worker(Counting()).answer({**BLOCK, "path_only": True})
    assert answer["latency_ns"] == {"whole": [3, 4, 5]}


def test_paced_calls_begin_when_their_time_has_come():
    now = [1000]

    def sleep(seconds: float) -> None:
        now[0] += round(seconds * 1e9)

    class Working(Counting):
        """Each call takes 30 ns of the clock, the third one 150."""

        def run_path(self, clock: Clock) -> tuple[int, ...]:
            (number,) = super().run_path(clock)
            now[0] += 150 if number == 3 else 30
            return (number,)

    worker = Worker(Working(), clock=lambda: now[0], sleep=sleep)
    answer = worker.answer({"do": "block", "path_only": True, "calls": 5, "discard": 0, "period_ns": 100})
    # The call after the long one is late and starts at once; the one after that is on time again.
    assert answer["started_ns"] == [1100, 1200, 1300, 1450, 1500]


def test_a_repeated_input_follows_itself_and_varied_ones_do_not():
    case = Counting()
    answer = Worker(case).answer({"do": "repeat", "blocks": 2, "calls": 3})
    assert [len(block) for block in (*answer["varied_ns"], *answer["repeated_ns"])] == [3, 3, 3, 3]
    # One call more at the start of each, not counted; in the second block the repeated input comes first.
    assert case.given == [0, 1, 2, 3] + [0] * 4 + [1] * 4 + [3, 4, 0, 1]


def test_outputs_are_those_of_the_case():
    answer = Worker(Counting()).answer({"do": "outputs"})
    assert answer == {"outputs": [[0, 1], [2, 3], [4, 5]], "golden": None}


def test_warm_up_looks_at_the_first_series():
    case = Counting()
    rule = {"block": 2, "agreeing": 2, "tolerance": 0.5, "ceiling_s": 5.0}
    answer = Worker(case).answer({"do": "warm_up", "path_only": False, "rule": rule})
    # Medians 1.5, 3.5, 5.5, ...: the first two that lie within a half of each other are 5.5 and 7.5.
    assert answer["block_medians_ns"] == [2, 4, 6, 8]
    assert answer["steady"] is True
    assert answer["calls"] == case.calls == 8


def test_a_model_is_served(bundle):
    job = {"kind": "model", "bundle": str(bundle.path), "file": "model.fp32.onnx"}
    code, answers = converse(
        {**job, "engine": "onnxruntime", "threads": 1}, {**BLOCK, "calls": 2}, {"do": "memory"}, {"do": "outputs"}
    )
    assert code == 0
    ready, block, memory, outputs = answers
    assert ready["ready"]["signal"]["source"] == "synthetic"
    assert ready["ready"]["first_inference_ns"] > 0
    assert list(block["latency_ns"]) == [
        "sensor_to_label", "resample", "infer", "decide", "model_only", "bare_call",
    ]  # fmt: skip
    assert all(len(readings) == 2 for readings in block["latency_ns"].values())
    assert memory["memory"]["bytes"] > 10**6
    # JSON keeps every bit of a float32, so that the audit of outputs can ask for equality.
    for row, logits in block["sampled"]:
        assert np.array_equal(np.float32(logits), np.float32(outputs["outputs"][row]))


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
        def run_once(self, clock: Clock) -> tuple[int, ...]:
            raise EngineError("toy cannot run a window of shape (3, 4)")

    answers = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vskd_benchmarks.measure.worker.open_job", lambda job: (Failing(), {}))
        code = serve({}, io.StringIO(json.dumps(BLOCK) + "\n"), answers)
    assert code == 1
    assert json.loads(answers.getvalue().splitlines()[-1])["error"] == {
        "kind": "EngineError",
        "message": "toy cannot run a window of shape (3, 4)",
        "hint": "",
    }


def test_a_library_alone_is_no_case():
    code, answers = converse({"kind": "library", "package": "json"}, {"do": "memory"})
    assert code == 0
    assert answers[0] == {"ready": {}}
    assert answers[1]["memory"]["source"] == "VmHWM"


def test_a_process_without_a_case_has_nothing_to_time():
    code, answers = converse({"kind": "library", "package": "json"}, BLOCK)
    assert code == 1
    assert answers[1]["error"]["message"] == "this process has nothing to time"


class Opened(Exception):  # noqa: N818  # nothing went wrong
    """Carries what would be opened out of the worker."""


NETWORK = {"kind": "network", "file": "x.onnx", "encoder": "pyts", "threads": 3, "trained": False}


@pytest.mark.parametrize(
    ("opener", "job"),
    [
        ("worker.open_model", {"kind": "model", "file": "model.fp32.onnx", "engine": "litert", "threads": 3}),
        ("baselines.open_network", NETWORK),
        ("baselines.open_network", {**NETWORK, "encoder": "none", "trained": True}),
        ("baselines.open_torch_pipeline", {"kind": "torch", "threads": 3}),
        ("baselines.open_image_signature", {"kind": "signature", "file": "s.tflite", "threads": 3}),
        ("networks.make_networks", {"kind": "make", "folder": "here", "macs": 7}),
    ],
)
def test_a_job_opens_its_case_with_every_option(bundle, monkeypatch, opener, job):
    target = f"vskd_benchmarks.{'measure' if opener.startswith('worker') else 'pipelines'}.{opener}"
    signature = inspect.signature(pkgutil.resolve_name(target))

    def open_(*given: object, **more: object) -> None:
        raise Opened(dict(signature.bind(*given, **more).arguments))

    monkeypatch.setattr(target, open_)
    with pytest.raises(Opened, match="bundle") as caught:
        open_job({**job, "bundle": str(bundle.path)})
    (found,) = caught.value.args
    assert found.pop("bundle").path == bundle.path
    if "entry" in found:
        found["file"] = found.pop("entry").file
    expected = {key: str(value) for key, value in job.items() if key != "kind"}
    assert {key: str(value) for key, value in found.items()} == expected
