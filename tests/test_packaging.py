"""The wheel, its entry points, and what its command answers where torch is not installed.

The command is run from the unpacked wheel, not from the working tree: what is tested is what is shipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from email.parser import Parser
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

import vskd

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS = PROJECT["entry-points"]["vskd.commands"]
FOLDERS = {"vskd": "runtime", "vskd_training": "training", "vskd_export": "export", "vskd_benchmarks": "benchmarks"}
#: What the training environment brings and a watch does not have.
TRAINING_ENVIRONMENT = [
    "torch", "torchvision", "scipy", "sklearn", "av", "safetensors", "matplotlib", "litert_torch", "ai_edge_quantizer",
    "onnx", "onnxscript", "flatbuffers", "pyts", "tflite_micro",
]  # fmt: skip
ENGINES = ["onnxruntime", "ai_edge_litert", "tflite_runtime", "tensorflow"]
#: What help needs none of, so that it answers within 200 ms; numpy alone would take half of them.
SLOW_TO_LOAD = [*TRAINING_ENVIRONMENT, *ENGINES, "numpy", "rich", "joblib", "jsonschema", "jinja2"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built by the backend that pyproject.toml names."""
    folder = tmp_path_factory.mktemp("dist")
    script = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_module_of_the_four_packages_and_nothing_else(wheel):
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(ROOT / folder).as_posix()
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == source
    assert {name.partition("/")[0] for name in shipped} == set(FOLDERS)


def test_the_wheel_holds_the_licence_and_types_and_no_tests(wheel):
    names = wheel.namelist()
    (licence,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert b"Apache License" in wheel.read(licence)
    (of_data,) = [name for name in names if ".dist-info/licenses/" in name and name.endswith("/LICENCE.data.txt")]
    assert b"Redistribution and use" in wheel.read(of_data)
    assert all(f"{package}/py.typed" in names for package in FOLDERS)
    assert not [name for name in names if name.startswith("tests/") or "/test_" in name or "conftest" in name]


def test_the_wheel_registers_the_command_and_its_sub_commands(wheel):
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(entry_points).decode()
    assert "vskd = vskd.cli:main" in text
    for name, target in COMMANDS.items():
        assert f"{name} = {target}" in text


def test_the_wheel_says_what_the_device_needs_and_no_more(wheel):
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    message = Parser().parsestr(wheel.read(metadata).decode())
    requirements = [Requirement(text) for text in message.get_all("Requires-Dist", [])]
    always = {requirement.name for requirement in requirements if requirement.marker is None}
    assert always == {"numpy", "click", "rich"}
    assert message["License-Expression"] == "Apache-2.0 AND BSD-3-Clause"
    assert message["Requires-Python"] == ">=3.11"


@pytest.mark.parametrize("place", ["vskd.commands", "console_scripts"])
def test_the_installation_is_of_this_tree(place):
    expected = {f"{name} = {target}" for name, target in COMMANDS.items()}
    if place == "console_scripts":
        expected = {"vskd = vskd.cli:main"}
    found = {f"{entry.name} = {entry.value}" for entry in distribution("vskd").entry_points if entry.group == place}
    assert found == expected, "pyproject.toml has changed since; install again with pip install --editable '.[dev]'"


def test_the_version_stands_in_two_places_and_agrees():
    assert vskd.__version__ == PROJECT["version"]


# --- the command, out of the wheel

Vskd = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def vskd_command(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Vskd:
    """Run ``vskd`` in a fresh interpreter where the named packages cannot be imported."""
    site = tmp_path_factory.mktemp("site")
    wheel.extractall(site)

    def run(*words: str | Path, absent: list[str] | None = None, then: str = "") -> subprocess.CompletedProcess[str]:
        script = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent or []!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.argv = {["vskd", *map(str, words)]!r}
from vskd.cli import main
try:
    main()
finally:
    {then or "pass"}
"""
        return subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=site,
            env={**os.environ, "PYTHONPATH": str(site)},
        )

    return run


def test_the_command_runs_from_the_wheel(vskd_command):
    done = vskd_command("--version", then="import vskd; print(vskd.__file__, file=sys.stderr)")
    assert done.stdout == f"vskd, version {PROJECT['version']}\n"
    assert done.stderr.strip().endswith("__init__.py")
    assert str(ROOT) not in done.stderr


SHOW_LOADED = "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"


def test_help_lists_every_command_and_loads_nothing_slow(vskd_command):
    done = vskd_command("--help", then=SHOW_LOADED)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert loaded.isdisjoint(SLOW_TO_LOAD)


def every_command() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and sub-command, by the words that call it."""
    for name, value in COMMANDS.items():
        command = EntryPoint(name=name, value=value, group="vskd.commands").load()
        yield (name,), command
        if isinstance(command, click.Group):
            yield from (((name, below), sub) for below, sub in command.commands.items() if not sub.hidden)


EVERY_COMMAND = dict(every_command())


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_the_help_of_every_command_loads_nothing_slow(vskd_command, words):
    done = vskd_command(*words, "--help", then=SHOW_LOADED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: vskd {' '.join(words)} ")
    assert set(done.stderr.split()).isdisjoint(SLOW_TO_LOAD)


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_its_name_a_sentence_and_an_example(words):
    command = EVERY_COMMAND[words]
    assert command.name == words[-1]
    assert command.help
    assert f"vskd {' '.join(words)}" in (command.epilog or "")


def test_a_preset_is_found_without_a_clone_and_without_torch(vskd_command):
    done = vskd_command("config", "show", "folder", "--short", absent=["torch", "scipy", "matplotlib"])
    assert done.returncode == 0, done.stderr
    assert '[data]\ndataset = "folder"\n' in done.stdout


def test_help_works_on_a_watch(vskd_command):
    done = vskd_command("--help", absent=[*TRAINING_ENVIRONMENT, *ENGINES])
    assert done.returncode == 0, done.stderr
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.fixture(scope="session")
def preset() -> Path:
    """Any config that the project ships."""
    return sorted((ROOT / "training").rglob("*.toml"))[0]


def test_train_without_torch_names_the_extra(vskd_command, preset, tmp_path):
    done = vskd_command("train", "student", "--config", preset, "--out", tmp_path / "run", absent=TRAINING_ENVIRONMENT)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: vskd train needs " in done.stderr
    assert "pip install 'vskd[training]'" in done.stderr
    assert not (tmp_path / "run").exists()


def test_export_without_torch_names_the_extra(vskd_command, tmp_path):
    done = vskd_command("export", tmp_path, "--out", tmp_path / "x.bundle", absent=TRAINING_ENVIRONMENT)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "pip install 'vskd[" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_without_an_engine_names_the_extra(vskd_command, contract_bundle):
    done = vskd_command("run", contract_bundle, "--input", "-", absent=ENGINES)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "pip install 'vskd[litert]'" in done.stderr


@pytest.fixture
def contract_bundle(tmp_path: Path) -> Path:
    contract = vskd.Contract(labels=("a", "b"))
    entry = vskd.bundle.ModelEntry("model.onnx", "onnx", "fp32")
    return vskd.bundle.write_bundle(
        tmp_path / "x.bundle", contract=contract, models=[entry], files={"model.onnx": b"-"}
    )


def test_a_module_that_is_nobodys_extra_is_a_defect_and_not_hidden(vskd_command):
    done = vskd_command("inspect", "x.bundle", absent=["json"])
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'json'" in done.stderr
