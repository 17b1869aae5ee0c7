"""Every research script runs as a module and its help shows how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import research

SCRIPTS = sorted(path.stem for path in Path(research.__path__[0]).glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_help_of_a_script_shows_an_example(name):
    words = [sys.executable, "-m", f"research.{name}", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Example: " in done.stdout
    assert f"python -m research.{name} " in f"{' '.join(done.stdout.split())} "
