"""`vskd evaluate --stream` and `vskd data stream --run`: one tiny run, its network in torch and behind a bundle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from training.command_line import Command
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd_training.data.experiment import Experiment
from vskd_training.data.stream_files import read_truth
from vskd_training.loop.train import train_student
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_student
from vskd_training.settings import load_config
from vskd_training.streams.evaluate import NetworkEngine
from vskd_training.streams.joining import StreamSettings, subject_streams


@pytest.fixture(scope="module")
def run(tiny_config_file: Path, tiny_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = load_config(tiny_config_file, changes=('data.unknown_labels=["jog", "wave"]',))
    experiment = Experiment.open(config, root=None, cache=tiny_cache, progress=None)
    out = tmp_path_factory.mktemp("streams") / "run"
    return train_student(
        experiment, out, teachers=(), overwrite=False, resume=False, progress=lambda done, total, parts: None
    )


@pytest.fixture
def bundle(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of the run whose model is the run's network."""
    monkeypatch.setattr(Bundle, "load", lambda *_: NetworkEngine(trained_student(run)))
    models = [ModelEntry("m.onnx", "onnx", "fp32")]
    return write_bundle(tmp_path / "x.bundle", contract=run.contract, models=models, files={"m.onnx": b"-"})


def test_a_run_and_its_bundle_are_evaluated_on_its_own_test_subjects(
    vskd: Command, run: Run, bundle: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    words = ("evaluate", run.path, "--stream", "--cache", tiny_cache, "--seed", 2, "--pause", 2, 3)
    done = vskd(*words, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert json.loads((tmp_path / "out" / "streams.json").read_text()) == document
    assert [one["name"] for one in document["streams"]] == ["subject 2", "subject 4"]
    assert document["total"]["events"]["activities"] == 20
    assert document["total"]["events"]["other_movements"] == 4
    assert set(document["other_movements"]) == {"jog", "wave"}
    assert document["joined"] == {"seed": 2, "shortest_pause_s": 2.0, "longest_pause_s": 3.0, "side": "test"}
    assert (document["engine"], document["sha256"]) == ("torch", run.card["weights_sha256"])
    assert "run, model.safetensors on torch" in done.err
    shipped = vskd(*words, "--bundle", bundle, "--recipe", "fp32", "--engine", "onnxruntime")
    assert shipped.code == 0, shipped.err
    found = json.loads(shipped.out)
    assert (found["engine"], found["model"]) == ("onnxruntime", "m.onnx")
    assert found["total"] == document["total"]


def test_the_files_of_data_stream_give_the_same_figures(
    vskd: Command, run: Run, bundle: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    written = vskd("data", "stream", "--run", run.path, "--cache", tiny_cache, "--seed", 5, "--out", tmp_path / "s")
    assert written.code == 0, written.err
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "2.csv", "2.truth.csv", "4.csv", "4.truth.csv",
    ]  # fmt: skip
    experiment = Experiment.open(run.config, root=None, cache=tiny_cache, progress=None)
    for stream in subject_streams(experiment, StreamSettings(seed=5)):
        samples = np.loadtxt(tmp_path / "s" / f"{stream.subject}.csv", delimiter=",", skiprows=1)
        np.testing.assert_allclose(samples, np.column_stack([stream.time_s, stream.acceleration_g]), atol=1e-6)
        truth = read_truth(tmp_path / "s" / f"{stream.subject}.truth.csv")
        assert [span.label for span in truth] == [span.label for span in stream.spans]
    files = [("--input", tmp_path / "s" / f"{one}.csv", "--truth", tmp_path / "s" / f"{one}.truth.csv") for one in "24"]
    rules = ("--allowance", "1.5", "--set", "unknown_below=0.102", "--set", "smoothing=0.7")
    read = vskd("evaluate", "--stream", "--bundle", bundle, *files[0], *files[1], *rules)
    assert read.code == 0, read.err
    own = vskd("evaluate", run.path, "--stream", "--cache", tiny_cache, "--seed", 5, *rules)
    one, two = json.loads(read.out), json.loads(own.out)
    assert one["decision"]["unknown_below"] == two["decision"]["unknown_below"] == 0.102
    assert (one["joined"], one["allowance_s"]) == (None, 1.5)
    for part in ("windows", "confusion", "false_in_pauses", "false_in_other_movements"):
        assert one["total"][part] == two["total"][part], part
    assert one["total"]["events"]["found"] == two["total"]["events"]["found"] > 0
    assert one["total"]["delays_s"] == pytest.approx(two["total"]["delays_s"], abs=1e-3)


def test_one_subject_and_validation_subjects(vskd: Command, run: Run, tiny_cache: Path, tmp_path: Path) -> None:
    words = ("--run", run.path, "--cache", tiny_cache, "--subject")
    done = vskd("data", "stream", *words, "4", "--out", tmp_path / "s")
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["4.csv", "4.truth.csv"]
    assert "12 recordings" in done.err
    refused = vskd("data", "stream", *words, "1", "--out", tmp_path / "t")
    assert refused.code == 1
    assert "'1' is not a test subject These are: 2, 4" in " ".join(refused.err.split())
    assert not (tmp_path / "t").exists()
    chosen = vskd("evaluate", run.path, "--stream", "--cache", tiny_cache, "--side", "validation")
    assert json.loads(chosen.out)["streams"][0]["name"] == "subject 3"
    assert json.loads(chosen.out)["joined"]["side"] == "validation"


SAMPLES = ("--input", "x.csv", "--truth", "x.truth.csv")
MISUSES = [
    ((), 2, "Missing argument 'RUN'. Without a run there is --stream"),
    (("--stream",), 2, "--stream needs a RUN, whose test subjects' recordings it joins, or --input and --truth"),
    (("runs/a", "--stream", "--input", "x.csv"), 2, "each --input needs its --truth, in the same order; got 1 and 0"),
    (("runs/a", "--stream", *SAMPLES), 2, "--input is decided on by a --bundle, without a RUN"),
    (("--stream", *SAMPLES), 2, "--input is decided on by a --bundle"),
    (("runs/a", "--stream", "--allowance", "-1"), 2, "--allowance must be at least 0 s, got -1.0"),
    (("runs/a", "--stream", "--allowance", "nan"), 2, "--allowance must be at least 0 s, got nan"),
    (("runs/a", "--stream", "--coverage", "0.9"), 2, "--coverage chooses a threshold, which --stream does not"),
    (("runs/a", "--stream", "--recipe", "int8"), 2, "give --bundle too"),
    (("runs/a", "--allowance", "3"), 2, "--allowance means nothing without --stream"),
    (("runs/a", "--set", "smoothing=1"), 2, "--set means nothing without --stream"),
    (("runs/a", "--input", "x.csv"), 2, "--input means nothing without --stream"),
    (
        ("runs/a", "--stream", "--pause", "0.1", "3"),
        1,
        "pauses last from 1 s on, the shorter limit first, got 0.1 to 3",
    ),
    (("runs/a", "--stream"), 1, "runs/a holds no run"),
    (("--stream", "--bundle", "b", "--input", "-", "--truth", "t"), 2, "--input - is a live source"),
    (("--stream", "--bundle", "b", "--input", "i2c:lsm6dsox", "--truth", "t"), 2, "i2c:lsm6dsox is a live source"),
    (("--stream", "--bundle", "no.bundle", *SAMPLES), 1, "there is no bundle at no.bundle"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISUSES, ids=lambda value: str(value)[:40])
def test_misuse_is_one_sentence(
    vskd: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = vskd("evaluate", *words)
    assert (done.code, done.out) == (code, "")
    assert message in " ".join(done.err.replace("│", " ").split())


def test_files_that_cannot_be_are_named(vskd: Command, bundle: Path, tmp_path: Path) -> None:
    samples, truth = tmp_path / "x.csv", tmp_path / "t.csv"
    rows = "".join(f"{i / 50:.2f},0,0,1\n" for i in range(500))
    words = ("evaluate", "--stream", "--bundle", bundle, "--input", samples, "--truth", truth)
    for content, spans, message in [
        ("", "0,2,swipe\n", "x.csv: is empty"),
        ("time_s,ax,ay,az\n" + rows, "0,2,yodel\n", "x.csv holds none of the model's activities, but yodel"),
        ("time_s,ax,ay,az\n" + rows, "0,2,squat\n1,3,lunge\n", "lunge from 1 s on begins before squat ends, at 2 s"),
        ("time_s,ax,ay,az\n" + rows, "2,1,squat\n", "t.csv, line 2: ends at 1 s and begins at 2 s"),
        ("time_s,ax,ay,az\n" + rows, "nan,1,squat\n", "t.csv, line 2: not start_s,end_s,label"),
        ("time_s,ax,ay,az\n" + rows.replace(",1\n", ",9.81\n"), "0,2,squat\n", "9.81 g"),
    ]:
        samples.write_text(content)
        truth.write_text("start_s,end_s,label\n" + spans)
        done = vskd(*words)
        assert (done.code, done.out) == (1, ""), done.err
        assert message in " ".join(done.err.split())


def test_a_bundle_of_another_run_and_one_on_whole_recordings_are_refused(
    vskd: Command, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path
) -> None:
    models = [ModelEntry("m.onnx", "onnx", "fp32")]
    other = write_bundle(
        tmp_path / "o.bundle", contract=run.contract.with_decision(smoothing=0.5), models=models, files={"m.onnx": b"-"}
    )
    done = vskd("evaluate", run.path, "--stream", "--bundle", other)
    assert done.code == 1
    assert "o.bundle has another contract than" in done.err
    window = dataclasses.replace(run.contract.window, mode="whole")
    contract = dataclasses.replace(run.contract, window=window)
    whole = write_bundle(tmp_path / "w.bundle", contract=contract, models=models, files={"m.onnx": b"-"})
    refused = vskd("evaluate", "--stream", "--bundle", whole, *SAMPLES)
    assert refused.code == 1
    assert "w.bundle decides on whole recordings, which a stream does not have" in " ".join(refused.err.split())


STREAM_MISUSES = [
    ((), "give --run RUN, whose test recordings are joined, or --config of synthetic data"),
    (("--run", "a", "--config", "b"), "give --run RUN"),
    (("--run", "a", "--truth", "t.csv"), "--set and --truth go with --config"),
    (("--config", "b"), "--config needs --subject and --truth"),
]


@pytest.mark.parametrize(("words", "message"), STREAM_MISUSES, ids=lambda value: str(value)[:40])
def test_the_options_of_data_stream_exclude_each_other(
    vskd: Command, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = vskd("data", "stream", *words, "--out", tmp_path / "x")
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())
