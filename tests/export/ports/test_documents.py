"""The steps of documents, run one by one as they stand there, with a bundle or recordings of the tests."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vskd_export.package.report import ExportReport
from vskd_export.ports.c.measure import TOOLS
from vskd_export.ports.programs import missing

DOCUMENT = Path(__file__).parents[3] / "docs" / "microcontroller.md"


def steps(document: Path) -> list[str]:
    """The commands of the fenced blocks that are marked as such, in their order."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("cc")), reason="there is no cmake or cc")
def test_the_steps_run_as_they_stand(exported: ExportReport, tmp_path: Path) -> None:
    (tmp_path / "build/demo").mkdir(parents=True)
    shutil.copytree(exported.path, tmp_path / "build/demo/watch.bundle")
    rows = (f"{0.02 * row:.2f},0,0,{1 + 0.1 * (row % 9):.1f}" for row in range(900))
    (tmp_path / "build/demo/recording.csv").write_text("\n".join(["time_s,ax,ay,az", *rows]) + "\n")
    ran = []
    for command in steps(DOCUMENT):
        if "--measure" in command and missing(TOOLS):
            continue
        shell = command.replace("vskd ", f"{sys.executable} -m vskd ", 1) if command.startswith("vskd ") else command
        done = subprocess.run(shell, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        ran.append(done.stdout + done.stderr)
    assert "100% tests passed" in ran[3]
    assert re.search(r"\d+\.\d\d s  \w+", ran[4])


def record(root: Path) -> None:
    """What three people leave in the folder: two activities of the wrist at 50 Hz, six clips each."""
    generator = np.random.default_rng(0)
    (root / "sensors").mkdir(parents=True)
    (root / "dataset.toml").write_text('name = "mine"\nunit = "m/s^2"\ngravity = true\nplacement = "right wrist"\n')
    rows = ["clip,subject,label,sensor"]
    for person, (label, hz), number in itertools.product(
        ("ann", "ben", "cara"), {"wave": 2.0, "stir": 0.7}.items(), range(6)
    ):
        clip, time_s = f"{person}_{label}_{number}", np.arange(320) / 50
        swing = np.sin(2 * np.pi * hz * time_s + generator.uniform(0, 6))[:, None] * generator.normal([6, 2, 1], 0.5)
        readings = swing + np.array([0, 3, 9.3]) + generator.normal(0, 0.2, (len(time_s), 3))
        lines = (f"{now:.3f},{x:.4f},{y:.4f},{z:.4f}" for now, (x, y, z) in zip(time_s, readings, strict=True))
        (root / "sensors" / f"{clip}.csv").write_text("\n".join(["time_s,ax,ay,az", *lines]) + "\n")
        rows.append(f"{clip},{person},{label},sensors/{clip}.csv")
    (root / "clips.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "left"),
    [
        ("own-recordings-to-wrist.md", ("mine-c/vskd_core.c", "mine-page/index.html", "mine-app/settings.gradle.kts")),
        ("tutorial.md", ("evaluation/report.html", "mine.bundle/report.html")),
    ],
)
def test_a_tutorial_runs_as_it_stands(tmp_path: Path, page: str, left: tuple[str, ...]) -> None:
    record(tmp_path / "recordings")
    for command in steps(DOCUMENT.with_name(page)):
        shell = command.replace("vskd ", f"{sys.executable} -m vskd ", 1)
        shell += " --set student_training.epochs=2 --set threads=1" if " train " in command else ""
        done = subprocess.run(shell, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    for name in left:
        assert (tmp_path / name).is_file(), name
