"""`vskd evaluate`: which model of a bundle is tested is what the options name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from training.command_line import Command
from vskd.engines import ENGINES
from vskd.errors import DataError
from vskd_training.commands import python
from vskd_training.evaluation import evaluate as evaluation
from vskd_training.evaluation import predictors, tables
from vskd_training.runs.run import Run


def opened_run(path: Path, role: str) -> SimpleNamespace:
    return SimpleNamespace(config=None, card={"role": role}, root=lambda: None)


def test_bundle_engine_recipe_and_folders_reach_the_library(
    vskd: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def stop(run: object, bundle: Path, *, engine: str, recipe: str, **rest: object) -> NoReturn:
        asked.update(bundle=bundle, engine=engine, recipe=recipe)
        raise DataError("far enough")

    monkeypatch.setattr(Run, "open", opened_run)

    def opened(config: object, root: Path, cache: Path, *, shown: bool) -> str:
        asked.update(root=root, cache=cache)
        return "experiment"

    monkeypatch.setattr(python, "open_experiment", opened)
    monkeypatch.setattr(evaluation, "refuse_trained_on", lambda run, experiment: asked.update(checked=experiment))
    monkeypatch.setattr(evaluation, "windows_to_test", lambda *words: 1)
    monkeypatch.setattr(predictors, "bundle_predictor", stop)
    bundle = tmp_path / "x.bundle"
    folders = ("--root", tmp_path / "data", "--cache", tmp_path / "cache")
    done = vskd("evaluate", "run", "--bundle", bundle, "--engine", "litert", "--recipe", "int8", *folders)
    found = {"root": tmp_path / "data", "cache": tmp_path / "cache", "checked": "experiment"}
    assert (done.code, asked) == (1, {"bundle": bundle, "engine": "litert", "recipe": "int8", **found})
    assert "far enough" in done.err


@pytest.mark.parametrize("leaky", [False, True])
def test_tables_and_plots_of_a_leaky_split_are_titled_so(
    vskd: Command, monkeypatch: pytest.MonkeyPatch, leaky: bool
) -> None:
    titles: list[str] = []

    def stop(title: str, result: object) -> NoReturn:
        titles.append(title)
        raise DataError("far enough")

    found = SimpleNamespace(model="model.safetensors", engine="torch", leaky=leaky)
    monkeypatch.setattr(Run, "open", lambda path, role: opened_run(path, "student"))
    monkeypatch.setattr(python, "open_experiment", lambda *words, shown: None)
    monkeypatch.setattr(evaluation, "refuse_trained_on", lambda *words: None)
    monkeypatch.setattr(evaluation, "windows_to_test", lambda *words: 1)
    monkeypatch.setattr(predictors, "network_predictor", lambda *words: None)
    monkeypatch.setattr(evaluation, "evaluate", lambda *words, coverage: found)
    monkeypatch.setattr(tables, "evaluation_tables", stop)
    assert vskd("evaluate", "runs/a").code == 1
    assert titles == ["student a, model.safetensors on torch" + (" LEAKY" if leaky else "")]


def test_what_cannot_be_done_is_refused_before_the_run_is_read(vskd: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    below_a_file = vskd("evaluate", "runs/a", "--out", tmp_path / "notes.txt" / "evaluation")
    assert below_a_file.code == 1
    assert "notes.txt/evaluation/evaluation.json: Not a directory\n" in below_a_file.err
    no_engine = vskd("evaluate", "runs/a", "--bundle", "x.bundle", "--engine", "TEXT")
    assert no_engine.code == 2
    assert all(f"'{engine}'" in no_engine.err for engine in ENGINES)


def test_the_old_name_of_an_option_is_refused_with_the_new_one(vskd: Command) -> None:
    done = vskd("evaluate", "runs/a", "--keep", "0.9")
    assert done.code == 2
    assert "--keep is called --coverage now" in done.err
