"""`vskd data`, `timeline` and `summary`: every option reaches the library, and what the library finds is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from numpy.typing import NDArray

import vskd as runtime
from training.command_line import Command
from training.published_trees import write_utd_trial
from vskd.bundle import ModelEntry, write_bundle
from vskd_training.data.experiment import Experiment
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.datasets.synthetic.generator import continuous
from vskd_training.settings import load_config


def sensor(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal([0.0, 0.0, 1.0, 0, 0, 0], 0.05, (60, 6))


def samples(path: Path) -> NDArray[np.float64]:
    return np.loadtxt(path, delimiter=",", skiprows=1)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two trials with depth, two without a usable skeleton."""
    for seed, trial in enumerate(("a1_s1_t1", "a2_s1_t1")):
        write_utd_trial(tmp_path / "utd", trial, sensor=sensor(seed), depth_mm=np.full((4, 6, 3), 900, np.uint16))
    for trial in ("a1_s1_t1", "a2_s1_t1"):
        (tmp_path / "utd" / "Skeleton").mkdir(exist_ok=True)
        (tmp_path / "utd" / "Skeleton" / f"{trial}_skeleton.mat").write_bytes(b"broken")
    return tmp_path / "utd"


def test_check_reads_the_view_that_was_asked_for(vskd: Command, tree: Path) -> None:
    done = vskd("data", "check", "--dataset", "utd-mhad", "--root", tree, "--view", "depth")
    assert done.code == 0, done.err
    assert "utd-mhad, view depth: 2 recordings\n" in done.out
    assert "subjects    1: 2\n" in done.out
    assert "frames      3 / 3 / 3  (min/median/max)\n" in done.out
    assert "defects     0: 0 recordings left out, 0 used in part, 0 doubtful\n" in done.out


def test_check_reads_the_first_view_by_default_and_fails_where_nothing_is_left(vskd: Command, tree: Path) -> None:
    done = vskd("data", "check", "--dataset", "utd-mhad", "--root", tree)
    assert done.code == 1
    assert "utd-mhad, view joints: 0 recordings\n" in done.out
    assert "holds no recording that can be read" in done.err


def test_check_lists_every_defect_and_is_strict_where_asked(vskd: Command, tree: Path) -> None:
    write_utd_trial(tree, "a3_s1_t1", sensor=sensor(3))
    for trial in ("a4_s1_t1", "a5_s1_t1"):
        (tree / "Inertial" / f"{trial}_inertial.mat").write_bytes(b"broken")
    words = ("data", "check", "--dataset", "utd-mhad", "--root", tree, "--view", "none")
    first = vskd(*words)
    assert first.code == 0, first.err
    assert "  2 x left out\n    e.g. Inertial/a4_s1_t1_inertial.mat: is not a MATLAB 5 file" in first.out
    assert "a5_s1_t1_inertial.mat" not in first.out
    assert "a5_s1_t1_inertial.mat" in vskd(*words, "--list").out
    strict = vskd(*words, "--strict")
    assert strict.code == 1
    assert "2 recordings were left out" in strict.err


def test_a_stream_and_its_truth_are_of_the_subject_and_settings_named(
    vskd: Command, tiny_config_file: Path, tmp_path: Path
) -> None:
    words = ("data", "stream", "--config", tiny_config_file, "--set", "data.synthetic.seed=5", "--subject", 3)
    files = ("--out", tmp_path / "day.csv", "--truth", tmp_path / "truth.csv")
    assert vskd(*words, *files).code == 0
    settings = SyntheticSettings(subjects=4, trials=1, duration_s=3.5, seed=5)
    expected, spans = continuous(settings, subject="3")
    written = samples(tmp_path / "day.csv")
    np.testing.assert_allclose(written[:, 0], expected.time_s, atol=1e-6)
    np.testing.assert_allclose(written[:, 1:], expected.acceleration_g, atol=1e-6)
    truth = (tmp_path / "truth.csv").read_text().splitlines()[1:]
    assert truth == [f"{span.start_s:.3f},{span.end_s:.3f},{span.label}" for span in spans]


