"""A search, read and checked: its space, the subjects that choose, and the config of every training.

The search is nested within the config's training subjects. Its test subjects are on no side of any training here, so
that what is chosen may be tested on them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vskd.closed import to_mapping
from vskd.errors import ConfigError, did_you_mean
from vskd_export.search.space import FAMILY, Choice, Space, changes_of, has_meaning, space_of
from vskd_export.search.spec import SearchSpec, read_spec
from vskd_training.data.labels import sides
from vskd_training.data.protocols import LEAVE_ONE_SUBJECT_OUT, SUBJECT_FOLDS, natural
from vskd_training.data.sources import open_source
from vskd_training.data.splits import folds_of, split_of
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.loop.train import student_config
from vskd_training.settings import Config, DataConfig, load_config
from vskd_training.settings.presets import config_file
from vskd_training.study.plan import Cell

#: With two, one would train and one be tested.
_FEWEST_SUBJECTS = 3


@dataclass(frozen=True)
class Search:
    """A search file over a data set.

    Attributes
    ----------
    spec : the file
    config_file : of every candidate; absolute
    outer_fold : the fold of the config's protocol whose test subjects are left out; empty where it has one split only
    space : of the candidates
    subjects : those who choose, in natural order
    left_out : the test subjects, who do not
    folds : of the choosing subjects
    """

    spec: SearchSpec
    config_file: Path
    outer_fold: str
    space: Space
    subjects: tuple[str, ...]
    left_out: tuple[str, ...]
    folds: tuple[str, ...] = ()

    def config(self, choice: Choice) -> Config:
        """The config of a candidate as it would be trained for use: on all training subjects of the config's split.

        Raises
        ------
        ConfigError : the config does not take the values
        """
        return _config(self.config_file, self.spec, self.outer_fold, changes_of(choice))

    def cells(self, choice: Choice, fold: str) -> tuple[Cell, ...]:
        """The trainings of a candidate on one fold, one for each seed; as cells of a study."""
        data = _inner_data(self.config(choice).data, self.spec, self.subjects, fold)
        config = replace(student_config(self.config(choice), taught=False), data=data)
        key = key_of(choice)
        return tuple(
            Cell(f"{key}/fold-{fold}/seed-{seed}", key, fold, seed, "student", replace(config, seed=seed), ())
            for seed in self.spec.seeds
        )

    @property
    def trainings(self) -> int:
        """Of one candidate."""
        return len(self.folds) * len(self.spec.seeds)

    @property
    def signature(self) -> str:
        """What the candidates of one journal must have in common, as a digest."""
        common = {
            "spec": {key: value for key, value in to_mapping(self.spec).items() if key not in ("name", "config")},
            "config": hashlib.sha256(self.config_file.read_bytes()).hexdigest(),
            "subjects": self.subjects,
            "left_out": self.left_out,
        }
        return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()


def key_of(choice: Choice) -> str:
    """A candidate's name: equal choices have equal names."""
    return hashlib.sha256(json.dumps(choice, sort_keys=True).encode()).hexdigest()[:10]


def open_search(path: Path, *, root: Path | None, outer_fold: str) -> Search:
    """Read a search file, and find who may choose.

    Parameters
    ----------
    path : TOML
    root : folder of the data set, None for the synthetic one; only its list of recordings is read
    outer_fold : of the config's protocol, such as the subject that ``leave-one-subject-out`` tests; empty: the
        config's own ``data.fold``

    Raises
    ------
    DataError : a file cannot be read
    ConfigError : a key, value or subject that cannot be
    """
    spec = read_spec(path)
    file = config_file(spec.config, beside=path.parent).resolve()
    config = _config(file, spec, outer_fold, ())
    space = space_of(spec, config)
    infos = open_source(config.data, root).infos()
    subjects, left_out = _subjects(infos, config.data, spec)
    search = Search(spec, file, outer_fold, space, subjects, left_out)
    inner = _inner_data(config.data, spec, subjects, "")
    search = replace(search, folds=folds_of(infos, inner))
    for fold in search.folds:
        sides(infos, replace(inner, fold=fold), config.labels)
    _check_ends(search)
    return search


def _config(file: Path, spec: SearchSpec, outer_fold: str, changes: Sequence[str]) -> Config:
    fold = (f"data.fold={json.dumps(outer_fold)}",) if outer_fold else ()
    return load_config(file, changes=(*spec.set, *fold, *changes))


def _subjects(
    infos: Sequence[RecordingInfo], data: DataConfig, spec: SearchSpec
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those who choose, and the test subjects of the config's split."""
    if folds_of(infos, data) and not data.fold:
        raise ConfigError(
            f"{data.protocol} tests every subject in turn, so the search does not know whom it must leave out",
            hint="Name the fold to leave out: --outer-fold SUBJECT; one search for each fold is a nested study",
        )
    split = split_of(infos, data)
    tested = split.test_subjects
    training = sorted({*split.train_subjects, *split.validation_subjects} - {*tested}, key=natural)
    for subject in spec.subjects:
        if subject in tested:
            raise ConfigError(
                f"the search would choose on {subject!r}, a test subject of {data.protocol}",
                hint=f"Take training subjects only: {', '.join(training) or 'there are none'}",
            )
        if subject not in training:
            raise ConfigError(
                f"the search names {subject!r}, who is no training subject of {data.protocol}",
                hint=did_you_mean(subject, training),
            )
    chosen = tuple(sorted(spec.subjects or training, key=natural))
    if len(chosen) < _FEWEST_SUBJECTS:
        raise ConfigError(
            f"a search leaves out one of at least {_FEWEST_SUBJECTS} training subjects, got {len(chosen)}"
            + (f": {', '.join(chosen)}" if chosen else f"; all are test subjects of {data.protocol}"),
            hint="Take a protocol with more training subjects",
        )
    return chosen, tested


def _inner_data(data: DataConfig, spec: SearchSpec, subjects: tuple[str, ...], fold: str) -> DataConfig:
    """The split of one training of a candidate: among the choosing subjects only, without validation."""
    return replace(
        data,
        subjects=subjects,
        protocol=SUBJECT_FOLDS if spec.folds else LEAVE_ONE_SUBJECT_OUT,
        fold_count=spec.folds or data.fold_count,
        fold=fold,
        train_subjects=(),
        test_subjects=(),
        validation_subjects=(),
        train_on_validation=True,
        allow_leak=False,
    )


def _check_ends(search: Search) -> None:
    """Refuse a range that the config does not take, before the first trial."""
    for one in search.space.dimensions:
        families = search.space.families if one.key != FAMILY else ()
        family = next((name for name in families if has_meaning(one.key, name)), None)
        for value in one.ends:
            given = list(value) if isinstance(value, tuple) else value
            search.config({**({FAMILY: family} if family else {}), one.key: given})
