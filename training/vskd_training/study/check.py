"""What would stop a study hours later is refused before its first cell is trained.

Recordings are split and their windows counted as training will, and every network is built, each distinct combination
once. Nothing is trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.errors import ConfigError, DataError, VskdError
from vskd_training.data.experiment import Experiment
from vskd_training.data.sources import open_source
from vskd_training.data.windows import answered_windows
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.distillation.targets import check_features
from vskd_training.evaluation.classes import refuse_untaught
from vskd_training.models.build import build_student, build_teacher
from vskd_training.settings import DataConfig
from vskd_training.study.plan import Cell, Study
from vskd_training.study.statistics import other_subjects

#: A batch norm needs two.
_FEWEST_WINDOWS = 2


@dataclass
class StudyData:
    """The recordings of a study's cells, read once, with their splits and their windows counted.

    Attributes
    ----------
    root, cache : of the data set and of prepared recordings
    """

    root: Path | None
    cache: Path
    _prepared: dict[DataConfig, Prepared] = field(default_factory=dict)
    _experiments: dict[tuple[str, str], Experiment] = field(default_factory=dict)
    _counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def experiment(self, cell: Cell) -> Experiment:
        """The experiment of a cell; its seed is that of the first cell of its item and fold that was asked for.

        Raises
        ------
        ConfigError, DataError : naming the cell
        """
        key = (cell.item, cell.fold)
        if key not in self._experiments:
            with _naming(cell):
                self._experiments[key] = Experiment.of(cell.config, self._read(cell.config.data.reading()))
        return self._experiments[key]

    def windows(self, cell: Cell, recordings: Sequence[int]) -> int:
        """How many windows some recordings hold."""
        experiment = self.experiment(cell)
        spec = cell.config.data.reading(), experiment.contract.window, experiment.contract.sensor
        # What a device answers for depends on the fold's training subjects.
        key = repr([*(to_mapping(one) for one in spec), experiment.contract.signal])
        if key not in self._counts:
            prepared, contract = experiment.prepared, experiment.contract
            counts = [len(answered_windows(contract, *prepared.sensor(index))) for index in range(len(prepared))]
            self._counts[key] = np.array(counts, dtype=np.int64)
        return int(self._counts[key][list(recordings)].sum())

    def _read(self, data: DataConfig) -> Prepared:
        if data not in self._prepared:
            self._prepared[data] = prepare(open_source(data, self.root), self.cache)
        return self._prepared[data]


@contextmanager
def _naming(cell: Cell) -> Iterator[None]:
    """Errors that name the cell."""
    try:
        yield
    except VskdError as error:
        kind = ConfigError if isinstance(error, ConfigError) else DataError
        raise kind(f"the cell {cell.name} cannot be trained: {error.message}", hint=error.hint) from error


def check_study(study: Study, data: StudyData) -> None:
    """Refuse what cannot be trained or compared.

    Raises
    ------
    ConfigError, DataError : arms that cannot be compared; a cell that cannot be trained; a teacher of another split
    """
    _check_tested(study, data)
    for cell in first_seeds(study):
        _check_windows(cell, data)
        with _naming(cell):
            _check_classes(cell, data)
            _check_network(cell, data)
            _check_teachers([study.cell(name) for name in cell.taught_by], cell, data)


def first_seeds(study: Study) -> Iterator[Cell]:
    """One cell of each item and fold, in order; those of other seeds differ from it in random numbers only."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in study.cells:
        found.setdefault((cell.item, cell.fold), cell)
    yield from found.values()


def _check_tested(study: Study, data: StudyData) -> None:
    """Compared arms are tested on the same subjects in every fold, and on more than one in all."""
    tested: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for cell in first_seeds(study):
        if not data.experiment(cell).split.test:
            raise ConfigError(
                f"{cell.item} trains on everybody (data.protocol), and a study tests on others",
                hint="Take data.protocol = leave-one-subject-out; --everybody is for `vskd train` afterwards",
            )
        tested[cell.item][cell.fold] = data.experiment(cell).split.test_subjects
    for pair in study.spec.pairs:
        ours, theirs = (tested[arm] for arm in pair)
        for fold in ours:
            if {*ours[fold]} != {*theirs[fold]}:
                where = f" in fold {fold}" if fold else ""
                raise ConfigError(
                    f"{other_subjects(pair, ours[fold], theirs[fold])}{where}, so they cannot be compared",
                    hint="Give both arms the same [data], or compare others",
                )
        subjects = {subject for names in ours.values() for subject in names}
        if len(subjects) < 2:
            raise ConfigError(
                f"{pair[0]} and {pair[1]} would be compared over one test subject ({', '.join(subjects)}), where no "
                "test can tell a difference from chance; at least two are needed",
                hint="Take data.protocol = leave-one-subject-out, or a study of a single arm",
            )


def _check_windows(cell: Cell, data: StudyData) -> None:
    experiment = data.experiment(cell)
    split = experiment.split
    sides = {"training": split.train, "validation": split.validation, "test": split.test}
    if experiment.sides.unlabelled:
        sides["unlabelled"] = experiment.sides.unlabelled
    for side, recordings in sides.items():
        needed = _FEWEST_WINDOWS if side == "training" else int(bool(recordings))
        found = data.windows(cell, recordings)
        if found < needed:
            raise DataError(
                f"the cell {cell.name} cannot be trained: its {len(recordings)} {side} recordings hold {found} windows "
                f"of {experiment.contract.window.duration_s:g} s, and {needed} are needed",
                hint="Lower window.samples, or use window.mode = 'whole'",
            )


def _check_classes(cell: Cell, data: StudyData) -> None:
    experiment = data.experiment(cell)
    infos, split = experiment.prepared.infos, experiment.split
    counts = {
        label: {
            side: data.windows(cell, [row for row in rows if infos[row].label == label])
            for side, rows in {"train": split.train, "test": split.test}.items()
        }
        for label in experiment.contract.labels
    }
    allowed = cell.config.data.allow_missing_classes or experiment.labels_withheld
    refuse_untaught(counts, allowed=allowed)


def _check_network(cell: Cell, data: StudyData) -> None:
    experiment = data.experiment(cell)
    if cell.role == "student":
        build_student(cell.config.student, experiment.contract)
    elif cell.role == "teacher":
        build_teacher(cell.config, len(experiment.contract.labels))


def _check_teachers(teachers: Sequence[Cell], cell: Cell, data: StudyData) -> None:
    """What ``distillation.targets`` asks of teachers, ahead of their training."""
    check_features(cell.config, len(teachers))
    ours = data.experiment(cell)
    for teacher in teachers:
        theirs = data.experiment(teacher)
        for key, own in ours.data_card().items():
            if key in ("key", "split") and theirs.data_card()[key] != own:
                raise ConfigError(
                    f"its teacher {teacher.item!r} knows another {key}: {_difference(theirs.data_card()[key], own)}",
                    hint="Give both the same [data] and [labels]",
                )
        window = theirs.contract.window, theirs.contract.sensor
        if teacher.role == "student" and window != (ours.contract.window, ours.contract.sensor):
            raise ConfigError(
                f"its teacher {teacher.item!r} is a student that reads other windows",
                hint="Give both the same [window] and [sensor]",
            )


def _difference(theirs: Any, ours: Any) -> str:
    """The first entry that differs."""
    if not isinstance(ours, dict):
        return "other files, or another view"
    key = next(key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key))
    return f"{key} is {theirs.get(key)} there and {ours.get(key)} here"
