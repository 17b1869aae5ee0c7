"""What every process is told, in which order, and whose replies a case keeps: with workers that only take notes."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vskd.bundle import Bundle, FileEntry, ModelEntry
from vskd.contract import Contract
from vskd.manifest import Manifest
from vskd_benchmarks.measure import rounds
from vskd_benchmarks.measure.plan import bundle_case
from vskd_benchmarks.measure.rounds import Measurement
from vskd_benchmarks.measure.settings import FULL, QUICK, Settings

from ..conftest import no_progress

MODELS = {"a": ModelEntry("a.onnx", "onnx", "fp32"), "b": ModelEntry("b.tflite", "tflite", "w8a8-static-pc")}
ENGINES = {"a": "onnxruntime", "b": "litert"}
LIBRARY = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert.interpreter"}
FILES = {"contract.json": FileEntry("0" * 64, 1)} | {
    model.file: FileEntry(name * 64, 10) for name, model in MODELS.items()
}
BUNDLE = Bundle(Path("two.bundle"), Contract(labels=("x", "y")), Manifest(1, tuple(MODELS.values()), FILES))

#: Length of a warm call, s: one case is a hundred times slower than the other.
CALL_S = {"a": 0.05, "b": 0.0005}


class Notes:
    """Stands in for the processes: what was started and sent, by the letter of the case or the library's package."""

    def __init__(self) -> None:
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.cold: list[tuple[Path, dict[str, Any]]] = []

    def process(self, name: str, command: list[str], **options: Any) -> Worker:
        job = json.loads(command[-1])
        letter = job["package"] if job["kind"] == "library" else job["file"][0]
        self.started.append((letter, options))
        return Worker(letter, self)

    def cold_start(self, bundle: Path, **options: Any) -> dict[str, Any]:
        self.cold.append((bundle, options))
        return {"median_ns": 1}

    def of(self, letter: str, do: str) -> list[dict[str, Any]]:
        return [settings for who, what, settings in self.sent if (who, what) == (letter, do)]

    def order(self) -> list[str]:
        return [who for who, what, _ in self.sent if what == "block"]


class Worker:
    def __init__(self, letter: str, notes: Notes) -> None:
        self.ready = {"letter": letter}
        self._letter, self._notes = letter, notes

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""

    def ask(self, do: str, **settings: Any) -> dict[str, Any]:
        self._notes.sent.append((self._letter, do, settings))
        return {
            "warm_up": {"calls": 100, "elapsed_ns": 100 * CALL_S.get(self._letter, 1) * 1e9},
            "block": {"latency_ns": {"whole": [ord(self._letter[0])]}, "started_ns": [0], "own_ns": 0},
            "memory": {"memory": {"bytes": len(self._letter) * 1000, "source": "VmHWM"}},
            "outputs": {"outputs": self._letter, "golden": None},
            "repeat": {"letter": self._letter},
        }[do]


@pytest.fixture
def notes(monkeypatch) -> Notes:
    notes = Notes()
    monkeypatch.setattr(rounds, "WorkerProcess", notes.process)
    monkeypatch.setattr(rounds, "cold_start", notes.cold_start)
    return notes


def on_start(pid: int) -> str:
    return str(pid)


def measured(settings: Settings, threads: int = 1) -> dict[str, Any]:
    cases = [bundle_case("two", BUNDLE, ENGINES[name], MODELS[name], threads) for name in MODELS]
    measurement = Measurement(settings, cases, no_progress, variables={"CACHE": "here"}, on_start=on_start)
    return {case.plan.job["file"][0]: case for case in measurement.measure()}


def test_every_process_gets_its_threads_its_variables_and_the_profile(notes):
    measured(Settings((), threads=3), threads=3)
    cases = [options for letter, options in notes.started if letter in MODELS]
    assert cases == [{"threads": 3, "variables": {"CACHE": "here"}, "on_start": on_start}] * 4  # rounds, and audit
    libraries = {letter: options for letter, options in notes.started if letter not in MODELS}
    assert libraries == {LIBRARY[engine]: {"threads": 1, "on_start": on_start} for engine in ENGINES.values()}
    assert [path for path, _ in notes.cold] == [BUNDLE.path] * 2
    for _, options in notes.cold:
        (name,) = [name for name in MODELS if ENGINES[name] == options["engine"]]
        assert options == {
            "engine": ENGINES[name], "recipe": MODELS[name].recipe, "threads": 3, "repeats": FULL.cold_starts,
            "on_start": on_start,
        }  # fmt: skip


