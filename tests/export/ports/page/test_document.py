"""The commands of ``docs/phone.md`` are there as they stand, and the one that ends by itself runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from export.ports.page.node import EARLIER
from vskd.cli import vskd

DOCUMENT = (Path(__file__).parents[4] / "docs" / "phone.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_known():
    commands = [line for line in DOCUMENT.splitlines() if line.startswith("vskd ")]
    assert len(commands) == 4
    for command in commands:
        _, *words = command.split()
        name = words[:2] if words[0] == "data" else words[:1]
        text = CliRunner().invoke(vskd, [*name, "--help"]).output
        assert all(option in text for option in words if option.startswith("--")), command
    page = CliRunner().invoke(vskd, ["serve", "--help"]).output
    assert all(option in page for option in re.findall(r"`(--\w+)[ `]", DOCUMENT))


def test_the_step_that_ends_runs_as_it_stands(tmp_path):
    (tmp_path / "build/demo").mkdir(parents=True)
    shutil.copytree(EARLIER, tmp_path / "build/demo/watch.bundle")
    (command,) = re.findall(r"```sh\nvskd (.*)\n```", DOCUMENT)
    done = subprocess.run(
        [sys.executable, "-m", "vskd", *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").is_file()
