"""The long proof, short: what it counts, and that it fails where memory grows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from research import soak


def test_a_soak_counts_its_samples_pauses_and_readings():
    result = soak.soak(50_000)
    assert (result["samples"], result["gaps"]) == (50_000, 1)
    assert len(result["resident_bytes"]) == soak.READINGS
    assert result["events"] > 1000


@pytest.mark.parametrize(("growth", "code"), [(0, 0), (soak.MOST_GROWTH_BYTES + 1, 1)])
def test_growth_is_a_failure(monkeypatch, growth, code):
    readings = iter([10**7] * (soak.READINGS - 1) + [10**7 + growth])
    monkeypatch.setattr(soak, "resident_bytes", lambda: next(readings))
    done = CliRunner().invoke(soak.main, ["--samples", "500"])
    assert (done.exit_code, json.loads(done.stdout)["growth_bytes"]) == (code, growth)


def test_a_process_of_its_own_does_not_grow():
    done = subprocess.run(
        [sys.executable, "-m", "research.soak", "--samples", "100000"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_system_that_does_not_tell_its_memory_is_named(tmp_path):
    (tmp_path / "status").write_text("Name: python\n")
    with pytest.raises(OSError, match="status does not hold VmRSS"):
        soak.resident_bytes(tmp_path / "status")
