"""The command, from a bundle to its result folder."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter

import jsonschema
import numpy as np
import pytest

from vskd.bundle_files import variant_file
from vskd.closed import to_mapping
from vskd_benchmarks.goals import GOALS
from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE
from vskd_benchmarks.result.check import differences
from vskd_benchmarks.result.folder import SCHEMA, read_raw, read_result


def test_the_last_line_is_the_document_and_the_folder_holds_it(measured):
    done, folder = measured
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed == to_mapping(read_result(folder / "result"))
    assert len(done.stdout.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["result", "tiny.bundle"]
    written = {path.relative_to(folder / "result").as_posix() for path in (folder / "result").rglob("*.*")}
    own = {name for name in written if not name.startswith("report/")}
    assert own == {"manifest.json", "raw/tiny.onnxruntime.fp32.t1.npz", "result.json"}
    assert "report/report.html" in written


def test_the_document_follows_its_closed_schema(measured):
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(measured[0].stdout))
    objects = [schema, *schema["$defs"].values(), *schema["properties"].values()]
    assert all(each.get("additionalProperties") is False for each in objects if each.get("properties"))


def test_the_document_says_what_was_measured(measured):
    done, folder = measured
    result = json.loads(done.stdout)
    manifest = (folder / "tiny.bundle" / "manifest.json").read_bytes()
    (bundle,) = result["bundles"]
    assert bundle["sha256"] == hashlib.sha256(manifest).hexdigest()
    (case,) = result["cases"]
    model = folder / "tiny.bundle" / "model.fp32.onnx"
    assert (case["engine"], case["recipe"], case["threads"], case["encoder"]) == ("onnxruntime", "fp32", 1, "graph")
    assert case["model"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert case["model"]["size_bytes"] == model.stat().st_size
    assert case["options"] == {
        "intra_op_num_threads": 1, "inter_op_num_threads": 1, "session.intra_op.allow_spinning": "0",
    }  # fmt: skip
    summary = case["scopes"]["sensor_to_label"]
    assert summary["windows"] >= SMALLEST_SAMPLE[99.0]
    assert summary["p99_ns"] >= summary["p50_ns"]
    assert summary["p99.9_ns"] is None
    assert case["stages"]["encode"] is None
    assert result["ratios"] == []
    assert result["environment"]["machine"]["versions"]["vskd"]
    assert len(result["environment"]["readings"]) >= 1
    assert "bench" in result["configuration"]["command"]


def test_start_and_memory_are_measured(measured):
    (case,) = json.loads(measured[0].stdout)["cases"]
    cold, memory = case["cold_start"], case["memory"]
    assert cold["median_ns"] > cold["import_ns"] + cold["first_window_ns"]
    assert len(cold["readings_ns"]) == 2
    assert memory["peak_bytes"] > memory["library_bytes"] > 10**7
    assert memory["over_library_bytes"] == memory["peak_bytes"] - memory["library_bytes"]
    assert case["first_inference_ns"] > 0


def test_raw_nanoseconds_give_the_summary_again(measured):
    done, folder = measured
    (case,) = json.loads(done.stdout)["cases"]
    raw = read_raw(folder / "result", case["id"])
    whole = raw["sensor_to_label"]
    assert np.array_equal(whole, raw["resample"] + raw["infer"] + raw["decide"])
    assert whole.shape == (case["rounds"], case["calls_per_round"])
    assert np.all(np.diff(raw["started"].ravel()) > 0)
    summary = case["scopes"]["sensor_to_label"]
    assert summary["windows"] == whole.size
    assert (summary["min_ns"], summary["max_ns"]) == (whole.min(), whole.max())
    assert summary["p50_ns"] == sorted(whole.ravel())[-(-whole.size // 2) - 1]
    difference = np.sort((whole - raw["bare_call"]).ravel())
    assert case["overhead"]["p50_ns"] == difference[-(-whole.size // 2) - 1]
    assert case["overhead"]["low_ns"] <= case["overhead"]["p50_ns"] <= case["overhead"]["high_ns"]


def test_what_was_timed_is_what_the_bundle_promises(measured):
    (case,) = json.loads(measured[0].stdout)["cases"]
    outputs, accuracy = case["audits"]["outputs"], case["audits"]["accuracy"]
    assert outputs["passed"] is True
    assert outputs["compared"] == outputs["identical"] >= 4 * 8
    assert (accuracy["passed"], accuracy["windows"], accuracy["agreement"]) == (True, 4, 1.0)


def test_goals_stand_beside_what_was_measured(measured):
    goals = {goal["goal"]: goal for goal in json.loads(measured[0].stdout)["goals"]}
    overhead = goals[GOALS["overhead"].words]
    assert overhead["met"] is (overhead["worst"] <= GOALS["overhead"].limit)
    assert goals[GOALS["int8_size"].words]["met"] is None


def test_tables_go_to_stderr_and_the_last_line_says_where_the_files_are(measured):
    stderr = measured[0].stderr
    assert "#1 onnxruntime fp32" in stderr
    assert "Latency of one window, sensor to label (single-stream)" in stderr
    assert "litert" not in stderr
    assert f"verify it with: vskd bench check {measured[1] / 'result'}" in stderr.replace("\n", "")


def test_paced_windows_come_at_their_rate_and_the_process_sleeps_between(make_bundle, vskd_bench, tmp_path):
    done = vskd_bench(
        make_bundle(tmp_path / "whole.bundle", mode="whole"), "--quick", "--mode", "paced",
        "--rate-hz", "20", "--duration-s", "1", "--out", tmp_path / "paced",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    assert list(case["scopes"]) == ["sensor_to_label"]
    assert case["scopes"]["sensor_to_label"]["windows"] == 20
    assert case["cpu"]["voluntary_switches"] >= 10
    assert case["cpu"]["share"] < 0.9
    started = read_raw(tmp_path / "paced", case["id"])["started"].ravel()
    assert started[-1] - started[0] > 0.5e9
    assert "too-few-samples" in {reason["code"] for reason in case["validity"]["reasons"]}
    assert differences(tmp_path / "paced") == []


def test_a_soak_tells_memory_over_time(make_bundle, vskd_bench, tmp_path):
    bundle = make_bundle(tmp_path / "tiny.bundle")
    done = vskd_bench(bundle, "--quick", "--no-comparison", "--mode", "soak", "--rate-hz", "40", "--duration-s", "2")
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    soak = case["soak"]
    assert len(soak["resident_bytes"]) == len(soak["at_s"]) == case["rounds"] == 2
    assert case["signal"]["source"] == "synthetic"
    assert case["audits"]["accuracy"]["passed"] is None
    assert soak["at_s"] == sorted(soak["at_s"])
    assert min(soak["resident_bytes"]) > 10**7


@pytest.mark.slow
def test_every_other_pipeline_is_measured_beside_the_bundle(make_bundle, make_model, golden, vskd_bench, tmp_path):
    report = json.dumps({"graphs": {"model.fp32.onnx": {"macs": 5_000_000}}}).encode()
    files = {
        "golden/vectors.npz": golden,
        "report.json": report,
        variant_file("image", "fp32"): make_model((3, 64, 64)),
    }
    bundle = make_bundle(tmp_path / "tiny.bundle", files=files)
    done = vskd_bench(bundle, "--quick", "--out", tmp_path / "result")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert Counter(case["kind"] for case in result["cases"]) == {
        "bundle": 1, "usual-pipeline": 2, "student": 4, "image-input": 1,
    }  # fmt: skip
    assert {ratio["case"] for ratio in result["ratios"]} == {"tiny.onnxruntime.fp32.t1"}
    assert len(result["ratios"]) == 7
    assert differences(tmp_path / "result") == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.bundle"], 1, "there is no bundle at nowhere.bundle"),
        (["BUNDLE", "--engine", "litrt"], 1, "there is no engine 'litrt'"),
        (["BUNDLE", "--engine", "litert"], 1, "has no model of recipe any for litert"),
        (["BUNDLE", "--recipe", "fp16"], 1, "has no model of recipe fp16"),
        (["BUNDLE", "--threads", "0"], 2, "0 is not in the range 1<=x<=256"),
        (["BUNDLE", "--rate-hz", "2"], 2, "--rate-hz means nothing in mode single-stream"),
        (["BUNDLE", "--mode", "pace"], 2, "'pace' is not one of"),
        (["BUNDLE", "--out", "result.json"], 1, "--out names a folder, got result.json"),
        (["BUNDLE", "--out", "/proc/result"], 1, "cannot write /proc/result: No such file or directory"),
        (["BUNDLE", "--out", "BUNDLE"], 1, "tiny.bundle exists"),
        (["BUNDLE", "--out", "FOLDER", "--overwrite"], 1, "exists and is no result folder; it is not replaced"),
        (["BUNDLE", "--out", "BUNDLE", "--overwrite"], 1, "tiny.bundle exists and is no result folder"),
        (["check", "nowhere"], 1, "nowhere is no result folder"),
        ([], 2, "Missing argument 'BUNDLE...'"),
    ],
)
def test_bad_input_is_one_clear_error(make_bundle, vskd_bench, tmp_path, words, code, message):
    bundle = make_bundle(tmp_path / "tiny.bundle")
    places = {"BUNDLE": bundle, "FOLDER": tmp_path}
    done = vskd_bench(*(places.get(word, word) for word in words))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_changed_byte_is_found_before_anything_is_measured(make_bundle, vskd_bench, tmp_path):
    bundle = make_bundle(tmp_path / "tiny.bundle")
    model = bundle / "model.fp32.onnx"
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    model.write_bytes(bytes(content))
    done = vskd_bench(bundle, "--out", tmp_path / "result")
    assert done.returncode == 1
    assert "model.fp32.onnx was changed" in done.stderr
    assert not (tmp_path / "result").exists()


def test_a_run_that_is_ended_leaves_nothing_that_reads_as_a_result(make_bundle, tmp_path):
    bundle = make_bundle(tmp_path / "tiny.bundle")
    (tmp_path / "scratch").mkdir()
    words = ["--mode", "soak", "--duration-s", "3600", "--quick", "--out", str(tmp_path / "result")]
    command = [sys.executable, "-m", "vskd", "bench", str(bundle), *words]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as process:
        with pytest.raises(subprocess.TimeoutExpired, match="timed out after"):
            process.wait(2.5)
        process.terminate()
        assert process.communicate()[0] == b""
    assert process.returncode == -signal.SIGTERM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "tiny.bundle"]


def test_help_shows_examples(vskd_bench):
    done = vskd_bench("--help")
    assert done.returncode == 0
    assert "vskd bench wrist.bundle --out wrist-bench" in " ".join(done.stdout.split())
