"""Training and evaluating from Python: ``vskd.train`` and ``vskd.evaluate``, which the commands of that name call.

What loads torch is imported inside, so that both can be looked at without it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import left_at_stop
from vskd.errors import ConfigError, did_you_mean
from vskd_training.commands.terminal import open_experiment, show_split

if TYPE_CHECKING:
    from vskd_training.data.experiment import Experiment
    from vskd_training.evaluation.evaluate import Evaluation
    from vskd_training.runs.run import Run

T = TypeVar("T", bound=str | PathLike[str])
#: A file or folder. A run and a report of an export stand for their folders.
Place = str | PathLike[str]
Kind = Literal["student", "teacher", "forest"]


def train(
    config: Place,
    out: Place,
    *,
    kind: Kind = "student",
    teachers: Place | Sequence[Place] = (),
    changes: Mapping[str, Any] | str | Sequence[str] = (),
    everybody: bool = False,
    study: Place | None = None,
    root: Place | None = None,
    cache: Place = "build/cache",
    device: str = "cpu",
    tensorboard: bool = False,
    mlflow: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Train a network, test it once on subjects whom it has not seen, and leave a finished run: ``vskd train``.

    Random numbers are drawn from the config's seed; torch's threads and its choice of deterministic algorithms are set
    for the whole process.

    Parameters
    ----------
    config : a preset's name, a TOML file, or the folder of a run, whose config is taken
    out : folder of the run
    kind : ``student``, the wrist's network; ``teacher``, which sees video, a skeleton or more sensors; or ``forest``,
        the baseline that is no network
    teachers : finished runs that teach a student together; none trains it on labels alone
    changes : keys of the config with other values, ``{"student_training.epochs": 20}``, or as of ``--set``
    everybody : train on all subjects, for a network that ships after a study; nobody is tested
    study : with ``everybody``: the finished study that tested this config
    root : folder of the data set; None of one that needs none, or where the run in ``config`` or a teacher knows it
    cache : folder for prepared recordings
    device : ``cpu`` or ``cuda``
    tensorboard : write TensorBoard's event files into the run, too
    mlflow : address of an MLflow store that gets the log, too
    overwrite, resume : replace the run that is in ``out``, or go on with it
    progress : show the split and a progress bar on standard error

    Returns
    -------
    the finished run: ``path``, ``config``, ``contract``, and ``card``, the content of its ``run.json``

    Raises
    ------
    ConfigError, DataError : a setting, a recording or a folder that cannot be used; the message says the way out
    MissingExtraError : torch, or what shows the log, is not installed
    """
    from vskd_training.distillation.targets import check_configs
    from vskd_training.loop.distributed import open_processes
    from vskd_training.loop.viewers import viewers
    from vskd_training.runs.run import Run, check_place, root_of
    from vskd_training.settings import load_config

    _refuse_for(kind, teachers=teachers, study=study, everybody=everybody)
    config, place = fspath(config), Path(out)
    shown_in = viewers(tensorboard=tensorboard, mlflow=mlflow)
    settings = load_config(config, changes=_as_set(changes))
    if everybody:
        _refuse_split(_as_set(changes))
        settings = dataclasses.replace(settings, data=settings.data.everybody())
    runs = [Run.open(Path(path), role=None) for path in several(teachers)]
    check_configs(runs, settings)
    found_in = Path(root) if root is not None else root_of(config, runs)
    with open_processes(device) as processes:
        shown, again = progress and processes.first, {"overwrite": overwrite, "resume": resume}
        processes.by_first(lambda: check_place(place, **again))
        experiment = processes.in_turn(lambda: open_experiment(settings, found_in, Path(cache), shown=shown))
        if shown:
            show_split(experiment)
        trainer = _trainer(kind, experiment, runs, study)
        names = ", ".join(run.path.name for run in runs)
        kept = left_at_stop(f"finished epochs are kept in {place}", "the same command with --resume goes on")
        with kept, progress_bar(f"train {kind}" + (f", taught by {names}" if names else ""), shown=shown) as bar:
            how = {"viewers": shown_in} if shown_in else {}
            return trainer(experiment, place, progress=_with_loss(bar), processes=processes, **how, **again)


