"""A study: arms x folds x seeds out of one committed file, every cell a run, and nothing that is finished done twice.

::

    name = "scarce"  # STUDY.toml
    config = "../presets/utd-mhad-joints.toml"
    seeds = [0, 1, 2]
    folds = []  # empty: all that the protocol has
    set = ["data.train_on_validation=true"]  # changes to the config, of every cell

    [[teacher]]
    name = "skeleton"
    seeds = [0, 1, 2]  # so many networks are averaged; the same ones teach every seed of an arm

    [[teacher]]
    name = "both"
    of = ["skeleton", "alone"]  # networks of other teachers, and all seeds of an arm, averaged; it trains none itself

    [[arm]]
    name = "alone"

    [[arm]]
    name = "distilled"
    teacher = "skeleton"  # a teacher, or another arm: its run of the same fold and seed

    [[compare]]  # without any, every arm is compared with the first
    arm = "distilled"
    against = "alone"

Cells of one fold and seed are paired: equal initial weights, and where two arms know the same recordings an equal
batch order and augmentation stream, since all of them come from the seed (and the epoch) alone.

A study that chooses (a setting, a loss, an image) must not look at the people of the reported run's test. With
``set = ["data.people=['1','3','5','7']", "data.protocol='leave-one-subject-out'"]`` only those four take part, each is
tested once by networks trained on the other three, and nobody else's recordings are on any side.

A cell is trained in ``OUT/unfinished`` and moved to ``OUT/cells`` when its run card is written, by one rename. A study
that was killed at any moment goes on where it was: finished cells stay, a cell in work resumes at its last epoch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, DataError, did_you_mean
from vskd.writing import move_folder, write_file
from vskd_training.data.experiment import Experiment
from vskd_training.data.splits import folds_of
from vskd_training.datasets.prepared import prepare
from vskd_training.datasets.registry import open_source
from vskd_training.loop.run import CARD, Run
from vskd_training.loop.train import student_config, train_student, train_teacher
from vskd_training.settings import Config, DataConfig, load_config
from vskd_training.study.ray_cells import Shared, on_cluster

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class TeacherSpec:
    """Networks that teach together: ``seeds`` of them, with changes ``set`` to the study's config.

    With ``of`` the teacher has no networks of its own: those of the teachers and arms that are named teach together.
    """

    name: str
    seeds: tuple[int, ...] = (0,)
    set: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    RETIRED: ClassVar[Mapping[str, str]] = {"cross_fitted": "It was removed: no study used it"}

    def __post_init__(self) -> None:
        if self.of and (self.seeds, self.set) != ((0,), ()):
            raise ConfigError(
                f"the teacher {self.name!r} consists of others, so it has no seeds or set of its own",
                hint="Leave these to the teachers and arms that 'of' names",
            )


@dataclass(frozen=True)
class ArmSpec:
    """What is compared: a student, its teacher's or another arm's name (empty: alone), and changes to the config."""

    name: str
    teacher: str = ""
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairSpec:
    """Which arm is compared with which."""

    arm: str
    against: str


@dataclass(frozen=True)
class StudySpec:
    """A study file, see the module.

    Attributes
    ----------
    name, config, seeds, folds, set : as above
    teacher, arm, compare : as above
    activities : ``all``, or only those recorded at the ``wrist``; what the comparisons are about
    decisions : of every figure: one per ``recording``, or one per ``window``
    """

    name: str
    config: str
    seeds: tuple[int, ...]
    arm: tuple[ArmSpec, ...]
    teacher: tuple[TeacherSpec, ...] = ()
    compare: tuple[PairSpec, ...] = ()
    folds: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    activities: Literal["all", "wrist"] = "all"
    decisions: Literal["recording", "window"] = "recording"

    def __post_init__(self) -> None:
        if not self.seeds or not self.arm:
            raise ConfigError("a study needs at least one seed and one [[arm]]")
        for seeds in (self.seeds, *(teacher.seeds for teacher in self.teacher)):
            if len(set(seeds)) < len(seeds) or not seeds or min(seeds) < 0:
                raise ConfigError(f"the seeds of a study must differ and not be negative, got {list(seeds)}")
        names = [arm.name for arm in self.arm] + [teacher.name for teacher in self.teacher]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(f"a name in a study holds small letters, digits and hyphens, got {name!r}")
            if names.count(name) > 1:
                raise ConfigError(f"two arms or teachers of the study are called {name!r}")
        self._check_references()

    def _check_references(self) -> None:
        self._check_parts()
        arms = [arm.name for arm in self.arm]
        trained = [teacher.name for teacher in self.trained_teachers]
        for position, arm in enumerate(self.arm):
            # An arm can only be taught by one that stands before it, so no circle can arise.
            before = [*trained, *arms[:position]]
            ready = [*before, *(teacher.name for teacher in self.teacher if teacher.of and {*teacher.of} <= {*before})]
            if arm.teacher and arm.teacher not in ready:
                raise ConfigError(
                    f"the arm {arm.name!r} is taught by {arm.teacher!r}, which is no teacher and no arm before it, or "
                    "consists of an arm that is not before it",
                    hint=did_you_mean(arm.teacher, ready),
                )
        for pair in self.compare:
            for name in (pair.arm, pair.against):
                if name not in arms:
                    raise ConfigError(f"[[compare]] names {name!r}, which is no arm", hint=did_you_mean(name, arms))

    def _check_parts(self) -> None:
        """A teacher consists of arms and of teachers with networks."""
        parts = [*(teacher.name for teacher in self.trained_teachers), *(arm.name for arm in self.arm)]
        for teacher in self.teacher:
            for part in teacher.of:
                if part not in parts:
                    raise ConfigError(
                        f"the teacher {teacher.name!r} consists of {part!r}, which is no arm, and no teacher that has "
                        "networks",
                        hint=did_you_mean(part, parts),
                    )

    @property
    def trained_teachers(self) -> tuple[TeacherSpec, ...]:
        """Those with networks of their own."""
        return tuple(teacher for teacher in self.teacher if not teacher.of)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The comparisons: as listed, or every arm with the first."""
        if self.compare:
            return tuple((pair.arm, pair.against) for pair in self.compare)
        return tuple((arm.name, self.arm[0].name) for arm in self.arm[1:])


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
    role: Literal["teacher", "student"]
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
    cells : teachers first
    """

    spec: StudySpec
    sha256: dict[str, str]
    cells: tuple[Cell, ...]


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
        spec = from_mapping(StudySpec, tomllib.loads(content.decode("utf-8")), where=path.name)
    except OSError as error:
        raise DataError(f"cannot read the study {path}: {error.strerror}", hint="See training/studies") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    config_file = path.parent / spec.config
    config = load_config(config_file, changes=spec.set)
    infos = open_source(config.data, root).infos()
    chosen = spec.folds or folds_of(infos, config.data) or ("",)
    cells = [cell for fold in chosen for cell in _cells(spec, config_file, fold)]
    order = [teacher.name for teacher in spec.trained_teachers] + [arm.name for arm in spec.arm]
    hashes = {"study": _sha256(content), "config": _sha256(config_file.read_bytes())}
    return Study(spec, hashes, tuple(sorted(cells, key=lambda cell: order.index(cell.item))))


def _cells(spec: StudySpec, config_file: Path, fold: str) -> Iterator[Cell]:
    """The cells of one fold."""

    def config(changes: tuple[str, ...], seed: int) -> Config:
        placed = (f'data.fold="{fold}"', f"seed={seed}")
        return load_config(config_file, changes=(*spec.set, *changes, *placed))

    networks: dict[str, tuple[str, ...]] = {}
    for teacher in spec.trained_teachers:
        cells = [
            Cell(_cell_name(teacher.name, fold, seed), teacher.name, fold, seed, "teacher", made, ())
            for seed, made in ((seed, config(teacher.set, seed)) for seed in teacher.seeds)
        ]
        networks[teacher.name] = tuple(cell.name for cell in cells)
        yield from cells
    of_arms = {arm.name: tuple(_cell_name(arm.name, fold, seed) for seed in spec.seeds) for arm in spec.arm}
    for teacher in spec.teacher:
        if teacher.of:
            networks[teacher.name] = tuple(cell for part in teacher.of for cell in (networks | of_arms)[part])
    for arm in spec.arm:
        for seed in spec.seeds:
            own = (_cell_name(arm.teacher, fold, seed),) if arm.teacher else ()
            taught_by = networks.get(arm.teacher, own)
            made = student_config(config(arm.set, seed), taught=bool(taught_by))
            yield Cell(_cell_name(arm.name, fold, seed), arm.name, fold, seed, "student", made, taught_by)


def _cell_name(item: str, fold: str, seed: int) -> str:
    return f"{item}/{'fold-' + fold if fold else 'all'}/seed-{seed}"


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
    out : its folder; one that is there is gone on with
    root, cache : of the data set and of prepared recordings
    jobs : cells at a time, each with the config's ``threads``; None is one, or on a cluster what its cores allow
    progress : called with (cells finished, in all, name of the cell that was finished last)
    ray_address : HOST:PORT of a Ray cluster to train them on, see ``ray_cells``; empty for the cores of this machine

    Raises
    ------
    DataError : another process is at work there; a cell was made with another config; whatever a cell raises
    """
    with _alone(out):
        done = {cell.name for cell in study.cells if is_finished(out, cell)}
        progress(len(done), len(study.cells), "")
        if len(done) == len(study.cells):
            return
        # Workers have working folders of their own.
        out, cache, root = out.resolve(), cache.resolve(), root and root.resolve()
        call = partial(run_cell, out=out, root=root, cache=cache)
        shared = Shared((out, cache), partial(_fingerprints, _data_of(study), root))
        where = on_cluster(ray_address, shared, at_a_time=jobs) if ray_address else _on_cores(jobs or 1)
        with where as run:
            _prepare(study, root, cache)
            while len(done) < len(study.cells):
                ready = [cell for cell in study.cells if cell.name not in done and set(cell.taught_by) <= done]
                for name in run(call, ready):
                    done.add(name)
                    progress(len(done), len(study.cells), name)


