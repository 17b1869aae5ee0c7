"""A search that runs: within its budget, resumed after a kill, stopped early where it falls behind, nothing twice.

Costs are torch's here, so that no test converts; trainings are real unless a test says otherwise.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from vskd.errors import MissingExtraError
from vskd_export.search import running, trial
from vskd_export.search.budget import Budget, Costs
from vskd_export.search.journal import JOURNAL, Tried, budgets, open_journal, tried
from vskd_export.search.running import Effort, remaining
from vskd_training.loop.fit import NotFiniteLossError
from vskd_training.study.cells import train_cell
from vskd_training.study.plan import Cell

from .tiny_search import BUDGET, SEARCH, Call, WriteSearch

pytestmark = pytest.mark.usefixtures("no_converter")


def found(out: Path) -> tuple[Tried, ...]:
    """All candidates of the one budget in a folder."""
    (budget,) = budgets(out).values()
    return tried(open_journal(out, budget))


def cards(out: Path) -> dict[str, dict[str, Any]]:
    return {
        str(path.parent.relative_to(out / "cells")): json.loads(path.read_text())
        for path in sorted(out.glob("cells/*/*/*/run.json"))
    }


def scored(accuracy: Callable[[Cell], float], trained: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of trainings: an accuracy for each cell."""

    class Opened:
        def __init__(self, cell: Cell) -> None:
            value = accuracy(cell)
            scores = {"macro_f1": value, "by_subject": {cell.fold: value}}
            self.card = {"metrics": {"test": {"recording": {"all": scores}}}}

    monkeypatch.setattr(trial, "train_cell", lambda cell, *_, **__: trained.append(cell))
    monkeypatch.setattr(trial, "open_cell", lambda _, cell: Opened(cell))


