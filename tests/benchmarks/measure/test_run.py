"""The run, in this process: what becomes of engines that refuse, of loads, and of the order."""

from __future__ import annotations

import sys

import pytest

from vskd.bundle import ModelEntry
from vskd.errors import EngineError
from vskd_benchmarks.measure import bench, measured_case, plan, rounds
from vskd_benchmarks.measure.bench import run_bench
from vskd_benchmarks.measure.measured_case import MeasuredCase, note_load
from vskd_benchmarks.measure.processes import WorkerError
from vskd_benchmarks.measure.settings import Settings

from ..conftest import document_of, no_progress


@pytest.fixture
def two_formats(make_bundle, tmp_path, monkeypatch):
    """A bundle for two engines, of which the second only seems to be installed."""
    model = ModelEntry("model.fp32.tflite", "tflite", "fp32")
    files = {"model.fp32.tflite": b"a model that nobody opens"}
    monkeypatch.setattr(plan, "is_installed", lambda name: name in ("onnxruntime", "tflite-runtime"))
    return make_bundle(tmp_path / "two.bundle", files=files, models=(model,))


def test_an_engine_that_refuses_is_skipped(two_formats, least_effort):
    steps = []
    wanted = Settings((two_formats,), quick=True, comparison=False)
    run = run_bench(wanted, lambda what, done, total: steps.append((what, done, total)))
    assert [case.plan.engine for case in run.cases] == ["onnxruntime"]
    reasons = {each.name: each.reason for each in run.skipped}
    assert "tflite_runtime, which is not installed" in reasons["tflite-runtime fp32"]
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert all(done < total for _, done, total in steps)
    result = document_of(run)
    codes = {reason.code for reason in result.cases[0].validity.reasons}
    assert "too-few-samples" in codes
    assert result.validity.status == "invalid"


def test_an_engine_that_was_named_and_refuses_is_an_error(two_formats, least_effort, monkeypatch):
    monkeypatch.setattr("vskd.bundle.installed_engines", lambda: ("tflite-runtime",))
    wanted = Settings((two_formats,), engines=("tflite-runtime",), quick=True, comparison=False)
    with pytest.raises(EngineError, match="tflite-runtime needs tflite_runtime, which is not installed"):
        run_bench(wanted, no_progress)


DYING = [sys.executable, "-c", "import os; os.abort()"]


@pytest.fixture
def kinds_that_die(monkeypatch):
    """Name the kinds of process that die at the start."""
    command = bench.worker_command

    def die(*kinds: str) -> None:
        for module in (bench, rounds):
            monkeypatch.setattr(module, "worker_command", lambda job: DYING if job["kind"] in kinds else command(job))

    return die


def test_another_pipeline_that_crashes_is_skipped(bundle, least_effort, kinds_that_die):
    kinds_that_die("make", "torch", "encoder")
    run = run_bench(Settings((bundle.path,), quick=True), no_progress)
    assert [case.plan.kind for case in run.cases] == ["bundle"]
    reasons = {each.name: each.reason for each in run.skipped}
    for name in ("other networks", "pyts+torch", "encoder"):
        assert "ended with exit code -6" in reasons[name]


def test_a_model_of_the_bundle_that_crashes_ends_the_run(bundle, least_effort, kinds_that_die):
    kinds_that_die("model")
    wanted = Settings((bundle.path,), quick=True, comparison=False)
    with pytest.raises(WorkerError, match=r"process of onnxruntime fp32 ended with exit code -6"):
        run_bench(wanted, no_progress)


def measured(threads=1):
    case = plan.PlannedCase(
        id="x", name="x", kind="bundle", bundle=None, bundle_id="b", engine="litert", recipe="fp32", threads=threads,
        job={}, network="", weights="trained", encoder="graph",
    )  # fmt: skip
    return MeasuredCase(case, 0)


ANSWER = {"latency_ns": {"sensor_to_label": [1]}, "started_ns": [1], "own_ns": 400_000_000}


def test_load_is_what_neither_the_case_nor_its_parent_computed():
    case = measured()
    case.add_block(ANSWER, machine_ns=1_500_000_000, parent_ns=100_000_000, elapsed_ns=1_000_000_000)
    note_load([case])
    assert case.load == {"other_cores": 1.0, "load_source": "case"}


def test_a_case_too_short_for_the_counters_of_the_system_takes_its_groups_load():
    short, long = measured(), measured()
    short.add_block({**ANSWER, "own_ns": 0}, machine_ns=0, parent_ns=0, elapsed_ns=100_000_000)
    long.add_block({**ANSWER, "own_ns": 0}, machine_ns=550_000_000, parent_ns=0, elapsed_ns=1_000_000_000)
    note_load([short, long])
    assert short.load == {"other_cores": 0.5, "load_source": "group"}
    assert long.load == {"other_cores": 0.55, "load_source": "case"}
    note_load([short])
    assert short.load == {"other_cores": None, "load_source": "none"}


@pytest.mark.parametrize(
    ("average", "load"),
    [
        ([1.75, 9.0, 9.0], {"other_cores": 0.75, "load_source": "load-average"}),
        ([0.25, 9.0, 9.0], {"other_cores": 0.0, "load_source": "load-average"}),
        (None, {"other_cores": None, "load_source": "none"}),
    ],
)
def test_where_the_counters_are_closed_the_load_average_must_do(monkeypatch, average, load):
    monkeypatch.setattr(measured_case, "read_state", lambda: {"load_average": average})
    case = measured()
    case.add_block(ANSWER, machine_ns=None, parent_ns=0, elapsed_ns=10**9)
    case.add_block(ANSWER, machine_ns=5, parent_ns=0, elapsed_ns=10**9)
    note_load([case])
    assert case.load == load
