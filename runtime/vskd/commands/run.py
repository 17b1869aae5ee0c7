"""``vskd run``: decisions on a recording or a live source."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.input_option import LAYOUT, Input, InputOption, toml_values, trained_layout
from vskd.commands.session import Session
from vskd.commands.terminal import JSON, STOPPED, for_people, say
from vskd.engines import ENGINE_NAMES, OWN_ENGINE
from vskd.sources.i2c_sensors import PREFIX, SENSORS

if TYPE_CHECKING:  # numpy is slow to import, and `--help` needs none
    from vskd.contract import Contract
    from vskd.sinks.watchdog import Watchdog
    from vskd.sources.feed import OnEvent


@click.command(epilog="Example: vskd run wrist.bundle --input recording.csv --engine litert --output events.csv")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    required=True,
    help="CSV (or .csv.gz) or NPZ with time_s,ax,ay,az, or see --layout; '-' reads CSV from standard input; "
    f"{PREFIX}SENSOR[,bus=1][,address=0x6b] reads a sensor at the bundle's rate: {', '.join(SENSORS)}.",
)
@click.option("--follow", is_flag=True, help="The CSV is still being written: wait for more, until Ctrl-C or SIGTERM.")
@click.option(
    "--replay-speed",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Replay a recording: 1 as it was, 10 ten times faster.  [default: as fast as possible]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="Write the events to a .jsonl or .csv.  [default: to standard output]",
)
@click.option("--append", is_flag=True, help="Append to an --output that exists.")
@click.option(
    "--engine",
    type=click.Choice(ENGINE_NAMES),
    default=None,
    help="What runs the model.  [default: what is installed]",
)
@click.option("--recipe", default=None, help="Which model: int8, fp32, ...  [default: the most compact]")
@click.option(
    "--unit",
    type=click.Choice(["g", "m/s^2"]),
    default=None,
    help=f"Unit of the readings.  [default: what --layout, the header or the bundle says; g; m/s^2 for {PREFIX}...]",
)
@click.option("--axes", default=None, help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
@LAYOUT
@click.option("--threads", type=click.IntRange(1), default=1, help="Computing threads.")
@click.option(
    "--view",
    is_flag=True,
    help="Show signal, image and decisions in the terminal (standard error); a recording plays at --replay-speed 1. "
    "Events are written where --output or a pipe takes them.",
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    default=None,
    help="The wearer's own examples decide along, see vskd enroll.",
)
@click.option("--watchdog", is_flag=True, help="Report to systemd, see runtime/examples/vskd.service.")
@click.option("--set", "rules", multiple=True, metavar="RULE=VALUE", help="Override a decision rule: smoothing=0.5.")
@JSON
def run(
    bundle: Path,
    source: str,
    follow: bool,
    replay_speed: float | None,
    output: Path | None,
    append: bool,
    engine: str | None,
    recipe: str | None,
    unit: str | None,
    axes: str | None,
    layouts: tuple[str, ...],
    threads: int,
    view: bool,
    profile: Path | None,
    watchdog: bool,
    rules: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print each decision on a recording or a live source.

    On a terminal a line is time, activity and probability; in a pipe or with --json it is one JSON object. A bundle
    that is replaced meanwhile changes nothing: the opened one stays in use.
    """
    from vskd.bundle import Bundle
    from vskd.sources.feed import feed
    from vskd.wearer.profile import Profile

    option = InputOption(source, follow, replay_speed, unit, in_view=view, axes=axes, layouts=layouts)
    option.check_options()
    _check_output(output, append=append)
    option.check_file()
    opened = Bundle.open(bundle)
    contract = opened.contract.with_decision(**decision_rules(rules))
    option.check_contract(contract)
    name, entry = opened.select(engine=engine, recipe=recipe)
    examples = Profile.open(profile).check_for(opened, entry) if profile else None
    loaded = opened.load(name, entry, threads=threads)
    say(title := f"{opened.path.name}: {entry.file} on {name} {loaded.version}, {threads} thread(s)", err=True)
    if name == OWN_ENGINE and engine is None:
        say("no engine is installed that runs this bundle; vskd's own is slow: pip install 'vskd[litert]'", err=True)
    with ExitStack() as resources:
        session = Session(_watchdog(resources, f"{entry.file} on {name}") if watchdog else None)
        found = option.open(
            contract, waiting=session.waiting, note=session.note, resources=resources, trained_on=trained_layout(opened)
        )
        session.begin(contract, loaded, found, title=title if view else None, profile=examples)
        session.sink = _sink(
            output, session.classifier.labels, append=append, in_view=view, as_json=as_json, resources=resources
        )
        with _until_stopped(option.is_live) as stopped, session.on_screen():
            chunks = option.chunks(found.samples, sleep=session.sleep)
            feed(session.classifier, session.observed(chunks), session.on_event)
    _end(session, option, found, contract, was_stopped=stopped.is_set())


def _check_output(output: Path | None, *, append: bool) -> None:
    from vskd.sinks.event_files import check_output

    if output is not None:
        check_output(output, append=append)
    elif append:
        raise click.UsageError("--append adds to a file; name it with --output")


def _end(session: Session, option: InputOption, found: Input, contract: Contract, *, was_stopped: bool) -> None:
    """Say what came in, and fail where nothing was decided, or where a recording was not read to its end."""
    from vskd.commands.notes import recording_notes, refuse_nothing_decided, stream_notes

    if contract.window.mode == "sliding":
        notes = stream_notes(session.classifier.health, contract, session.events)
    else:
        notes = recording_notes(session.recording, found.unit, found.axes, contract)
    for text in notes:
        say(text, err=True)
    refuse_nothing_decided(session.classifier.health, contract, was_stopped=was_stopped)
    if was_stopped and not option.is_live:
        raise click.exceptions.Exit(STOPPED)


def _sink(
    output: Path | None, labels: tuple[str, ...], *, append: bool, in_view: bool, as_json: bool, resources: ExitStack
) -> OnEvent | None:
    from vskd.sinks.event_files import JsonLinesSink, TextSink, file_sink, open_output

    if output is None and in_view and sys.stdout.isatty():
        return None  # the view shows them where they would be printed
    if output is None:
        return (TextSink if for_people(as_json) else JsonLinesSink)(sys.stdout, labels)
    stream = resources.enter_context(open_output(output, append=append))
    return file_sink(output, stream, labels)


def _watchdog(resources: ExitStack, status: str) -> Watchdog:
    from vskd.sinks.watchdog import Watchdog

    watchdog = Watchdog.open()
    resources.callback(watchdog.close)
    watchdog.ready(status)
    return watchdog


@contextmanager
def _until_stopped(is_live: bool) -> Iterator[Event]:
    """Ctrl-C ends a run with what was decided so far, and sets what is given; in a live one SIGTERM does the same."""
    stopped = Event()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if is_live else None
    try:
        yield stopped
    except KeyboardInterrupt:
        stopped.set()
        say("stopped", err=True)
    finally:
        if is_live:
            signal.signal(signal.SIGTERM, before)


def decision_rules(settings: Iterable[str]) -> dict[str, Any]:
    """``min_lead=0.1`` -> {"min_lead": 0.1}; what is no number is text. The contract knows the names."""
    rules: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"{setting!r} is not RULE=VALUE", param_hint="'--set'")
        rules |= toml_values({name: value})
    return rules
