"""The page's network is timed in a real browser, by both engines."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from export.ports.page.node import EARLIER
from research.page_latency import main
from vskd_export.ports.page.wasm import missing_tools

MISSING = [*missing_tools(), *([] if shutil.which("chromium") else ["chromium"])]


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not found")
def test_a_bundle_is_timed_as_webassembly_and_in_javascript() -> None:
    done = CliRunner().invoke(main, [str(EARLIER), "--windows", "10"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout.splitlines()[-1])
    found = document["bundles"][EARLIER.name]
    assert "HeadlessChrome" in found["agent"]
    assert found["isolated"]
    for engine in ("wasm", "js"):
        assert found[engine]["windows"] == 10
        assert 0 < found[engine]["least_ms"] <= found[engine]["p50_ms"] <= found[engine]["p95_ms"]
    assert found["wasm"]["p50_ms"] < found["js"]["p50_ms"]
    assert [goal["goal"] for goal in document["goals"]] == [3.0]
