"""The matrix of engines without the environments: what is a difference, what is pinned, what ends it with 1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from research import engine_matrix
from research.engine_matrix import Environment, Row, constraints_for, differences, try_engine, write_recording
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.contract import Contract, WindowSpec
from vskd.engines import ENGINES
from vskd.errors import ConfigError, DataError
from vskd.sources.csv import SampleReader

ROOT = Path(__file__).resolve().parents[3]
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8")


def row(engine: str, **labels: str) -> Row:
    files = {"onnx": "model.fp32.onnx", "tflite": "model.fp32.tflite", "int8": "model.w8.tflite"}
    return Row(engine, labels={files[name]: text.split() for name, text in labels.items()})


def test_engines_that_agree_have_no_differences():
    rows = [row("onnxruntime", onnx="a b a"), row("litert", tflite="a b a", int8="b b a")]
    assert differences([*rows, row("tensorflow", tflite="a b a", int8="b b a")]) == []  # int8 is another model


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (row("tensorflow", tflite="a b a", int8="a b a"), ["model.w8.tflite on tensorflow: 1 of 3 labels"]),
        (row("tensorflow", tflite="a b", int8="b b a"), ["model.fp32.tflite on tensorflow: 2 decisions, not 3"] * 2),
    ],
)
def test_another_label_or_number_of_decisions_is_a_difference(other, expected):
    rows = [row("onnxruntime", onnx="a b a"), row("litert", tflite="a b a", int8="b b a"), other]
    found = differences(rows)
    assert len(found) == len(expected)
    assert all(sentence.startswith(start) for sentence, start in zip(found, expected, strict=True))


def test_the_two_formats_are_compared_where_they_are_one_model():
    (found,) = differences([row("onnxruntime", onnx="a a"), row("litert", tflite="a b")])
    assert found == "model.fp32.tflite on litert: 1 of 2 labels not the same as model.fp32.onnx on onnxruntime"


@pytest.mark.parametrize("engine", list(ENGINES))
def test_every_engine_is_pinned_and_the_old_one_gets_the_old_numpy(engine):
    pins = dict(line.split("==") for line in constraints_for(engine, PINS).splitlines() if "==" in line)
    assert ENGINES[engine].distribution in pins
    assert pins["numpy"].startswith("1.") == (engine == "tflite-runtime")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    contract = Contract(labels=("a", "b"), window=WindowSpec(samples=64))
    models = [ModelEntry("m.onnx", "onnx", "fp32"), ModelEntry("m.tflite", "tflite", "fp32")]
    return write_bundle(
        tmp_path / "x.bundle", contract=contract, models=models, files={"m.onnx": b"-", "m.tflite": b"-"}
    )


def test_the_recording_is_one_that_vskd_run_reads(bundle, tmp_path):
    samples = write_recording(Bundle.open(bundle), tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as lines:
        chunks = list(SampleReader.open(lines, name="r.csv").chunks(rows=4096))
    assert sum(len(chunk.time) for chunk in chunks) == samples > 64
    assert (np.diff(chunks[0].time) > 0).all()


class FakeEnvironment(Environment):
    """Answers like the command, or fails as told."""

    def __init__(self, failing: str) -> None:
        self._failing = failing

    def versions(self, *packages: str) -> dict[str, str]:
        return dict.fromkeys(packages, "1")

    def vskd(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        if words[0] == self._failing:
            return subprocess.CompletedProcess([], 1, "", "INFO: loud\nerror: it broke\n       Mend it\n")
        if words[0] == "run":
            Path(words[-1]).write_text('{"label": "a"}\n{"label": "b"}\n')
        return subprocess.CompletedProcess([], 0, "fine\n", "")


@pytest.mark.parametrize(
    ("failing", "failed"),
    [
        ("", []),
        ("selftest", ["vskd selftest: it broke"]),
        ("verify", ["vskd verify: it broke"]),
        ("run", ["vskd run, m.tflite: it broke"]),
    ],
)
def test_a_row_holds_the_models_of_its_engine_and_every_failure(bundle, tmp_path, failing, failed):
    found = try_engine("litert", FakeEnvironment(failing), bundle, tmp_path / "r.csv", tmp_path)
    assert found.failed == failed
    assert found.labels == ({} if failing == "run" else {"m.tflite": ["a", "b"]})
    assert found.versions == {"ai-edge-litert": "1", "numpy": "1", "vskd": "1"}
    assert (tmp_path / "litert.verify.txt").exists()


@pytest.mark.parametrize(("failing", "code"), [("", 0), ("verify", 1)])
def test_the_command_prints_a_document_and_its_code_says_whether_all_is_well(
    bundle, tmp_path, monkeypatch, failing, code
):
    monkeypatch.setattr(engine_matrix, "build_wheel", lambda root, out: out / "vskd.whl")
    made = FakeEnvironment(failing)
    monkeypatch.setattr(FakeEnvironment, "make", lambda self, wheel, extra, constraints: None)
    monkeypatch.setattr(engine_matrix, "Environment", lambda folder: made)
    done = CliRunner().invoke(engine_matrix.main, [str(bundle), "--out", str(tmp_path / "out")])
    assert done.exit_code == code
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["passed"] is (code == 0)
    assert [one["engine"] for one in result["engines"]] == list(ENGINES)
    assert ("litert: vskd verify: it broke" in done.stderr) is (code == 1)


def test_without_a_clone_or_an_install_that_works_it_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"is no clone of the project\. Run this from a clone"):
        engine_matrix.build_wheel(tmp_path, tmp_path)
    with pytest.raises(DataError, match=r"nowhere .*failed: .*Run it by hand"):
        engine_matrix._must([sys.executable, "-m", "nowhere", "at", "all"])
