"""A tiny search that the tests share: three training subjects of the synthetic data set, a few steps a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from vskd_export.search import result, trial
from vskd_export.search.budget import Costs
from vskd_export.search.command import search

from .tiny_search import CONFIG, SEARCH, Call, Outcome, WriteSearch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def search_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def write_search(tmp_path: Path) -> WriteSearch:
    def write(text: str = SEARCH, config: str = CONFIG) -> Path:
        (tmp_path / "tiny.toml").write_text(config)
        path = tmp_path / "search.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def call(search_cache: Path) -> Call:
    """The command; an error that the command line would print comes back as exit code 1 and its text."""

    def invoke(*words: object) -> Outcome:
        done = CliRunner().invoke(search, [*map(str, words), "--cache", str(search_cache)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            return Outcome(1, done.stdout, f"{done.stderr}{type(done.exception).__name__}: {done.exception}")
        return Outcome(done.exit_code, done.stdout, done.stderr)

    return invoke


@pytest.fixture
def no_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs without a conversion: what torch counts, and 20 kB beside the weights; no latency."""

    def measured(student: object, contract: object, folder: Path) -> Costs:
        least = trial.least_costs(student, contract)  # type: ignore[arg-type]
        return Costs(least.macs, least.flash_bytes + 20_000, 10_000)

    monkeypatch.setattr(trial, "measure_costs", measured)
    monkeypatch.setattr("vskd_export.search.running.measure_costs", measured)
    monkeypatch.setattr(result, "_timed", lambda candidates, *_: tuple(candidates))
