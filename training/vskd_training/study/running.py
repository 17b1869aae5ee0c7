"""Run a study: every unfinished cell whose teachers are finished, on this machine's cores or on a Ray cluster."""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vskd.errors import DataError
from vskd.writing import remove_folder
from vskd_training.data.sources import open_source
from vskd_training.settings import DataConfig
from vskd_training.study.cells import UNFINISHED, Outcome, attempt_cell, is_finished
from vskd_training.study.check import StudyData, check_study
from vskd_training.study.lifeline import with_parent
from vskd_training.study.plan import Cell, Study
from vskd_training.study.ray_backend import Lost, Run, Shared, Task, on_cluster


def run_study(
    study: Study,
    out: Path,
    *,
    root: Path | None,
    cache: Path,
    jobs: int | None,
    progress: Callable[[int, int, str], None],
    ray_address: str = "",
) -> tuple[Outcome, ...]:
    """Train every cell that is not finished. One that fails stops no other but those that it teaches.

    Parameters
    ----------
    study : what to run
    out : its folder; one that is there is resumed
    root, cache : of the data set and of prepared recordings
    jobs : cells at a time, each with the config's ``threads``; None is one, or on a cluster what its cores allow
    progress : called with (cells finished, in all, name of the cell that was finished last, or that it failed)
    ray_address : HOST:PORT of a Ray cluster to train them on, see ``ray_backend``; empty for this machine's cores

    Returns
    -------
    the cells that are not finished, each with its error; the next run tries them again

    Raises
    ------
    DataError : another process runs it; a cell was trained with another config
    ConfigError, DataError : before the first cell: what ``check`` refuses
    """
    with locked(out, "study"):
        done = {cell.name for cell in study.cells if is_finished(out, cell)}
        progress(len(done), len(study.cells), "")
        if len(done) == len(study.cells):
            return ()
        # Workers have working folders of their own.
        out, cache, root = out.resolve(), cache.resolve(), root and root.resolve()
        train = partial(attempt_cell, out=out, root=root, cache=cache)
        shared, lost = Shared((out, cache), partial(fingerprints, _data_of(study), root)), Outcome.of_error
        backend = (
            on_cluster(ray_address, shared, at_a_time=jobs, lost=lost)
            if ray_address
            else on_cores(jobs or 1, lost=lost)
        )
        # Decodes the recordings once, too, before several processes want them.
        check_study(study, StudyData(root, cache))
        with backend as run:
            failed = _train_all(study, partial(run, train), done, progress)
        # Killed cells' folders, emptied one by one; a failed cell resumes in its own.
        if not failed and (out / UNFINISHED).is_dir():
            remove_folder(out / UNFINISHED)
        return failed


def _train_all(
    study: Study,
    run: Callable[[Sequence[Cell]], Iterator[Outcome]],
    done: set[str],
    progress: Callable[[int, int, str], None],
) -> tuple[Outcome, ...]:
    """Train what can be trained, round by round: teachers before the cells that they teach. Gives what is not done."""
    failed: dict[str, Outcome] = {}
    while ready := [cell for cell in study.cells if cell.name not in {*done, *failed} and set(cell.taught_by) <= done]:
        for outcome in run(ready):
            if outcome.error:
                failed[outcome.name] = outcome
            else:
                done.add(outcome.name)
            progress(len(done), len(study.cells), f"{outcome.name} failed" if outcome.error else outcome.name)
    for cell in study.cells:
        if cell.name not in {*done, *failed}:
            missing = ", ".join(name for name in cell.taught_by if name not in done)
            failed[cell.name] = Outcome(cell.name, f"it is taught by {missing}")
    return tuple(failed.values())


def failure(failed: Sequence[Outcome], cells: int) -> DataError:
    """The error of a study of so many cells, some of which failed; equal reasons are told once."""
    by_error: dict[str, list[str]] = defaultdict(list)
    for outcome in failed:
        by_error[outcome.error].append(outcome.name)
    lines = [f"{', '.join(names)}: {error}" for error, names in by_error.items()]
    return DataError(
        "\n".join([f"{len(failed)} of {cells} cells are not finished", *lines]),
        hint="The same command tries them again; the others are finished and stay",
    )


@contextmanager
def on_cores(jobs: int, *, lost: Lost | None = None) -> Iterator[Run]:
    """What ``ray_backend.on_cluster`` is, on the cores of this machine.

    A process that dies takes the others with it. What was not done by then is tried again, each task alone, so that
    only the one that kills its process is lost.
    """
    from joblib import Parallel, delayed

    def run(call: Callable[[Any], Any], tasks: Sequence[Task]) -> Iterator[Any]:
        left = {task.name: task for task in tasks}
        parallel = Parallel(n_jobs=jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        try:
            for name, result in parallel(delayed(with_parent)(os.getpid(), _named, call, task) for task in tasks):
                del left[name]
                yield result
        except BrokenProcessPool:
            for task in left.values():
                yield _alone(call, task, lost)

    yield run


def _named(call: Callable[[Any], Any], task: Task) -> tuple[str, Any]:
    return task.name, call(task)


def _alone(call: Callable[[Any], Any], task: Task, lost: Lost | None) -> Any:
    """A task in a process of its own."""
    from joblib import Parallel, delayed

    try:
        # One job would run in this process.
        return Parallel(n_jobs=2, backend="loky")([delayed(with_parent)(os.getpid(), call, task)])[0]
    except BrokenProcessPool as died:
        error = DataError("its process died twice", hint="Look at this machine's memory, or give fewer --jobs")
        if lost is None:
            raise DataError(f"{task.name}: {error.message}", hint=error.hint) from died
        return lost(task.name, error)


def _data_of(study: Study) -> tuple[DataConfig, ...]:
    """The data that the cells read, each once, whatever split they make of it."""
    return tuple(dict.fromkeys(cell.config.data.reading() for cell in study.cells))


def fingerprints(data: Sequence[DataConfig], root: Path | None) -> tuple[str, ...]:
    """Of each of these data sets, what must be equal on every machine of a cluster."""
    return tuple(open_source(one, root).fingerprint() for one in data)


@contextmanager
def locked(out: Path, what: str) -> Iterator[None]:
    """One study, or one of what ``what`` says, at a time in a folder; the lock falls with the process.

    A folder that was made for it, and into which nothing was written (the work was refused), goes again.
    """
    is_new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / ".lock").open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"another process runs a {what} in {out}", hint="Wait for it, or stop it") from error
            try:
                yield
            finally:
                if is_new and [path.name for path in out.iterdir()] == [".lock"]:
                    remove_folder(out)
    except OSError as error:
        raise DataError(f"the {what} cannot be written in {out}: {error.strerror or error}") from error
