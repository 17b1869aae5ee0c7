"""``vskd evaluate --stream``: its options, what they test, and what is printed. Only click is imported here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.input_option import InputOption, trained_layout
from vskd.commands.progress import progress_bar
from vskd.commands.terminal import say, say_json
from vskd_training.commands.options import PAUSE, SEED
from vskd_training.commands.terminal import open_experiment, show_table

if TYPE_CHECKING:
    from vskd.sources.layout import Described
    from vskd_training.runs.run import Run
    from vskd_training.streams.evaluate import Model, StreamEvaluation, TrueStream
    from vskd_training.streams.joining import Side

DOCUMENT = "streams.json"

_OPTIONS = (
    click.option(
        "--input",
        "inputs",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="With --stream and without RUN: CSV or NPZ with time_s,ax,ay,az; may be repeated, each with its --truth.",
    ),
    click.option(
        "--truth",
        "truths",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help="CSV start_s,end_s,label of the --input in the same place.",
    ),
    click.option("--unit", type=click.Choice(["g", "m/s^2"]), default=None, help="Of each --input, as in `vskd run`."),
    click.option("--axes", default=None, help="Of each --input: its axis for each of the contract's, '-y,x,z'."),
    click.option(
        "--allowance",
        type=float,
        default=2.0,
        show_default=True,
        help="With --stream: how long after its end an activity may still be reported, s.",
    ),
    click.option(
        "--set",
        "rules",
        multiple=True,
        metavar="RULE=VALUE",
        help="With --stream: override a decision rule, as in `vskd run`: unknown_below=0.5.",
    ),
    click.option(
        "--side",
        type=click.Choice(["test", "validation"]),
        default="test",
        show_default=True,
        help="With --stream: whose recordings are joined; decision rules are chosen on validation subjects.",
    ),
    SEED,
    PAUSE,
)


@dataclass(frozen=True)
class StreamOptions:
    """The options that only ``--stream`` has, as the command line gives them."""

    inputs: tuple[Path, ...]
    truths: tuple[Path, ...]
    unit: str | None
    axes: str | None
    allowance: float
    rules: tuple[str, ...]
    side: Side
    seed: int
    pause: tuple[float, float]

    def check(self, run: Path | None, bundle: Path | None) -> None:
        """Raise ``click.UsageError`` for options that contradict each other."""
        if not (math.isfinite(self.allowance) and self.allowance >= 0):
            raise click.UsageError(f"--allowance must be at least 0 s, got {self.allowance}")
        for path in self.inputs:
            if InputOption(str(path)).is_live:
                raise click.UsageError(f"--input {path} is a live source, and a truth belongs to a recording")
        if len(self.inputs) != len(self.truths):
            raise click.UsageError(
                f"each --input needs its --truth, in the same order; got {len(self.inputs)} and {len(self.truths)}"
            )
        if self.inputs and (run is not None or bundle is None):
            raise click.UsageError("--input is decided on by a --bundle, without a RUN; give only --bundle")
        if not self.inputs and run is None:
            raise click.UsageError(
                "--stream needs a RUN, whose test subjects' recordings it joins, or --input and --truth"
            )


def stream_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of ``StreamOptions``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_stream_options(context: click.Context) -> None:
    """Raise ``click.UsageError`` for an option that means nothing without ``--stream``."""
    for name in StreamOptions.__dataclass_fields__:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(one.opts[0] for one in context.command.params if one.name == name)
            raise click.UsageError(f"{option} means nothing without --stream")


@dataclass(frozen=True)
class Tested:
    """What is tested, as the command line names it."""

    run: Path | None
    bundle: Path | None
    engine: str | None
    recipe: str | None
    root: Path | None
    cache: Path
    as_json: bool


def evaluate_stream(tested: Tested, options: StreamOptions, out: Path | None) -> None:
    """Evaluate on streams, and print what was found."""
    from vskd.errors import DataError
    from vskd.writing import disk_errors, refuse_unwritable, write_file
    from vskd_training.streams.tables import stream_sentences, stream_tables

    options.check(tested.run, tested.bundle)
    if out:
        refuse_unwritable(out / DOCUMENT, DataError)
    result = _of_run(tested, options) if tested.run else _of_files(tested, options)
    subject = tested.run or tested.bundle or Path()
    title = f"{subject.name}, {result.model.name} on {result.model.engine}" + (" LEAKY" if result.leaky else "")
    for table in stream_tables(title, result):
        show_table(table)
    for sentence in stream_sentences(result):
        say(sentence, err=True)
    document = result.document()
    if out:
        with disk_errors(out, DataError, hint="Give another --out, or make room"):
            out.mkdir(parents=True, exist_ok=True)
            write_file(out / DOCUMENT, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
        say(f"written: {out / DOCUMENT}", err=True)
    say_json(document, as_json=tested.as_json)


def _of_run(tested: Tested, options: StreamOptions) -> StreamEvaluation:
    """The streams of a run's test subjects."""
    from vskd.closed import to_mapping
    from vskd_training.evaluation.evaluate import refuse_trained_on
    from vskd_training.runs.run import Run
    from vskd_training.streams.evaluate import TrueStream, evaluate_streams, refuse_whole
    from vskd_training.streams.joining import StreamSettings, subject_streams

    settings = StreamSettings(options.seed, *options.pause)
    run = Run.open(tested.run or Path(), role="student")
    refuse_whole(run.contract, run.path)
    model = _model(tested, options, run)
    experiment = open_experiment(run.config, tested.root or run.root(), tested.cache)
    refuse_trained_on(run, experiment)
    streams = [
        TrueStream(f"subject {one.subject}", one.time_s, one.acceleration_g, one.spans)
        for one in subject_streams(experiment, settings, side=options.side)
    ]
    with progress_bar("samples") as progress:
        return evaluate_streams(
            model, streams, allowance_s=options.allowance, leaky=experiment.split.leaky,
            made_of={**to_mapping(settings), "side": options.side}, progress=progress,
        )  # fmt: skip