def test_a_recording_is_that_of_the_id_under_the_settings_named(
    vskd: Command, tiny_config_file: Path, tmp_path: Path
) -> None:
    change = "data.synthetic.seed=5"
    words = ("data", "recording", "--config", tiny_config_file, "--set", change, "--cache", tmp_path / "cache")
    done = vskd(*words, "--id", "a2_s3_t1", "--out", tmp_path / "x.csv")
    assert done.code == 0, done.err
    assert "a2_s3_t1, wave" in done.err
    config = load_config(tiny_config_file, changes=(change,))
    prepared = Experiment.open(config, root=None, cache=tmp_path / "cache", progress=None).prepared
    time_s, acceleration_g = prepared.sensor(prepared.index("a2_s3_t1"))
    np.testing.assert_allclose(samples(tmp_path / "x.csv"), np.column_stack([time_s, acceleration_g]), atol=1e-6)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_timeline_is_drawn_and_counted(vskd: Command, tmp_path: Path) -> None:
    events = [{"start_s": start, "end_s": start + 1, "label": "wave"} for start in range(4)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "truth.csv").write_text("start_s,end_s,label\n0,2,wave\n2,4,jog\n")
    done = vskd("timeline", tmp_path / "events.jsonl", "--truth", tmp_path / "truth.csv", "--out", tmp_path / "t.png")
    assert done.code == 0, done.err
    assert done.out.startswith("2 of 4 decisions right (windows within one activity); plot: ")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """What a demo leaves, as far as the summary reads it."""
    figures = {"accuracy": 0.91, "macro_f1": 0.905}

    def metrics(recordings: float) -> dict[str, object]:
        return {"window": {"all": figures}, "recording": {"all": {**figures, "accuracy": recordings}}}

    for name in ("teacher", "alone", "distilled", "watch"):
        (tmp_path / name).mkdir()
        found = metrics(0.925 if name == "alone" else 0.95)
        (tmp_path / name / "run.json").write_text(json.dumps({"metrics": {"test": found}}))
    contract = runtime.Contract(labels=("a", "b"))
    models = [ModelEntry("m.onnx", "onnx", "w8a8-static-pc")]
    cases = [{"name": "encoder", "kind": "encoder", "bundle": "wrist", "recipe": None, "scopes": {}}]
    for stem, evaluation, size, latency_ns in (
        ("wrist", "int8.json", 840_000, 1_230_000),
        ("watch", "watch-int8.json", 20_000, 45_000),
    ):
        write_bundle(tmp_path / f"{stem}.bundle", contract=contract, models=models, files={"m.onnx": bytes(size)})
        (tmp_path / evaluation).write_text(json.dumps({"model": "m.onnx", "engine": "onnx", "metrics": metrics(0.94)}))
        case = {"kind": "bundle", "bundle": stem, "scopes": {"sensor_to_label": {"p50_ns": latency_ns}}}
        cases += [
            {**case, "name": "litert int8", "engine": "litert", "recipe": "w8a8-static-pc"},
            {**case, "name": "litert fp32", "engine": "litert", "recipe": "fp32"},
            {
                **case,
                "name": f"{stem}: pyts+torch",
                "engine": "torch",
                "kind": "usual-pipeline",
                "recipe": "fp32",
                "scopes": {"sensor_to_label": {"p50_ns": 12_300_000}},
            },
        ]
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "result.json").write_text(json.dumps({"cases": cases[:-1]}))
    return tmp_path


def test_the_summary_of_a_demo_is_ten_lines(vskd: Command, demo: Path) -> None:
    done = vskd("summary", demo)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 10
    assert "synthetic data" in lines[0]
    assert lines[1] == "teacher    95.0 % of recordings, 91.0 % of windows"
    assert lines[3] == lines[1].replace("teacher  ", "distilled") + ", +2.5 points to alone"
    assert lines[6:9] == [
        "distilled  94.0 % (-1.0 points), 0.84 MB, litert 1.230 ms",
        "watch      94.0 % (-1.0 points), 0.02 MB, litert 0.045 ms",
        "pyts+torch 12.300 ms: the image student without vskd, 10 times int8's time",
    ]
    assert lines[9].startswith(f"next: vskd run {demo}/wrist.bundle --input {demo}/recording.csv --view")


def test_a_demo_that_lacks_a_file_is_told_what_makes_it(vskd: Command, demo: Path) -> None:
    (demo / "int8.json").unlink()
    missing = vskd("summary", demo)
    assert (missing.code, missing.out) == (1, "")
    assert "`make demo` makes it" in missing.err


def test_timeline_refuses_what_it_cannot_read_or_write(vskd: Command, tmp_path: Path) -> None:
    events, truth = tmp_path / "events.jsonl", tmp_path / "truth.csv"
    events.write_text('{"start_s": 0, "end_s": 1, "label": "a"}\n')
    truth.write_text("start_s,end_s,label\n0,2,a\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "events.csv").write_text("start_s,end_s,label\n0,1,a\n")
    for words, code, message in [
        ((tmp_path / "binary", "--truth", truth, "--out", tmp_path / "t.png"), 1, "is not UTF-8, at byte 0"),
        ((events, "--truth", tmp_path / "binary", "--out", tmp_path / "t.png"), 1, "is not UTF-8, at byte 0"),
        ((tmp_path / "events.csv", "--truth", truth, "--out", tmp_path / "t.png"), 1, "--output NAME.jsonl"),
        ((events, "--truth", truth, "--out", tmp_path / "no" / "t.png"), 1, "cannot write"),
        ((events, "--truth", truth, "--out", tmp_path), 2, "--out must end in .png"),
    ]:
        done = vskd("timeline", *words)
        assert done.code == code, done.err
        assert message in " ".join(done.err.split())
    assert not list(tmp_path.glob("*.png"))
    assert not pyplot.get_fignums(), "a figure that could not be written stays open"
