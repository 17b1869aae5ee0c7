"""A study that runs: paired, resumed after a kill, finished cells left alone, one process at a time."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from training.study.tiny_study import STUDY, RunStudy, WriteStudy
from vskd.errors import DataError
from vskd_training.data.experiment import Experiment
from vskd_training.loop import fit as fit_module
from vskd_training.loop.fit import Training
from vskd_training.loop.tasks import StudentTask
from vskd_training.study import running
from vskd_training.study.cells import is_finished, open_cell, train_cell
from vskd_training.study.plan import Cell, Study, open_study
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
    def copying(_: int) -> Iterator[Callable[..., Iterator[str]]]:
        def run(_: object, cells: Sequence[Cell]) -> Iterator[str]:
            offered.append({cell.name for cell in cells})
            for cell in cells:
                shutil.copytree(finished / "cells" / cell.name, tmp_path / "cells" / cell.name)
                yield cell.name

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
        assert (found, options) == (address, {"at_a_time": 3})
        assert (shared.folders, shared.fingerprint.args[1]) == ((out, cache), data)
    else:
        assert asked["backend"] == (3, {})


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