def _of_files(tested: Tested, options: StreamOptions) -> StreamEvaluation:
    """The recordings that ``--input`` and ``--truth`` name."""
    from vskd.bundle import Bundle
    from vskd_training.streams.evaluate import evaluate_streams, refuse_whole

    model = _model(tested, options, None)
    refuse_whole(model.contract, tested.bundle)
    known = trained_layout(Bundle.open(tested.bundle or Path()))
    streams = [_read(*paths, model, options, known) for paths in zip(options.inputs, options.truths, strict=True)]
    with progress_bar("samples") as progress:
        return evaluate_streams(model, streams, allowance_s=options.allowance, progress=progress)


def _model(tested: Tested, options: StreamOptions, run: Run | None) -> Model:
    """The bundle's model, or else the run's network."""
    from vskd.bundle import Bundle
    from vskd.commands.run import decision_rules
    from vskd_training.evaluation.predictors import bundle_of
    from vskd_training.streams.evaluate import Model

    rules = decision_rules(options.rules)
    if tested.bundle is None and run is not None:
        return Model.of_run(run, rules)
    path = tested.bundle or Path()
    bundle = bundle_of(run, path) if run is not None else Bundle.open(path)
    return Model.of_bundle(bundle, rules, engine=tested.engine, recipe=tested.recipe)


def _read(samples: Path, truth: Path, model: Model, options: StreamOptions, known: Described | None) -> TrueStream:
    """One recording with its truth."""
    import numpy as np

    from vskd_training.data.stream_files import read_truth
    from vskd_training.streams.evaluate import TrueStream

    with ExitStack() as resources:
        found = InputOption(str(samples), unit=options.unit, axes=options.axes).open(
            model.contract, waiting=lambda silent_s: None, note=lambda text: None, resources=resources, trained_on=known
        )
        chunks = list(found.samples.chunks(rows=1024))
    time, xyz = np.concatenate([one.time for one in chunks]), np.concatenate([one.xyz for one in chunks])
    return TrueStream(
        samples.name, time, xyz, tuple(read_truth(truth)),
        unit=found.unit, axes=found.axes, time_unit=found.samples.time_unit,
    )  # fmt: skip
