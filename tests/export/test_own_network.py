"""A user's own network from its package to a bundle, through the commands; and what a converter refuses of one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from training.tiny_config import SYNTHETIC
from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.contract import Contract, RawSpec, WindowSpec
from vskd.errors import ConfigError, DataError
from vskd_export.command import export
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.onnx import to_onnx
from vskd_export.convert.tflite import to_tflite
from vskd_training.commands.evaluate import evaluate
from vskd_training.commands.train import train
from vskd_training.models.own import own_student
from vskd_training.models.own_check import check_own
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_student

NETWORK = """
import torch
from torch import nn

class {mixer}(nn.Module):
    def forward(self, signal):
        return {mixed}

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, 8, 5, stride=2), nn.BatchNorm1d(8), nn.ReLU(), {mixer}(), nn.Flatten(), nn.Linear({width}, 300)
        )
        self.classifier = nn.Linear(300, classes)

    def forward(self, windows):
        feature = torch.relu(self.body(windows))
        return self.classifier(feature), feature

def make(contract):
    return Net(len(contract.labels))
"""
CONFIG = (
    SYNTHETIC.replace("subjects = 4", "subjects = 6")
    + """
[window]
samples = 64
rate_hz = 25.0
hop_samples = 16
[student]
module = "watch_networks.mean:make"
[student_training]
epochs = 4
batch = 16
"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a package, its config and a finished run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "watch_networks").mkdir()
    (folder / "watch_networks" / "__init__.py").touch()
    code = NETWORK.format(mixer="Mean", mixed="signal.mean(dim=2)", width=8)
    (folder / "watch_networks" / "mean.py").write_text(code, encoding="utf-8")
    (folder / "own.toml").write_text(CONFIG, encoding="utf-8")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        done = CliRunner().invoke(
            train,
            ["student", "--config", "own.toml", "--cache", "cache", "--out", "run"],
            catch_exceptions=False,
        )
        assert done.exit_code == 0, done.output
        yield folder
    torch.set_num_threads(threads)


def exported(folder: Path, out: str) -> Result:
    return CliRunner().invoke(
        export, [str(folder / "run"), "--cache", str(folder / "cache"), "--allow-degraded", "--out", str(folder / out)]
    )


def test_from_the_package_to_the_bundle(folder: Path) -> None:
    run = Run.open(folder / "run", role="student")
    assert run.card["module"]["name"] == "watch_networks.mean:make"
    assert list(run.card["module"]["source_sha256"]) == ["watch_networks.mean"]
    tested = CliRunner().invoke(evaluate, [str(folder / "run"), "--cache", str(folder / "cache")])
    assert tested.exit_code == 0, tested.output
    document = json.loads(tested.stdout.splitlines()[-1])
    assert document["metrics"] == run.card["metrics"]["test"]

    done = exported(folder, "own.bundle")
    assert done.exit_code == 0, done.output
    bundle = Bundle.open(folder / "own.bundle")
    assert bundle.contract.raw == RawSpec(transforms=("g",))
    report = json.loads(bundle.checked_path("report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["module"] == run.card["module"]
    assert not {violation["code"] for violation in report["degraded"]} - {
        "macro-f1", "class-f1", "flip-rate", "flip-margin",
    }  # fmt: skip
    golden = read_golden(bundle)
    with torch.inference_mode():
        logits = trained_student(run)(torch.from_numpy(golden.windows)).logits.numpy()
    np.testing.assert_allclose(golden.logits, logits, atol=1e-5)


def test_a_network_whose_source_was_changed_is_not_exported(folder: Path) -> None:
    source = folder / "watch_networks" / "mean.py"
    before = source.read_text(encoding="utf-8")
    source.write_text(before + "# another\n", encoding="utf-8")
    try:
        refused = exported(folder, "changed.bundle")
    finally:
        source.write_text(before, encoding="utf-8")
    assert isinstance(refused.exception, DataError)
    message = (
        r"the source of watch_networks\.mean \(.*\) was changed since .*Put the file back as it was, or train again"
    )
    assert re.search(message, str(refused.exception))
    assert not (folder / "changed.bundle").exists()


@pytest.mark.parametrize(
    ("target", "convert"), [("ONNX", to_onnx), pytest.param("TFLite", to_tflite, marks=pytest.mark.slow)]
)
def test_an_operator_that_no_format_has_is_told_with_its_layer(
    target: str, convert: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"singular_{target.lower()}"
    code = NETWORK.format(mixer="Singular", mixed="torch.linalg.svdvals(signal)", width=8)
    Path(f"{name}.py").write_text(code, encoding="utf-8")
    contract = Contract(labels=("a", "b"), window=WindowSpec(samples=64), gaf=None, raw=RawSpec(transforms=("g",)))
    student = own_student(f"{name}:make", contract)
    check_own(student, contract)
    layer = rf"{target} has no aten\._linalg_svd\.default, an operator of the layer body\.3 \(Singular\)"
    with pytest.raises(ConfigError, match=layer + r"\. Write the layer with operators that both"):
        convert(frozen_copy(student), contract)  # type: ignore[operator]
