"""`vskd.train`, `vskd.evaluate`, `vskd.export`: from a config to a bundle and its classifier, as a notebook does it."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vskd
from vskd.errors import BundleError, ConfigError, DataError, MissingExtraError
from vskd_training.runs.run import Run

from .training.tiny_config import TINY

TWO_STEPS = {"student_training.steps": 2, "student_training.batch": 4, "data.validation_subjects": [1]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    options = {"cache": folder / "cache", "progress": False}
    return vskd.train(folder / "tiny.toml", folder / "run", changes=TWO_STEPS, **options)


def test_a_run_is_trained_as_the_command_trains_it(folder, run, capsys):
    assert run.path == folder / "run"
    assert (run.card["role"], run.config.student_training.steps) == ("student", 2)
    assert run.card["data"]["split"]["validation"] == ["1"], "a subject's name, as --set takes it"
    accuracy = run.card["metrics"]["test"]["recording"]["all"]["accuracy"]
    assert repr(run) == f"<Run {folder / 'run'}: student, test accuracy {accuracy:.3f} of 24 recordings>"
    assert capsys.readouterr() == ("", "")


def test_a_run_and_its_folder_are_evaluated_alike(folder, run, capsys):
    options = {"cache": folder / "cache", "progress": False}
    found = vskd.evaluate(run, **options)
    again = vskd.evaluate(folder / "run", **options)
    assert found == again
    assert found.metrics["window"] == run.card["metrics"]["test"]["window"]
    assert found.unknown_below.coverage == 0.95
    assert repr(found).startswith("<Evaluation of model.safetensors on torch: ")
    assert "24 recordings: accuracy" in repr(found)
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_standard_error(folder, run, capsys, monkeypatch):
    monkeypatch.setattr("vskd.commands.progress.EVERY_S", 0.01)
    vskd.evaluate(run, cache=folder / "other")
    printed = capsys.readouterr()
    assert (printed.out, "recordings: " in printed.err) == ("", True), printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "forrest"}, "there is no kind of training 'forrest'. Did you mean 'forest'"),
        ({"kind": "teacher", "teachers": "runs/other"}, "a teacher takes no teachers"),
        ({"kind": "forest", "study": "runs/study"}, "a forest takes no study"),
        ({"study": "runs/study"}, "Give everybody=True, too"),
        ({"everybody": True, "changes": {"data.fold": "2"}}, 'data.fold="2" says who is on which side. Leave out one'),
        ({"changes": {"student_training.epoch": 3}}, "Did you mean 'epochs'"),
        ({"changes": "seed=x"}, "seed"),
        ({"changes": {"student": "a\nb\u2028"}}, "student"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_read(folder, options, message):
    with pytest.raises(ConfigError, match=message):
        vskd.train(folder / "tiny.toml", folder / "none", cache=folder / "no cache", **options)
    assert not (folder / "none").exists()
    assert not (folder / "no cache").exists()


def test_one_teacher_may_be_given_without_a_list(folder):
    with pytest.raises(DataError, match=r"nobody holds no run: it has no run\.json"):
        vskd.train(folder / "tiny.toml", folder / "none", teachers=str(folder / "nobody"))


@pytest.mark.parametrize(
    ("options", "message"), [({"engine": "litert"}, "Give bundle, too"), ({"coverage": float("nan")}, "at most 1")]
)
def test_what_cannot_be_evaluated_is_refused(run, options, message):
    with pytest.raises(ConfigError, match=message):
        vskd.evaluate(run, **options)


def test_what_cannot_be_exported_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="fp61"):
        vskd.export(run, tmp_path / "x.bundle", recipes="fp61")
    (tmp_path / "x.bundle").mkdir()
    with pytest.raises(BundleError, match=r"x\.bundle exists"):
        vskd.export(run, tmp_path / "x.bundle")


@pytest.mark.slow
def test_a_run_becomes_a_bundle_and_a_classifier(folder, run, capsys):
    options = {"cache": folder / "cache", "progress": False}
    report = vskd.export(run, folder / "x.bundle", recipes=["fp16.tflite"], allow_degraded=True, **options)
    assert repr(report).startswith(f"<ExportReport {folder / 'x.bundle'}: model.fp32.onnx ")
    with vskd.Classifier.open(report, engine="litert") as classifier:
        assert classifier.labels == run.contract.labels
    tested = vskd.evaluate(run, bundle=report, engine="onnxruntime", recipe="fp32", **options)
    assert tested.metrics["window"]["all"]["count"] == run.card["metrics"]["test"]["window"]["all"]["count"]
    assert capsys.readouterr() == ("", "")


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_looking_loads_nothing_that_is_heavy():
    code = "import sys, vskd; help(vskd.train); [vskd.evaluate, vskd.export]; print('torch' in sys.modules)"
    assert in_a_fresh_process(code).endswith("\nFalse")
    light = "import sys, vskd; dir(vskd); print({'numpy', 'click', 'importlib.metadata'} & set(sys.modules))"
    assert in_a_fresh_process(light) == "set()"


@pytest.mark.parametrize(("name", "words"), [("train", "('a', 'b')"), ("evaluate", "('a')"), ("export", "('a', 'b')")])
def test_without_torch_each_names_the_extra(tmp_path, name, words):
    code = f"""
import sys, vskd
sys.modules["torch"] = None
from vskd.errors import MissingExtraError
try:
    vskd.{name}{words}
except MissingExtraError as error:
    print(error)
"""
    expected = f"vskd.{name} needs torch, which is not installed. pip install 'vskd[training]'"
    assert in_a_fresh_process(code) == expected


def test_a_module_that_no_extra_has_is_not_renamed(monkeypatch):
    """A mistake of ours, or of a user's own network, stays what it is."""
    from vskd_training.loop import viewers

    monkeypatch.setattr(viewers, "viewers", lambda **_: __import__("no_such_module"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as found:
        vskd.train("a.toml", "run")
    assert not isinstance(found.value, MissingExtraError)


def test_what_is_not_registered_is_no_attribute(monkeypatch):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    monkeypatch.delitem(vars(vskd), "train", raising=False)
    assert not hasattr(vskd, "train")
    with pytest.raises(AttributeError, match=r"pip install 'vskd\[export\]'"):
        vskd.train  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        vskd.trian  # noqa: B018


def test_the_stub_has_every_public_name_with_a_type():
    stub = Path(vskd.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    named = {alias.asname for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(vskd.__all__) - {"__version__"}
    for name in named:
        found = getattr(vskd, name)
        assert inspect.getdoc(found)
        assert f"from {found.__module__} import {name} as {name}\n" in stub
