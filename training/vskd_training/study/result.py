"""The scores of a study, out of its run cards: per cell, per arm and teacher, and the comparisons of arms.

Seeds are averaged within a subject before anything is compared. An arm is reported once all its cells are finished;
until then the result says how many are. This module trains nothing and draws nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vskd_training.runs.run import CARD
from vskd_training.study.cells import Outcome, folder_of, open_cell
from vskd_training.study.plan import Cell, Study
from vskd_training.study.spec import StudySpec
from vskd_training.study.statistics import Comparison, bca_interval, compare


@dataclass(frozen=True)
class Scores:
    """Scores on the test subjects, in [0, 1], of one network or as the mean over several.

    Attributes
    ----------
    accuracy, macro_f1 : of the study's decisions, over all activities
    wrist_accuracy, wrist_macro_f1 : over those that were recorded at the wrist; None where that is not known apart
    window_accuracy : per window, whatever the study's decisions are
    teacher_accuracy : of a student's teachers together, None without a teacher
    """

    accuracy: float
    macro_f1: float
    wrist_accuracy: float | None
    wrist_macro_f1: float | None
    window_accuracy: float
    teacher_accuracy: float | None


@dataclass(frozen=True)
class CellScores(Scores):
    """Scores of one run.

    Attributes
    ----------
    fold, seed : of the cell
    by_subject : accuracy of each test subject
    subjects : who was on which side
    weights_sha256 : of the network
    """

    fold: str
    seed: int
    by_subject: Mapping[str, float]
    subjects: Mapping[str, Sequence[str]]
    weights_sha256: str


@dataclass(frozen=True)
class ItemScores(Scores):
    """Scores of an arm or a teacher, means over its cells.

    Attributes
    ----------
    accuracy_sd_over_cells : standard deviation of the accuracy over folds and seeds
    by_subject : accuracy of each test subject, mean over seeds
    interval_over_subjects : 95 % BCa interval of their mean, None with fewer than three subjects
    cost : ``macs`` of a window and ``parameters`` of the network; None where the run cards do not say
    cells : each run
    """

    accuracy_sd_over_cells: float
    by_subject: Mapping[str, float]
    interval_over_subjects: tuple[float, float] | None
    cost: Mapping[str, int] | None
    cells: tuple[CellScores, ...]

    @property
    def worst_subject(self) -> str:
        """The one with the lowest accuracy."""
        return min(self.by_subject, key=self.by_subject.__getitem__)


@dataclass(frozen=True)
class StudyResult:
    """Everything that a study found; no date, so equal runs give equal results.

    Attributes
    ----------
    study, sha256 : the study file, and hashes of it and of its config
    dataset : name, key and number of defects
    leaky : test subjects are also in training
    subjects : the only ones who took part; empty: all
    versions : of the libraries
    teachers, arms : scores by name, in the order of the file, of those whose cells are all finished
    unfinished : of the others, how many of their cells are finished
    finished_cells : of these others, the runs that there are
    failed : cells that were tried and are not finished, and why
    comparisons : in the order of the file
    """

    study: StudySpec
    sha256: Mapping[str, str]
    dataset: Mapping[str, Any]
    leaky: bool
    subjects: tuple[str, ...]
    versions: Mapping[str, str]
    teachers: Mapping[str, ItemScores]
    arms: Mapping[str, ItemScores]
    unfinished: Mapping[str, str]
    finished_cells: Mapping[str, tuple[CellScores, ...]]
    failed: Mapping[str, str]
    comparisons: tuple[Comparison, ...]


def summarise(study: Study, out: Path, failed: Sequence[Outcome] = ()) -> StudyResult:
    """Read the run cards of a study, and compare its arms.

    Parameters
    ----------
    study : what was run
    out : its folder
    failed : cells that could not be trained

    Raises
    ------
    DataError : no cell is finished, or one is of an older version
    """
    spec = study.spec
    unfinished = {item: f"{done} of {count} cells" for item, done, count in _progress(study, out) if done < count}
    arms = {arm.name: _item_scores(study, arm.name, out) for arm in spec.arm if arm.name not in unfinished}
    there = [cell for cell in study.cells if _is_there(out, cell)]
    first = next((cell for cell in there if cell.item in arms), there[0] if there else study.cells[0])
    card = open_cell(out, first).card
    return StudyResult(
        study=spec,
        sha256=study.sha256,
        dataset={key: card["data"][key] for key in ("dataset", "key", "defects")},
        leaky=card["data"]["split"]["leaky"],
        subjects=first.config.data.subjects,
        versions=card["versions"],
        teachers={
            teacher.name: _item_scores(study, teacher.name, out)
            for teacher in spec.trained_teachers
            if teacher.name not in unfinished
        },
        arms=arms,
        unfinished=unfinished,
        finished_cells={
            item: rows
            for item in unfinished
            if (rows := _rows(study, [cell for cell in there if cell.item == item], out))
        },
        failed={outcome.name: outcome.error for outcome in failed},
        comparisons=compare(
            {name: scores.by_subject for name, scores in arms.items()}, spec.pairs, unfinished=unfinished
        ),
    )


def _progress(study: Study, out: Path) -> Iterator[tuple[str, int, int]]:
    """Of each teacher and arm how many cells are finished, and how many there are."""
    for item in dict.fromkeys(cell.item for cell in study.cells):
        cells = study.cells_of(item)
        yield item, sum(_is_there(out, cell) for cell in cells), len(cells)


def _is_there(out: Path, cell: Cell) -> bool:
    return (folder_of(out, cell.name) / CARD).is_file()


def _rows(study: Study, cells: Sequence[Cell], out: Path) -> tuple[CellScores, ...]:
    return tuple(_cell_scores(cell, open_cell(out, cell).card, study.spec) for cell in cells)


def _item_scores(study: Study, item: str, out: Path) -> ItemScores:
    cells = study.cells_of(item)
    rows = _rows(study, cells, out)
    over_seeds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for subject, accuracy in row.by_subject.items():
            over_seeds[subject].append(accuracy)
    by_subject = {subject: float(np.mean(values)) for subject, values in sorted(over_seeds.items())}
    return ItemScores(
        **_means(rows),
        accuracy_sd_over_cells=float(np.std([row.accuracy for row in rows])),
        by_subject=by_subject,
        interval_over_subjects=bca_interval(np.array(list(by_subject.values()))),
        cost=open_cell(out, cells[0]).card.get("cost"),
        cells=rows,
    )


def _means(rows: Sequence[Scores]) -> dict[str, Any]:
    """The mean of each score; None where one of the cells has none."""
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(Scores)}
    return {name: None if None in values else float(np.mean(values)) for name, values in columns.items()}


def _cell_scores(cell: Cell, card: Mapping[str, Any], spec: StudySpec) -> CellScores:
    test = card["metrics"]["test"]
    tested = test[spec.decisions]
    wrist = tested.get("wrist", {})
    teachers = card["teacher_metrics"]["test"][spec.decisions]["all"]["accuracy"] if cell.taught_by else None
    return CellScores(
        accuracy=tested["all"]["accuracy"],
        macro_f1=tested["all"]["macro_f1"],
        wrist_accuracy=wrist.get("accuracy"),
        wrist_macro_f1=wrist.get("macro_f1"),
        window_accuracy=test["window"]["all"]["accuracy"],
        teacher_accuracy=teachers,
        fold=cell.fold,
        seed=cell.seed,
        by_subject=tested["all"]["by_subject"],
        subjects={key: card["data"]["split"].get(key, []) for key in ("train", "unlabelled", "validation", "test")},
        weights_sha256=card["weights_sha256"],
    )
