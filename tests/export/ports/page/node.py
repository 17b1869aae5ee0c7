"""Node with the page's core in it, for tests: a job in, its answer out."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import vskd_export.ports.page

NODE = shutil.which("node") or ""
NEEDS_NODE = pytest.mark.skipif(not NODE, reason="node is not installed")
#: A small bundle, written before ports were known.
EARLIER = Path(__file__).parents[3] / "golden" / "bundle-0.1.0-before-the-move" / "wrist.bundle"

CORE = Path(vskd_export.ports.page.__file__).parent / "core"


class Node:
    """A process that answers jobs until it is closed."""

    def __init__(self, script: str = "replay.mjs") -> None:
        command = [NODE, str(Path(__file__).with_name(script)), str(CORE)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, job: str, **parts: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, **parts}, allow_nan=False) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "node has stopped; what it said is above"
        return json.loads(answer)

    def close(self) -> None:
        self._process.communicate(timeout=20)


def sendable(value: float | int) -> float | str:
    """A number as JSON can hold it for ``replay.mjs``."""
    if isinstance(value, int):
        return f"{value}n"
    return value if math.isfinite(value) else str(value)
