"""The workshop's commands: ``data``, ``train``, ``study``, ``evaluate``, ``timeline``, ``summary``.

Only click is imported here; torch and the rest load inside the commands, so that ``vskd --help`` stays quick.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from vskd_training.data.experiment import Experiment
    from vskd_training.datasets.check import DatasetReport
    from vskd_training.datasets.recording import Defect
    from vskd_training.loop.distributed import Processes
    from vskd_training.settings import Config, DataConfig

_CONFIG = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), required=True, help="TOML, see training/presets."
)
_SET = click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Override a key: gaf.size=96.")
_ROOT = click.option("--root", type=click.Path(path_type=Path), default=None, help="Folder of the data set.")
_CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("build/cache"),
    show_default=True,
    help="Folder for prepared recordings.",
)


@contextmanager
def _bar(title: str, *, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr; yields a function that takes (done, in all, a note)."""
    if not shown:
        yield lambda done, total, note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None, note="")

        def update(done: int, total: int, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield update


def _experiment(config: Config, root: Path | None, cache: Path, *, shown: bool = True) -> Experiment:
    from vskd_training.data.experiment import Experiment

    with _bar("prepare recordings", shown=shown) as progress:
        return Experiment.open(config, root=root, cache=cache, progress=progress)


@click.group()
def data() -> None:
    """Look at data sets, and take recordings out of them."""


@data.command("check", epilog="Example: vskd data check --dataset folder --root ~/my-recordings --list")
@click.option(
    "--dataset",
    type=click.Choice(["synthetic", "utd-mhad", "berkeley-mhad", "mmact", "folder", "shoulder-watch"]),
    required=True,
)
@_ROOT
@click.option(
    "--view",
    type=click.Choice(["rendered", "depth", "rgb", "skeleton", "joints", "sensors", "video", "none"]),
    default=None,
    help="What the teacher sees.  [default: rendered, skeleton, rgb, rgb, video, sensors]",
)
@click.option("--list", "list_defects", is_flag=True, help="Name every defect instead of the first of each kind.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a recording had to be left out.")
def data_check(dataset: str, root: Path | None, view: str | None, list_defects: bool, strict: bool) -> None:
    """Read a whole data set and print counts, missing trials and defects."""
    from vskd.errors import DataError
    from vskd_training.data.experiment import VIEWS, source
    from vskd_training.datasets.check import check

    with _bar("read recordings") as progress:
        report = check(source(_data_config(dataset, view or VIEWS[dataset][0]), root), progress=progress)
    _show_counts(report)
    _show_defects(report.defects, report.defects_by_kind, left_out=report.left_out, every=list_defects)
    if not report.recordings:
        raise DataError(f"{report.name} holds no recording that can be read", hint="The defects above say why")
    if strict and report.left_out:
        raise DataError(f"{report.left_out} recordings were left out", hint="Mend what is listed above")


def _show_counts(report: DatasetReport) -> None:
    click.echo(f"{report.name}, view {report.view}: {report.recordings} recordings")
    click.echo("files       " + ", ".join(f"{name} {count}" for name, count in report.by_stream.items()))
    click.echo("subjects    " + ", ".join(f"{name}: {count}" for name, count in report.by_subject.items()))
    labels = {name or "(no label)": count for name, count in report.by_label.items()}
    click.echo("activities  " + ", ".join(f"{name}: {count}" for name, count in labels.items()))
    for column, values in report.groups.items():
        click.echo(f"{column:11} " + ", ".join(f"{value or '(empty)'}: {count}" for value, count in values.items()))
    lengths = (
        ("samples", report.samples),
        ("frames", report.frames),
        ("duration, s", report.duration_s),
        ("rate, Hz", report.rate_hz),
    )
    for name, length in lengths:
        if length is not None:
            click.echo(f"{name:11} {length.shortest:g} / {length.median:g} / {length.longest:g}  (min/median/max)")
    click.echo(f"largest |reading| {report.largest_acceleration_g:.2f} g")
    click.echo(f"missing     {len(report.missing_trials)}: {', '.join(report.missing_trials) or 'none'}")


def _show_defects(defects: tuple[Defect, ...], by_kind: dict[str, int], *, left_out: int, every: bool) -> None:
    click.echo(f"defects     {len(defects)}, of which {left_out} cost a recording")
    for kind, count in by_kind.items():
        click.echo(f"  {count} x {kind}")
        of_kind = [defect for defect in defects if defect.kind == kind]
        for defect in of_kind if every else of_kind[:1]:
            click.echo(f"    {'' if every or count == 1 else 'e.g. '}{defect.where}: {defect.what}")


def _data_config(dataset: str, view: str) -> DataConfig:
    from vskd.closed import from_mapping
    from vskd_training.settings import DataConfig

    return from_mapping(DataConfig, {"dataset": dataset, "view": view}, where="the command line")


@data.command("recording", epilog="Example: vskd data recording --config C.toml --id a1_s2_t1 --out a1_s2_t1.csv")
@_CONFIG
@_SET
@_ROOT
@_CACHE
@click.option("--id", "name", required=True, help="Of the recording, e.g. a1_s2_t1.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV to write.")
def data_recording(
    config_file: Path, changes: tuple[str, ...], root: Path | None, cache: Path, name: str, out: Path
) -> None:
    """Write one recording's accelerometer as a CSV that `vskd run` reads."""
    from vskd.errors import DataError, did_you_mean
    from vskd_training.commands.streams import write_samples
    from vskd_training.settings import load_config

    prepared = _experiment(load_config(config_file, changes=changes), root, cache).prepared
    known = {info.id: index for index, info in enumerate(prepared.infos)}
    if name not in known:
        near = [other for other in known if other.partition("_")[0] == name.partition("_")[0]]
        raise DataError(f"there is no recording {name!r}", hint=did_you_mean(name, near or list(known)[:20]))
    write_samples(out, *prepared.sensor(known[name]))
    click.echo(f"{out}: {name}, {prepared.infos[known[name]].label or '(no label)'}", err=True)


@data.command("virtual", epilog="Example: vskd data virtual --root ~/data/utd-mhad --out virtual-wrists")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="Folder of UTD-MHAD.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write, for --dataset folder.")
def data_virtual(root: Path, out: Path) -> None:
    """Turn UTD-MHAD's skeletons into recordings of a virtual watch, as a folder of recordings of one's own."""
    from vskd_training.data.virtual_recordings import write_virtual
    from vskd_training.datasets.utd_mhad import UtdMhadSource

    source = UtdMhadSource(root, view="skeleton")
    with _bar("differentiate skeletons") as progress:
        count, unusable = write_virtual(source, out, progress=progress)
    absent = set(source.missing_trials())
    left_out = [*(defect for defect in source.defects() if defect.where not in absent), *unusable]
    click.echo(f"{out}: {count} virtual recordings, {len(left_out)} left out", err=True)
    for defect in left_out:
        click.echo(f"  {defect.where}: {defect.what}", err=True)


