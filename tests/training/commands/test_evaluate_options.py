"""`vskd evaluate`: which model of a bundle is tested is what the options name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from training.command_line import Command
from vskd.errors import DataError
from vskd_training.commands import evaluate as command
from vskd_training.evaluation import evaluate as evaluation
from vskd_training.evaluation import predictors
from vskd_training.runs.run import Run


def test_bundle_engine_and_recipe_reach_the_library(
    vskd: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def stop(run: object, bundle: Path, *, engine: str, recipe: str, **rest: object) -> NoReturn:
        asked.update(bundle=bundle, engine=engine, recipe=recipe)
        raise DataError("far enough")

    monkeypatch.setattr(Run, "open", lambda path, role: SimpleNamespace(config=None, card={"role": role}))
    monkeypatch.setattr(command, "open_experiment", lambda *words: None)
    monkeypatch.setattr(evaluation, "refuse_trained_on", lambda *words: None)
    monkeypatch.setattr(evaluation, "windows_to_test", lambda *words: 1)
    monkeypatch.setattr(predictors, "bundle_predictor", stop)
    bundle = tmp_path / "x.bundle"
    done = vskd("evaluate", "run", "--bundle", bundle, "--engine", "litert", "--recipe", "int8")
    assert (done.code, asked) == (1, {"bundle": bundle, "engine": "litert", "recipe": "int8"})
    assert "far enough" in done.err
