"""``vskd run``: decisions on a recording or a live source."""

from __future__ import annotations

import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.engines import ENGINES
from vskd.errors import ConfigError, DataError
from vskd.sources.i2c_sensors import PREFIX, SENSORS, Place

if TYPE_CHECKING:  # numpy and rich are slow to import, and `vskd --help` needs neither
    import numpy as np
    from numpy.typing import NDArray

    from vskd.classifier import Classifier
    from vskd.commands.view import View
    from vskd.contract import Contract, Unit
    from vskd.decide import Event
    from vskd.engines import Engine
    from vskd.sinks.watchdog import Watchdog
    from vskd.sources.csv import Chunk
    from vskd.sources.feed import OnEvent, Source
    from vskd.sources.live_text import Waiting
    from vskd.stream import Health

Note = Callable[[str], object]


@click.command(epilog="Example: vskd run wrist.bundle --input recording.csv --engine litert --output events.csv")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    required=True,
    help="CSV or NPZ with time_s,ax,ay,az; '-' reads CSV from standard input; "
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
    help="Write the events to a .jsonl or .csv.  [default: JSON lines on standard output]",
)
@click.option("--append", is_flag=True, help="Go on at the end of an --output that is there.")
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default=None,
    help="What runs the model.  [default: what is installed]",
)
@click.option("--recipe", default=None, help="Which model, e.g. fp32.  [default: the most compact]")
@click.option(
    "--unit",
    type=click.Choice(["g", "m/s^2"]),
    default=None,
    help=f"Unit of ax, ay, az.  [default: g; m/s^2 for {PREFIX}...]",
)
@click.option("--axes", default="x,y,z", help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Computing threads.")
@click.option(
    "--view",
    is_flag=True,
    help="Show signal, image and decisions in the terminal (standard error); a recording plays at --replay-speed 1. "
    "Events are written where --output or a pipe takes them.",
)
@click.option("--watchdog", is_flag=True, help="Report to systemd, see runtime/examples/vskd.service.")
@click.option("--set", "rules", multiple=True, metavar="RULE=VALUE", help="Override a decision rule: smoothing=0.5.")
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
    axes: str,
    threads: int,
    view: bool,
    watchdog: bool,
    rules: tuple[str, ...],
) -> None:
    """Print one JSON line per decision on a recording or a live source.

    A bundle that is replaced meanwhile changes nothing: what was opened goes on.
    """
    from vskd.bundle import Bundle
    from vskd.engines import open_engine
    from vskd.sources.feed import feed

    wanted = Wanted(source, follow, replay_speed, unit, in_view=view)
    wanted.refuse_what_does_not_fit()
    opened = Bundle.open(bundle)
    contract = opened.contract.with_decision(**_rules(rules))
    wanted.refuse_what_has_no_end(contract)
    name, entry = opened.select(engine=engine, recipe=recipe)
    loaded = open_engine(name, opened.model_path(entry), threads=threads)
    title = f"{opened.path.name}: {entry.file} on {name} {loaded.version}, {threads} thread(s)"
    _note(title)
    with ExitStack() as resources:
        run_ = _Run(_watchdog(resources, f"{entry.file} on {name}") if watchdog else None)
        samples = wanted.open(contract, waiting=run_.waiting, note=run_.note, resources=resources)
        run_.begin(contract, loaded, samples, wanted.unit_given, axes, title=title if view else None)
        run_.sink = _sink(output, contract, append=append, in_view=view, resources=resources)
        with _until_stopped(wanted.is_live), run_.on_screen():
            feed(run_.classifier, run_.watched(wanted.chunks(samples, sleep=run_.sleep)), run_.on_event)
    if contract.window.mode == "sliding":
        _note_health(run_.classifier.health, contract, run_.events)
    else:
        _note_recording(run_.kept, wanted.unit_given, axes, contract)


