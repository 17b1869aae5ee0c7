"""Run a study: every unfinished cell whose teachers are finished, on this machine's cores or on a Ray cluster."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vskd.errors import DataError
from vskd.writing import remove_folder
from vskd_training.data.sources import open_source
from vskd_training.settings import DataConfig
from vskd_training.study.cells import UNFINISHED, is_finished, train_cell
from vskd_training.study.check import StudyData, check_study
from vskd_training.study.plan import Study
from vskd_training.study.ray_backend import Shared, Task, on_cluster


def run_study(
    study: Study,
    out: Path,
    *,
    root: Path | None,
    cache: Path,
    jobs: int | None,
    progress: Callable[[int, int, str], None],
    ray_address: str = "",
) -> None:
    """Train every cell that is not finished.

    Parameters
    ----------
    study : what to run
    out : its folder; one that is there is resumed
    root, cache : of the data set and of prepared recordings
    jobs : cells at a time, each with the config's ``threads``; None is one, or on a cluster what its cores allow
    progress : called with (cells finished, in all, name of the cell that was finished last)
    ray_address : HOST:PORT of a Ray cluster to train them on, see ``ray_backend``; empty for this machine's cores

    Raises
    ------
    DataError : another process runs it; a cell was trained with another config; whatever a cell raises
    ConfigError, DataError : before the first cell: what ``check`` refuses
    """
    with locked(out, "study"):
        done = {cell.name for cell in study.cells if is_finished(out, cell)}
        progress(len(done), len(study.cells), "")
        if len(done) == len(study.cells):
            return
        # Workers have working folders of their own.
        out, cache, root = out.resolve(), cache.resolve(), root and root.resolve()
        train = partial(train_cell, out=out, root=root, cache=cache)
        shared = Shared((out, cache), partial(fingerprints, _data_of(study), root))
        backend = on_cluster(ray_address, shared, at_a_time=jobs) if ray_address else on_cores(jobs or 1)
        # Decodes the recordings once, too, before several processes want them.
        check_study(study, StudyData(root, cache))
        with backend as run:
            while len(done) < len(study.cells):
                ready = [cell for cell in study.cells if cell.name not in done and set(cell.taught_by) <= done]
                for name in run(train, ready):
                    done.add(name)
                    progress(len(done), len(study.cells), name)
        # Killed cells' folders, emptied one by one.
        if (out / UNFINISHED).is_dir():
            remove_folder(out / UNFINISHED)


@contextmanager
def on_cores(jobs: int) -> Iterator[Callable[[Callable[[Any], str], Sequence[Task]], Iterator[str]]]:
    """What ``ray_backend.on_cluster`` is, on the cores of this machine."""
    from joblib import Parallel, delayed

    def run(call: Callable[[Any], str], tasks: Sequence[Task]) -> Iterator[str]:
        parallel = Parallel(n_jobs=jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        yield from parallel(delayed(call)(task) for task in tasks)

    yield run


def _data_of(study: Study) -> tuple[DataConfig, ...]:
    """The data that the cells read, each once, whatever split they make of it."""
    return tuple(dict.fromkeys(cell.config.data.reading() for cell in study.cells))


def fingerprints(data: Sequence[DataConfig], root: Path | None) -> tuple[str, ...]:
    """Of each of these data sets, what must be equal on every machine of a cluster."""
    return tuple(open_source(one, root).fingerprint() for one in data)


@contextmanager
def locked(out: Path, what: str) -> Iterator[None]:
    """One study, or one of what ``what`` says, at a time in a folder; the lock falls with the process."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / ".lock").open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"another process runs a {what} in {out}", hint="Wait for it, or stop it") from error
            yield
    except OSError as error:
        raise DataError(f"the {what} cannot be written in {out}: {error.strerror or error}") from error
