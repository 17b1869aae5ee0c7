"""The runtime's cost: its parts on a tiny bundle, its verdicts on figures made up, and the command as a whole."""

from __future__ import annotations

import dataclasses
import itertools
import json
import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from research import overhead, runtime_cost
from vskd.errors import ConfigError, EngineError
from vskd_training.settings.resampling import todays_resampling

SPLIT = ("push", "infer", "decide", "bare_call", "overhead")
ALONE = ("push_without_model", "decide_without_model")


def constant_clock():
    """Every reading is 1000 ns after the one before."""
    readings = itertools.count(0, 1000)
    return lambda: next(readings)


def test_the_split_is_what_the_clock_says(bundle):
    result = overhead.overhead(bundle.path, engine="onnxruntime", rounds=20, clock=constant_clock(), warm_up=2)
    assert [result[part]["p50_ns"] for part in SPLIT] == [1000, 1000, 1000, 1000, 2000]
    assert [result[part]["p50_ns"] for part in ALONE] == [1000, 1000]
    assert [result[part]["p50_ns"] for part in ("signal_checks", "ordering")] == [0, 0]
    assert result["share"] == 2.0
    assert result["recipe"] == "fp32"
    assert result["size_bytes"] == bundle.files["model.fp32.onnx"].size_bytes


def test_each_part_of_the_split_is_its_own_series():
    class Once:
        series = ("sensor_to_label", "resample", "infer", "decide", "model_only", "bare_call")

        def run_once(self, clock):
            return 60, 10, 31, 19, 7, 25

    assert overhead._with_model(Once(), 2, constant_clock()) == {
        "push": [10, 10], "infer": [31, 31], "decide": [19, 19], "bare_call": [25, 25], "overhead": [35, 35],
    }  # fmt: skip


def test_rules_are_timed_against_a_stream_without_them(bundle, monkeypatch):
    seen, now_ns = [], [0]

    class Path:
        """A push takes 1 us, its checks 4 us more, and order 2 us."""

        def __init__(self, contract, signal):
            assert contract.decision == bundle.contract.decision
            self._ns = 1000 + 4000 * bool(contract.signal) + 2000 * bool(contract.resampling.reorder_s)
            seen.append((bool(contract.signal), contract.resampling.reorder_s, contract.resampling.low_pass))

        def next_delivery(self):
            return None

        def window(self, delivery):
            now_ns[0] += self._ns
            return SimpleNamespace(samples=None)

    monkeypatch.setattr(overhead, "SensorPath", Path)
    bundle.contract = dataclasses.replace(bundle.contract, resampling=todays_resampling())
    readings = overhead._rules(bundle, lambda window: None, 5, lambda: now_ns[0])
    assert [rules[:2] for rules in seen] == [(True, 0.2), (False, 0.2), (False, 0.0)]
    assert [bool(rules[2]) for rules in seen] == [True, True, False]
    assert readings == {"signal_checks": [4000] * 5, "ordering": [2000] * 5}


def test_a_bundle_of_whole_recordings_is_refused(whole_bundle):
    with pytest.raises(ConfigError, match=r"whole\.bundle decides on whole recordings.*vskd bench"):
        overhead.overhead(whole_bundle.path, engine="onnxruntime", rounds=20)


def test_one_push_a_second_counts_windows_share_and_growth(bundle):
    slept, memory = [], iter([10_000, 15_000])
    result = overhead.paced(
        bundle.path, engine="onnxruntime", seconds=12, sleep=slept.append, resident=lambda: next(memory)
    )
    assert len(slept) == 12
    assert 0 < slept[0] <= 1.0
    assert slept == sorted(slept)  # nothing slept, so each second is due later
    assert result["windows"] == 1 + (12 * 50 - 128) // 32
    assert result["growth_bytes"] == 5000
    assert 0 < result["cpu_share"] < 0.1
    assert result["peak"]["bytes"] > 10_000_000