@dataclass(frozen=True)
class Wanted:
    """Where samples are to come from, as the command line names it."""

    source: str
    follow: bool = False
    replay_speed: float | None = None
    unit: str | None = None
    in_view: bool = False

    @property
    def is_sensor(self) -> bool:
        """Whether samples come out of a sensor of this machine."""
        return self.source.startswith(PREFIX)

    @property
    def has_no_end(self) -> bool:
        """Whether only a signal ends the source."""
        return self.follow or self.is_sensor

    @property
    def is_live(self) -> bool:
        """Whether samples come while the sensor makes them."""
        return self.has_no_end or self.source == "-"

    @property
    def unit_given(self) -> Unit:
        """Unit of the samples; the drivers' where there is no choice."""
        return self.unit or ("m/s^2" if self.is_sensor else "g")  # type: ignore[return-value]  # of a click.Choice

    def refuse_what_does_not_fit(self) -> None:
        """Raise ``click.UsageError`` for options that contradict each other."""
        if self.is_sensor:
            self._place()
        if self.is_sensor and self.unit == "g":
            raise click.UsageError(f"the drivers of {PREFIX} sensors give m/s^2; leave out --unit")
        if self.follow and self.is_sensor:
            raise click.UsageError(f"--follow waits for more of a CSV file; {self.source} has no end anyway")
        if self.follow and (self.source == "-" or self.source.endswith(".npz")):
            raise click.UsageError(f"--follow waits for more of a CSV file, which {self.source!r} is not")
        if self.is_live and self.replay_speed is not None:
            raise click.UsageError("--replay-speed is for recordings; a live source has its own speed")
        if self.in_view:
            from vskd.commands.view import refuse_without_terminal  # rich is slow to import

            refuse_without_terminal()

    def refuse_what_has_no_end(self, contract: Contract) -> None:
        """Raise ``click.UsageError`` for an endless source where the contract wants a whole recording."""
        if self.has_no_end and contract.window.mode == "whole":
            name = self.source if self.is_sensor else "--follow"
            raise click.UsageError(f"{name} has no end, and this bundle decides on whole recordings")

    def _place(self) -> Place:
        try:
            return Place.parse(self.source)
        except ConfigError as error:
            raise click.BadParameter(str(error), param_hint="'--input'") from error

    def open(self, contract: Contract, *, waiting: Waiting, note: Note, resources: ExitStack) -> Source:
        """Open the source and read its header, or set up its sensor for the contract."""
        if self.is_sensor:
            from vskd.sources.i2c import I2cSource

            rate_hz, range_g = contract.window.rate_hz, contract.sensor.range_g
            return I2cSource(self._place(), rate_hz=rate_hz, range_g=range_g, waiting=waiting, note=note)
        from vskd.sources.csv import SampleReader
        from vskd.sources.live_text import followed_lines, pipe_lines
        from vskd.sources.npz import NpzReader

        path = Path(self.source)
        if self.source == "-":
            return SampleReader(pipe_lines(_standard_input(), waiting=waiting), name="standard input")
        if self.follow:
            return SampleReader(followed_lines(path, waiting=waiting), name=self.source)
        if path.suffix == ".npz":
            return NpzReader(path)
        try:
            lines = resources.enter_context(path.open(encoding="utf-8", newline=""))
        except OSError as error:
            hint = "Give a CSV or NPZ file, or - for a pipe"
            raise DataError(f"cannot read {path}: {error.strerror}", hint=hint) from error
        return SampleReader(lines, name=self.source)

    def chunks(self, samples: Source, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Chunk]:
        """The source's chunks at the speed that was asked for."""
        from vskd.sources.feed import paced

        speed = self.replay_speed or (1.0 if self.in_view and not self.is_live else None)
        chunks = samples.chunks(rows=1 if self.is_live or speed else 1024)
        if speed is None:
            return chunks
        return paced(chunks, speed=speed, time_unit=samples.time_unit, sleep=sleep)