@data.command(
    "stream",
    epilog="Example: vskd data stream --config training/presets/demo.toml --subject 2 --out day.csv --truth truth.csv",
)
@_CONFIG
@_SET
@click.option("--subject", required=True, help="One of the synthetic people.")
@click.option("--seconds-each", type=click.FloatRange(3, 600), default=10.0, show_default=True)
@click.option("--activities", default="", help="Comma-separated.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV of samples to write.")
@click.option("--truth", type=click.Path(path_type=Path), required=True, help="CSV start_s,end_s,label to write.")
def data_stream(
    config_file: Path,
    changes: tuple[str, ...],
    subject: str,
    seconds_each: float,
    activities: str,
    out: Path,
    truth: Path,
) -> None:
    """Write a synthetic recording of one person who goes through several activities without a pause."""
    from vskd_training.commands.streams import write_samples, write_truth
    from vskd_training.datasets.synthetic.generator import SyntheticSource, continuous
    from vskd_training.settings import load_config

    settings = load_config(config_file, changes=changes).data.synthetic
    names = tuple(name.strip() for name in activities.split(",")) if activities else SyntheticSource(settings).labels
    recording, spans = continuous(settings, subject=subject, activities=names, seconds_each=seconds_each, seed=1)
    write_samples(out, recording.time_s, recording.acceleration_g)
    write_truth(truth, [(span.start_s, span.end_s, span.label) for span in spans])
    click.echo(f"{out}: person {subject}, {len(spans)} activities, {recording.time_s[-1]:.0f} s (synthetic)", err=True)


