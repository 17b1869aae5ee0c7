"""Two result folders: what is refused, what is found, and what counts as a regression."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vskd.closed import to_mapping
from vskd.errors import ConfigError, DataError
from vskd_benchmarks.commands.compare import compare as command
from vskd_benchmarks.compare.compare import compare
from vskd_benchmarks.compare.policy import LatencyLimits, Policy, read_policy
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.folder import ResultFolder, write_result

from ..conftest import CASES, case_id

INT8 = "wide.litert.w8a8-static-pc.t1"
FP32 = "wide.litert.fp32.t1"


@pytest.fixture(scope="session")
def baseline(make_result, tmp_path_factory):
    return make_result(tmp_path_factory.mktemp("baseline") / "old", seed=1)


@pytest.fixture
def candidate(make_result, tmp_path):
    """Make the other folder, with one thing changed."""

    def make(*path, value=None, **choices):
        def edit(facts):
            place = facts
            for key in path[:-1]:
                place = place[key]
            assert place[path[-1]] != value
            place[path[-1]] = value

        return make_result(tmp_path / "new", seed=2, edit=edit if path else None, **choices)

    return make


def compared(baseline, candidate, policy=None, **allowed):
    return to_mapping(compare(baseline, candidate, policy or read_policy(), **allowed))


def case_of(found, name):
    return next(case for case in found["cases"] if case["id"] == name)


def test_two_runs_of_the_same_thing_are_no_regression(baseline, candidate):
    found = compared(baseline, candidate())
    assert (found["verdict"], found["notes"], found["only_in_baseline"], found["only_in_candidate"]) == (
        "ok", [], [], [],
    )  # fmt: skip
    assert [case["id"] for case in found["cases"]] == [case["baseline_id"] for case in found["cases"]]
    assert len(found["cases"]) == 6  # not the encoders alone, which give no label
    judged = {case_id("wide", row) for row in CASES if row[0] == "bundle"}
    for case in found["cases"]:
        assert case["latency"]["p50"]["low"] < 1 < case["latency"]["p50"]["high"]
        assert {check["verdict"] for check in case["checks"]} == ({"ok"} if case["id"] in judged else set())


def test_a_pipeline_that_is_only_compared_with_is_no_regression(baseline, candidate):
    new = candidate(slower={case_id("wide", row): 2.0 for row in CASES if row[0] != "bundle"})
    found = compared(baseline, new)
    slower = [case for case in found["cases"] if case["latency"]["p50"]["low"] > 1.5]
    assert (found["verdict"], [case["checks"] for case in slower]) == ("ok", [[], []])


def test_a_known_ratio_lies_within_its_interval_and_breaks_the_policy(baseline, candidate):
    found = compared(baseline, candidate(slower={INT8: 1.3}))
    slow, same = case_of(found, INT8), case_of(found, FP32)
    assert slow["latency"]["p50"]["low"] < 1.3 < slow["latency"]["p50"]["high"] < 1.4
    assert slow["latency"]["p50"]["low"] > 1.1
    assert found["verdict"] == "regression"
    broken = {check["what"] for check in slow["checks"] if check["verdict"] == "regression"}
    assert "latency p50" in broken
    assert {check["verdict"] for check in same["checks"]} == {"ok"}


def test_a_limit_inside_the_interval_decides_nothing(baseline, candidate):
    new = candidate(slower={INT8: 1.3})
    reading = case_of(compared(baseline, new), INT8)["latency"]["p50"]
    limit = (reading["low"] + reading["ratio"]) / 2
    found = compared(baseline, new, Policy(latency=LatencyLimits(p50_max_ratio=limit)))
    check = next(check for check in case_of(found, INT8)["checks"] if check["what"] == "latency p50")
    assert (check["verdict"], found["verdict"]) == ("unclear", "ok")


def test_a_percentile_is_shown_only_where_both_samples_suffice(baseline, make_result, tmp_path):
    few = make_result(tmp_path / "few", shape=(8, 10), seed=2)
    assert compared(baseline, few)["cases"][0]["latency"]["p99"] is None
    assert compared(baseline, few)["cases"][0]["latency"]["p90"] is not None
    assert compared(baseline, baseline)["cases"][0]["latency"]["p99"]["ratio"] == 1.0


def test_comparing_again_gives_the_same_intervals(baseline, candidate):
    new = candidate()
    assert compared(baseline, new) == compared(baseline, new)


def test_a_case_without_a_model_file_has_no_size(baseline, candidate):
    assert case_of(compared(baseline, candidate()), "wide.resnet18.torch.fp32.t1")["size_bytes"] == [None, None]


def test_memory_size_and_accuracy_have_limits_too(baseline, make_result, tmp_path):
    def edit(facts):
        case = next(case for case in facts["cases"] if case["id"] == INT8)
        case["memory"]["peak_bytes"] *= 2
        case["model"]["size_bytes"] = int(case["model"]["size_bytes"] * 1.03)
        for model in facts["bundles"][0]["models"]:
            for scores in model["accuracy"].values():
                scores["accuracy"] -= 0.02

    found = compared(baseline, make_result(tmp_path / "new", seed=2, edit=edit))
    broken = {check["what"] for check in case_of(found, INT8)["checks"] if check["verdict"] == "regression"}
    assert broken == {"peak memory", "file size", "loss of accuracy"}


def test_a_model_is_judged_by_its_own_accuracy_where_both_bundles_tell_it(make_result, tmp_path):
    def told(accuracy):
        def edit(facts):
            case = next(case for case in facts["cases"] if case["id"] == INT8)
            models = facts["bundles"][0]["models"]
            model = next(model for model in models if model["file"] == case["model"]["file"])
            model["accuracy"] = {case["engine"]: {"accuracy": accuracy}} if accuracy else {}

        return edit

    def losses(before, after):
        folders = [
            make_result(tmp_path / f"{before}-{after}-{seed}", seed=seed, edit=told(accuracy))
            for seed, accuracy in enumerate((before, after), 1)
        ]
        checks = case_of(compared(*folders), INT8)["checks"]
        return {check["what"]: check["verdict"] for check in checks if check["what"].startswith("loss of")}

    assert losses(0.9, 0.8) == {"loss of accuracy": "regression"}
    assert losses(0.9, 0.9) == {"loss of accuracy": "ok"}
    # An older bundle tells the trained network's alone, which has not changed.
    assert losses(0, 0.5) == {"loss of accuracy": "ok", "loss of macro_f1": "ok"}


def test_a_bundle_without_figures_of_accuracy_is_not_judged_by_them(baseline, make_result, tmp_path):
    def untold(facts):
        facts["bundles"][0]["accuracy"] = None
        for model in facts["bundles"][0]["models"]:
            model["accuracy"] = {}

    found = compared(baseline, make_result(tmp_path / "new", seed=2, edit=untold))
    assert all("loss" not in check["what"] for case in found["cases"] for check in case["checks"])


# --- in yardsticks


def in_a_slow_mode(folder, factor=1.4):
    """The same result as if the machine had been slower throughout: latencies and yardsticks alike."""
    opened = ResultFolder.open(folder)
    raws = opened.raws()
    for raw in raws.values():
        raw |= {name: (raw[name] * factor).round() for name in ("sensor_to_label", "yardstick") if name in raw}
    write_result(folder, derive(opened.result, raws), raws, overwrite=True)
    return folder


def test_a_slow_machine_is_a_regression_in_time_and_none_in_yardsticks(baseline, candidate):
    slow = in_a_slow_mode(candidate())
    by_time, by_yardstick = (compared(baseline, slow, unit=unit) for unit in ("time", "yardstick"))
    assert [(each["unit"], each["verdict"]) for each in (by_time, by_yardstick)] == [
        ("time", "regression"), ("yardstick", "ok"),
    ]  # fmt: skip
    for found in (by_time, by_yardstick):  # both are told, whichever decides
        case = case_of(found, INT8)
        assert case["latency"]["p50"]["ratio"] == pytest.approx(1.4, rel=0.03)
        assert case["yardsticks"]["p50"]["low"] < 1 < case["yardsticks"]["p50"]["high"]
        assert case["yardstick_ratio"] == pytest.approx(1.4, abs=1e-3)
    names = {check["what"] for check in case_of(by_yardstick, INT8)["checks"]}
    assert "latency p50 in yardsticks" in names
    assert "latency p50" not in names


def test_a_slower_model_is_a_regression_in_yardsticks_too(baseline, candidate):
    found = compared(baseline, candidate(slower={INT8: 1.3}), unit="yardstick")
    assert found["verdict"] == "regression"
    # 1.15 ms and 1.3 times as much, over 300 us.
    both = case_of(found, INT8)["yardsticks"]["p50"]
    assert (both["baseline"], both["candidate"]) == (pytest.approx(3.83, rel=0.03), pytest.approx(4.98, rel=0.03))


def test_a_summary_is_compared_in_yardsticks_by_its_median_alone(baseline, candidate, tmp_path):
    summary = shutil.copytree(baseline, tmp_path / "summary", ignore=shutil.ignore_patterns("raw"))
    case = case_of(compared(summary, candidate(), unit="yardstick"), INT8)
    assert case["yardsticks"]["p90"] is None
    assert case["yardsticks"]["p50"]["low"] < 1 < case["yardsticks"]["p50"]["high"]


def test_a_result_without_a_yardstick_is_compared_in_time_alone(baseline, candidate):
    new = candidate("yardstick", value=None)
    found = compared(baseline, new)
    assert found["notes"] == [f"time alone is compared: {new} has no yardstick: an earlier vskd wrote it"]
    assert (found["cases"][0]["yardsticks"], found["cases"][0]["yardstick_ratio"]) == ({}, None)
    with pytest.raises(ConfigError, match=r"has no yardstick: an earlier vskd wrote it\. Leave out --unit yardstick"):
        compared(baseline, new, unit="yardstick")


def test_units_of_another_kernel_are_refused(baseline, candidate):
    new = candidate("yardstick", "version", value=2)
    with pytest.raises(ConfigError, match=r"the yardstick differs: .* has version 1, .* 2\."):
        compared(baseline, new, unit="yardstick")


# --- refusals, one by one


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("configuration", "mode"), "soak", "the mode differs: .*old has single-stream, .*new soak"),
        (("configuration", "rate_hz"), 2.0, r"the rate, windows a second differs: .* has none, .* 2\.0"),
        (("environment", "machine", "cpu"), "Cortex-A76", "different machines: cpu Cortex-A72 against Cortex-A76"),
        (("environment", "machine", "cores"), 2, "are of different machines: cores 4 against 2"),
        (("bundles", 0, "contract_sha256"), "f" * 64, r"the contracts of wide.bundle and wide.bundle differ: SHA-256"),
        (("cases", 0, "model", "sha256"), "e" * 64, "the model of wide: litert fp32 is another file: SHA-256 .* eeee"),
        (("cases", 0, "signal", "source"), "synthetic", "was fed other windows: golden windows in the baseline, synth"),
        (("environment", "after", "throttled"), "0x1", r"of .*new is invalid: vcgencmd get_throttled gave 0x1 after"),
        (("cases", 0, "cpu", "other_cores"), 3.5, r"wide: litert fp32 of .*new is invalid: other work kept 3\.50"),
    ],
)  # fmt: skip
def test_what_must_not_be_compared_is_refused_in_one_sentence(baseline, candidate, path, value, message):
    new = candidate(*path, value=value)
    with pytest.raises(ConfigError, match=message) as refused:
        compared(baseline, new)
    assert "\n" not in str(refused.value)


def test_an_invalid_baseline_is_refused_as_well(make_result, baseline, tmp_path):
    old = make_result(tmp_path / "hot", edit=lambda facts: facts["environment"]["after"].update(temperature_c=90.0))
    with pytest.raises(ConfigError, match=r"of .*hot is invalid: the hottest thermal zone reached 90\.0"):
        compared(old, baseline)


def test_other_threads_are_refused(baseline, make_result, tmp_path):
    def two(facts):
        for case in facts["cases"]:
            case["threads"] = 2

    with pytest.raises(ConfigError, match=r"the threads differ: .*old has 1, .*two 2"):
        compared(baseline, make_result(tmp_path / "two", edit=two))


def test_results_without_a_common_case_are_refused(baseline, make_result, tmp_path):
    def other(facts):
        for case in facts["cases"]:
            case["engine"] = "tensorflow"

    with pytest.raises(ConfigError, match=r"no case of .*old \(wide: litert fp32; .*is one of .*other"):
        compared(baseline, make_result(tmp_path / "other", edit=other))


def profiled(name, *settings):
    applied = [{"setting": setting, "wanted": 1, "got": 1, "means": "x"} for setting in settings]
    words = dict.fromkeys(("title", "note", "statement"), "x")
    return {
        "name": name,
        "sha256": "a" * 64,
        "applied": applied,
        "not_applied": [],
        "relation": "itself",
        "figures": {},
        **words,
    }


def test_another_profile_is_refused_and_the_same_applied_otherwise_is_told(baseline, make_result, tmp_path):
    def held(name, *settings):
        return lambda facts: facts.update(profile=profiled(name, *settings))

    watch = make_result(tmp_path / "watch", edit=held("pi-4", "threads", "cores"))
    with pytest.raises(ConfigError, match=r"the profile differs: .*old has none, .*watch pi-4 aaaaaaaaaaaa"):
        compared(baseline, watch)
    less = make_result(tmp_path / "less", edit=held("pi-4", "threads"))
    assert compared(watch, less)["notes"] == ["applied of the profile: cores threads -> threads"]


def test_a_changed_raw_file_is_refused(make_result, baseline, tmp_path):
    new = make_result(tmp_path / "new", seed=2)
    raw = new / "raw" / f"{INT8}.npz"
    raw.write_bytes((new / "raw" / f"{FP32}.npz").read_bytes())
    with pytest.raises(DataError, match=r"npz was changed: its SHA-256 is not the manifest's"):
        compared(baseline, new)
    raw.unlink()
    with pytest.raises(DataError, match=r"has no raw/.*npz\. The raw nanoseconds are needed"):
        compared(baseline, new)


def test_an_edited_document_is_refused(make_result, baseline, tmp_path):
    new = make_result(tmp_path / "new", seed=2)
    (new / "result.json").write_text((new / "result.json").read_text().replace("Cortex-A72", "Cortex-A73"))
    with pytest.raises(DataError, match=r"result\.json was changed"):
        compared(baseline, new)


# --- what a flag allows, and what is then noted


def test_an_invalid_case_that_only_one_side_holds_forbids_nothing(make_result, tmp_path, candidate):
    old = make_result(tmp_path / "less", edit=lambda facts: facts.update(cases=facts["cases"][1:]))
    found = compared(old, candidate("cases", 0, "cpu", "other_cores", value=3.5))
    assert "wide: litert fp32" in found["only_in_candidate"]
    assert any(note.endswith("new is invalid") for note in found["notes"])


def test_across_machines_is_noted(baseline, candidate):
    found = compared(baseline, candidate("environment", "machine", "cores", value=2), across_machines=True)
    assert found["notes"] == ["ACROSS MACHINES: cores 4 against 2"]


def test_across_models_pairs_bundles_of_one_task_and_is_noted(baseline, make_result, tmp_path):
    def retrained(facts):
        facts["bundles"][0] |= {"contract_sha256": "f" * 64, "temperature": 1.5}

    new = make_result(tmp_path / "narrow", bundles=("narrow",), seed=2, edit=retrained)
    with pytest.raises(ConfigError, match=r"wide.bundle and narrow.bundle differ: temperature 1\.0 against 1\.5"):
        compared(baseline, new)
    found = compared(baseline, new, across_models=True)
    assert (
        "ACROSS MODELS: the contracts of wide.bundle and narrow.bundle differ: temperature 1.0 against 1.5"
        in (found["notes"])
    )
    quick = case_of(found, "narrow.litert.w8a8-static-pc.t1")
    assert quick["baseline_id"] == INT8
    assert quick["latency"]["p50"]["low"] < 1 / 8 < quick["latency"]["p50"]["high"]
    assert {"loss of accuracy", "loss of macro_f1"} <= {c["what"] for c in quick["checks"] if c["verdict"] != "ok"}


def test_no_flag_makes_two_tasks_one(baseline, make_result, tmp_path):
    def other_task(facts):
        facts["bundles"][0] |= {"contract_sha256": "f" * 64, "window_samples": 128}

    new = make_result(tmp_path / "new", edit=other_task)
    with pytest.raises(ConfigError, match=r"window_samples 96 against 128\. They pose different tasks"):
        compared(baseline, new, across_models=True)


def test_what_may_differ_is_told(baseline, make_result, tmp_path):
    def later(facts):
        facts["environment"]["machine"]["versions"] = {"vskd": "0.1.0", "numpy": "2.4.6", "onnxruntime": "1.32.0"}
        facts["environment"]["before"] = {**facts["environment"]["before"], "governors": ["ondemand"]}
        facts["cases"][1]["options"] = {"num_threads": 1, "xnnpack": False}
        facts["configuration"]["quick"] = True

    notes = compared(baseline, make_result(tmp_path / "new", edit=later))["notes"]
    assert [note.replace(str(tmp_path / "new"), "NEW") for note in notes] == [
        "only NEW was measured with --quick",
        "NEW is degraded",
        "ai-edge-litert: 2.3.0 -> none",
        "onnxruntime: 1.31.1 -> 1.32.0",
        "frequency governor: performance -> ondemand",
        "session options of wide: litert w8a8-static-pc: num_threads=1 -> num_threads=1, xnnpack=False",
    ]


def test_cases_without_a_counterpart_are_named(baseline, make_result, tmp_path):
    both = make_result(tmp_path / "both", bundles=("wide", "narrow"))
    found = compared(baseline, both)
    assert found["only_in_candidate"] == [
        f"narrow: {engine} {recipe}" for engine in ("litert", "onnxruntime") for recipe in ("fp32", "w8a8-static-pc")
    ]
    assert compared(both, baseline)["only_in_baseline"] == found["only_in_candidate"]


def test_bundles_are_paired_by_their_hash_before_their_name(make_result, tmp_path):
    def renamed(facts):  # what was called narrow is called wide now
        facts["bundles"][0] |= {"id": "wide", "name": "wide.bundle"}
        for case in facts["cases"]:
            case["bundle"] = "wide"

    both = make_result(tmp_path / "both", bundles=("wide", "narrow"), seed=1)
    found = compared(both, make_result(tmp_path / "renamed", bundles=("narrow",), seed=2, edit=renamed))
    assert {case["baseline_id"].partition(".")[0] for case in found["cases"] if "litert" in case["id"]} == {"narrow"}
    assert "wide: litert fp32" in found["only_in_baseline"]


def test_a_summary_will_do_as_a_baseline_and_is_noted(baseline, candidate, tmp_path):
    summary = Path(shutil.copytree(baseline, tmp_path / "summary"))
    shutil.rmtree(summary / "raw")
    new = candidate(slower={INT8: 1.3})
    whole, short = compared(baseline, new), compared(summary, new)
    assert short["notes"] == [f"{summary} has no raw files: its readings are taken to scatter as the candidate's do"]
    assert short["verdict"] == whole["verdict"] == "regression"
    for name in ("p50", "p90"):
        one, other = (case_of(found, INT8)["latency"][name] for found in (whole, short))
        assert (one["baseline_ns"], one["ratio"]) == (other["baseline_ns"], other["ratio"])
        assert other["low"] < 1.3 < other["high"]
        assert 0.5 < (other["high"] - other["low"]) / (one["high"] - one["low"]) < 2
    with pytest.raises(DataError, match=r"summary has no raw/.*: keep the whole folder"):
        compared(baseline, summary)


# --- the command


@pytest.fixture
def vskd_compare(run_vskd):
    return lambda *words: run_vskd("compare", *words)


def test_a_folder_that_is_not_there_is_misuse(tmp_path):
    done = CliRunner().invoke(command, [str(tmp_path), str(tmp_path / "nope")])
    assert done.exit_code == 2
    assert "nope' does not exist" in " ".join(done.output.split())


def test_every_option_of_the_command_reaches_the_comparison(monkeypatch, tmp_path):
    asked = {}

    def stop(baseline, candidate, policy, **allowed):
        asked.update(baseline=baseline, candidate=candidate, policy=policy, **allowed)
        raise ConfigError("far enough")

    monkeypatch.setattr("vskd_benchmarks.compare.compare.compare", stop)
    monkeypatch.chdir(tmp_path)
    for name in ("old", "new"):
        Path(name).mkdir()
    limits = tmp_path / "limits.toml"
    limits.write_text("[latency]\np90_max_ratio = 1.5\n")
    done = CliRunner().invoke(command, ["old", "new", "--policy", str(limits), "--across-models"])
    assert (done.exit_code, "far enough" in done.output) == (3, True)
    assert asked == {
        "baseline": Path("old"), "candidate": Path("new"), "across_models": True, "across_machines": False,
        "unit": "time",
        "policy": Policy(latency=LatencyLimits(p90_max_ratio=1.5)),
    }  # fmt: skip
    CliRunner().invoke(command, ["old", "new", "--across-machines"])
    assert (asked["across_models"], asked["across_machines"], asked["policy"]) == (False, True, read_policy())
    CliRunner().invoke(command, ["old", "new", "--unit", "yardstick"])
    assert asked["unit"] == "yardstick"


def test_the_command_ends_with_0_1_2_or_3(vskd_compare, baseline, candidate, tmp_path):
    slower = candidate(slower={INT8: 1.5})
    same = vskd_compare(baseline, baseline)
    assert (same.returncode, same.stderr) == (0, "")
    assert "verdict: ok" in same.stdout
    worse = vskd_compare(baseline, slower, "--json")
    assert worse.returncode == 1
    document = json.loads(worse.stdout.splitlines()[-1])
    assert document["verdict"] == "regression"
    assert "REGRESSION wide: litert w8a8-static-pc: latency p50 1." in worse.stderr
    refused = vskd_compare(baseline, slower.parent)
    assert refused.returncode == 3
    assert refused.stderr.startswith("error: ")
    assert "is no result folder: it has no manifest.json" in refused.stderr
    (tmp_path / "limits.toml").write_text("[speed]")
    misused = vskd_compare(baseline, slower, "--policy", tmp_path / "limits.toml")
    assert misused.returncode == 2
    assert "unknown key 'speed'" in misused.stderr


def test_a_device_compares_and_checks_without_plots_schemas_and_statistics_packages():
    modules = "commands.compare, compare.compare, commands.bench_folder, report.html, report.terminal"
    code = f"import sys, {', '.join('vskd_benchmarks.' + name for name in modules.split(', '))}\n"
    code += "print({'scipy', 'matplotlib', 'jinja2', 'jsonschema', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_names_are_shown_as_they_are(vskd_compare, make_result, tmp_path):
    def named(facts):
        facts["cases"][0]["name"] = "[bold]odd[/] name"

    folder = make_result(tmp_path / "odd", edit=named)
    done = vskd_compare(folder, folder)
    assert done.returncode == 0
    assert "[bold]odd[/] name" in done.stdout
