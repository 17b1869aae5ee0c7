"""A tiny experiment that the tests of training share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from training.command_line import Command, Outcome
from training.tiny_config import TINY
from vskd.cli import main
from vskd_training.data.experiment import Experiment
from vskd_training.settings import Config, load_config


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
