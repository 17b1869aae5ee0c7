"""``vskd verify`` replays the page's core by Node, and says what it found."""

from __future__ import annotations

import dataclasses
import re
import shutil

import pytest

from export.ports.page.node import EARLIER, NEEDS_NODE
from vskd.bundle import Bundle
from vskd_export.ports.page import replay as of_replay
from vskd_export.ports.page.model import model_of
from vskd_export.ports.page.replay import replay, replayed
from vskd_export.ports.page.wasm import missing_tools

ENGINES = ["JavaScript"] if missing_tools() else ["JavaScript", "WebAssembly"]


@NEEDS_NODE
def test_every_window_and_event_of_a_bundle_is_equal():
    checks = list(replay(Bundle.open(EARLIER)))
    assert [check.problem for check in checks] == [""] * len(ENGINES)
    for check, engine in zip(checks, ENGINES, strict=True):
        assert check.detail.startswith(f"page, {engine} by node: ")
        counts = check.detail.partition(": ")[2]
        assert re.match(r"([1-9]\d*) of \1 windows bit-equal, ([1-9]\d*) of \2 events equal", counts)


@NEEDS_NODE
def test_another_network_is_noticed():
    bundle = Bundle.open(EARLIER)
    model = model_of(bundle)
    arrays = bytearray(model.arrays)
    place = model.plan["steps"][-1]["biases"]["offset"]
    arrays[place + 1] ^= 0x7F
    found = replayed(bundle, dataclasses.replace(model, arrays=bytes(arrays)), shutil.which("node") or "")
    assert found["js"]["windows_equal"] < found["js"]["windows"]
    assert found["js"]["events_equal"] < found["js"]["events"]


def test_without_node_it_is_said(monkeypatch):
    monkeypatch.setattr(of_replay.shutil, "which", lambda _: None)
    (check,) = replay(Bundle.open(EARLIER))
    assert (check.detail, check.problem) == ("page: not replayed, there is no node", "")


def test_a_node_that_does_not_run_it_is_a_problem(monkeypatch):
    monkeypatch.setattr(of_replay.shutil, "which", lambda name: "/bin/false" if name == "node" else None)
    monkeypatch.setattr(of_replay, "missing_tools", lambda: ("clang",))
    (check,) = replay(Bundle.open(EARLIER))
    assert "running the page's core by node failed (exit code 1)" in check.problem
    assert "Update node to 18" in check.problem


@pytest.mark.skipif(not missing_tools(), reason="clang and lld are installed")
def test_without_clang_the_network_is_javascripts(run_vskd, tmp_path):
    done = run_vskd("page", EARLIER, "--out", tmp_path / "site")
    assert "the page computes the network in JavaScript, slower" in done.stderr
    assert run_vskd("page", EARLIER, "--out", tmp_path / "other", "--wasm").returncode == 2
