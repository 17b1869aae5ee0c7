"""A tiny experiment that the tests of training share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from training.command_line import Command, Outcome
from vskd.cli import main
from vskd_training.data.experiment import Experiment
from vskd_training.settings import Config, load_config

TINY = """
threads = 1
seed = 3
[data]
dataset = "synthetic"
view = "rendered"
[data.synthetic]
subjects = 4
trials = 1
duration_s = 3.5
[window]
samples = 64
rate_hz = 25.0
hop_samples = 16
[gaf]
size = 16
[student]
width = 0.125
[student_training]
epochs = 3
batch = 16
[teacher]
width = 0.125
segments = 3
[teacher_training]
epochs = 1
batch = 16
[loss]
kd = 0.5
distance = 0.1
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def vskd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["vskd", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def tiny_config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_config(tiny_config_file: Path) -> Config:
    return load_config(tiny_config_file)


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny(tiny_config: Config, tiny_cache: Path) -> Experiment:
    return Experiment.open(tiny_config, root=None, cache=tiny_cache, progress=None)
