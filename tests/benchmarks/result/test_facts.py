"""The records of a run: each recorded number stands under its own name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vskd.bundle import Bundle
from vskd.contract import Contract, DecisionSpec, GafSpec, RawSpec, WindowSpec
from vskd.errors import ConfigError
from vskd.manifest import Manifest
from vskd_benchmarks.device.energy import EnergyRecord, EnergySettings
from vskd_benchmarks.device.environment import describe_machine, read_state
from vskd_benchmarks.goals import VERSION
from vskd_benchmarks.measure.bench import Run
from vskd_benchmarks.measure.measured_case import MeasuredCase
from vskd_benchmarks.measure.plan import PlannedCase, SkippedCase
from vskd_benchmarks.measure.settings import FULL, QUICK, Settings
from vskd_benchmarks.measure.yardstick import VERSION as YARDSTICK
from vskd_benchmarks.measure.yardstick import KnownYardstick
from vskd_benchmarks.result.facts import facts
from vskd_benchmarks.result.records.conditions import Configuration, Yardstick

EPOCH_NS = 1_000_000_000


def block(started_ns, **numbers):
    return {"started_ns": np.array(started_ns), **numbers}


@pytest.fixture
def run(bundle):
    """A run of one case, every number of it another one."""
    plan = PlannedCase(
        id="tiny.onnxruntime.fp32.t1", name="onnxruntime fp32", kind="bundle", bundle=bundle, bundle_id="tiny",
        engine="onnxruntime", recipe="fp32", threads=1, job={}, network="the bundle's", weights="trained",
        encoder="graph", model={"file": "model.fp32.onnx", "sha256": "ab", "size_bytes": 7, "macs": 8, "more": 9},
    )  # fmt: skip
    case = MeasuredCase(
        plan,
        group=3,
        reply={
            "engine_version": "1.2", "options": {"num_threads": 1}, "first_inference_ns": 99,
            "signal": {"source": "synthetic", "different_windows": 4, "timestamp_jitter_periods": 0.2},
        },
        warm_up={"steady": False, "calls": 60, "elapsed_ns": 61, "block_medians_ns": [62, 63]},
        blocks=[
            block([1_500_000_000, 2_000_000_000, 2_500_000_000], cpu_ns=10, wall_ns=100, voluntary_switches=1,
                  involuntary_switches=20, resident_bytes=1000),
            block([3_500_000_000, 4_000_000_000, 4_500_000_000], cpu_ns=11, wall_ns=101, voluntary_switches=2,
                  involuntary_switches=21, resident_bytes=1001),
        ],
        memory={"peak_bytes": 33, "library_bytes": 31, "source": "VmHWM"},
        cold_start={"median_ns": 40, "readings_ns": [41, 42], "import_ns": 43, "open_ns": 44, "first_window_ns": 45},
        load={"other_cores": 0.5, "load_source": "group"},
    )  # fmt: skip
    return Run(
        settings=Settings((bundle.path,), mode="soak", duration_s=7.0, rate_hz=2.0, command="vskd bench x"),
        bundles={"tiny": bundle},
        cases=(case,),
        order=("tiny.onnxruntime.fp32.t1",),
        skipped=(SkippedCase("litert fp32", "tiny", "not installed"),),
        machine=describe_machine(),
        before={**read_state(), "temperature_c": 40.0},
        after={**read_state(), "temperature_c": 50.0},
        readings=[{"at_s": 1.0, "frequency_khz": 2, "temperature_c": 45.0}],
        imports={"median_ns": 6, "readings_ns": [5, 7, 6]},
        epoch_ns=EPOCH_NS,
        yardstick=KnownYardstick("0123456789abcdef", 290_000),
    )


def test_each_number_of_a_case_stands_under_its_own_name(run):
    (case,) = facts(run).cases
    assert (case.cpu.busy_ns, case.cpu.wall_ns, case.cpu.share) == (21, 201, 0.1045)
    assert (case.cpu.voluntary_switches, case.cpu.involuntary_switches) == (3, 41)
    assert (case.cpu.other_cores, case.cpu.load_source) == (0.5, "group")
    assert (case.rounds, case.calls_per_round, case.group, case.first_inference_ns) == (2, 3, 3, 99)
    assert (case.memory.peak_bytes, case.memory.library_bytes, case.memory.over_library_bytes) == (33, 31, 2)
    cold = case.cold_start
    assert (cold.readings_ns, cold.import_ns, cold.open_ns, cold.first_window_ns) == ((41, 42), 43, 44, 45)
    assert cold.median_ns == 40
    assert (case.warm_up.steady, case.warm_up.calls, case.warm_up.elapsed_ns) == (False, 60, 61)
    assert (case.model.file, case.model.size_bytes, case.model.macs) == ("model.fp32.onnx", 7, 8)
    assert (case.mode, case.raw) == ("soak", "raw/tiny.onnxruntime.fp32.t1.npz")
    # The last call of each round, since the start of the run.
    assert (case.soak.resident_bytes, case.soak.at_s) == ((1000, 1001), (1.5, 3.5))


def test_the_growth_of_a_soak_leaves_out_its_first_tenth(run):
    resident = [0, 500, *range(1000, 1018)]
    blocks = [{**run.cases[0].blocks[0], "resident_bytes": each} for each in resident]
    (case,) = facts(replace(run, cases=(replace(run.cases[0], blocks=blocks),))).cases
    assert case.soak.growth_bytes == 17


def test_without_the_librarys_memory_there_is_nothing_over_it(run):
    run.cases[0].memory["library_bytes"] = None
    assert facts(run).cases[0].memory.over_library_bytes is None


def test_the_conditions_of_the_run(run):
    recorded = facts(run)
    options = recorded.configuration
    assert (options.mode, options.rate_hz, options.duration_s, options.order_seed) == ("soak", 2.0, 7.0, 0)
    assert (options.warm_up_rule, options.command) == (FULL.rule, "vskd bench x")
    assert (recorded.environment.before.temperature_c, recorded.environment.after.temperature_c) == (40.0, 50.0)
    assert (recorded.import_vskd.readings_ns, recorded.import_vskd.median_ns) == ((5, 7, 6), 6)
    assert recorded.not_measured == (SkippedCase("litert fp32", "tiny", "not installed"),)
    assert (recorded.goals_version, recorded.profile, recorded.energy) == (VERSION, None, None)
    assert recorded.yardstick == Yardstick(YARDSTICK, "0123456789abcdef", 290_000)
    (bundle,) = recorded.bundles
    assert (bundle.id, bundle.window_samples, bundle.hop_samples, bundle.classes) == ("tiny", 128, 32, 3)
    assert bundle.sha256 == run.bundles["tiny"].sha256()
    assert bundle.contract_sha256 == run.bundles["tiny"].files["contract.json"].sha256


def test_every_setting_of_the_run_is_recorded(run):
    settings = Settings(
        (), engines=("litert",), recipes=("fp32",), threads=2, mode="paced", duration_s=8.0, quick=True,
        comparison=False, command="vskd bench y",
    )  # fmt: skip
    energy = EnergyRecord(EnergySettings(duty_cycle=0.5), None, "power-meter", "a meter", (), 1)
    recorded = facts(replace(run, settings=settings, energy=energy))
    assert recorded.configuration == Configuration(
        command="vskd bench y", mode="paced", quick=True, engines=("litert",), recipes=("fp32",), threads=(2,),
        comparison=False, rate_hz=1.0, duration_s=8.0, order_seed=0, order=run.order, discarded_per_round=0,
        warm_up_rule=QUICK.rule,
    )  # fmt: skip
    assert (recorded.energy.use.rate_hz, recorded.energy.use.duty_cycle) == (1.0, 0.5)


def test_a_bundles_contract_is_recorded(run, bundle):
    contract = Contract(
        labels=("a", "b", "c", "d"), window=WindowSpec(samples=64, rate_hz=25.0, hop_samples=16),
        gaf=GafSpec(fields=("gasf", "gadf"), scaling="range", size=32), decision=DecisionSpec(temperature=2.5),
        logit_tolerance=1e-3, trained_on="kitchen",
    )  # fmt: skip
    other = Bundle(bundle.path, contract, Manifest(1, bundle.models, bundle.files))
    (found,) = facts(replace(run, bundles={"tiny": other})).bundles
    assert (found.trained_on, found.temperature, found.logit_tolerance) == ("kitchen", 2.5, 1e-3)
    assert (found.window_mode, found.window_samples, found.hop_samples, found.rate_hz) == ("sliding", 64, 16, 25.0)
    assert (found.encoded_shape, found.scaling, found.classes) == ((6, 32, 32), "range", 4)
    assert (found.transforms, found.is_raw) == ((), False)


def test_a_raw_bundle_does_not_pass_for_an_image(run, bundle):
    contract = Contract(labels=("a", "b"), window=WindowSpec(samples=64), gaf=None, raw=RawSpec(("g", "centred")))
    other = Bundle(bundle.path, contract, Manifest(1, bundle.models, bundle.files))
    (found,) = facts(replace(run, bundles={"tiny": other})).bundles
    assert (found.encoded_shape, found.scaling, found.transforms, found.is_raw) == (
        (6, 64), None, ("g", "centred"), True,
    )  # fmt: skip


def test_a_mode_without_a_soak_has_none(run):
    (case,) = facts(replace(run, settings=replace(run.settings, mode="paced"))).cases
    assert (case.soak, case.mode) == (None, "paced")


def test_a_reply_that_is_none_is_refused(run):
    run.cases[0].warm_up["calls"] = "sixty"
    with pytest.raises(ConfigError, match=r"t1\.warm_up\.calls must be of type int, got 'sixty'"):
        facts(run)
