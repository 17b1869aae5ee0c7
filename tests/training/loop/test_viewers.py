"""The log as TensorBoard and MLflow show it, read back by their own readers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from training.command_line import Command
from vskd_training.loop.viewers import Mlflow, TensorBoard, flat_settings
from vskd_training.settings import Config

TINY = ("--set", "student_training.epochs=2", "--set", "student_training.batch=16")


@pytest.fixture
def words(tiny_config_file: Path, tiny_cache: Path) -> tuple[object, ...]:
    return ("train", "student", "--config", tiny_config_file, "--cache", tiny_cache, *TINY)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run: name -> (step, value)."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="extra tensorboard")
    events = reading.EventAccumulator(str(folder))
    events.Reload()
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The same of ``log.jsonl``."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in (folder / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        number = row.pop("epoch")
        for name, value in row.items():
            found.setdefault(name, []).append((number, pytest.approx(value, rel=1e-6)))
    return found


def test_tensorboard_has_the_rows_of_the_log(vskd: Command, words: tuple[object, ...], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    done = vskd(*words, "--out", tmp_path / "run", "--tensorboard")
    assert done.code == 0, done.err
    shown = curves(tmp_path / "run")
    assert shown == logged(tmp_path / "run")
    assert [step for step, _ in shown["loss"]] == [1, 2]
    assert "validation_accuracy" in shown


def test_tensorboard_shows_one_curve_after_a_kill(tiny_config: Config, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    for first, rows in ((0, [(1, 0.9), (2, 0.5)]), (1, [(2, 0.8), (3, 0.7)])):
        viewer = TensorBoard()
        viewer.start(tmp_path, tiny_config, first)
        for number, loss in rows:
            viewer.epoch(number, {"loss": loss})
        viewer.finish(tmp_path, {})
    assert curves(tmp_path)["loss"] == [(1, pytest.approx(0.9)), (2, pytest.approx(0.8)), (3, pytest.approx(0.7))]


def client(folder: Path) -> Any:
    return pytest.importorskip("mlflow.tracking", reason="extra mlflow").MlflowClient(tracking_uri=folder.as_uri())


def test_mlflow_has_the_config_the_rows_and_the_card(
    vskd: Command, words: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="extra mlflow")
    monkeypatch.chdir(tmp_path)
    done = vskd(*words, "--out", "run", "--mlflow", "store")  # a folder, no server
    assert done.code == 0, done.err
    store = client(tmp_path / "store")
    (run,) = store.search_runs([store.get_experiment_by_name("vskd").experiment_id])
    card = json.loads(Path("run/run.json").read_text())
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert run.data.params["student_training.epochs"] == "2"
    assert run.data.params["gaf.size"] == "16"
    assert run.data.tags["weights_sha256"] == card["weights_sha256"]
    for name, rows in logged(tmp_path / "run").items():
        assert [(one.step, one.value) for one in store.get_metric_history(run.info.run_id, name)] == rows
    assert run.data.metrics["test_window_accuracy"] == card["metrics"]["test"]["window"]["all"]["accuracy"]
    (artifact,) = store.list_artifacts(run.info.run_id)
    found = store.download_artifacts(run.info.run_id, artifact.path, str(tmp_path))
    assert json.loads(Path(found).read_text()) == card


def test_mlflow_goes_on_with_its_run_after_a_kill(tiny_config: Config, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="extra mlflow")
    for first, rows in ((0, [(1, 0.9), (2, 0.5)]), (1, [(2, 0.5), (3, 0.7)])):
        viewer = Mlflow((tmp_path / "store").as_uri())
        viewer.start(tmp_path, tiny_config, first)
        for number, loss in rows:
            viewer.epoch(number, {"loss": loss})
    store = client(tmp_path / "store")
    (run,) = store.search_runs([store.get_experiment_by_name("vskd").experiment_id])
    history = store.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 0.9), (2, 0.5), (3, 0.7)]


def test_a_store_that_cannot_be_is_refused_in_a_sentence(
    vskd: Command, words: tuple[object, ...], tmp_path: Path
) -> None:
    pytest.importorskip("mlflow", reason="extra mlflow")
    done = vskd(*words, "--out", tmp_path / "run", "--mlflow", "gopher://nowhere")
    assert done.code == 1
    assert "the MLflow store gopher://nowhere takes no log" in " ".join(done.err.split())
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.parametrize(("option", "package"), [(("--tensorboard",), "tensorboard"), (("--mlflow", "x"), "mlflow")])
def test_a_missing_extra_is_refused_before_anything_else(
    vskd: Command,
    words: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: tuple[str, ...],
    package: str,
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else real(name, *rest))
    done = vskd(*words, "--out", tmp_path / "run", *option)
    assert done.code == 1
    assert f"{option[0]} needs {package}, which is not installed" in done.err
    assert f"pip install 'vskd[{package}]'" in done.err
    assert not (tmp_path / "run").exists()


def test_settings_are_flat(tiny_config: Config) -> None:
    flat = flat_settings(tiny_config)
    assert (flat["data.dataset"], flat["data.synthetic.subjects"], flat["seed"]) == ("synthetic", "4", "3")