@contextmanager
def _on_cores(jobs: int) -> Iterator[Callable[[Callable[[Cell], str], Sequence[Cell]], Iterator[str]]]:
    """What ``ray_cells.on_cluster`` is, on the cores of this machine."""
    from joblib import Parallel, delayed

    def run(call: Callable[[Cell], str], cells: Sequence[Cell]) -> Iterator[str]:
        parallel = Parallel(n_jobs=jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        yield from parallel(delayed(call)(cell) for cell in cells)

    yield run


def _data_of(study: Study) -> tuple[DataConfig, ...]:
    """The data that the cells read, each once, whatever split they make of it."""
    return tuple(dict.fromkeys(cell.config.data.reading() for cell in study.cells))


def _fingerprints(data: Sequence[DataConfig], root: Path | None) -> tuple[str, ...]:
    return tuple(open_source(one, root).fingerprint() for one in data)


def _prepare(study: Study, root: Path | None, cache: Path) -> None:
    """Decode the recordings once, before several processes want them."""
    for data in _data_of(study):
        prepare(open_source(data, root), cache)


def is_finished(out: Path, cell: Cell) -> bool:
    """Whether a cell is there, made with its present config.

    Raises
    ------
    DataError : it is there with another config
    """
    folder = out / "cells" / cell.name
    if not (folder / CARD).is_file():
        return False
    if to_mapping(Run.open(folder, role=cell.role).config) != to_mapping(cell.config):
        raise DataError(
            f"{folder} was made with another config than the study has now",
            hint="A study is frozen once it runs: give another --out",
        )
    return True


def run_cell(cell: Cell, out: Path, *, root: Path | None, cache: Path) -> str:
    """Train one cell, or go on with it; returns its name. Runs in a process of its own."""
    work, place = out / "unfinished" / cell.name, out / "cells" / cell.name
    # A worker that dies with its result on the way leaves a finished cell, and a cluster asks for it again.
    if (place / CARD).is_file():
        return cell.name
    # A kill between card and rename leaves a finished run here.
    if not (work / CARD).is_file():
        _train(cell, work, [out / "cells" / name for name in cell.taught_by], root=root, cache=cache)
    move_folder(work, place)
    return cell.name


def _train(cell: Cell, work: Path, teachers: Sequence[Path], *, root: Path | None, cache: Path) -> None:
    experiment = Experiment.open(cell.config, root=root, cache=cache, progress=None)
    options: dict[str, Any] = {"overwrite": False, "resume": True, "progress": _silent}
    if cell.role == "teacher":
        train_teacher(experiment, work, **options)
    else:
        train_student(experiment, work, teachers=[Run.open(path, role=None) for path in teachers], **options)


def _silent(done: int, total: int, parts: dict[str, float]) -> None:
    del done, total, parts


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One study at a time in a folder; the lock falls with the process, however it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / ".lock").open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"another process runs a study in {out}", hint="Wait for it, or stop it") from error
            yield
    except OSError as error:
        raise DataError(f"the study cannot be written in {out}: {error.strerror or error}") from error


def cards(study: Study, out: Path, item: str) -> list[tuple[Cell, dict[str, Any]]]:
    """The finished cells of an arm or a teacher, with their run cards.

    Raises
    ------
    DataError : one is not finished
    """
    return [
        (cell, Run.open(out / "cells" / cell.name, role=cell.role).card) for cell in study.cells if cell.item == item
    ]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a document, sorted, so that equal results are equal bytes."""
    write_file(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