def test_candidates_within_the_budget_are_trained_on_training_subjects_only(
    write_search: WriteSearch, call: Call, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = call(write_search(), *BUDGET, "--trials", 3, "--out", out)
    assert done.code == 0, done.err
    trained = [one for one in found(out) if one.trained]
    over = [one for one in found(out) if not one.trained]
    assert [one.state for one in trained] == ["finished"] * 3
    assert {one.choice["student.channels"] for one in trained} <= {4, 8}
    assert {one.choice["student.channels"] for one in over} <= {64}
    assert not any(one.measured for one in over)
    assert set(cards(out)) == {f"{one.key}/fold-{fold}/seed-0" for one in trained for fold in "123"}
    for name, card in cards(out).items():
        split = card["data"]["split"]
        fold = name.split("/")[1].removeprefix("fold-")
        assert (split["test"], split["train"]) == ([fold], sorted({*"123"} - {fold}))
        assert split["validation"] == []
    assert not list(out.rglob("model.safetensors"))
    result = json.loads((out / "result.json").read_text())
    assert (result["subjects"], result["left_out"]) == (["1", "2", "3"], ["4"])
    for one in result["candidates"]:
        accuracies = {
            card["data"]["split"]["test"][0]: card["metrics"]["test"]["recording"]["all"]["accuracy"]
            for name, card in cards(out).items()
            if name.startswith(one["key"])
        }
        assert one["scores"]["by_subject"] == accuracies
        assert one["scores"]["accuracy"] == pytest.approx(sum(accuracies.values()) / 3)


def test_more_trials_and_another_budget_add_to_a_folder(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Cell] = []
    scored(lambda cell: cell.config.student.channels / 100, trained, monkeypatch)
    path, out = write_search(), tmp_path / "out"
    assert call(path, *BUDGET, "--trials", 1, "--out", out).code == 0
    (first,) = {cell.item for cell in trained}
    assert call(path, *BUDGET, "--trials", 2, "--out", out).code == 0
    assert len({cell.item for cell in trained}) == 2
    assert len(trained) == 6
    assert call(path, *BUDGET, "--trials", 2, "--out", out).code == 0
    assert len(trained) == 6
    done = call(path, "--mmac", "50", "--flash", "1MB", "--trials", 1, "--out", out)
    assert set(budgets(out)) == {"mmac0.1", "mmac50-flash1000kB"}
    result = json.loads((out / "result.json").read_text())
    assert {one["key"] for one in result["candidates"]} == {cell.item for cell in trained} >= {first}
    for name in budgets(out):
        assert (out / f"preset-{name}.toml").is_file()
        assert name in done.out


def test_the_winner_is_the_most_accurate_that_fits(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(lambda cell: cell.config.student.channels / 100, [], monkeypatch)
    path, out = write_search(), tmp_path / "out"
    for mmac in ("0.1", "50"):
        assert call(path, "--mmac", mmac, "--trials", 8, "--out", out).code == 0
    assert "channels = 8\n" in (out / "preset-mmac0.1.toml").read_text()
    assert "channels = 64\n" in (out / "preset-mmac50.toml").read_text()


def test_a_trial_that_falls_behind_is_stopped_from_the_second_fold_on(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first five are equally good; of the others all but the best are below the median."""
    trained: list[Cell] = []
    order: list[str] = []

    def accuracy(cell: Cell) -> float:
        if cell.item not in order:
            order.append(cell.item)
        return 0.9 if order.index(cell.item) < 5 else 0.2

    scored(accuracy, trained, monkeypatch)
    out = tmp_path / "out"
    assert call(write_search(), *BUDGET, "--trials", 7, "--out", out).code == 0
    folds = {item: [cell.fold for cell in trained if cell.item == item] for item in order}
    assert [len(folds[item]) for item in order] == [3, 3, 3, 3, 3, 2, 2]
    counted = [one for one in found(out) if one.trained]
    assert [one.state for one in counted] == ["finished"] * 5 + ["pruned"] * 2
    assert [one.key for one in counted] == order
    result = json.loads((out / "result.json").read_text())
    assert {one["key"] for one in result["candidates"]} == set(order[:5])
    assert "2 stopped early" in (out / "table.md").read_text()


def test_a_loss_that_is_not_finite_ends_the_trial_and_not_the_search(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Cell] = []
    scored(lambda _: 0.5, trained, monkeypatch)

    def training(cell: Cell, *_: object, **__: object) -> None:
        trained.append(cell)
        if len(trained) == 2:
            raise NotFiniteLossError("the loss became nan")

    monkeypatch.setattr(trial, "train_cell", training)
    out = tmp_path / "out"
    assert call(write_search(), *BUDGET, "--trials", 2, "--out", out).code == 0
    assert [one.state for one in found(out) if one.trained] == ["diverged", "finished"]


def test_no_candidate_is_trained_twice_and_a_small_space_ends_the_search(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Cell] = []
    scored(lambda _: 0.5, trained, monkeypatch)
    monkeypatch.setattr(trial, "DRAWS", 30)
    text = SEARCH.partition("[space.student_training]")[0]
    out = tmp_path / "out"
    done = call(write_search(text), *BUDGET, "--trials", 6, "--out", out)
    assert done.code == 0, done.err
    assert sorted(cell.config.student.channels for cell in trained) == [4] * 3 + [8] * 3
    assert "2 of 6 trials were found" in done.err


def test_a_budget_that_nothing_fits_names_the_nearest(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "DRAWS", 20)
    trained: list[Cell] = []
    scored(lambda _: 0.5, trained, monkeypatch)
    done = call(write_search(), "--mmac", "0.001", "--trials", 4, "--out", tmp_path / "out")
    assert (done.code, trained) == (1, [])
    assert "none of 20 candidates fits the budget mmac0.001; the nearest has 0.0168 MMAC, " in done.err
    assert "kB flash, 10.0 kB arena: student.channels=4, student.blocks=1" in done.err
    assert "Raise the budget, or add smaller students to [space]" in done.err
    assert not (tmp_path / "out" / "result.json").exists()


def test_what_is_over_the_budget_when_measured_is_not_trained(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake file has 20 kB beside the weights, which the bound does not know."""
    trained: list[Cell] = []
    scored(lambda _: 0.5, trained, monkeypatch)
    done = call(write_search(), "--flash", "15kB", "--trials", 1, "--out", tmp_path / "out")
    assert (done.code, trained) == (1, [])
    measured = [one for one in found(tmp_path / "out") if one.measured]
    assert len(measured) == trial.MEASUREMENTS
    assert {one.state for one in measured} == {"over"}
    monkeypatch.setattr(running, "is_installed", lambda: False)
    done = call(write_search(), "--arena", "15kB", "--trials", 1, "--out", tmp_path / "out")
    assert (done.code, MissingExtraError.__name__ in done.err, "vskd[micro]" in done.err) == (1, True, True)


class KilledError(BaseException):
    """In place of a signal."""


def test_a_killed_search_resumes_the_same_candidate_and_keeps_its_folds(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def training(cell: Cell, *words: Any, **options: Any) -> str:
        if len(trained) == 4:  # the second candidate's second fold
            trained.append("killed")
            raise KilledError
        trained.append(cell.name)
        return train_cell(cell, *words, **options)

    monkeypatch.setattr(trial, "train_cell", training)
    path, out = write_search(), tmp_path / "out"
    with pytest.raises(KilledError):
        call_through(call, path, out)
    first, second = trained[0].split("/")[0], trained[3].split("/")[0]
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*/*/run.json")}
    assert len(before) == 4
    with (out / JOURNAL).open("ab") as journal:  # half a line, and the lock of the killed process
        journal.write(b'{"op_code":4,"worker')
    (out / f"{JOURNAL}.lock").symlink_to(out / JOURNAL)

    def waits(_: float) -> NoReturn:
        raise AssertionError("the killed process's lock is waited for")

    real = np.random.SeedSequence
    with monkeypatch.context() as patch:
        patch.setattr("optuna.storages.journal._file.time.sleep", waits)
        patch.setattr(np.random, "SeedSequence", lambda words: real([*words, 99]))  # the sampler would draw another one
        done = call(path, *BUDGET, "--trials", 2, "--out", out)
    assert done.code == 0, done.err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [one.key for one in found(out) if one.trained] == [first, second]
    assert set(cards(out)) == {f"{key}/fold-{fold}/seed-0" for key in (first, second) for fold in "123"}


def call_through(call: Call, path: Path, out: Path) -> None:
    """click's runner keeps what is no ``Exception``; it must reach the test."""
    done = call(path, *BUDGET, "--trials", 2, "--out", out)
    raise KilledError if "KilledError" in done.err else AssertionError(done.err)


def test_a_folder_of_another_search_is_refused(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(lambda _: 0.5, [], monkeypatch)
    out = tmp_path / "out"
    assert call(write_search(), *BUDGET, "--trials", 1, "--out", out).code == 0
    before = (out / JOURNAL).read_bytes()
    done = call(write_search(SEARCH.replace("[4, 8, 64]", "[4, 8]")), *BUDGET, "--trials", 2, "--out", out)
    assert (done.code, "holds a search of another space, config or choice of subjects" in done.err) == (1, True)
    done = call(write_search(SEARCH.replace("[4, 8, 64]", "[4, 8]")), "--mmac", "9", "--trials", 2, "--out", out)
    assert (done.code, "holds a search of another space" in done.err) == (1, True)
    assert (out / JOURNAL).read_bytes() == before
    (out / JOURNAL).write_text("this is no journal\n")
    done = call(write_search(), *BUDGET, "--trials", 1, "--out", out)
    assert (done.code, "was changed, or is no journal of a search" in done.err) == (1, True)


def test_one_search_at_a_time(write_search: WriteSearch, call: Call, tmp_path: Path) -> None:
    with running.locked(tmp_path, "search"):
        done = call(write_search(), *BUDGET, "--out", tmp_path)
    assert (done.code, "another process runs a search in" in done.err) == (1, True)


@pytest.mark.parametrize("address", ["", "host:1"])
def test_every_process_gets_absolute_folders_and_the_backend_its_jobs(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    asked: dict[str, Any] = {}

    @contextmanager
    def backend(*words: Any, **options: Any) -> Iterator[Any]:
        def run(work: Any, slots: Any) -> NoReturn:
            asked.update(work=work.keywords, slots=[(slot.name, slot.threads) for slot in slots])
            raise MissingExtraError("far", extra="enough", purpose="stop")

        asked["backend"] = (*words, options)
        yield run

    for name in ("on_cores", "on_cluster"):
        monkeypatch.setattr(running, name, backend)
    monkeypatch.setattr(running, "prepare", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    backend_words = ("--backend", "ray", "--ray-address", address) if address else ()
    done = call(write_search(), *BUDGET, "--trials", 2, "--jobs", 3, "--out", "out", *backend_words)
    assert (done.code, "far" in done.err) == (1, True)
    assert asked["work"]["place"].out == tmp_path / "out"
    assert asked["slots"] == [("trial-0", 1), ("trial-1", 1)]
    if address:
        found_address, shared, options = asked["backend"]
        assert (found_address, options) == (address, {"at_a_time": 3})
        assert shared.folders[0] == tmp_path / "out"
        assert len(shared.fingerprint()) == 1
    else:
        assert asked["backend"] == (3, {})


def test_options_that_go_together(write_search: WriteSearch, call: Call, tmp_path: Path) -> None:
    done = call(write_search(), *BUDGET, "--backend", "ray", "--out", tmp_path / "out")
    assert (done.code, "--ray-address HOST:PORT go together" in done.err) == (2, True)
    done = call(write_search(), "--flash", "64kb", "--out", tmp_path / "out")
    assert (done.code, "got '64kb'" in done.err) == (2, True)
    done = call(write_search(), "--out", tmp_path / "out")
    assert (done.code, "Give --mmac, --flash or --arena" in done.err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_plan_tells_sizes_and_writes_nothing(write_search: WriteSearch, call: Call, tmp_path: Path) -> None:
    done = call(write_search(), *BUDGET, "--trials", 5, "--plan", "--out", tmp_path / "out")
    assert done.code == 0
    assert "subjects who choose: 1, 2, 3; left out: 4\n" in done.out
    assert "student.channels: 3 values\n" in done.out
    assert "raw-separable: 3 combinations times 1 interval\n" in done.out
    assert "5 trials x 3 folds x 1 seed = 15 at most" in done.out
    assert "hours: said after the first trial" in done.out
    assert not (tmp_path / "out").exists()


def test_hours_are_told_by_the_finished_trials(
    write_search: WriteSearch, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Tried(0, "finished", "a", {}, Costs(1, 1), True, None, 1800.0)
    assert (
        remaining([one, one], Effort(6, 2))
        == "30.0 min a trial, 2.0 h left one after the other, 1.0 h with 2 at a time"
    )
    assert remaining([], Effort(6)) == remaining([one], Effort(1)) == ""
    scored(lambda _: 0.5, [], monkeypatch)
    path, out = write_search(), tmp_path / "out"
    done = call(path, *BUDGET, "--trials", 3, "--out", out)
    before = (out / JOURNAL).read_bytes()
    done = call(path, *BUDGET, "--trials", 30, "--plan", "--out", out)
    assert "left one after the other" in done.out
    assert (out / JOURNAL).read_bytes() == before


SCRIPT = """
from vskd_export.search import trial, running
from vskd_export.search.budget import Costs
def measured(student, contract, folder):
    least = trial.least_costs(student, contract)
    return Costs(least.macs, least.flash_bytes + 20_000, 10_000)
trial.measure_costs = measured
from vskd_export.search.command import search
search()
"""


@pytest.mark.slow  # a process of its own that trains
def test_a_kill_by_the_system_is_survived(
    write_search: WriteSearch, call: Call, search_cache: Path, tmp_path: Path
) -> None:
    """SIGKILL while the second candidate is trained; the same command ends with as many trials."""
    path, out = write_search(), tmp_path / "out"
    words = [sys.executable, "-c", SCRIPT, str(path), *BUDGET, "--trials", "3", "--out", str(out)]
    with subprocess.Popen([*words, "--cache", str(search_cache)], stderr=subprocess.DEVNULL) as process:
        while len(list(out.glob("cells/*/*/*/run.json"))) < 4:
            assert process.poll() is None, "the search ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*/*/run.json")}
    assert call(path, *BUDGET, "--trials", 3, "--out", out).code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [one.state for one in found(out) if one.trained] == ["finished"] * 3
    assert len(cards(out)) == 9


@pytest.mark.slow  # two workers import torch
def test_two_jobs_share_a_journal(write_search: WriteSearch, search_cache: Path, tmp_path: Path) -> None:
    """With real conversions, one of each job at most."""
    path, out = write_search(SEARCH.replace("[4, 8, 64]", "[32, 64]")), tmp_path / "out"
    words = [sys.executable, "-m", "vskd", "--version"]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    program = "from vskd_export.search.command import search; search()"
    words = [
        sys.executable,
        "-c",
        program,
        str(path),
        "--mmac",
        "0.3",
        "--trials",
        "4",
        "--jobs",
        "2",
        "--out",
        str(out),
    ]
    done = subprocess.run([*words, "--cache", str(search_cache)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counted = [one for one in tried(open_journal(out, Budget(0.3))) if one.trained]
    assert len({one.key for one in counted}) == len(counted) == 4
    assert len(cards(out)) == 12
