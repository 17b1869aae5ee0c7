"""A study that runs: paired, resumed after a kill, finished cells left alone, one process at a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from training.command_line import Command
from training.study.tiny_study import STUDY, RunStudy, WriteStudy
from vskd.errors import DataError
from vskd_training.data.experiment import Experiment
from vskd_training.loop import fit as fit_module
from vskd_training.loop.fit import Training
from vskd_training.loop.tasks import StudentTask
from vskd_training.study import cells as cells_module
from vskd_training.study import running
from vskd_training.study.cells import Outcome, is_finished, open_cell, train_cell
from vskd_training.study.plan import Cell, Study, open_study
from vskd_training.study.report import report_study
from vskd_training.study.running import run_study


def contents(out: Path) -> dict[str, bytes]:
    """Cards and weights of every cell; the logs hold seconds, which differ."""
    kept = ("run.json", "model.safetensors", "config.json")
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.name in kept}


def test_arms_of_one_seed_start_alike_and_see_alike(
    study: Study, run: RunStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Initial weights and the augmented windows of every batch, arm by arm."""
    seen: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
    real = fit_module.fit

    def recording(training: Training) -> None:
        start = [value.clone() for value in training.model.state_dict().values()]
        task, batch = training.task, training.config.batch
        windows = [made.windows for made in task.batches(0, batch)] if isinstance(task, StudentTask) else []
        seen.append((start, windows))
        real(training)

    monkeypatch.setattr("vskd_training.loop.train.fit", recording)
    run(study, tmp_path / "out")
    students = [entry for entry in seen if entry[1]]
    assert len(students) == 6
    # In the order of cells: alone 0, alone 1, distilled 0, distilled 1, again 0, again 1.
    for one, other, equal in ((0, 2, True), (2, 4, True), (0, 1, False)):
        for left, right in zip(students[one], students[other], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True)) == equal


def test_a_cell_waits_for_its_teachers(
    study: Study, run: RunStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offered to the cores only when every teacher is finished; the cells themselves are copied."""
    offered: list[set[str]] = []

    @contextmanager
    def copying(_: int, **__: object) -> Iterator[Callable[..., Iterator[Outcome]]]:
        def run(_: object, cells: Sequence[Cell]) -> Iterator[Outcome]:
            offered.append({cell.name for cell in cells})
            for cell in cells:
                shutil.copytree(finished / "cells" / cell.name, tmp_path / "cells" / cell.name)
                yield Outcome(cell.name)

        yield run

    monkeypatch.setattr(running, "on_cores", copying)
    run(study, tmp_path)
    first = {cell.name for cell in study.cells if not cell.taught_by}
    assert offered == [first, {cell.name for cell in study.cells} - first]


def test_what_is_finished_is_not_touched(study: Study, run: RunStudy, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "cells").rglob("*")}
    assert run(study, finished) == []
    assert {path: path.stat().st_mtime_ns for path in (finished / "cells").rglob("*")} == before


def test_a_kill_at_any_moment_changes_nothing(
    study: Study, run: RunStudy, write_study: WriteStudy, finished: Path, tiny_cache: Path, tmp_path: Path
) -> None:
    """SIGKILL once a cell is finished and the next is at work; the same command ends with the same bytes."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from vskd.cli import main; main()", "study", str(write_study(STUDY))]
    words = [*command, "--out", str(out), "--cache", str(tiny_cache)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (any(out.glob("cells/*/*/*/run.json")) and any(out.glob("unfinished/*/*/*/config.json"))):
            assert process.poll() is None, "the study ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*/*/*")}
    assert kept
    names = run(study, out)
    assert len(names) < len(study.cells)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(out) == contents(finished)