def test_the_encoders_take_turns(bundle, monkeypatch):

    now_ns, seen = itertools.count(0, 1000), []

    class SlowEncoder:
        """Takes five thousand nanoseconds of the test's clock a call."""

        def __init__(self, contract):
            pass

        def __call__(self, window):
            seen.append(window.shape)
            for _ in range(5):
                next(now_ns)

    monkeypatch.setattr("vskd_benchmarks.pipelines.baselines.pyts_encoder", SlowEncoder)
    result = overhead.encoder(bundle.path, rounds=40, clock=lambda: next(now_ns))
    assert (result["window"], result["image"], result["batch"]) == ([3, 128], [3, 64, 64], 256)
    for way in ("single", "single_in_runs", "batches"):
        assert (result[way]["vskd"]["p50_ns"], result[way]["pyts"]["p50_ns"]) == (1000, 6000)
        assert result[way]["ratio"] == 6.0
    assert seen.count((3, 128)) == 41 + 4 * overhead.RUN
    assert seen.count((256 * 3, 128)) == 12


def measured(
    *, overhead_us=20.0, checks_us=5.0, share=0.02, size=11_000_000, cpu=0.002, growth=0, start_ms=200.0, peak=40e6
):
    return {
        "overhead": {
            "overhead": {"p50_ns": overhead_us * 1e3}, "signal_checks": {"p50_ns": checks_us * 1e3},
            "share": share, "size_bytes": size,
        },
        "paced": {"cpu_share": cpu, "growth_bytes": growth},
        "cold_start": {"median_ns": start_ms * 1e6},
        "peak_over_empty_bytes": peak,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "missed"),
    [
        ({}, None),
        ({"overhead_us": 20.0}, None),
        ({"overhead_us": 20.1}, "own overhead at most 20 us a window"),
        ({"checks_us": 5.1}, "checks of the signal at most 5 us a window"),
        ({"share": 0.051}, "own overhead at most 5 % of the full-width int8 call"),
        ({"share": 0.4, "size": 800_000}, None),
        ({"cpu": 0.011}, "one push a second of a 50 Hz stream at most 1 % of a core"),
        ({"growth": 65_537}, "no growth of memory in that (64 kB)"),
        ({"start_ms": 401, "size": 800_000}, "process start to first event at most 400 ms, quarter width, LiteRT"),
        ({"start_ms": 401}, None),
        ({"peak": 61e6}, "peak memory at most 60 MB over an interpreter with numpy and the engine"),
    ],
)
def test_a_goal_is_missed_where_its_figure_is_beyond_the_limit(figure, missed):
    found = [
        goal.what for goal in runtime_cost.engine_verdicts("w.bundle", "litert", measured(**figure)) if not goal.met
    ]
    assert found == ([f"w.bundle, litert: {missed}"] if missed else [])


def verdicts(encoder, help_ms, profiles=()):
    examples = {"profiles": profiles}
    figures = {"engines": [], "encoder": encoder, "examples": examples, "help": {"median_ns": help_ms * 1e6}}
    return [goal.met for goal in runtime_cost.verdicts(figures)]


def test_a_decision_with_examples_is_timed_in_turns_with_one_without(monkeypatch):
    now_ns, seen = [0], []

    class Decider:
        """Takes 1 us, and with examples 7 us."""

        def __init__(self, contract, rule=None):
            self._rule = rule

        def decide(self, logits, window, embedding=None):
            assert (embedding is None) == (self._rule is None)
            now_ns[0] += 1000 if self._rule is None else 7000
            seen.append(self._rule)

    monkeypatch.setattr(overhead, "Decider", Decider)
    found = overhead.examples(rounds=12, clock=lambda: now_ns[0], warm_up=3)["profiles"]
    assert [(row["features"], row["spectrum"]) for row in found] == [(96, 0.0), (96, 0.5), (300, 0.0), (300, 0.5)]
    assert {(row["plain"]["p50_ns"], row["with_examples"]["p50_ns"]) for row in found} == {(1000, 7000)}
    assert [len(rule.lengths) for rule in seen if rule] == [81] * 60
    assert len(seen) == 120
    sizes = [row["profile_bytes"] - 81 * (row["features"] + 21 * (row["spectrum"] > 0)) for row in found]
    assert max(sizes) < 2300


