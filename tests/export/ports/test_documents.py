"""The steps of ``docs/microcontroller.md``, run one by one as they stand there, with a bundle of the tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vskd_export.package.report import ExportReport
from vskd_export.ports.c.measure import missing_tools

DOCUMENT = Path(__file__).parents[3] / "docs" / "microcontroller.md"


def steps() -> list[str]:
    """The commands of the fenced blocks, in their order."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("cc")), reason="there is no cmake or cc")
def test_the_steps_run_as_they_stand(exported: ExportReport, tmp_path: Path) -> None:
    (tmp_path / "build/demo").mkdir(parents=True)
    shutil.copytree(exported.path, tmp_path / "build/demo/watch.bundle")
    rows = (f"{0.02 * row:.2f},0,0,{1 + 0.1 * (row % 9):.1f}" for row in range(900))
    (tmp_path / "build/demo/recording.csv").write_text("\n".join(["time_s,ax,ay,az", *rows]) + "\n")
    ran = []
    for command in steps():
        if "--measure" in command and missing_tools():
            continue
        shell = command.replace("vskd ", f"{sys.executable} -m vskd ", 1) if command.startswith("vskd ") else command
        done = subprocess.run(shell, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        ran.append(done.stdout + done.stderr)
    assert "100% tests passed" in ran[3]
    assert re.search(r"\d+\.\d\d s  \w+", ran[4])