@click.group(
    epilog="Several processes or machines share out each batch: torchrun --nproc-per-node 2 -m vskd train student ..."
)
def train() -> None:
    """Train a teacher or a student."""


def _train_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        _CONFIG,
        _SET,
        _ROOT,
        _CACHE,
        click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run."),
        click.option("--overwrite", is_flag=True, help="Replace a run that is there."),
        click.option("--resume", is_flag=True, help="Go on with a run that was interrupted."),
        click.option(
            "--device",
            type=click.Choice(["cpu", "cuda"]),
            default="cpu",
            show_default=True,
            help="Where the network is trained; under torchrun each process takes a CUDA device of its own.",
        ),
        click.option(
            "--allow-leak",
            is_flag=True,
            help="Take a split with the same people in training and test; every report is stamped LEAKY.",
        ),
    )
    wrapped = _with_leak(command)
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def _with_leak(command: Callable[..., None]) -> Callable[..., None]:
    """`--allow-leak` is a short way to write a key of the config."""

    @wraps(command)
    def wrapped(*, changes: tuple[str, ...], allow_leak: bool, **rest: Any) -> None:
        command(changes=(*changes, "data.allow_leak=true") if allow_leak else changes, **rest)

    return wrapped


@train.command("teacher", epilog="Example: vskd train teacher --config training/presets/demo.toml --out runs/teacher")
@_train_options
def train_teacher(
    config_file: Path,
    changes: tuple[str, ...],
    root: Path | None,
    cache: Path,
    out: Path,
    overwrite: bool,
    resume: bool,
    device: str,
) -> None:
    """Train the video network."""
    from vskd_training.loop import train as training
    from vskd_training.loop.distributed import open_processes
    from vskd_training.settings import load_config

    config = load_config(config_file, changes=changes)
    with open_processes(device) as processes:
        experiment = _shared_experiment(config, root, cache, processes)
        with _bar("train teacher", shown=processes.first) as bar:
            run = training.train_teacher(
                experiment,
                out,
                overwrite=overwrite,
                resume=resume,
                progress=_with_loss(bar),
                processes=processes,
            )
    if processes.first:
        _show_card(run.path, run.card)


@train.command(
    "student",
    epilog="Example: vskd train student --config training/presets/demo.toml --teacher runs/teacher --out runs/student",
)
@_train_options
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A finished run; several are averaged. A student can teach, too.  [default: student alone]",
)
def train_student(
    config_file: Path,
    changes: tuple[str, ...],
    root: Path | None,
    cache: Path,
    out: Path,
    overwrite: bool,
    resume: bool,
    device: str,
    teachers: tuple[Path, ...],
) -> None:
    """Train the wrist network, alone or with teachers."""
    from vskd_training.loop import train as training
    from vskd_training.loop.distributed import open_processes
    from vskd_training.loop.run import Run
    from vskd_training.settings import load_config

    config = load_config(config_file, changes=changes)
    taught_by = [Run.open(teacher, role=None) for teacher in teachers]
    names = ", ".join(teacher.path.name for teacher in taught_by)
    title = f"train student, taught by {names}" if names else "train student alone"
    with open_processes(device) as processes:
        experiment = _shared_experiment(config, root, cache, processes)
        with _bar(title, shown=processes.first) as bar:
            run = training.train_student(
                experiment,
                out,
                teachers=taught_by,
                overwrite=overwrite,
                resume=resume,
                progress=_with_loss(bar),
                processes=processes,
            )
    if processes.first:
        _show_card(run.path, run.card)


def _shared_experiment(config: Config, root: Path | None, cache: Path, processes: Processes) -> Experiment:
    experiment = processes.in_turn(lambda: _experiment(config, root, cache, shown=processes.first))
    if processes.first:
        _say_split(experiment)
    return experiment


