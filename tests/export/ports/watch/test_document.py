"""The steps of ``docs/watch.md``, as far as they run without a watch, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from export.ports.watch.kotlin_jvm import compiler
from vskd.bundle import Bundle

DOCUMENT = Path(__file__).parents[4] / "docs" / "watch.md"


def test_the_steps_run_as_they_stand(bundle: Bundle, tmp_path: Path) -> None:
    path = f"{Path(compiler()).parent}{os.pathsep}{os.environ['PATH']}"
    shutil.copytree(bundle.path, tmp_path / "build/demo/watch.bundle")
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    told = ""
    for command in [line for block in blocks for line in block.splitlines()]:
        shell = command.replace("vskd ", f"{sys.executable} -m vskd ", 1) if command.startswith("vskd ") else command
        done = subprocess.run(
            shell,
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PATH": path},
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        told = done.stdout
    assert re.match(r"(\d+) of \1 windows bit-equal, \1 labels equal, (\d+) of \2 events equal, ", told)