def test_single_stream_warms_up_everything_and_discards_the_start_of_each_block(notes):
    settings = Settings((), quick=True)
    measured(settings)
    for name in MODELS:
        assert notes.of(name, "warm_up") == [{"path_only": False, "rule": dataclasses.asdict(QUICK.rule)}]
        blocks = notes.of(name, "block")
        assert len(blocks) == QUICK.rounds
        assert {block["calls"] for block in blocks} == {QUICK.calls_per_round(CALL_S[name])}
        assert all(block["discard"] == QUICK.discard > 0 for block in blocks)
        assert all((block["path_only"], block["period_ns"]) == (False, 0) for block in blocks)


def test_paced_measures_the_path_alone_at_its_pace(notes):
    measured(Settings((), mode="paced", rate_hz=4.0, duration_s=5.0))
    for name in MODELS:
        assert [sent["path_only"] for sent in notes.of(name, "warm_up")] == [True]
        assert notes.of(name, "block") == [{"path_only": True, "calls": 20, "discard": 0, "period_ns": 250_000_000}]


def test_a_case_keeps_its_own_replies(notes):
    for name, case in measured(Settings((), quick=True)).items():
        assert case.reply == case.repeat == {"letter": name}
        assert case.outputs["outputs"] == name
        assert {block["latency_ns"]["whole"][0] for block in case.blocks} == {ord(name)}
        assert case.memory == {
            "peak_bytes": 1000, "library_bytes": 1000 * len(LIBRARY[ENGINES[name]]), "source": "VmHWM"
        }  # fmt: skip


def test_the_order_within_rounds_is_drawn_and_always_the_same(notes):
    orders = []
    for _ in range(2):
        notes.sent.clear()
        measured(Settings(()))
        orders.append(notes.order())
    in_rounds = {tuple(orders[0][start : start + 2]) for start in range(0, len(orders[0]), 2)}
    assert in_rounds == {("a", "b"), ("b", "a")}
    assert orders[0] == orders[1]


def test_a_soak_ends_when_its_time_is_over(notes, monkeypatch):
    now_s = iter(range(0, 100, 4))
    clock = SimpleNamespace(
        perf_counter=lambda: next(now_s), perf_counter_ns=time.perf_counter_ns, process_time_ns=time.process_time_ns
    )
    monkeypatch.setattr(rounds, "time", clock)
    measured(Settings((), mode="soak", duration_s=10.0))
    assert len(notes.of("a", "block")) == 3  # ten rounds of a second each, of which each took four


def test_a_run_that_is_stopped_ends_after_the_round_with_what_it_has(notes):
    cases = [bundle_case("two", BUNDLE, ENGINES[name], MODELS[name], 1) for name in MODELS]
    rounds_done = iter([False, False, *[True] * 20])
    measurement = Measurement(Settings(()), cases, no_progress, is_stopped=lambda: next(rounds_done))
    found = measurement.measure()
    assert [len(case.blocks) for case in found] == [3, 3]
    assert [case.outputs is not None for case in found] == [True, True]
    assert [case.cold_start for case in found] == [None, None]
    assert measurement.skipped == []


def test_groups_whose_turn_never_came_are_named(notes, monkeypatch):
    cases = [bundle_case("two", BUNDLE, ENGINES[name], MODELS[name], 1) for name in MODELS]
    monkeypatch.setattr(rounds, "groups", lambda plans, *_: [[plan] for plan in plans])
    measurement = Measurement(Settings(()), cases, no_progress, is_stopped=lambda: True)
    (case,) = measurement.measure()
    assert len(case.blocks) == 1
    assert [skipped.reason for skipped in measurement.skipped] == [rounds.STOPPED]