@click.command(epilog="Example: vskd study training/studies/utd-mhad-scarce.toml --root DIR --out build/scarce")
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the study; gone on with.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    help="Cells trained at a time.  [default: 1; with ray as many as the cluster has cores for]",
)
@click.option(
    "--backend",
    type=click.Choice(["loky", "ray"]),
    default="loky",
    show_default=True,
    help="The cores of this machine, or a Ray cluster, whose nodes all see --out, --cache and --root.",
)
@click.option("--ray-address", metavar="HOST:PORT", default="", help="Head of the Ray cluster.")
@_ROOT
@_CACHE
def study(
    study_file: Path,
    out: Path,
    jobs: int | None,
    backend: str,
    ray_address: str,
    root: Path | None,
    cache: Path,
) -> None:
    """Train every arm on every fold and seed, and compare them over people.

    Killed at any moment, the same command goes on; finished cells are not trained again. Leaves result.json, table.md
    and differences.png in the folder, and prints the table.

    With --backend ray --ray-address HOST:PORT cells are trained on a cluster (extra `ray`): `ray start --head` on one
    machine, `ray start --address=HOST:PORT` on each other one, all with the same vskd and the same folders.
    """
    from vskd_training.study.report import PLOT, RESULT, report_study, table
    from vskd_training.study.study import open_study, run_study

    if (backend == "ray") != bool(ray_address):
        raise click.UsageError("--backend ray and --ray-address HOST:PORT go together; `ray start` prints the address")
    opened = open_study(study_file, root=root)
    with _bar(f"study {opened.spec.name}") as bar:
        noted: Callable[..., None] = bar
        run_study(opened, out, root=root, cache=cache, jobs=jobs, progress=noted, ray_address=ray_address)
    click.echo(table(report_study(opened, out)), nl=False)
    click.echo(f"result: {out / RESULT}; plot: {out / PLOT}", err=True)


@click.command(epilog="Example: vskd evaluate runs/student --bundle wrist.bundle --recipe fp32 --out evaluation")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--bundle", type=click.Path(path_type=Path), default=None, help="Exported from this run.")
@click.option("--engine", default=None, help="What runs the bundle's model.  [default: what is installed]")
@click.option("--recipe", default=None, help="Which of its models, e.g. fp32.  [default: the most compact]")
@click.option(
    "--keep",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    show_default=True,
    help="Share of validation windows that the offered threshold for unknown activities keeps.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for the JSON and the plots; other files in it stay.",
)
@_ROOT
@_CACHE
def evaluate(
    run: Path,
    bundle: Path | None,
    engine: str | None,
    recipe: str | None,
    keep: float,
    out: Path | None,
    root: Path | None,
    cache: Path,
) -> None:
    """Test a run's network on its test people, or with --bundle the exported model through the engine that ships.

    Prints tables, and one JSON document on stdout: each class, confusion, calibration before and after the temperature,
    how well activities of data.unknown_labels are told from the others, and a threshold for decision.unknown_below.
    """
    if math.isnan(keep):  # which lies in every range, as click compares
        raise click.UsageError("--keep must be above 0 and at most 1, got nan")
    if bundle is None and (engine or recipe):
        raise click.UsageError("--engine and --recipe choose a model of a bundle: give --bundle too")
    from vskd_training.evaluation.evaluate import evaluate as evaluated
    from vskd_training.evaluation.evaluate import (
        model_of,
        own_network,
        refuse_trained_on,
        windows_to_test,
        write_evaluation,
    )
    from vskd_training.evaluation.tables import evaluation_sentences, evaluation_tables
    from vskd_training.loop.run import Run

    opened = Run.open(run, role="student" if bundle else None)
    experiment = _experiment(opened.config, root, cache)
    refuse_trained_on(opened, experiment)
    with _bar("test windows") as bar:
        total = windows_to_test(opened, experiment)
        tested = (
            model_of(opened, bundle, engine=engine, recipe=recipe, progress=lambda done: bar(done, total))
            if bundle
            else own_network(opened, experiment)
        )
        result = evaluated(opened, experiment, tested, keep=keep)
    title = f"{opened.card['role']} {run.name}, {result['model']} on {result['engine']}"
    title += " LEAKY" if result["leaky"] else ""
    for table in evaluation_tables(title, result):
        _show(table)
    for sentence in evaluation_sentences(result):
        click.echo(sentence, err=True)
    for path in write_evaluation(result, out, title=title) if out else ():
        click.echo(f"written: {path}", err=True)
    click.echo(json.dumps(result, sort_keys=True))