def test_the_cost_of_examples_has_goals():
    row = {"features": 96, "spectrum": 0.0, "with_examples": {"p50_ns": 20_000}, "profile_bytes": 10_001}
    assert verdicts({"not_installed": "pyts"}, 200, [row]) == [True, False, True]


def test_the_encoders_goals_are_lower_limits_and_need_pyts():
    figures = {"single": {"ratio": 19.9}, "batches": {"ratio": 3.0}}
    assert verdicts(figures, 200) == [False, True, True]
    assert verdicts({"not_installed": "pyts"}, 201) == [False]


def test_the_encoders_are_those_of_the_first_bundle_with_an_image(bundle, monkeypatch):
    raw = SimpleNamespace(contract=SimpleNamespace(gaf=None))
    asked = []
    monkeypatch.setattr(runtime_cost, "find_spec", lambda package: package)
    monkeypatch.setattr(runtime_cost, "_part", lambda what, job: asked.append(job["bundle"]) or {})
    runtime_cost.measure_encoder({Path("raw"): raw, Path("image"): bundle}, 11)
    assert asked == ["image"]
    assert runtime_cost.measure_encoder({Path("raw"): raw}, 11) == {"not_measured": "no bundle has an image"}


def test_the_help_is_timed_without_its_first_process():
    result = runtime_cost.help_time(2, clock=constant_clock())
    assert (result["median_ns"], result["readings_ns"]) == (1000, [1000, 1000])
    assert result["cpu_median_ns"] > 0


def test_a_help_that_fails_is_no_time(monkeypatch):
    monkeypatch.setattr(runtime_cost.sys, "executable", "false")
    with pytest.raises(EngineError, match="`vskd --help` ended with exit code 1: no message"):
        runtime_cost.help_time(1)


@pytest.mark.slow
def test_the_command_ends_in_one_json_document(bundle, monkeypatch):
    monkeypatch.setattr(runtime_cost, "find_spec", lambda package: None)  # pyts takes seconds to compile
    words = [str(bundle.path), "--engine", "onnxruntime", "--rounds", "20", "--seconds", "5"]
    done = CliRunner().invoke(runtime_cost.main, words)
    assert done.exit_code == 0
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["encoder"]["not_installed"] == "pyts"
    (row,) = result["engines"]
    assert (row["bundle"], row["engine"], row["sha256"]) == (bundle.path.name, "onnxruntime", bundle.sha256())
    assert row["paced"]["windows"] == 1 + (5 * 50 - 128) // 32
    assert row["peak_over_empty_bytes"] == row["paced"]["peak"]["bytes"] - row["empty"]["bytes"]
    assert len(row["cold_start"]["readings_ns"]) == 11
    assert len(result["help"]["readings_ns"]) == 11
    assert all(row["with_examples"]["p50_ns"] > row["plain"]["p50_ns"] for row in result["examples"]["profiles"])
    assert result["machine"]["python"] == platform.python_version()
    assert "Medians a window, us" in done.stderr
    assert "Goals" in done.stderr


@pytest.mark.parametrize("wrong", [["--rounds", "10"], ["--seconds", "1"], ["--engine", "onnx"], []])
def test_a_wrong_command_line_is_misuse(bundle, wrong):
    done = CliRunner().invoke(runtime_cost.main, [*([str(bundle.path)] if wrong else []), *wrong])
    assert (done.exit_code, done.stderr[:6]) == (2, "Usage:")


def test_a_bundle_that_is_not_there_is_one_sentence(tmp_path):
    done = CliRunner().invoke(runtime_cost.main, [str(tmp_path / "no.bundle")])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error: there is no bundle at" in done.stderr


def test_an_error_of_a_part_comes_back_with_its_hint(whole_bundle):
    with pytest.raises(ConfigError, match="decides on whole recordings"):
        runtime_cost.measure_engine(whole_bundle.path, "onnxruntime", rounds=11, seconds=11)


def test_an_engine_that_the_bundle_has_no_model_for_is_named(bundle):
    with pytest.raises(ConfigError, match="has no model of recipe any for litert"):
        overhead.overhead(bundle.path, engine="litert", rounds=11)
