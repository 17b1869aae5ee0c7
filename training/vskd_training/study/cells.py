"""One cell of a study: trained in ``OUT/unfinished``, then moved to ``OUT/cells`` by one rename.

A study that was killed at any moment is resumed by the same command: finished cells stay, an unfinished one resumes at
its last epoch. A cell that fails ends nothing else here: its error is an ``Outcome``.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vskd.closed import to_mapping
from vskd.errors import ConfigError, DataError, VskdError
from vskd.writing import move_folder
from vskd_training.data.experiment import Experiment
from vskd_training.loop.forest import train_forest
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.runs.run import CARD, Run
from vskd_training.study.plan import Cell

#: Where cells are trained, within the study's folder; gone when all are finished.
UNFINISHED = "unfinished"
#: The last commit that reads and writes cells and results as those in ``training/results``.
OLD_FORMAT_COMMIT = "afaffb3"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell. Plain text, since not every exception can leave the process that raised it.

    Attributes
    ----------
    name : of the cell
    error : why it is not finished, in a sentence or two; empty where it is
    traceback : of a defect; empty where the user can fix the error
    """

    name: str
    error: str = ""
    traceback: str = ""

    @classmethod
    def of_error(cls, name: str, error: Exception) -> Outcome:
        """The outcome of a cell that an error stopped."""
        if isinstance(error, VskdError):
            return cls(name, str(error))
        return cls(name, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def is_finished(out: Path, cell: Cell) -> bool:
    """Whether a cell is there, trained with its present config.

    Raises
    ------
    DataError : it is there with another config
    """
    if not (folder_of(out, cell.name) / CARD).is_file():
        return False
    run = open_cell(out, cell)
    if to_mapping(run.config) != to_mapping(cell.config):
        raise DataError(
            f"{run.path} was trained with another config than the study has now",
            hint="A study is frozen once it runs: give another --out",
        )
    return True


def open_cell(out: Path, cell: Cell) -> Run:
    """A finished cell.

    Raises
    ------
    DataError : it is not finished, or was trained by a version that named settings and scores otherwise
    """
    folder = folder_of(out, cell.name)
    try:
        run = Run.open(folder, role=cell.role)
    except ConfigError as error:
        raise _old_format(folder, str(error)) from error
    if cell.taught_by and "teacher_metrics" not in run.card:
        raise _old_format(folder, "its run card has no teacher_metrics")
    return run


def _old_format(folder: Path, why: str) -> DataError:
    return DataError(
        f"{folder} was trained by an older version of vskd: {why}",
        hint=f"Commit {OLD_FORMAT_COMMIT} reads it; to train it again, give another --out",
    )


def folder_of(out: Path, name: str) -> Path:
    """Where a finished cell is."""
    return out / "cells" / name


def attempt_cell(cell: Cell, out: Path, *, root: Path | None, cache: Path) -> Outcome:
    """As ``train_cell``; an error is the outcome, and not raised."""
    try:
        return Outcome(train_cell(cell, out, root=root, cache=cache))
    except Exception as error:  # noqa: BLE001 (a defect, too, stops this cell only; its traceback is shown)
        return Outcome.of_error(cell.name, error)


def train_cell(cell: Cell, out: Path, *, root: Path | None, cache: Path) -> str:
    """Train one cell, or resume it; returns its name. Runs in a process of its own."""
    work, place = out / UNFINISHED / cell.name, folder_of(out, cell.name)
    # A worker that dies with its result on the way leaves a finished cell, and a cluster starts it again.
    if (place / CARD).is_file():
        return cell.name
    # A kill between card and rename leaves a finished run here.
    if not (work / CARD).is_file():
        _train(cell, work, [folder_of(out, name) for name in cell.taught_by], root=root, cache=cache)
    move_folder(work, place)
    return cell.name


def _train(cell: Cell, work: Path, teachers: Sequence[Path], *, root: Path | None, cache: Path) -> None:
    experiment = Experiment.open(cell.config, root=root, cache=cache, progress=None)
    if cell.role == "teacher":
        train_teacher(experiment, work, resume=True)
    elif cell.role == "forest":
        train_forest(experiment, work, resume=True)
    else:
        train_student(experiment, work, teachers=[Run.open(path, role=None) for path in teachers], resume=True)
