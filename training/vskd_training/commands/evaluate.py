"""The command ``vskd evaluate``. Only click is imported here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from vskd.commands.terminal import JSON, example_lines, say, say_json
from vskd.engines import ENGINE_NAMES
from vskd_training.commands import python
from vskd_training.commands.evaluate_stream import (
    StreamOptions,
    Tested,
    evaluate_stream,
    refuse_stream_options,
    stream_options,
)
from vskd_training.commands.options import CACHE, ROOT
from vskd_training.commands.terminal import show_table


def _renamed(context: click.Context, parameter: click.Parameter, given: str | None) -> None:
    if given is not None:
        raise click.UsageError("--keep is called --coverage now", ctx=context)


@click.command(
    epilog=example_lines(
        "vskd evaluate runs/student --out evaluation",
        "vskd evaluate runs/student --bundle wrist.bundle --recipe fp32",
        "vskd evaluate --stream --bundle wrist.bundle --input day.csv --truth truth.csv",
    )
)
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--bundle", type=click.Path(path_type=Path), default=None, help="Exported from this run.")
@click.option(
    "--engine",
    type=click.Choice(ENGINE_NAMES),
    default=None,
    help="What runs the bundle's model.  [default: what is installed]",
)
@click.option("--recipe", default=None, help="Which of its models, e.g. fp32.  [default: the most compact]")
@click.option("--keep", hidden=True, expose_value=False, callback=_renamed)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    show_default=True,
    help="Share of validation windows that the offered threshold for unknown activities keeps.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for the page, the JSON and the plots; earlier ones are replaced, other files in it stay.",
)
@ROOT
@CACHE
@JSON
@click.option("--stream", is_flag=True, help="Test on continuous streams, by events.")
@stream_options
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    run: Path | None,
    bundle: Path | None,
    engine: str | None,
    recipe: str | None,
    coverage: float,
    out: Path | None,
    root: Path | None,
    cache: Path,
    as_json: bool,
    stream: bool,
    **of_stream: Any,
) -> None:
    """Test a run, or its bundle, on its test subjects.

    With --bundle the exported model is tested, in the engine that ships.

    Prints tables, and in a pipe or with --json one JSON document: each class, confusion, calibration before and after
    the temperature, how well activities of data.unknown_labels are told from the others, and a threshold for
    decision.unknown_below.

    With --stream the test subjects' recordings (or those of --input) are one continuous stream, with pauses and unknown
    activities, and the runtime decides on it as on a watch: right windows by the network alone and as reported,
    activities found, delay from onset to event, false events per hour, confusion of events.
    """
    from vskd.bundle import is_bundle

    if out and is_bundle(out):  # with another file in it, it could not be opened any more
        raise click.UsageError(f"--out {out} is a bundle, to which nothing may be added; give another folder")
    tested = Tested(run, bundle, engine, recipe, root, cache, as_json)
    if bundle is None and (engine or recipe):
        raise click.UsageError("--engine and --recipe choose a model of a bundle: give --bundle too")
    if stream and context.get_parameter_source("coverage") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--coverage chooses a threshold, which --stream does not: --set unknown_below=... sets it"
        )
    if stream:
        evaluate_stream(tested, StreamOptions(**of_stream), out)
        return
    refuse_stream_options(context)
    if run is None:
        raise click.UsageError(
            "Missing argument 'RUN'. Without a run there is --stream with --bundle, --input and --truth"
        )
    if math.isnan(coverage):  # which lies in every range, as click compares
        raise click.UsageError("--coverage must be above 0 and at most 1, got nan")
    _evaluate_recordings(run, tested, coverage, out)


def _evaluate_recordings(run: Path, tested: Tested, coverage: float, out: Path | None) -> None:
    from vskd.closed import to_mapping
    from vskd.errors import DataError
    from vskd.writing import refuse_unwritable
    from vskd_training.evaluation.files import DOCUMENT, write_evaluation
    from vskd_training.evaluation.tables import evaluation_sentences, evaluation_tables
    from vskd_training.runs.run import Run

    if out:
        refuse_unwritable(out / DOCUMENT, DataError)
    result = python.evaluate(
        run,
        bundle=tested.bundle,
        engine=tested.engine,
        recipe=tested.recipe,
        coverage=coverage,
        root=tested.root,
        cache=tested.cache,
    )
    opened = Run.open(run, role=None)
    title = f"{opened.card['role']} {run.name}, {result.model} on {result.engine}"
    title += " LEAKY" if result.leaky else ""
    for table in evaluation_tables(title, result):
        show_table(table)
    for sentence in evaluation_sentences(result):
        say(sentence, err=True)
    for path in write_evaluation(result, out, title=title) if out else ():
        say(f"written: {path}", err=True)
    say_json(to_mapping(result), as_json=tested.as_json)
