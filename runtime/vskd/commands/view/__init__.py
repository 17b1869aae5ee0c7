"""The terminal view of ``vskd run --view``: signal, image, activity, latencies and health, several times a second.

It draws on standard error, so that events can still be piped. On a narrow or low terminal it leaves parts out.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vskd.commands.rich_console import SafeConsole
from vskd.commands.view.parts import SPAN_S, Activity, Image, Signal, line
from vskd.contract import Contract, Unit
from vskd.decide import NO_SIGNAL, Event
from vskd.encoders import encoder_for
from vskd.engines import Engine
from vskd.sources.csv import Chunk
from vskd.stream import Health, TimeUnit, per_second, to_g

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Samples kept for it: at 400 Hz the screen holds less than SPAN_S.
MOST_SAMPLES = 2400
#: Decisions whose latency is kept.
LATENCIES = 100
#: Time between two refreshes, s.
EVERY_S = 0.2
#: Below these sizes the image, and then the signal, are left out.
IMAGE_COLUMNS, SIGNAL_ROWS = 64, 16

#: Rows left to what is printed after the last screen.
ROWS_TO_SPARE = 4


def refuse_without_terminal() -> None:
    """Raise ``click.UsageError`` where there is nothing to draw on."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        raise click.UsageError("--view draws on a terminal, and standard error is none; leave --view out here")


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """SIGTERM would leave the terminal without a cursor; a live source's run has its own way to end."""
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class RecordingEngine(Engine):
    """An engine that also keeps the last window that it was given.

    Parameters
    ----------
    engine : does the work
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.version = engine.name, engine.version
        self.window: Float32 | None = None

    def infer(self, window: Float32) -> Float32:
        self.window = window.copy()
        return self._engine.infer(window)

    def infer_both(self, window: Float32) -> tuple[Float32, Float32]:
        self.window = window.copy()
        return self._engine.infer_both(window)


class View:
    """What is on the screen.

    Parameters
    ----------
    contract : whose labels and rate are shown
    title : of the screen
    unit, axes, time_unit : of the chunks to come
    engine : whose last window is drawn
    health : is read at each refresh
    console : to draw on
    clock : s, monotonic
    """

    def __init__(
        self,
        contract: Contract,
        *,
        title: str,
        unit: Unit,
        axes: str,
        time_unit: TimeUnit,
        engine: RecordingEngine,
        health: Health,
        console: Console | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.contract, self.title, self.health = contract, title, health
        self.console = console or SafeConsole(stderr=True)
        self._unit: Unit = unit
        self._axes, self._per_second = axes, per_second(time_unit)
        self._engine, self._clock = engine, clock
        self._encoder = encoder_for(contract)
        self._samples: deque[tuple[float, float, float, float]] = deque(maxlen=MOST_SAMPLES)
        self._origin: float | None = None
        self._pushed: float | None = None
        self._drawn = -EVERY_S
        self._live: Live | None = None
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES)
        self.event: Event | None = None
        self.samples = 0
        self.silent_s = 0.0
        self.remark = ""

    @contextmanager
    def on_screen(self) -> Iterator[None]:
        """Draw on the whole terminal, and give it back as it was; what was seen last stays where the source ended."""
        with _terminated_in_order(), Live(console=self.console, screen=True, auto_refresh=False) as self._live:
            yield
        self._live = None
        self.note(self.remark or "the source has ended")
        rows = self.console.height - ROWS_TO_SPARE
        self.console.print(self.layout(rows), height=max(1, rows))

    def take(self, chunk: Chunk) -> None:
        """Samples, just before they are pushed."""
        self.silent_s = 0.0
        self.samples += len(chunk.time)
        finite = np.isfinite(chunk.time) & np.isfinite(chunk.xyz).all(axis=1)
        time, xyz = chunk.time[finite], chunk.xyz[finite]
        if len(time):
            self._origin = float(time[0]) if self._origin is None else self._origin
            times_s = (time - self._origin) / self._per_second
            self._samples.extend(np.column_stack((times_s, to_g(xyz, unit=self._unit, axes=self._axes))).tolist())
        self._redraw()
        self._pushed = self._clock()

    def show(self, event: Event) -> None:
        """A decision, as soon as it is made."""
        if self._pushed is not None and event.label != NO_SIGNAL:
            self.latencies_s.append(self._clock() - self._pushed)
        self.event = event

    def silent(self, for_s: float) -> None:
        """Nothing has come for so long."""
        self.silent_s, self._pushed = for_s, None
        self._redraw()

    def note(self, text: str) -> None:
        """A sentence for the foot of the screen."""
        self.remark = text

    def _redraw(self) -> None:
        if self._live and self._clock() - self._drawn >= EVERY_S:
            self._live.update(self.layout(), refresh=True)
            self._drawn = self._clock()

    def layout(self, rows: int | None = None) -> Layout:
        """All of it, for the size that the terminal has now, or for so many of its rows."""
        width, height = self.console.size
        height = rows or height
        lower = Layout(name="lower", size=None if height < SIGNAL_ROWS else max(8, min(14, height // 2 - 2)))
        lower.split_row(
            Layout(Panel(Activity(self.contract, self.event, self.silent_s), title="activity", title_align="left")),
            Layout(Panel(self._numbers(), title="health", title_align="left"), size=36, visible=width >= IMAGE_COLUMNS),
        )
        upper = Layout(name="upper", visible=height >= SIGNAL_ROWS)
        signal = Panel(Signal(np.array(self._samples)), title=f"signal, g, last {SPAN_S:g} s", title_align="left")
        image = self._image_column(rows=height - (lower.size or 0) - 4, columns=width)
        upper.split_row(Layout(signal), *image)
        whole = Layout()
        whole.split_column(
            Layout(line(self.title, "bold"), size=1),
            upper,
            lower,
            Layout(line(self.remark or "Ctrl-C ends it", "dim"), size=1),
        )
        return whole

    def _image_column(self, *, rows: int, columns: int) -> tuple[Layout, ...]:
        """Beside the signal: the last window's image, where the network takes one."""
        gaf = self.contract.gaf
        if gaf is None:
            return ()
        return (
            Layout(
                Panel(self._image(), title=" + ".join(gaf.fields), title_align="left"),
                size=min(2 * rows, gaf.size, columns // 2) + 4,
                visible=columns >= IMAGE_COLUMNS,
            ),
        )

    def _image(self) -> RenderableType:
        window = self._engine.window
        return Text("no window yet", style="dim") if window is None else Image(self._encoder(window))

    def _numbers(self) -> RenderableType:
        rows = Table.grid(padding=(0, 1))
        rows.add_column(no_wrap=True, overflow="crop")
        rows.add_column(no_wrap=True, overflow="crop")
        latencies_ms = [1e3 * one for one in self.latencies_s]
        if latencies_ms:
            middle = statistics.median(latencies_ms)
            rows.add_row("latency", f"{latencies_ms[-1]:.2f} ms, p50 {middle:.2f} ({len(latencies_ms)})")
        else:
            rows.add_row("latency", "no decision yet")
        rows.add_row("samples", str(self.samples))
        if self.contract.window.mode == "sliding":
            for name, text in self._stream_numbers():
                rows.add_row(name, text)
        return rows

    def _stream_numbers(self) -> Iterator[tuple[str, Text]]:
        """What only a stream counts."""
        health, trained_hz = self.health, self.contract.window.rate_hz
        measured = "measuring" if health.rate_hz is None else f"{health.rate_hz:.2f} Hz"
        style = "bold yellow" if health.is_rate_off(self.contract) else ""
        yield "rate", Text(f"{measured} of {trained_hz:g} Hz", style=style)
        yield "gaps", _counted(health.gaps)
        yield "dropped", _counted(health.out_of_order + health.not_finite)
        yield "saturated", _counted(health.saturated)
        for axis, flat in zip(self.contract.sensor.axes, health.flat, strict=True):
            if flat:
                yield f"flat {axis}", Text(f"in {flat} windows", style="bold yellow")
        yield "windows", Text(f"{health.windows}" + (f", {health.still_share:.0%} still" if health.still else ""))


def _counted(count: int) -> Text:
    return Text(str(count), style="bold yellow" if count else "")