class _Run:
    """What a run does with its events, and while it waits."""

    classifier: Classifier  # from ``begin`` on: it needs the source, which is waited for already

    def __init__(self, watchdog: Watchdog | None) -> None:
        self._watchdog = watchdog
        self._view: View | None = None
        self.sink: OnEvent | None = None
        self.events = 0
        self.kept: list[NDArray[np.float64]] = []  # of a whole recording, in its unit and axes

    def begin(
        self, contract: Contract, engine: Engine, samples: Source, unit: Unit, axes: str, *, title: str | None
    ) -> None:
        """Classify from now on; a title asks for the view."""
        from vskd.classifier import Classifier

        if title is None:
            self.classifier = Classifier(contract, engine, unit=unit, axes=axes, time_unit=samples.time_unit)
            return
        from vskd.commands.view import View, WatchedEngine

        seen = WatchedEngine(engine)
        self.classifier = Classifier(contract, seen, unit=unit, axes=axes, time_unit=samples.time_unit)
        self._view = View(
            contract, title=title, unit=unit, axes=axes, time_unit=samples.time_unit,
            engine=seen, health=self.classifier.health,
        )  # fmt: skip

    def on_screen(self) -> AbstractContextManager[None]:
        """The view, if it was asked for, while events come."""
        return self._view.on_screen() if self._view else nullcontext()

    def on_event(self, event: Event) -> None:
        self.events += 1
        if self._view:
            self._view.show(event)
        if self.sink:
            self.sink(event)

    def note(self, text: str) -> None:
        """Say something while the run goes on."""
        if self._view:
            self._view.note(text)
        else:
            _note(text)

    def waiting(self, silent_s: float) -> None:
        for event in self.classifier.silence(silent_s) if hasattr(self, "classifier") else ():
            self.on_event(event)
        if self._view:
            self._view.silent(silent_s)
        if self._watchdog:
            self._watchdog.alive(f"no samples for {silent_s:.0f} s")

    def watched(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The same chunks; the view sees each, and the watchdog hears of each that has been dealt with."""
        for chunk in chunks:
            if self.classifier.contract.window.mode == "whole":
                self.kept.append(chunk.xyz)
            if self._view:
                self._view.take(chunk)
            yield chunk
            if self._watchdog:
                self._watchdog.alive(f"{self.events} decisions")

    def sleep(self, seconds: float) -> None:
        """Sleep through a replay's pause, alive."""
        from vskd.sources.live_text import POLL_S

        while seconds > 0:
            time.sleep(min(seconds, POLL_S))
            seconds -= POLL_S
            if self._watchdog:
                self._watchdog.alive("waiting for the recording's next sample")


def _sink(
    output: Path | None, contract: Contract, *, append: bool, in_view: bool, resources: ExitStack
) -> OnEvent | None:
    from vskd.sinks.event_files import JsonLinesSink, file_sink, open_output

    if output is None and in_view and sys.stdout.isatty():
        return None  # the view shows them where they would be printed
    if output is None:
        return JsonLinesSink(sys.stdout, contract.labels)
    stream = resources.enter_context(open_output(output, append=append))
    return file_sink(output, stream, contract.labels)


def _watchdog(resources: ExitStack, status: str) -> Watchdog:
    from vskd.sinks.watchdog import Watchdog

    watchdog = Watchdog()
    resources.callback(watchdog.close)
    watchdog.ready(status)
    return watchdog


def _standard_input() -> int:
    if sys.stdin is None:
        raise DataError("standard input is closed", hint="Pipe a logger into vskd, or give a CSV file")
    return sys.stdin.fileno()


@contextmanager
def _until_stopped(is_live: bool) -> Iterator[None]:
    """Ctrl-C and SIGTERM are how a live run ends; a recording that is broken off is not done."""
    if not is_live:
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _note("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)


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


def _note_health(health: Health, contract: Contract, events: int) -> None:
    rate = "unknown" if health.rate_hz is None else f"{health.rate_hz:.2f} Hz"
    _note(
        f"{health.samples} samples at {rate} -> {events} decisions; dropped: {health.out_of_order} out of order, "
        f"{health.not_finite} not finite; {health.gaps} gaps; {health.saturated} beyond "
        f"+-{contract.sensor.range_g:g} g"
    )
    for axis, flat in zip(contract.sensor.axes, health.flat, strict=True):
        if flat:
            _note(f"warning: axis {axis} read one value throughout {flat} of {health.windows} windows; is it dead?")
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


def _note_recording(kept: list[NDArray[np.float64]], unit: Unit, axes: str, contract: Contract) -> None:
    """What a stream would have counted of a recording that is one window; the rest of it was refused."""
    import numpy as np

    from vskd.stream import to_g

    xyz_g = to_g(np.concatenate(kept), unit=unit, axes=axes)
    saturated = int((np.abs(xyz_g) >= contract.sensor.range_g).any(axis=1).sum())
    if saturated:
        _note(f"warning: {saturated} of {len(xyz_g)} samples beyond +-{contract.sensor.range_g:g} g")
    for axis, is_flat in zip(contract.sensor.axes, (xyz_g == xyz_g[:1]).all(axis=0).tolist(), strict=True):
        if is_flat:
            _note(f"warning: axis {axis} read one value throughout the recording; is it dead?")


def _note(text: str) -> None:
    click.echo(text, err=True)
