"""The commands ``vskd train teacher``, ``vskd train student`` and ``vskd train forest``.

Only click is imported here; torch and the rest load inside the commands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.terminal import say
from vskd_training.commands.options import CACHE, CONFIG, ROOT, SET
from vskd_training.commands.terminal import open_experiment, progress_bar, show_table

if TYPE_CHECKING:
    from vskd_training.data.experiment import Experiment
    from vskd_training.runs.run import Run
    from vskd_training.settings import Config


@click.group(
    epilog="Several processes or machines share out each batch: torchrun --nproc-per-node 2 -m vskd train student ..."
)
def train() -> None:
    """Train a teacher, a student, or a baseline that is no network."""


def _train_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        CONFIG,
        SET,
        ROOT,
        CACHE,
        click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run."),
        click.option("--overwrite", is_flag=True, help="Replace a run that is there."),
        click.option("--resume", is_flag=True, help="Resume a run that was interrupted."),
        click.option(
            "--allow-leak",
            is_flag=True,
            help="Take a split with the same subjects in training and test; every report is stamped LEAKY.",
        ),
        click.option(
            "--allow-missing-classes",
            is_flag=True,
            help="Train although an activity has no training window; it is named wherever accuracy is.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _network_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--device",
            type=click.Choice(["cpu", "cuda"]),
            default="cpu",
            show_default=True,
            help="Where the network is trained; under torchrun each process takes a CUDA device of its own.",
        ),
        click.option("--tensorboard", is_flag=True, help="Also write TensorBoard's event files into the run folder."),
        click.option(
            "--mlflow",
            metavar="URI",
            default=None,
            help="Also log to an MLflow store: a folder (no server needed), or a server's address.",
        ),
        click.option(
            "--everybody",
            is_flag=True,
            help="Train on all subjects, for a network that ships after a study; nobody is tested.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@train.command("teacher", epilog="Example: vskd train teacher --config training/presets/demo.toml --out runs/teacher")
@_train_options
@_network_options
def teacher(**options: Any) -> None:
    """Train the network that sees video, a skeleton or more sensors."""
    from vskd_training.loop.train import train_teacher

    _train("train teacher", train_teacher, **options)


@train.command(
    "student",
    epilog="Example: vskd train student --config training/presets/demo.toml --teacher runs/teacher --out runs/student; "
    "vskd train student --config training/presets/demo.toml --everybody --study runs/study --out runs/shipped",
)
@_train_options
@_network_options
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A finished run; several are averaged. A student can teach, too.  [default: student alone]",
)
@click.option(
    "--study",
    "study_folder",
    type=click.Path(path_type=Path),
    default=None,
    help="With --everybody: the finished study that tested this config; its accuracy goes into the run card.",
)
def student(teachers: tuple[Path, ...], study_folder: Path | None, **options: Any) -> None:
    """Train the wrist network, alone or with teachers."""
    if study_folder and not options["everybody"]:
        raise click.UsageError("--study names the study whose accuracy a network trained on --everybody has")
    from vskd_training.distillation.targets import check_configs
    from vskd_training.loop.train import train_student
    from vskd_training.runs.run import Run

    runs = [Run.open(path, role=None) for path in teachers]
    names = ", ".join(run.path.name for run in runs)
    title = f"train student, taught by {names}" if names else "train student alone"

    def train(experiment: Experiment, out: Path, **how: Any) -> Run:
        return train_student(experiment, out, teachers=runs, study=_study_of(study_folder, experiment, runs), **how)

    _train(title, train, check=lambda config: check_configs(runs, config), **options)


def _study_of(folder: Path | None, experiment: Experiment, teachers: Sequence[Run]) -> dict[str, Any] | None:
    """What the study says of this student, looked up before the training."""
    if folder is None:
        return None
    from vskd_training.loop.train import student_config
    from vskd_training.study.shipping import study_card

    config = student_config(experiment.config, taught=bool(teachers))
    return study_card(folder, config, teachers, data_key=experiment.prepared.key)


@train.command("forest", epilog="Example: vskd train forest --config training/presets/demo.toml --out runs/forest")
@_train_options
def forest(**options: Any) -> None:
    """Train a random forest on hand-made features of each window.

    Statistics, correlations and spectra, 300 trees, in seconds: it shows whether a network is needed. It is evaluated
    like one and can be an arm of a study ([[arm]] kind = "forest"); it is not exported, and does not teach.
    """
    from vskd_training.loop.forest import train_forest

    _train("train forest", train_forest, device="cpu", **options)


def _train(
    title: str,
    train_network: Callable[..., Run],
    *,
    config_file: Path,
    changes: tuple[str, ...],
    allow_leak: bool,
    allow_missing_classes: bool,
    everybody: bool = False,
    check: Callable[[Config], None] = lambda config: None,
    tensorboard: bool = False,
    mlflow: str | None = None,
    root: Path | None,
    cache: Path,
    out: Path,
    device: str,
    overwrite: bool,
    resume: bool,
) -> None:
    from vskd_training.loop.distributed import open_processes
    from vskd_training.loop.viewers import viewers
    from vskd_training.runs.run import check_place
    from vskd_training.settings import load_config

    shown_in = viewers(tensorboard=tensorboard, mlflow=mlflow)
    # Both flags are short ways to write a key of the config.
    allowed = {"data.allow_leak=true": allow_leak, "data.allow_missing_classes=true": allow_missing_classes}
    config = load_config(config_file, changes=(*changes, *(key for key, given in allowed.items() if given)))
    if everybody:
        config = dataclasses.replace(config, data=config.data.everybody())
    check(config)
    with open_processes(device) as processes:
        shown = processes.first
        again = {"overwrite": overwrite, "resume": resume}
        processes.by_first(lambda: check_place(out, **again))
        experiment = processes.in_turn(lambda: open_experiment(config, root, cache, shown=shown))
        if shown:
            _show_split(experiment)
        with progress_bar(title, shown=shown) as bar:
            how = {"viewers": shown_in} if shown_in else {}
            run = train_network(experiment, out, progress=_with_loss(bar), processes=processes, **how, **again)
    if shown:
        _show_card(run.path, run.card)


def _with_loss(bar: Callable[..., None]) -> Callable[[int, int, dict[str, float]], None]:
    def update(done: int, total: int, parts: dict[str, float]) -> None:
        bar(done, total, f"loss {parts['loss']:.3f}")

    return update


def _show_split(experiment: Experiment) -> None:
    from vskd_training.datasets.signal_limits import slow_recordings
    from vskd_training.evaluation.classes import class_windows, in_words, without_window

    split = experiment.split
    sides = {"train": split.train_subjects, "validation": split.validation_subjects, "test": split.test_subjects}
    if experiment.sides.unlabelled:
        sides["without labels"] = experiment.sides.unlabelled_subjects
    subjects = "; ".join(f"{side} {', '.join(names) or 'none'}" for side, names in sides.items())
    say(f"{experiment.prepared.name}, {split.protocol}: subjects {subjects}", err=True)
    defects = experiment.prepared.defects
    if defects:
        left_out, doubtful = (sum(getattr(one, name) for one in defects) for name in ("left_out", "doubtful"))
        doubt = f", {doubtful} doubtful" if doubtful else ""
        in_part = len(defects) - left_out - doubtful
        say(f"{left_out} recordings left out, {in_part} in part{doubt}; see `vskd data check`", err=True)
    without = experiment.without_label()
    if any(without.values()):
        say(
            f"recordings without a label: {without['distillation']} of training subjects, used in distillation; "
            f"{without['unused']} of others, not used",
            err=True,
        )
    if experiment.sides.unknown:
        names, count = ", ".join(experiment.config.data.unknown_labels), len(experiment.sides.unknown)
        say(f"left-out activities: {names} ({count} recordings of test subjects)", err=True)
    words = in_words(class_windows(experiment), withheld=experiment.labels_withheld)
    slow = slow_recordings(experiment.contract, experiment.prepared, range(len(experiment.prepared.infos)))
    for line in (*words, *without_window(experiment), *([slow] if slow else [])):
        say(line, err=True)
    if split.leaky:
        say("LEAKY: test subjects are also in the training; this says nothing about new subjects", err=True)


def _show_card(path: Path, card: dict[str, Any]) -> None:
    from vskd_training.evaluation.files import draw_card
    from vskd_training.evaluation.tables import metrics_table, temperature_warning

    if "test" not in card["metrics"]:
        from vskd_training.study.shipping import in_words

        tested = in_words(card.get("study")) if card["role"] == "student" else "nobody is tested: there is no recording"
        say(tested, err=True)
        say(f"run: {path}", err=True)
        return
    leaky = " LEAKY" if card["data"]["split"]["leaky"] else ""
    title = f"{card['role']} {path} ({card['data']['dataset']}{leaky})"
    # The teachers' own metrics on the test subjects: distillation can hardly lift a student above them.
    teachers = {"teachers": card["teacher_metrics"]["test"]} if "teacher_metrics" in card else {}
    show_table(metrics_table(title, {**card["metrics"], **teachers}))
    if warning := temperature_warning(card["metrics"]["test"]):
        say(warning, err=True)
    say(f"run: {path}; confusion matrix: {draw_card(path, card, title=title)}", err=True)
