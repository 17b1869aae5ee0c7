"""Node with the page's core in it, for tests: a job in, its answer out."""

from __future__ import annotations

import base64
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import vskd_export.ports.page
from vskd.contract import Contract
from vskd.plan.steps import Plan
from vskd_export.ports.page.model import encoding, plan_file
from vskd_export.ports.page.wasm import Wasm

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


def network_parts(contract: Contract, plan: Plan, wasm: Wasm | None = None) -> dict[str, Any]:
    """A network as ``replay.mjs`` takes it: in JavaScript, or compiled."""
    header, arrays = plan_file(plan)
    module = {"wasm": base64.b64encode(wasm.content).decode(), "layout": dict(wasm.layout)} if wasm else {}
    return {"encoding": encoding(contract), "plan": header, "arrays": base64.b64encode(arrays).decode(), **module}


def sendable(value: float | int) -> float | str:
    """A number as JSON can hold it for ``replay.mjs``."""
    if isinstance(value, int):
        return f"{value}n"
    return value if math.isfinite(value) else str(value)
