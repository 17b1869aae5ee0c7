"""The kit on an emulated Raspberry Pi: it installs, every stage passes, and the answers are this machine's.

The wheels are the true ones of the board; the bundle's own limits decide what agrees.
"""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from .parity import ENGINES, Installed, compare, succeeded

pytestmark = pytest.mark.emulation


@pytest.fixture(scope="session")
def compared(installed: Installed) -> dict[str, Any]:
    return compare(installed)


def test_the_board_is_what_the_kit_is_for(installed: Installed) -> None:
    code = "import platform, sys, numpy; print(platform.machine(), sys.prefix, numpy.__version__)"
    python = installed.folder / "venv" / "bin" / "python"
    machine, prefix, numpy_version = succeeded(
        installed.board.run([python, "-c", code], folder=installed.folder)
    ).stdout.decode().split()  # fmt: skip
    assert machine == installed.board.guest.machine
    assert prefix == str(installed.folder / "venv")
    assert numpy_version.startswith("1.24." if machine == "armv7l" else "2.")


def test_the_self_test_passed_in_the_boards_engines(installed: Installed) -> None:
    lines = installed.output.splitlines()
    assert all(line.startswith("ok ") for line in lines), installed.output
    for engine in ENGINES[installed.board.guest.machine]:
        assert len([line for line in lines if f" on {engine} " in line]) == 2, installed.output


def test_verify_passes(installed: Installed) -> None:
    done: subprocess.CompletedProcess[bytes] = installed.vskd("verify", installed.bundle)
    text = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, text
    assert "FAILED" not in text
    for engine in ENGINES[installed.board.guest.machine]:
        assert len([line for line in text.splitlines() if f" on {engine} " in line]) == 4, text


def test_every_label_is_this_machines(compared: dict[str, Any]) -> None:
    assert len(compared["models"]) == 2 * len(ENGINES[compared["machine"]])
    margin = compared["limits"]["int8_label_may_change_up_to_margin"]
    for model in compared["models"]:
        differ = model["labels_that_differ"]
        allowed = {} if model["recipe"] == "fp32" else {name: lead for name, lead in differ.items() if lead <= margin}
        assert differ == allowed, model


def test_every_answer_is_within_the_contracts_limit(compared: dict[str, Any]) -> None:
    limit = compared["limits"]["fp32_logit_from_golden"]
    for model in compared["models"]:
        if model["recipe"] == "fp32":
            assert model["largest_logit_difference_from_golden"] <= limit, model
            # Two machines that are each so far from the trained network may be twice as far from one another.
            assert model["largest_logit_difference"] <= 2 * limit, model
        assert model["largest_probability_difference"] <= compared["limits"]["int8_probability"], model


def test_a_recording_gives_the_same_events(compared: dict[str, Any]) -> None:
    for model in compared["models"]:
        assert model["events"] > 5
        assert model["events_at_the_same_times"]
        assert model["event_labels_that_differ"] == 0
        assert model["largest_event_probability_difference"] <= compared["limits"]["int8_probability"]
