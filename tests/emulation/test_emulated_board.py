"""What the emulation says where it cannot be had. These tests need neither a network nor an emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from .emulated_board import GUESTS, NoEmulationError, prepare


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("machine", list(GUESTS))
def test_a_machine_without_debians_tools_is_named(tools: Path, tmp_path: Path, machine: str) -> None:
    with pytest.raises(NoEmulationError, match="dpkg is not installed; emulation needs Debian's tools"):
        prepare(GUESTS[machine], tmp_path / "cache")


def test_a_package_that_cannot_be_had_is_named_and_nothing_is_left(tools: Path, tmp_path: Path) -> None:
    program(tools / "qemu-aarch64-static", "exit 1")
    program(
        tools / "apt-get", 'echo "Reading" >&2; echo "E: Unable to locate package python3.11-minimal" >&2; exit 100'
    )
    with pytest.raises(NoEmulationError, match=r"apt-get failed: E: Unable to locate package python3\.11-minimal"):
        prepare(GUESTS["aarch64"], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_installed_emulator_is_taken_and_what_is_there_is_not_fetched_again(tools: Path, tmp_path: Path) -> None:
    program(tools / "qemu-aarch64-static", 'echo "$@"')
    (tmp_path / "a cache" / "root-aarch64" / "usr" / "bin").mkdir(parents=True)
    board = prepare(GUESTS["aarch64"], tmp_path / "a cache")
    assert board.emulator == tools / "qemu-aarch64-static"
    done = board.run([board.python, "-c", "pass"], folder=tmp_path)
    root = tmp_path / "a cache" / "root-aarch64"
    expected = f"-cpu cortex-a72 -L {root} -0 {board.python} {root}/usr/bin/python3.11 -c pass\n"
    assert done.stdout.decode() == expected
