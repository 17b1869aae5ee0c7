"""What every area uses: where child processes find the sources, property-test profiles, real recordings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Every process that a test starts, directly or through the product, reads the sources that the tests themselves read:
# those of this checkout, which pytest puts on the path (pyproject.toml), and not an installed copy. Where a run leaves
# them out, as `make test-wheel` does, it is the installed wheel that is tested.
SOURCES = [str(ROOT / folder) for folder in ("runtime", "training", "export", "benchmarks")]
os.environ["PYTHONPATH"] = os.pathsep.join(
    [folder for folder in SOURCES if folder in sys.path] + list(filter(None, [os.environ.get("PYTHONPATH")]))
)

# What vskd keeps for a user, such as which models have been tried, is not the developer's: one place for all tests.
os.environ["XDG_CACHE_HOME"] = str(Path(tempfile.gettempdir()) / f"vskd-tests-{os.geteuid()}")

# New examples at every run find new bugs, at a desk. A gate must answer a commit twice alike. No example has a
# deadline: it takes ten times as long on a busy machine, which says nothing about the code.
settings.register_profile("desk", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable" if os.environ.get("VSKD_REPEATABLE") else "desk")


RunVskd = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run_vskd() -> RunVskd:
    """The command ``vskd`` in a process of its own: words -> what it printed and its exit code."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vskd", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return run


@pytest.fixture(scope="session")
def utd_mhad_root() -> Path:
    """The folder of UTD-MHAD as published, from the environment variable VSKD_UTD_MHAD."""
    folder = os.environ.get("VSKD_UTD_MHAD")
    if not folder:
        pytest.skip("set VSKD_UTD_MHAD to the folder of UTD-MHAD to run this test on real recordings")
    return Path(folder)
