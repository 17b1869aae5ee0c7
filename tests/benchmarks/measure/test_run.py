"""The run, in this process: what becomes of engines that refuse, of loads, and of the order."""

from __future__ import annotations

import itertools
import sys

import pytest

from runtime.conftest import mean_model_tflite
from vskd.bundle import Bundle, ModelEntry
from vskd.contract import RawSpec
from vskd.errors import EngineError
from vskd_benchmarks.measure import bench, plan, rounds
from vskd_benchmarks.measure.bench import run_bench
from vskd_benchmarks.measure.processes import WorkerError
from vskd_benchmarks.measure.settings import Settings

from ..conftest import document_of, no_progress


@pytest.fixture
def two_formats(make_bundle, tmp_path, monkeypatch):
    """A bundle for two engines, of which the second only seems to be installed."""
    model = ModelEntry("model.fp32.tflite", "tflite", "fp32")
    contract = Bundle.open(make_bundle(tmp_path / "one.bundle")).contract
    files = {"model.fp32.tflite": mean_model_tflite(contract.window.samples, contract=contract)}
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
    kinds_that_die("make", "torch")
    run = run_bench(Settings((bundle.path,), quick=True), no_progress)
    assert [case.plan.kind for case in run.cases] == ["bundle"]
    reasons = {each.name: each.reason for each in run.skipped}
    for name in ("other networks", "pyts+torch"):
        assert "ended with exit code -6" in reasons[name]


def test_a_model_of_the_bundle_that_crashes_ends_the_run(bundle, least_effort, kinds_that_die):
    kinds_that_die("model")
    wanted = Settings((bundle.path,), quick=True, comparison=False)
    with pytest.raises(WorkerError, match=r"process of onnxruntime fp32 ended with exit code -6"):
        run_bench(wanted, no_progress)


def test_the_machine_is_read_before_and_after(bundle, least_effort, monkeypatch):
    states = itertools.count()
    monkeypatch.setattr(bench, "read_state", lambda: {"number": next(states)})
    run = run_bench(Settings((bundle.path,), quick=True, comparison=False), no_progress)
    assert (run.before, run.after) == ({"number": 0}, {"number": 1})
    assert 0 <= run.readings[0]["at_s"] < 60  # since the start of the run


def test_baselines_get_the_first_number_of_threads(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_made_networks", lambda bundle, folder: ({}, ""))
    for bundles in ({"one": bundle}, {"one": bundle, "same contract": bundle}):
        folder = tmp_path / str(len(bundles))
        folder.mkdir()
        plan = bench._baselines(bundles, Settings((), threads=2), folder)
        assert {case.threads for case in plan.cases} == {2}
        assert {case.bundle_id for case in plan.cases} == {"one"}
        assert all(case.name.startswith("one: ") == (len(bundles) == 2) for case in plan.cases)


def test_a_raw_and_an_image_bundle_of_one_task_are_measured_beside_each_other(
    make_bundle, least_effort, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = (make_bundle(tmp_path / "raw.bundle", raw=RawSpec()), make_bundle(tmp_path / "image.bundle"))
    settings = Settings(paths, quick=True, comparison=False)
    first, second = (run_bench(settings, no_progress) for _ in range(2))
    result = document_of(second)
    raw, image = result.bundles
    assert (raw.encoded_shape, raw.transforms, image.encoded_shape, image.transforms) == (
        (3, 128), ("tanh",), (3, 64, 64), (),
    )  # fmt: skip
    (ratio,) = result.ratios
    assert (ratio.case, ratio.against) == ("raw.onnxruntime.fp32.t1", "image.onnxruntime.fp32.t1")
    assert ratio.in_yardsticks > 0
    # What the first run found is what the second one knows.
    assert first.yardstick.best_ns is None
    assert second.yardstick.best_ns == document_of(first).yardstick.best_ns
    assert [len(case.yardstick.round_p50_ns) for case in result.cases] == [2, 2]
