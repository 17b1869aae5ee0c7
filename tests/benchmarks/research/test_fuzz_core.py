"""The fuzzer of the C core, with a fixed seed: it finds nothing where nothing is wrong, and what is planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.ports.native import STAND_IN, sanitizer_runtime, write_core
from export.ports.test_c_core import USUAL
from research.fuzz_core import fuzzed


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("", "", ""),
        (
            "stream->filled = VSKD_SAMPLES - VSKD_HOP;",
            "stream->filled = VSKD_SAMPLES;",
            "index 64 out of bounds",
        ),
        ("event->label = VSKD_LABEL_UNKNOWN;", "event->label = 77;", "deadly signal"),
    ],
    ids=["as it is", "a write beyond the window", "a label that is none"],
)
def test_the_fuzzer_finds_what_is_planted(tmp_path: Path, before: str, after: str, found: str) -> None:
    sanitizer_runtime()
    write_core(tmp_path, USUAL)
    files = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert before in files["vskd_core.c"]
    files["vskd_core.c"] = files["vskd_core.c"].replace(before, after) if before else files["vskd_core.c"]
    files["stand_in.c"] = STAND_IN.read_text(encoding="utf-8")
    result = fuzzed(files, ("vskd_core.c", "stand_in.c"), limit=("-runs=10000", "-seed=1"), folder=tmp_path)
    if found:
        assert any(found in line for line in result["violations"])
    else:
        assert result["violations"] == []
        assert result["tries"] >= 10_000
