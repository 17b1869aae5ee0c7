"""What ``vskd verify`` says of the port in Kotlin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from export.ports.watch.kotlin_jvm import compiler
from vskd.bundle import Bundle
from vskd.checks.selftest import Check
from vskd.errors import EngineError
from vskd_export.ports import programs
from vskd_export.ports.watch import replay
from vskd_export.ports.watch.project import Project

TOLD = "2 of 3 windows bit-equal, 3 labels equal, 7 of 7 events equal, 0.1 ms a window"


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tool is there."""
    monkeypatch.setattr(programs.shutil, "which", lambda tool: tool)


def test_a_machine_with_kotlin_replays_the_bundle(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(compiler()).parent}{os.pathsep}{os.environ['PATH']}")
    (found,) = replay.replay(bundle)
    assert not found.problem
    assert found.detail.startswith("Kotlin on a JVM: ")
    assert "windows bit-equal" in found.detail


def test_a_machine_without_kotlin_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.shutil, "which", lambda _: None)
    assert list(replay.replay(bundle)) == [Check("port", "Kotlin: not replayed, kotlinc and java not found")]


@pytest.mark.usefixtures("tools")
def test_a_bundle_without_a_project_is_no_fault(bundle: Bundle) -> None:
    other = Bundle.open(bundle.path)
    other.models = tuple(entry for entry in other.models if entry.recipe == "fp32")
    (found,) = replay.replay(other)
    assert not found.problem
    assert found.detail.startswith("Kotlin: none, ")
    assert "has no int8 model for TensorFlow Lite" in found.detail


@pytest.mark.usefixtures("tools")
def test_a_difference_is_a_problem(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "replayed", lambda _: [TOLD, "window still: other bits"])
    (found,) = replay.replay(bundle)
    assert found.detail == "Kotlin on a JVM: 2 of 3 windows bit-equal, 7 of 7 events equal"
    assert found.problem.endswith("does not compute what the bundle's model does; report it: window still: other bits")
    monkeypatch.setattr(replay, "replayed", lambda _: ["Killed"])
    (found,) = replay.replay(bundle)
    assert "the self-test in Kotlin printed 'Killed', and no counts" in found.problem


@pytest.mark.usefixtures("tools")
def test_a_compiler_that_fails_is_a_problem(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Project) -> list[str]:
        raise EngineError("compiling by kotlinc failed (exit code 1): error: no")

    monkeypatch.setattr(replay, "replayed", refuse)
    (found,) = replay.replay(bundle)
    assert found == Check("port", "Kotlin on a JVM", "compiling by kotlinc failed (exit code 1): error: no")