def test_a_kill_within_a_cell_resumes_it(
    study: Study, finished: Path, tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first epoch's file, and between the card and the rename."""

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    cell, out = study.cells[1], tmp_path / "out"
    for where in ("vskd_training.loop.train.finish_run", "pathlib.Path.rename"):
        with monkeypatch.context() as patch:
            patch.setattr(where, killed)
            with pytest.raises(Killed):
                train_cell(cell, out, root=None, cache=tiny_cache)
        assert not is_finished(out, cell)
        assert (out / "unfinished" / cell.name / "config.json").is_file()
    assert train_cell(cell, out, root=None, cache=tiny_cache) == cell.name
    assert is_finished(out, cell)
    for name in ("run.json", "model.safetensors"):
        assert (out / "cells" / cell.name / name).read_bytes() == (finished / "cells" / cell.name / name).read_bytes()


def test_a_finished_cell_is_not_trained_again(study: Study, finished: Path, tiny_cache: Path) -> None:
    """A cluster repeats a task whose worker died with the result on its way."""
    before = contents(finished)
    for cell in study.cells:
        assert train_cell(cell, finished, root=None, cache=tiny_cache) == cell.name
    assert contents(finished) == before


def test_a_cell_reads_the_folders_of_its_study(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def stop(config: object, **folders: object) -> None:
        asked.update(folders, config=config)
        raise DataError("far enough")

    monkeypatch.setattr(Experiment, "open", stop)
    cell, data, cache = study.cells[0], tmp_path / "data", tmp_path / "cache"
    with pytest.raises(DataError, match="far enough"):
        train_cell(cell, tmp_path / "out", root=data, cache=cache)
    assert asked == {"config": cell.config, "root": data, "cache": cache, "progress": None}


@pytest.mark.parametrize("address", ["", "host:1"])
def test_every_process_gets_the_studys_folders_as_absolute_paths(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    asked: dict[str, Any] = {}

    @contextmanager
    def backend(*words: Any, **options: Any) -> Iterator[Any]:
        def run(train: Any, cells: object) -> NoReturn:
            asked["train"] = train.keywords
            raise DataError("far enough")

        asked["backend"] = (*words, options)
        yield run

    monkeypatch.chdir(tmp_path)
    for name in ("on_cores", "on_cluster"):
        monkeypatch.setattr(running, name, backend)
    monkeypatch.setattr(running, "check_study", lambda study, data: asked.update(prepared=(data.root, data.cache)))
    folders: dict[str, Any] = {"root": Path("data"), "cache": Path("cache"), "progress": lambda *_: None}
    with pytest.raises(DataError, match="far enough"):
        run_study(study, Path("out"), jobs=3, ray_address=address, **folders)
    out, data, cache = (tmp_path / name for name in ("out", "data", "cache"))
    assert asked["train"] == {"out": out, "root": data, "cache": cache}
    assert asked["prepared"] == (data, cache)
    if address:
        found, shared, options = asked["backend"]
        assert (found, options) == (address, {"at_a_time": 3, "lost": Outcome.of_error})
        assert (shared.folders, shared.fingerprint.args[1]) == ((out, cache), data)
    else:
        assert asked["backend"] == (3, {"lost": Outcome.of_error})


class Cells:
    """Trains a cell by copying it from a finished study; some fail."""

    def __init__(self, finished: Path, broken: dict[str, Exception]) -> None:
        self.finished = finished
        self.broken = broken
        self.tried: list[str] = []

    def __call__(self, cell: Cell, work: Path, teachers: Sequence[Path], **_: object) -> None:
        self.tried.append(cell.name)
        if cell.name in self.broken:
            work.mkdir(parents=True)  # what it resumes from
            raise self.broken[cell.name]
        assert all((teacher / "run.json").is_file() for teacher in teachers)
        shutil.copytree(self.finished / "cells" / cell.name, work, dirs_exist_ok=True)


def test_a_cell_that_fails_stops_only_those_that_it_teaches(
    vskd: Command,
    write_study: WriteStudy,
    finished: Path,
    tiny_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One error that the user can fix, one defect; what is finished is reported, and the next run tries again."""
    told = DataError("the loss became nan", hint="Lower the rate")
    cells = Cells(finished, {"alone/all/seed-0": told, "distilled/all/seed-1": TypeError("no such thing")})
    monkeypatch.setattr(cells_module, "_train", cells)
    words = ("study", write_study(STUDY), "--cache", tiny_cache, "--out", tmp_path)
    done = vskd(*words)
    assert done.code == 1
    assert "error: 3 of 7 cells are not finished\n" in done.err
    assert "\nalone/all/seed-0: the loss became nan. Lower the rate\n" in done.err
    assert "\ndistilled/all/seed-1: TypeError: no such thing\n" in done.err
    assert "\nagain/all/seed-0: it is taught by alone/all/seed-0\n" in done.err
    assert done.err.count("Traceback (most recent call last)") == 1
    assert "The same command tries them again" in done.err
    assert "again/all/seed-0" not in cells.tried
    assert (tmp_path / "unfinished" / "alone" / "all" / "seed-0").is_dir()

    result = json.loads((tmp_path / "result.json").read_text())
    assert result["failed"] == {
        "alone/all/seed-0": "the loss became nan. Lower the rate",
        "distilled/all/seed-1": "TypeError: no such thing",
        "again/all/seed-0": "it is taught by alone/all/seed-0",
    }
    assert result["unfinished"] == dict.fromkeys(("alone", "distilled", "again"), "1 of 2 cells")
    assert {name: [row["seed"] for row in rows] for name, rows in result["finished_cells"].items()} == {
        "alone": [1], "distilled": [0], "again": [1],
    }  # fmt: skip
    assert list(result["teachers"]) == ["camera"]
    assert done.out == (tmp_path / "table.md").read_text()
    accuracy = result["finished_cells"]["alone"][0]["accuracy"]
    assert f"Not finished: alone, 1 of 2 cells (accuracy {accuracy:.3f}).\n" in done.out
    assert "\nFailed: alone/all/seed-0: the loss became nan. Lower the rate.\n" in done.out
    assert "<strong>Failed:</strong> again/all/seed-0: it is taught by alone" in (tmp_path / "report.html").read_text()

    cells.broken, cells.tried = {}, []
    done = vskd(*words)
    assert (done.code, done.out) == (0, (finished / "table.md").read_text())
    assert cells.tried == ["alone/all/seed-0", "distilled/all/seed-1", "again/all/seed-0"]
    assert (tmp_path / "result.json").read_bytes() == (finished / "result.json").read_bytes()
    assert not (tmp_path / "unfinished").exists()


def test_equal_reasons_are_told_once_and_nothing_finished_gives_no_table(
    vskd: Command,
    write_study: WriteStudy,
    finished: Path,
    tiny_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = {
        f"{item}/all/seed-{seed}": DataError("the disk is full") for item in ("camera", "alone") for seed in (0, 1, 5)
    }
    monkeypatch.setattr(cells_module, "_train", Cells(finished, full))
    done = vskd("study", write_study(STUDY), "--cache", tiny_cache, "--out", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "error: 7 of 7 cells are not finished\n" in done.err
    assert "\ncamera/all/seed-5, alone/all/seed-0, alone/all/seed-1: the disk is full\n" in done.err
    assert "\ndistilled/all/seed-0, distilled/all/seed-1: it is taught by camera/all/seed-5\n" in done.err


def test_finished_cells_of_no_finished_arm_are_reported(study: Study, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "cells" / "alone" / "all" / "seed-1", tmp_path / "cells" / "alone" / "all" / "seed-1")
    result = report_study(study, tmp_path)
    assert (dict(result.arms), dict(result.teachers)) == ({}, {})
    assert [row.seed for row in result.finished_cells["alone"]] == [1]
    text = (tmp_path / "table.md").read_text()
    assert "\nNo arm is finished.\n" in text
    assert "Not finished: alone, 1 of 2 cells (accuracy 0." in text
    assert "Not finished: again, 0 of 2 cells.\n" in text
    assert "<h2>Arms</h2>" not in (tmp_path / "report.html").read_text()


@dataclass(frozen=True)
class Work:
    """A task that kills its process, by its name, or does not."""

    name: str
    threads: int = 1


def killing(work: Work) -> Outcome:
    if work.name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(work.name)


@pytest.mark.slow  # every worker imports torch
def test_a_process_that_dies_loses_only_its_own_cell() -> None:
    names = ["deadly", "fine-0", "fine-1", "fine-2"]
    with running.on_cores(2, lost=Outcome.of_error) as run:
        found = {outcome.name: outcome.error for outcome in run(killing, [Work(name) for name in names])}
    told = "its process died twice. Look at this machine's memory, or give fewer --jobs"
    assert found == dict.fromkeys(names, "") | {"deadly": told}


def test_what_a_dead_process_left_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, with an executor that is none: it dies with the second task, and each time it is given that alone."""
    made: list[int] = []

    class Dying:
        def __init__(self, *, n_jobs: int, **_: object) -> None:
            made.append(n_jobs)
            self.alone = len(made) > 1

        def __call__(self, tasks: Iterable[Any]) -> Any:
            results = self.results(tasks)
            return list(results) if self.alone else results

        def results(self, tasks: Iterable[Any]) -> Iterator[Any]:
            for call, words, _ in tasks:
                if words[-1].name == "deadly":
                    raise BrokenProcessPool
                yield call(*words)

    monkeypatch.setattr("joblib.Parallel", Dying)
    work = [Work(name) for name in ("first", "deadly", "last")]

    def call(work: Work) -> Outcome:
        return Outcome(work.name)

    with running.on_cores(3, lost=Outcome.of_error) as run:
        found = [(outcome.name, outcome.error != "") for outcome in run(call, work)]
    assert found == [("first", False), ("deadly", True), ("last", False)]
    assert made == [3, 2, 2]  # alone, and yet not in this process, where one job would run
    made.clear()
    with running.on_cores(1) as run, pytest.raises(DataError, match=r"deadly: its process died twice\. Look at this"):
        list(run(call, work))


@pytest.mark.slow  # two workers import torch
def test_several_processes_give_the_same_bytes(
    run: RunStudy, write_study: WriteStudy, finished: Path, tmp_path: Path
) -> None:
    fewer = STUDY.rpartition("[[arm]]")[0].replace("seeds = [0, 1]", "seeds = [1]")
    run(open_study(write_study(fewer), root=None), tmp_path / "out", jobs=2)
    made = contents(tmp_path / "out")
    assert len(made) == 3 * 3
    assert made == {name: content for name, content in contents(finished).items() if name in made}


def test_a_study_that_changed_after_it_ran_is_refused(run: RunStudy, write_study: WriteStudy, finished: Path) -> None:
    changed = write_study(STUDY.replace("student_training.steps=2", "student_training.steps=3"))
    with pytest.raises(DataError, match=r"trained with another config.*frozen once it runs"):
        run(open_study(changed, root=None), finished)


OLD_CARD = Path(__file__).parents[3] / "training" / "results" / "utd-mhad" / "distilled-whole.run.json"


def test_a_cell_of_an_older_version_is_refused_with_the_commit_that_reads_it(
    study: Study, finished: Path, tmp_path: Path
) -> None:
    """A run card as it was committed, one with the setting's old name, and one with the scores' old name."""
    cell = study.cells_of("distilled")[0]
    path = tmp_path / "cells" / cell.name / "run.json"
    shutil.copytree(finished / "cells" / cell.name, path.parent)
    card = json.loads(path.read_text())
    renamed = {key: value for key, value in card.items() if key != "teacher_metrics"}
    with_people = {**card, "config": {**card["config"], "data": {**card["config"]["data"], "people": []}}}
    for old, message in (
        (json.loads(OLD_CARD.read_text()), "older version of vskd: .*Commit afaffb3 reads it"),
        (with_people, r"unknown key 'people' in .* It is called subjects now\. Commit afaffb3 reads it"),
        ({**renamed, "heard": card["teacher_metrics"]}, r"its run card has no teacher_metrics\. Commit afaffb3 reads"),
    ):
        path.write_text(json.dumps(old))
        for reader in (open_cell, is_finished):
            with pytest.raises(DataError, match=message):
                reader(tmp_path, cell)


def test_every_data_set_of_a_study_is_compared_between_nodes(write_study: WriteStudy) -> None:
    text = STUDY.replace('name = "alone"\n', 'name = "alone"\nset = ["data.synthetic.seed=1"]\n', 1)
    data = running._data_of(open_study(write_study(text), root=None))
    assert [one.synthetic.seed for one in data] == [0, 1]
    assert len(set(running.fingerprints(data, None))) == 2


def test_one_study_at_a_time(study: Study, run: RunStudy, tmp_path: Path) -> None:
    with running.locked(tmp_path, "study"), pytest.raises(DataError, match="another process runs a study"):
        run(study, tmp_path)
