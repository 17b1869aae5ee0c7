"""The arithmetic peak: plausible on this machine, and one sentence where it cannot be measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from research.peak import main, measure_peak
from vskd.errors import VskdError

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@needs_compiler
def test_the_peak_is_that_of_a_processor_and_int8_is_not_slower() -> None:
    peak = measure_peak(runs=2)
    # A slow core emulated by a busy one, and eight times the fastest vector unit of today.
    assert 1e8 < peak.fp32_macs_per_s < 5e12
    assert peak.int8_macs_per_s > 0.5 * peak.fp32_macs_per_s
    assert "," in peak.instructions


def test_no_compiler_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setattr("research.peak.shutil.which", lambda name: None)
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert "Error: there is no C compiler here. On Debian: apt install gcc" in result.output


@needs_compiler
def test_a_processor_without_a_kernel_is_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "peak.c"
    source.write_text('#error "no kernel for this processor"\n')
    with pytest.raises(VskdError, match=r"cannot compile peak\.c for this processor: .*no kernel for this processor"):
        measure_peak(source=source)


@needs_compiler
def test_the_last_line_is_one_json_document() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0
    told = json.loads(result.stdout.strip().splitlines()[-1])
    assert set(told) == {"int8_macs_per_s", "fp32_macs_per_s", "instructions"}
