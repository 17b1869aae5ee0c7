"""Headless Chromium with the page in it, for tests: a job of ``browser.mjs`` in, its answer out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from export.ports.page.node import NODE

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
#: ``npm install --prefix FOLDER playwright-core``
FOLDER = Path(os.environ.get("VSKD_PLAYWRIGHT") or Path.home() / ".cache" / "vskd-playwright")
PLAYWRIGHT = FOLDER / "node_modules" / "playwright-core"

MISSING = next(
    (
        reason
        for is_missing, reason in (
            (not NODE, "node is not installed"),
            (not CHROMIUM, "chromium is not installed"),
            (not PLAYWRIGHT.is_dir(), "npm install --prefix ~/.cache/vskd-playwright playwright-core"),
        )
        if is_missing
    ),
    "",
)


class Chromium:
    """A browser that does jobs until it is closed."""

    def __init__(self) -> None:
        command = [NODE, str(Path(__file__).with_name("browser.mjs")), str(PLAYWRIGHT), CHROMIUM]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, job: str, **parts: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, **parts}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "failed" not in answer, answer.get("failed")
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=60)
