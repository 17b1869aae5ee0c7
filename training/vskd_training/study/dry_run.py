"""``vskd study --plan``: what a study would train, on whom, and for how long. Nothing is trained.

The hours are the steps of an item's cells times the time of a step: of its finished cells, as their logs have it, or
else the median of a few real training steps on this machine, in processor time, as if it were idle. A teacher that is
not trained yet is replaced by zeros of its outputs' shape, which cost a step the same. Tests, targets and the start of
each process are not in the estimate, nor are forests, which take seconds.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vskd_training.data.clips import clips_for
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.distillation.targets import DistillationTargets
from vskd_training.loop.fit import Task, optimiser_for, train_step
from vskd_training.loop.tasks import student_task, teacher_task
from vskd_training.loop.train import clip_variation, virtual_of
from vskd_training.models.build import build_student, build_teacher
from vskd_training.models.output import FEATURE_SIZE, ModelOutput
from vskd_training.runs.run import LOG
from vskd_training.settings import TrainingConfig
from vskd_training.study.cells import folder_of, is_finished
from vskd_training.study.check import StudyData, check_study, first_seeds
from vskd_training.study.plan import Cell, Study

#: Steps ahead of the timed ones, which are slower; steps that are timed at most, and for how long, s.
_WARM_UP, _STEPS, _LONGEST_S = 2, 10, 3.0


@dataclass(frozen=True)
class Fold:
    """A distinct split of a study.

    Attributes
    ----------
    fold : its name, empty where there is one split
    items : arms and teachers that have it
    sides : side -> subjects and number of recordings
    labels : class -> training recordings with that label
    """

    fold: str
    items: tuple[str, ...]
    sides: dict[str, tuple[tuple[str, ...], int]]
    labels: dict[str, int]


@dataclass(frozen=True)
class Item:
    """An arm or a teacher.

    Attributes
    ----------
    name, role : of it
    cells, finished : how many there are, and are finished
    steps : of a cell, mean
    seconds_per_step : timed here
    threads : cores that a cell keeps busy
    """

    name: str
    role: str
    cells: int
    finished: int
    steps: float
    seconds_per_step: float
    threads: int

    @property
    def hours_left(self) -> float:
        """Of the unfinished cells, one after the other."""
        return (self.cells - self.finished) * self.steps * self.seconds_per_step / 3600


def plan_study(
    study: Study, out: Path | None, *, root: Path | None, cache: Path, progress: Callable[[int, int], None]
) -> tuple[tuple[Fold, ...], tuple[Item, ...]]:
    """Split, count and time.

    Parameters
    ----------
    study : to be planned
    out : its folder, where finished cells may be; nothing is written there. None where none is finished
    root, cache : of the data set and of prepared recordings
    progress : called with (items timed, in all)

    Raises
    ------
    ConfigError, DataError : what ``vskd study`` would refuse
    """
    data = StudyData(root, cache)
    check_study(study, data)
    names = list(dict.fromkeys(cell.item for cell in study.cells))
    items = []
    for done, name in enumerate(names):
        progress(done, len(names))
        items.append(_item(study.cells_of(name), out, data))
    progress(len(names), len(names))
    return tuple(_folds(study, data)), tuple(items)


def _folds(study: Study, data: StudyData) -> Iterator[Fold]:
    """Every distinct split, in the order of folds."""
    found: dict[str, Fold] = {}
    for cell in sorted(first_seeds(study), key=lambda one: study.folds.index(one.fold)):
        experiment = data.experiment(cell)
        key = repr([cell.fold, experiment.data_card()["split"]])
        known = found[key].items if key in found else ()
        found[key] = Fold(cell.fold, (*known, cell.item), _sides(experiment), _labels(experiment))
    yield from found.values()


def _sides(experiment: Experiment) -> dict[str, tuple[tuple[str, ...], int]]:
    split = experiment.split
    sides = {
        "train": (split.train_subjects, len(split.train)),
        "validation": (split.validation_subjects, len(split.validation)),
        "test": (split.test_subjects, len(split.test)),
    }
    if experiment.sides.unlabelled:
        sides["without labels"] = (experiment.sides.unlabelled_subjects, len(experiment.sides.unlabelled))
    return sides


def _labels(experiment: Experiment) -> dict[str, int]:
    counts = Counter(experiment.prepared.infos[row].label for row in experiment.split.train)
    return {label: counts[label] for label in experiment.contract.labels}


def _item(cells: Sequence[Cell], out: Path | None, data: StudyData) -> Item:
    """Time one cell; count the steps of all."""
    first = cells[0]
    logs = {} if out is None else {cell: folder_of(out, cell.name) / LOG for cell in cells if is_finished(out, cell)}
    if first.role == "forest":
        return Item(first.item, first.role, len(cells), len(logs), steps=0, seconds_per_step=0, threads=first.threads)
    training = training_of(first)
    steps = [_steps(cell, training, data) for cell in {cell.fold: cell for cell in cells}.values()]
    return Item(
        name=first.item,
        role=first.role,
        cells=len(cells),
        finished=len(logs),
        steps=sum(steps) / len(steps),
        seconds_per_step=_logged(logs, training, data) or seconds_per_step(first, data.experiment(first)),
        threads=first.threads,
    )


def _logged(logs: Mapping[Cell, Path], training: TrainingConfig, data: StudyData) -> float | None:
    """Seconds per step of the finished cells, by their logs; None without any."""
    times_s = []
    for cell, path in logs.items():
        if path.is_file():
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            times_s.append(sum(row["seconds"] for row in rows) / _steps(cell, training, data))
    return statistics.median(times_s) if times_s else None


def training_of(cell: Cell) -> TrainingConfig:
    """How a cell is trained."""
    return cell.config.student_training if cell.role == "student" else cell.config.teacher_training


def _steps(cell: Cell, training: TrainingConfig, data: StudyData) -> int:
    experiment = data.experiment(cell)
    rows = experiment.split.train
    if cell.taught_by:
        rows += experiment.sides.unlabelled
    count = data.windows(cell, rows)
    return training.steps or training.epochs * (count // training.batch + (count % training.batch >= 2))


def seconds_per_step(cell: Cell, experiment: Experiment) -> float:
    """Time a few training steps of a cell, on this machine, with its threads."""
    torch.set_num_threads(cell.threads)
    torch.manual_seed(0)
    training = training_of(cell)
    model, task = _network_and_task(cell, experiment)
    model.train()
    optimiser = optimiser_for(model, training)
    batches = (batch for epoch in itertools.count() for batch in task.batches(epoch, training.batch))
    for _ in range(_WARM_UP):
        train_step(model, task, next(batches), optimiser, training)
    times_s: list[float] = []
    while len(times_s) < _STEPS and sum(times_s) < _LONGEST_S:
        started_s = time.process_time()
        train_step(model, task, next(batches), optimiser, training)
        times_s.append((time.process_time() - started_s) / cell.threads)
    return statistics.median(times_s)


def _network_and_task(cell: Cell, experiment: Experiment) -> tuple[torch.nn.Module, Task]:
    config, classes = cell.config, len(experiment.contract.labels)
    if cell.role == "teacher":
        table = experiment.seen().windows("train")
        teacher = build_teacher(config, classes)
        vary = clip_variation(teacher)
        return teacher, teacher_task(table, config, clips_for(experiment, table), vary=vary)
    table = experiment.paired_windows() if cell.taught_by else experiment.windows("train")
    targets = _no_targets(table, classes, len(cell.taught_by)) if cell.taught_by else None
    student = build_student(config.student, experiment.contract)
    virtual = virtual_of(experiment, table)
    return student, student_task(table, config, classes, targets=targets, virtual=virtual)


def _no_targets(table: WindowTable, classes: int, teachers: int) -> DistillationTargets:
    feature = torch.randn(len(table), teachers * FEATURE_SIZE)
    return DistillationTargets(table.ids, ModelOutput(torch.zeros(len(table), classes), feature))


def plan_in_words(study: Study, folds: Sequence[Fold], items: Sequence[Item], *, jobs: int) -> str:
    """The plan as Markdown."""
    cells, finished = sum(item.cells for item in items), sum(item.finished for item in items)
    hours = sum(item.hours_left for item in items)
    lines = [
        f"{study.spec.name}: {cells} cells, {finished} finished, {cells - finished} to train.",
        "",
        "| | role | cells | finished | steps per cell | s per step | threads | hours left |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {item.name} | {item.role} | {item.cells} | {item.finished} | {item.steps:.0f} "
            f"| {item.seconds_per_step:.3f} | {item.threads} | {item.hours_left:.2f} |"
            for item in items
        ),
        "",
        f"About {hours:.2f} h one after the other, {hours / jobs:.2f} h with --jobs {jobs} and cores for them. A "
        "step's time is that of finished cells, or else processor time taken now; targets, tests, starts come on top.",
        "",
    ]
    for fold in folds:
        lines += [*_fold_in_words(fold), ""]
    return "\n".join(lines)


def _fold_in_words(fold: Fold) -> Iterator[str]:
    yield f"{'Fold ' + fold.fold if fold.fold else 'The split'} of {', '.join(fold.items)}:"
    for side, (subjects, recordings) in fold.sides.items():
        yield f"- {side}: {', '.join(subjects) or 'none'} ({recordings} recordings)"
    yield "- training labels: " + ", ".join(f"{label} {count}" for label, count in fold.labels.items())
    if missing := [label for label, count in fold.labels.items() if not count]:
        yield f"- WITHOUT A TRAINING LABEL: {', '.join(missing)}"
