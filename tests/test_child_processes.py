"""Every process that a test starts runs this checkout, whatever is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"vskd": "runtime", "vskd_training": "training", "vskd_export": "export", "vskd_benchmarks": "benchmarks"}


def test_a_child_process_finds_the_four_packages_in_the_checkout(tmp_path):
    """Without site-packages (``-S``), so that no editable installation of this checkout hides a missing path."""
    script = f"import json, importlib.util as u; print(json.dumps([u.find_spec(n).origin for n in {list(PACKAGES)}]))"
    words = [sys.executable, "-S", "-c", script]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    expected = [str(ROOT / folder / package / "__init__.py") for package, folder in PACKAGES.items()]
    assert json.loads(done.stdout) == expected