@click.command(epilog="Example: vskd timeline events.jsonl --truth truth.csv --out timeline.png")
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--truth", type=click.Path(path_type=Path), required=True, help="CSV start_s,end_s,label.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG to write.")
def timeline(events: Path, truth: Path, out: Path) -> None:
    """Draw the decisions of `vskd run` against the truth."""
    from vskd_training.commands.streams import draw_timeline, read_events, read_truth

    decisions, spans = read_events(events), read_truth(truth)
    right, judged = draw_timeline(decisions, spans, out)
    click.echo(f"{right} of {judged} decisions are right whose window lies in one activity; picture: {out}")


@click.command(epilog="Example: vskd summary build/demo")
@click.argument("folder", type=click.Path(path_type=Path))
def summary(folder: Path) -> None:
    """Say in a few lines what `make demo` left in its folder."""
    from rich.console import Console
    from rich.table import Table

    from vskd_training.commands.summary import summarise

    table = Table(title="synthetic data: generated people, not recorded ones", show_lines=False)
    for column in ("what", "value", "file"):
        table.add_column(column, overflow="fold")
    for row in summarise(folder):
        table.add_row(*row)
    Console(stderr=True).print(table)
    click.echo(f"timeline of the held-out recording: {folder / 'timeline.png'}", err=True)


def _with_loss(bar: Callable[..., None]) -> Callable[[int, int, dict[str, float]], None]:
    def update(done: int, total: int, parts: dict[str, float]) -> None:
        bar(done, total, f"loss {parts['loss']:.3f}")

    return update


def _say_split(experiment: Experiment) -> None:
    split = experiment.split
    sides = {"train": split.train_subjects, "validation": split.validation_subjects, "test": split.test_subjects}
    if experiment.sides.unlabelled:
        sides["without labels"] = experiment.sides.unlabelled_subjects
    people = "; ".join(f"{side} {', '.join(names) or 'nobody'}" for side, names in sides.items())
    click.echo(f"{experiment.prepared.name}, {split.protocol}: people {people}", err=True)
    defects = experiment.prepared.defects
    if defects:
        left_out = sum(defect.left_out for defect in defects)
        click.echo(
            f"{left_out} recordings left out, {len(defects) - left_out} in part; see `vskd data check`", err=True
        )
    without = experiment.without_label()
    if any(without.values()):
        click.echo(
            f"recordings without a label: {without['distillation']} of training people, for a teacher to speak of; "
            f"{without['unused']} of others, not used",
            err=True,
        )
    if experiment.sides.unknown:
        names, count = ", ".join(experiment.config.data.unknown_labels), len(experiment.sides.unknown)
        click.echo(f"left-out activities: {names} ({count} recordings of test people)", err=True)
    if split.leaky:
        click.echo("LEAKY: the people of the test are also in the training; this says nothing of new people", err=True)


def _show_card(path: Path, card: dict[str, Any]) -> None:
    from vskd_training.evaluation.evaluate import draw_card
    from vskd_training.evaluation.tables import metrics_table

    leaky = " LEAKY" if card["data"]["split"]["leaky"] else ""
    title = f"{card['role']} {path} ({card['data']['dataset']}{leaky})"
    # What the teachers together answered about the test people: a student that is far from it did not listen.
    heard = {"teachers": card["heard"]["test"]} if "heard" in card else {}
    _show(metrics_table(title, {**card["metrics"], **heard}))
    click.echo(f"run: {path}; confusion matrix: {draw_card(path, card, title=title)}", err=True)


def _show(table: Table) -> None:
    from rich.console import Console

    Console(stderr=True).print(table)
