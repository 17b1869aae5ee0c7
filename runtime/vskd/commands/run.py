"""``vskd run``: decisions on a recording or a live pipe."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import click
import numpy as np

from vskd.bundle import Bundle
from vskd.classifier import Classifier
from vskd.contract import Contract
from vskd.decide import Event
from vskd.engines import ENGINES, open_engine
from vskd.errors import DataError
from vskd.samples_csv import SampleReader
from vskd.stream import Health


@click.command(epilog="Example: vskd run wrist.bundle --input recording.csv --engine litert")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--input", "source", required=True, help="CSV with time_s,ax,ay,az; '-' reads standard input.")
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default=None,
    help="What runs the model.  [default: what is installed]",
)
@click.option("--recipe", default=None, help="Which model, e.g. fp32.  [default: the most compact]")
@click.option("--unit", type=click.Choice(["g", "m/s^2"]), default="g", help="Unit of ax, ay, az.")
@click.option("--axes", default="x,y,z", help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Computing threads.")
@click.option("--set", "rules", multiple=True, metavar="RULE=VALUE", help="Override a decision rule: smoothing=0.5.")
def run(
    bundle: Path,
    source: str,
    engine: str | None,
    recipe: str | None,
    unit: str,
    axes: str,
    threads: int,
    rules: tuple[str, ...],
) -> None:
    """Print one JSON line per decision on a recording or a live pipe."""
    opened = Bundle.open(bundle)
    contract = opened.contract.with_decision(**_rules(rules))
    name, entry = opened.select(engine=engine, recipe=recipe)
    loaded = open_engine(name, opened.model_path(entry), threads=threads)
    _note(f"{opened.path.name}: {entry.file} on {name} {loaded.version}, {threads} thread(s)")
    with _open_text(source) as lines:
        reader = SampleReader(lines, name="standard input" if source == "-" else source)
        classifier = Classifier(
            contract,
            loaded,
            unit=unit,  # type: ignore[arg-type]  # click.Choice holds exactly the contract's units
            axes=axes,
            time_unit=reader.time_unit,
        )
        _run_whole(classifier, reader) if contract.window.mode == "whole" else _run_stream(
            classifier, reader, live=source == "-"
        )


def _rules(settings: Iterable[str]) -> dict[str, Any]:
    """``min_lead=0.1`` -> {"min_lead": 0.1}; what is no number is text. The contract knows the names."""
    rules: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"{setting!r} is not RULE=VALUE", param_hint="'--set'")
        try:
            rules[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            rules[name.strip()] = value.strip()
    return rules


def _open_text(source: str) -> TextIO:
    if source == "-":
        return sys.stdin
    try:
        return Path(source).open(encoding="utf-8", newline="")
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}", hint="Give a CSV file, or - for a pipe") from error


def _run_stream(classifier: Classifier, reader: SampleReader, *, live: bool) -> None:
    events = 0
    for chunk in reader.chunks(rows=1 if live else 1024):
        events += _print_events(classifier.push(chunk.time, chunk.xyz), classifier.contract)
    _note_health(classifier.health, classifier.contract, events)


def _run_whole(classifier: Classifier, reader: SampleReader) -> None:
    chunks = list(reader.chunks(rows=1024))
    time = np.concatenate([chunk.time for chunk in chunks])
    xyz = np.concatenate([chunk.xyz for chunk in chunks])
    _print_events([classifier.classify(time, xyz)], classifier.contract)


def _print_events(events: Iterable[Event], contract: Contract) -> int:
    count = 0
    for count, event in enumerate(events, start=1):  # noqa: B007
        click.echo(json.dumps(event.to_mapping(contract.labels)))
    return count


def _note_health(health: Health, contract: Contract, events: int) -> None:
    rate = "unknown" if health.rate_hz is None else f"{health.rate_hz:.2f} Hz"
    _note(
        f"{health.samples} samples at {rate} -> {events} decisions; dropped: {health.out_of_order} out of order, "
        f"{health.not_finite} not finite; {health.gaps} gaps; {health.saturated} beyond "
        f"+-{contract.sensor.range_g:g} g"
    )
    if contract.decision.still_below_g > 0:
        _note(f"motion gate: {health.still} of {health.windows} windows ({health.still_share:.0%}) skipped the network")
    wanted = contract.window.rate_hz
    if health.rate_hz is not None and abs(health.rate_hz / wanted - 1) > contract.resampling.rate_tolerance:
        _note(f"warning: the sensor ran at {health.rate_hz:.1f} Hz; the model was trained at {wanted:g} Hz")
    if events == 0:
        _note(
            f"warning: no decision: one needs {contract.window.samples} samples at {wanted:g} Hz "
            f"({contract.window.duration_s:g} s) without a gap"
        )


def _note(text: str) -> None:
    click.echo(text, err=True)
