"""The commands ``vskd train teacher``, ``vskd train student`` and ``vskd train forest``.

Only click is imported here; torch and the rest load inside the commands.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vskd.commands.terminal import say
from vskd_training.commands import python
from vskd_training.commands.options import CACHE, CONFIG, ROOT, SET
from vskd_training.commands.python import Kind
from vskd_training.commands.terminal import show_table


@click.group(
    epilog="Example: vskd train student --config demo --out runs/student; torchrun --nproc-per-node 2 -m vskd train "
    "student ... shares out each batch among two processes"
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


@train.command("teacher", epilog="Example: vskd train teacher --config demo --out runs/teacher")
@_train_options
@_network_options
def teacher(**options: Any) -> None:
    """Train the network that sees video, a skeleton or more sensors."""
    _train("teacher", **options)


@train.command(
    "student",
    epilog="Example: vskd train student --config demo --teacher runs/teacher --out runs/student; "
    "vskd train student --config demo --everybody --study runs/study --out runs/shipped",
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
    type=click.Path(path_type=Path),
    default=None,
    help="With --everybody: the finished study that tested this config; its accuracy goes into the run card.",
)
def student(**options: Any) -> None:
    """Train the wrist network, alone or with teachers."""
    if options["study"] and not options["everybody"]:
        raise click.UsageError("--study names the study whose accuracy a network trained on --everybody has")
    _train("student", **options)


@train.command("forest", epilog="Example: vskd train forest --config demo --out runs/forest")
@_train_options
def forest(**options: Any) -> None:
    """Train a random forest on hand-made features of each window.

    Statistics, correlations and spectra, 300 trees, in seconds: it shows whether a network is needed. It is evaluated
    like one and can be an arm of a study ([[arm]] kind = "forest"); it is not exported, and does not teach.
    """
    _train("forest", **options)


def _train(
    kind: Kind,
    *,
    config_file: str,
    changes: tuple[str, ...],
    allow_leak: bool,
    allow_missing_classes: bool,
    out: Path,
    **options: Any,
) -> None:
    # Both flags are short ways to write a key of the config.
    allowed = {"data.allow_leak=true": allow_leak, "data.allow_missing_classes=true": allow_missing_classes}
    changes = (*changes, *(key for key, given in allowed.items() if given))
    run = python.train(config_file, out, kind=kind, changes=changes, **options)

    from vskd_training.loop.distributed import from_environment

    if from_environment(os.environ, device="cpu").first:
        _show_card(run.path, run.card)


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
