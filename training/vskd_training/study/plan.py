"""A study's cells: arms and teachers x folds x seeds, each one run.

Cells of one fold and seed are paired: equal initial weights, and where two arms know the same recordings an equal
batch order and augmentation stream, since all of them come from the seed (and the epoch) alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vskd.closed import from_mapping
from vskd.errors import ConfigError, DataError
from vskd.untrusted.documents import read_toml
from vskd_training.data.sources import open_source
from vskd_training.data.splits import folds_of
from vskd_training.loop.train import student_config
from vskd_training.settings import Config, load_config
from vskd_training.settings.presets import config_file
from vskd_training.study.spec import ArmSpec, StudySpec, TeacherSpec


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes
    ----------
    name : ``ITEM/FOLD/seed-N``, also its folder
    item, fold, seed : of which arm or teacher
    role : what is trained
    config : of the run
    taught_by : names of the cells that must be finished first
    """

    name: str
    item: str
    fold: str
    seed: int
    role: Literal["teacher", "student", "forest"]
    config: Config
    taught_by: tuple[str, ...]

    @property
    def threads(self) -> int:
        """Cores that it keeps busy."""
        return self.config.threads


@dataclass(frozen=True)
class Study:
    """A study file, read, with its cells.

    Attributes
    ----------
    spec : the file
    sha256 : of the file and of the config that it names
    cells : teachers first, then arms, in the order of the file
    """

    spec: StudySpec
    sha256: dict[str, str]
    cells: tuple[Cell, ...]

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds, in order; one that is empty where there is one split."""
        return tuple(dict.fromkeys(cell.fold for cell in self.cells))

    def cell(self, name: str) -> Cell:
        """The cell of a name."""
        return next(cell for cell in self.cells if cell.name == name)

    def cells_of(self, item: str) -> tuple[Cell, ...]:
        """The cells of an arm or a teacher."""
        return tuple(cell for cell in self.cells if cell.item == item)


def open_study(path: Path, *, root: Path | None) -> Study:
    """Read a study file and lay out its cells.

    Parameters
    ----------
    path : TOML
    root : folder of the data set, None for the synthetic one; only its list of recordings is read

    Raises
    ------
    DataError : a file cannot be read
    ConfigError : a key, name or value that cannot be
    """
    try:
        content = path.read_bytes()
        spec = from_mapping(StudySpec, read_toml(content.decode("utf-8")), where=path.name)
    except OSError as error:
        raise DataError(f"cannot read the study {path}: {error.strerror}", hint="See training/studies") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    file = config_file(spec.config, beside=path.parent)
    config = load_config(file, changes=spec.set)
    folds = folds_of(open_source(config.data, root).infos(), config.data) or ("",)
    cells = [cell for fold in folds for cell in _cells_of_fold(spec, file, fold)]
    order = [*(teacher.name for teacher in spec.trained_teachers), *(arm.name for arm in spec.arm)]
    hashes = {"study": _sha256(content), "config": _sha256(file.read_bytes())}
    return Study(spec, hashes, tuple(sorted(cells, key=lambda cell: order.index(cell.item))))


def _cells_of_fold(spec: StudySpec, file: Path, fold: str) -> Iterator[Cell]:
    def config(item: TeacherSpec | ArmSpec, seed: int) -> Config:
        placed = (f'data.fold="{fold}"', f"seed={seed}")
        try:
            return load_config(file, changes=(*spec.set, *item.set, *placed))
        except ConfigError as error:
            raise ConfigError(f"{item.name!r} of the study {spec.name}: {error.message}", hint=error.hint) from error

    for teacher in spec.trained_teachers:
        for seed in teacher.seeds:
            name = cell_name(teacher.name, fold, seed)
            yield Cell(name, teacher.name, fold, seed, "teacher", config(teacher, seed), ())
    for arm in spec.arm:
        for seed in spec.seeds:
            taught_by = teachers_of(spec, arm.teacher, fold, seed)
            made = config(arm, seed)
            if arm.kind == "student":
                made = student_config(made, taught=bool(taught_by))
            yield Cell(cell_name(arm.name, fold, seed), arm.name, fold, seed, arm.kind, made, taught_by)


def teachers_of(spec: StudySpec, name: str, fold: str, seed: int) -> tuple[str, ...]:
    """The cells that teach an arm's cell of one fold and seed: of an arm the same seed, of all else every seed."""
    if not name:
        return ()
    if name in {arm.name for arm in spec.arm}:
        return (cell_name(name, fold, seed),)
    (teacher,) = (teacher for teacher in spec.teacher if teacher.name == name)
    seeds = {item.name: spec.seeds for item in spec.arm} | {item.name: item.seeds for item in spec.trained_teachers}
    return tuple(cell_name(member, fold, one) for member in teacher.members or (name,) for one in seeds[member])


def cell_name(item: str, fold: str, seed: int) -> str:
    """The name of a cell, also its folder."""
    return f"{item}/{'fold-' + fold if fold else 'all'}/seed-{seed}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