def _refuse_for(kind: str, *, everybody: bool, **given: object) -> None:
    """Refuse what only a student has, and nobody's study."""
    if kind not in get_args(Kind):
        raise ConfigError(f"there is no kind of training {kind!r}", hint=did_you_mean(kind, get_args(Kind)))
    for name, value in given.items():
        if value and kind != "student":
            raise ConfigError(f"a {kind} takes no {name}", hint=f"Leave {name} out, or train a student")
    if given["study"] and not everybody:
        raise ConfigError("a study vouches for a network that is trained on everybody", hint="Give everybody=True, too")


def _refuse_split(changes: Sequence[str]) -> None:
    """Refuse a change of who is tested, where nobody is; that of a file is passed over."""
    from vskd_training.settings.data import SPLIT_KEYS

    for change in changes:
        section, _, key = change.partition("=")[0].strip().partition(".")
        if section == "data" and key in SPLIT_KEYS:
            what = f"--everybody trains on all subjects and tests nobody, and {change} says who is on which side"
            raise ConfigError(what, hint="Leave out one of them")


def several(given: T | Sequence[T]) -> tuple[T, ...]:
    """What may be given alone or in a list; a string and a path are one."""
    return (given,) if isinstance(given, str | PathLike) else tuple(given)


def _as_set(changes: Mapping[str, Any] | str | Sequence[str]) -> tuple[str, ...]:
    """Changes of a config as words of ``--set``; JSON's values are TOML's."""
    if isinstance(changes, Mapping):
        return tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changes.items())
    return several(changes)


def _trainer(kind: Kind, experiment: Experiment, teachers: Sequence[Run], study: Place | None) -> Callable[..., Run]:
    from vskd_training.loop import forest, train

    if kind == "forest":
        return forest.train_forest
    if kind == "teacher":
        return train.train_teacher
    if study is None:
        return partial(train.train_student, teachers=teachers)
    from vskd_training.study.shipping import study_card

    # What the study says of this student is looked up before the training.
    config = train.student_config(experiment.config, taught=bool(teachers))
    card = study_card(Path(study), config, teachers, data_key=experiment.prepared.key)
    return partial(train.train_student, teachers=teachers, study=card)


def _with_loss(bar: Callable[..., None]) -> Callable[[int, int, dict[str, float]], None]:
    def update(done: int, total: int, parts: dict[str, float]) -> None:
        bar(done, total, f"loss {parts['loss']:.3f}")

    return update


def evaluate(
    run: Place,
    *,
    bundle: Place | None = None,
    engine: str | None = None,
    recipe: str | None = None,
    coverage: float = 0.95,
    root: Place | None = None,
    cache: Place = "build/cache",
    progress: bool = True,
) -> Evaluation:
    """Test a run's network on its test subjects, or the model of a bundle that was exported from it: ``vskd evaluate``.

    Parameters
    ----------
    run : a finished run, or its folder
    bundle : exported from this run; its model is tested in the engine that ships
    engine, recipe : which model of the bundle, as of ``Classifier.open``
    coverage : share of the validation windows that the offered threshold for unknown activities keeps, in (0, 1]
    root : folder of the data set; None of one that needs none, or whose place the run knows
    cache : folder for prepared recordings
    progress : show a progress bar on standard error

    Returns
    -------
    metrics per window and per recording, and the threshold

    Raises
    ------
    ConfigError, DataError, ContractError, BundleError, EngineError : the message says the way out
    MissingExtraError : torch or an engine is not installed
    """
    from vskd_training.evaluation import evaluate as evaluation
    from vskd_training.evaluation.predictors import bundle_predictor, network_predictor
    from vskd_training.runs.run import Run

    if bundle is None and (engine or recipe):
        raise ConfigError("engine and recipe choose a model of a bundle", hint="Give bundle, too")
    if not 0 < coverage <= 1:
        raise ConfigError(f"coverage must be above 0 and at most 1, got {coverage}")
    opened = Run.open(Path(run), role="student" if bundle is not None else None)
    found_in = Path(root) if root is not None else opened.root()
    experiment = open_experiment(opened.config, found_in, Path(cache), shown=progress)
    evaluation.refuse_trained_on(opened, experiment)
    with progress_bar("test windows", shown=progress) as bar:
        total = evaluation.windows_to_test(opened, experiment)
        if bundle is None:
            predictor = network_predictor(opened, experiment)
        else:
            predictor = bundle_predictor(
                opened, Path(bundle), engine=engine, recipe=recipe, progress=lambda done: bar(done, total)
            )
        return evaluation.evaluate(opened, experiment, predictor, coverage=coverage)
