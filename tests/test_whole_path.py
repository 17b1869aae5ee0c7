"""The whole path through the commands, on tiny synthetic recordings: train, export, verify, run, bench.

Every other test of an export hands it its windows. Here the commands find them, so that what one command hands to the
next is seen: whose recordings calibrate, whose recordings judge, and what the bundle says about itself.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from scipy.special import softmax

from training.tiny_config import TINY
from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd_export.convert import tflite_file
from vskd_training.data.experiment import Experiment
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_student

#: Enough subjects and epochs for a network whose labels mean something.
CHANGES = ("data.synthetic.subjects=6", "student.depth=10", "student_training.epochs=4", "loss.distance=0")

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def commands() -> click.Group:
    """``vskd`` with the commands of this checkout, whatever is installed."""
    table = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]["vskd.commands"]
    return click.Group("vskd", {name: EntryPoint(name, where, "vskd.commands").load() for name, where in table.items()})


def vskd(*words: object) -> Result:
    done = CliRunner().invoke(commands(), [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


@dataclasses.dataclass(frozen=True)
class Walk:
    """What the commands left behind."""

    folder: Path
    run: Run
    experiment: Experiment
    bundle: Bundle
    report: dict[str, Any]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder, threads = tmp_path_factory.mktemp("path"), torch.get_num_threads()
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    changes = (word for change in CHANGES for word in ("--set", change))
    config, cache = ("--config", folder / "tiny.toml", *changes), ("--cache", folder / "cache")
    vskd("train", "teacher", *config, *cache, "--out", folder / "teacher")
    vskd("train", "student", *config, *cache, "--teacher", folder / "teacher", "--out", folder / "student")
    # So small a student, trained for seconds, need not keep the limits of int8.
    vskd("export", folder / "student", *cache, "--allow-degraded", "--out", folder / "wrist.bundle")
    run, bundle = Run.open(folder / "student", role="student"), Bundle.open(folder / "wrist.bundle")
    experiment = Experiment.open(run.config, root=None, cache=folder / "cache", progress=None)
    report = json.loads(bundle.checked_path("report.json").read_text(encoding="utf-8"))
    yield Walk(folder, run, experiment, bundle, report)
    torch.set_num_threads(threads)


def test_calibration_comes_from_training_subjects_and_judgement_from_held_out_ones(walked: Walk) -> None:
    split = walked.run.card["data"]["split"]
    calibration, held_out = walked.report["calibration"], walked.report["held_out"]
    train, test = walked.experiment.windows("train"), walked.experiment.windows("test")

    assert set(calibration["subjects"]) <= set(split["train"])
    assert set(calibration["ids"]) <= set(train.ids)
    assert len(calibration["ids"]) == calibration["windows"] == min(200, len(train))
    assert all(calibration["per_class"].values())
    assert held_out["subjects"] == sorted(split["test"])
    assert held_out["judged_ids"] == list(test.ids)
    golden = [name.removeprefix("real ") for name in read_golden(walked.bundle).names if name.startswith("real ")]
    assert len(golden) == 32
    assert set(golden) <= set(test.ids)


def test_the_bundle_has_the_runs_contract_and_says_where_it_comes_from(walked: Walk) -> None:
    assert walked.bundle.contract == walked.run.contract
    assert walked.bundle.contract.decision.temperature != 1
    assert walked.report["provenance"]["weights_sha256"] == walked.run.card["weights_sha256"]
    assert walked.report["provenance"]["teacher"] == walked.run.card["teacher"]
    assert [violation["message"] for violation in walked.report["degraded"]] == list(walked.bundle.degraded)
    # The float models are the trained network, however short the training was.
    assert {violation["code"] for violation in walked.report["degraded"]} <= {
        "macro-f1", "class-f1", "flip-rate", "flip-margin", "nearest-example",
    }  # fmt: skip


def test_the_bundle_gives_the_logits_of_the_run_s_network(walked: Walk) -> None:
    student, golden = trained_student(walked.run).eval(), read_golden(walked.bundle)
    with torch.inference_mode():
        logits = student(torch.from_numpy(golden.windows)).logits.numpy()
    np.testing.assert_allclose(golden.logits, logits, atol=1e-5)
    np.testing.assert_allclose(
        golden.probabilities, softmax(logits / walked.run.contract.decision.temperature, axis=1), atol=1e-5
    )
    for file, recorded in golden.model_logits.items():
        # A float model's are the network's; an integer model's resemble them and are its own.
        difference = np.abs(recorded - logits).max()
        assert difference <= 1e-4 if "fp32" in file else difference > 1e-4


def test_weights_have_a_scale_per_channel_in_both_formats(walked: Walk) -> None:
    content = {entry.file: walked.bundle.model_path(entry).read_bytes() for entry in walked.bundle.models}
    graph = onnx.load_from_string(content["model.w8a8-static-pc.onnx"]).graph
    stored = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    widened = {node.output[0]: node.input for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [widened[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    assert len(layers) == 12
    assert all(stored[scale] == stored[weights][:1] and stored[scale][0] >= 8 for weights, scale, *_ in layers)

    lite = tflite_file.read_model(content["model.w8a8-static-pc.tflite"])
    tensors, operators = lite.subgraphs[0].tensors, lite.subgraphs[0].operators
    convolutions = [row for row, name in enumerate(tflite_file.operator_names(lite)) if name == "CONV_2D"]
    filters = [tensors[operators[row].inputs[1]] for row in convolutions]
    assert len(filters) == 12
    assert all(len(tensor.quantization.scale) == tensor.shape[0] >= 8 for tensor in filters)


def test_the_bundle_verifies_in_every_engine(walked: Walk) -> None:
    output = vskd("verify", walked.bundle.path).output
    assert "FAILED" not in output
    for model in walked.bundle.models:
        engine = "onnxruntime" if model.format == "onnx" else "litert"
        assert f"{model.file} on {engine}" in output


def test_it_runs_on_a_stream_of_a_held_out_subject(walked: Walk) -> None:
    recording = walked.folder / "recording.csv"
    vskd(
        "data",
        "stream",
        "--config",
        walked.folder / "tiny.toml",
        "--subject",
        "2",
        "--out",
        recording,
        "--truth",
        walked.folder / "truth.csv",
    )
    lines = vskd("run", walked.bundle.path, "--input", recording).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) > 10
    assert {event["label"] for event in events} <= set(walked.bundle.contract.labels)


def test_it_is_measured(walked: Walk) -> None:
    out = walked.folder / "bench"
    vskd("bench", walked.bundle.path, "--quick", "--no-comparison", "--out", out)
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert walked.bundle.sha256() in json.dumps(result)
    assert {case["recipe"] for case in result["cases"]} == {"fp32", "w8a8-static-pc"}
