"""The command, from a bundle to its document."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from vskd.errors import ConfigError
from vskd_benchmarks.measure import SMALLEST_SAMPLE
from vskd_benchmarks.report import check_out, write_result


def vskd_bench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vskd", "bench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def measured(make_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    bundle = make_bundle(folder / "tiny.bundle")
    done = vskd_bench(bundle, "--quick", "--no-comparison", "--out", folder / "result.json")
    assert done.returncode == 0, done.stderr
    return done, folder


def test_the_last_line_is_the_document_and_the_file_holds_it(measured):
    done, folder = measured
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed == json.loads((folder / "result.json").read_text())
    assert len(done.stdout.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["result.json", "result.npz", "tiny.bundle"]


def test_the_document_says_what_was_measured(measured):
    done, folder = measured
    result = json.loads(done.stdout)
    assert result["kind"] == "vskd-bench"
    manifest = (folder / "tiny.bundle" / "manifest.json").read_bytes()
    assert result["bundle"]["sha256"] == hashlib.sha256(manifest).hexdigest()
    (model,) = result["models"]
    assert (model["engine"], model["recipe"], model["file"]) == ("onnxruntime", "fp32", "model.fp32.onnx")
    assert model["size_bytes"] == (folder / "tiny.bundle" / "model.fp32.onnx").stat().st_size
    assert model["latency"]["sensor_to_label"]["windows"] >= SMALLEST_SAMPLE[99.0]
    assert model["latency"]["sensor_to_label"]["p99_ns"] >= model["latency"]["sensor_to_label"]["p50_ns"]
    assert model["latency"]["sensor_to_label"]["p99.9_ns"] is None
    assert result["status"] == ("degraded" if result["reasons"] else "valid")
    assert result["comparison"] == result["ratios"] == []
    assert result["environment"]["machine"]["versions"]["vskd"]


def test_start_and_memory_are_measured(measured):
    model = json.loads(measured[0].stdout)["models"][0]
    cold, memory = model["cold_start"], model["memory"]
    assert cold["median_ns"] > cold["import_ns"] + cold["first_window_ns"]
    assert len(cold["readings_ns"]) == 2
    assert memory["peak_bytes"] > memory["library_bytes"] > 10**7
    assert memory["over_library_bytes"] == memory["peak_bytes"] - memory["library_bytes"]


def test_raw_nanoseconds_give_the_summary_again(measured):
    done, folder = measured
    result = json.loads(done.stdout)
    content = (folder / "result.npz").read_bytes()
    assert result["raw"]["sha256"] == hashlib.sha256(content).hexdigest()
    with np.load(folder / "result.npz") as archive:
        raw = {name.partition("/")[2]: archive[name] for name in archive.files}
    whole = raw["sensor_to_label"]
    assert np.array_equal(whole, raw["resample"] + raw["infer"] + raw["decide"])
    summary = result["models"][0]["latency"]["sensor_to_label"]
    assert summary["windows"] == whole.size
    assert (summary["min_ns"], summary["max_ns"]) == (whole.min(), whole.max())
    assert summary["p50_ns"] == sorted(whole.ravel())[-(-whole.size // 2) - 1]
    overhead = result["models"][0]["overhead"]
    difference = np.sort((whole - raw["bare_call"]).ravel())
    assert overhead["p50_ns"] == difference[-(-whole.size // 2) - 1]
    assert overhead["low_ns"] <= overhead["p50_ns"] <= overhead["high_ns"]


def test_goals_stand_beside_what_was_measured(measured):
    goals = {goal["goal"]: goal for goal in json.loads(measured[0].stdout)["goals"]}
    overhead = goals["runtime's overhead over the bare engine call (us)"]
    assert overhead["met"] is (overhead["worst"] <= 60)
    assert goals["int8 smaller than fp32 (times)"]["met"] is None
    assert goals["numpy encoder over pyts, one window (times)"]["worst"] is None


def test_tables_go_to_stderr(measured):
    stderr = measured[0].stderr
    assert "onnxruntime fp32" in stderr
    assert "Latency of one window, sensor -> label, ms" in stderr
    assert "tflite" not in stderr


def test_whole_recordings_are_measured_too(make_bundle, tmp_path):
    done = vskd_bench(make_bundle(tmp_path / "whole.bundle", mode="whole"), "--quick", "--no-comparison")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["bundle"]["window_mode"] == "whole"
    assert result["raw"] is None
    assert result["models"][0]["latency"]["resample"]["p50_ns"] > 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.bundle"], 1, "there is no bundle at nowhere.bundle"),
        (["BUNDLE", "--engine", "litrt"], 1, "there is no engine 'litrt'"),
        (["BUNDLE", "--engine", "litert"], 1, "has no model of recipe any for litert"),
        (["BUNDLE", "--recipe", "fp16"], 1, "has no model of recipe fp16"),
        (["BUNDLE", "--threads", "0"], 2, "--threads"),
        (["BUNDLE", "--out", "result.txt"], 1, "--out must end in .json, got result.txt"),
        (["BUNDLE", "--out", "nowhere/result.json"], 1, "nowhere is no folder that can be written to"),
        ([], 2, "Missing argument 'BUNDLE'"),
    ],
)
def test_bad_input_is_one_clear_error(make_bundle, tmp_path, words, code, message):
    bundle = make_bundle(tmp_path / "tiny.bundle")
    done = vskd_bench(*(bundle if word == "BUNDLE" else word for word in words))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_changed_byte_is_found_before_anything_is_measured(make_bundle, tmp_path):
    bundle = make_bundle(tmp_path / "tiny.bundle")
    model = bundle / "model.fp32.onnx"
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    model.write_bytes(bytes(content))
    done = vskd_bench(bundle, "--out", tmp_path / "result.json")
    assert done.returncode == 1
    assert "model.fp32.onnx was changed" in done.stderr
    assert not (tmp_path / "result.json").exists()


def test_help_shows_an_example():
    done = vskd_bench("--help")
    assert done.returncode == 0
    assert "Example: vskd bench wrist.bundle" in done.stdout


def test_a_result_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "result.json").mkdir()
    with pytest.raises(ConfigError, match=r"cannot write .*result\.json"):
        write_result(tmp_path / "result.json", {}, {"a/b": np.zeros((1, 2), np.int64)})
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_a_writable_place_is_accepted(tmp_path):
    check_out(tmp_path / "result.json")
