"""The terminal view of ``vskd run --view``: signal, image, activity, latencies and health, several times a second.

It draws on standard error, so that events can still be piped. It is told what happens and decides nothing. On a narrow
or low terminal it leaves parts out, without colour it draws in shades, without Unicode in ASCII.
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
from dataclasses import dataclass
from functools import lru_cache

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from vskd.contract import Contract, Unit
from vskd.decide import NO_SIGNAL, UNKNOWN, Event
from vskd.engines import Engine
from vskd.gaf import GafEncoder, paa_matrix
from vskd.sources.csv import Chunk
from vskd.stream import Health, TimeUnit, per_second, to_g

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Seconds of signal on the screen.
SPAN_S = 6.0
#: Samples kept for it: at 400 Hz the screen holds less than SPAN_S.
MOST_SAMPLES = 2400
#: Decisions whose latency is kept.
LATENCIES = 100
#: Time between two pictures, s.
EVERY_S = 0.2
#: Below these sizes the image, and then the signal, are left out.
IMAGE_COLUMNS, SIGNAL_ROWS = 64, 16

#: Rows left to what is printed after the last picture.
ROWS_TO_SPARE = 4
#: A silence of so long, s, is shown as such before any rule says so.
SILENCE_S = 1.0

AXIS_STYLES = ("red", "green", "blue")
SHADES, ASCII_SHADES = " ░▒▓█", " .:-=+*#%@"
#: Bits of a braille cell, (row, column) from the top left; U+2800 is the empty one.
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


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


class WatchedEngine:
    """An engine that also keeps the last window that it was asked for.

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


class View:
    """What is on the screen.

    Parameters
    ----------
    contract : whose labels and rate are shown
    title : of the screen
    unit, axes, time_unit : of the chunks to come
    engine : whose last window is drawn
    health : is read at each picture
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
        engine: WatchedEngine,
        health: Health,
        console: Console | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.contract, self.title, self.health = contract, title, health
        self.console = console or Console(stderr=True)
        self._unit: Unit = unit
        self._axes, self._per_second = axes, per_second(time_unit)
        self._engine, self._clock = engine, clock
        self._encoder = GafEncoder(contract.gaf, contract.window.samples)
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
        self.console.print(self.picture(rows), height=max(1, rows))

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
            self._live.update(self.picture(), refresh=True)
            self._drawn = self._clock()

    def picture(self, rows: int | None = None) -> Layout:
        """All of it, for the size that the terminal has now, or for so many of its rows."""
        width, height = self.console.size
        height = rows or height
        lower = Layout(name="lower", size=None if height < SIGNAL_ROWS else max(8, min(14, height // 2 - 2)))
        lower.split_row(
            Layout(Panel(Activity(self.contract, self.event, self.silent_s), title="activity", title_align="left")),
            Layout(Panel(self._numbers(), title="health", title_align="left"), size=36, visible=width >= IMAGE_COLUMNS),
        )
        upper = Layout(name="upper", visible=height >= SIGNAL_ROWS)
        image_rows = height - (lower.size or 0) - 4
        upper.split_row(
            Layout(Panel(Signal(np.array(self._samples)), title=f"signal, g, last {SPAN_S:g} s", title_align="left")),
            Layout(
                Panel(self._image(), title=" + ".join(self.contract.gaf.fields), title_align="left"),
                size=min(2 * image_rows, self.contract.gaf.size, width // 2) + 4,
                visible=width >= IMAGE_COLUMNS,
            ),
        )
        whole = Layout()
        whole.split_column(
            Layout(_line(self.title, "bold"), size=1),
            upper,
            lower,
            Layout(_line(self.remark or "Ctrl-C ends it", "dim"), size=1),
        )
        return whole

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
        health, wanted_hz = self.health, self.contract.window.rate_hz
        off = health.rate_hz is not None and (
            abs(health.rate_hz / wanted_hz - 1) > self.contract.resampling.rate_tolerance
        )
        measured = (
            f"measuring, of {wanted_hz:g} Hz" if health.rate_hz is None else f"{health.rate_hz:.2f} Hz of {wanted_hz:g}"
        )
        yield "rate", Text(measured, style="bold yellow" if off else "")
        yield "gaps", _counted(health.gaps)
        yield "dropped", _counted(health.out_of_order + health.not_finite)
        yield "saturated", _counted(health.saturated)
        for axis, flat in zip(self.contract.sensor.axes, health.flat, strict=True):
            if flat:
                yield f"flat {axis}", Text(f"in {flat} windows", style="bold yellow")
        yield "windows", Text(f"{health.windows}" + (f", {health.still_share:.0%} still" if health.still else ""))


def _counted(count: int) -> Text:
    return Text(str(count), style="bold yellow" if count else "")


@dataclass(frozen=True)
class Activity:
    """The decision in words, and the most probable labels as bars; as many as there is room for."""

    contract: Contract
    event: Event | None
    silent_s: float = 0.0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.event is None:
            window = self.contract.window
            yield Text(f"the first decision needs {window.samples} samples", style="dim")
            return
        room = max(1, (options.height or options.max_height) - 2)
        order = np.argsort(-self.event.probabilities, kind="stable")[:room]
        name_width = max(8, min(options.max_width * 3 // 5, max(map(len, self.contract.labels))))
        bars = Table.grid(padding=(0, 1), expand=True)
        bars.add_column(width=name_width, no_wrap=True, overflow="crop" if options.ascii_only else "ellipsis")
        bars.add_column(width=4, justify="right", no_wrap=True)
        bars.add_column(ratio=1)
        for index in order:
            value = float(self.event.probabilities[index])
            bar = ProgressBar(total=1.0, completed=value, complete_style="cyan", finished_style="cyan")
            bars.add_row(self.contract.labels[index], f"{value:.0%}", bar)
        yield Group(*self._headline(), bars)

    def _headline(self) -> tuple[Text, Text]:
        event = self.event
        if self.silent_s > SILENCE_S or event is None:
            return _line(NO_SIGNAL, "bold yellow"), _line(f"no samples for {self.silent_s:.1f} s", "yellow")
        known = not event.reason
        first = _line(event.label, "bold green" if known else "bold yellow")
        said = f"{event.probability:.0%}, " if known or event.label == UNKNOWN else ""
        second = f"{said}{event.reason or f'{event.start_s:.2f} to {event.end_s:.2f} s'}"
        return first, _line(second, "" if known else "yellow")


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="crop")


@dataclass(frozen=True)
class Signal:
    """Three strips, one per axis, newest at the right.

    Attributes
    ----------
    samples : (n, 4): s, and x, y, z in g
    """

    samples: Float64

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = max(1, (options.height or options.max_height) // 3)
        width = max(1, options.max_width - 8)
        for index, name in enumerate("xyz"):
            values = self.samples[:, index + 1] if len(self.samples) else np.empty(0)
            low, high = _span(values[np.abs(values) < 1e6])  # one wild sample must not flatten the rest
            lines = trace(self.samples, index + 1, width, rows, low, high, ascii_only=options.ascii_only)
            for row, line in enumerate(lines):
                edge = f"{high:+.1f}" if row == 0 else f"{low:+.1f}" if row == rows - 1 else ""
                yield Text.assemble((f"{name if row == 0 else ' '}{edge:>6} ", "dim"), (line, AXIS_STYLES[index]))


def _span(values: Float64) -> tuple[float, float]:
    """Half-g bounds around the values, at least 1 g apart."""
    if not len(values):
        return -1.0, 1.0
    low, high = np.floor(values.min() * 2) / 2, np.ceil(values.max() * 2) / 2
    return (float(low), float(high)) if high - low >= 1 else (float(low) - 0.5, float(high) + 0.5)


def trace(
    samples: Float64, column: int, width: int, rows: int, low: float, high: float, *, ascii_only: bool
) -> list[str]:
    """A line through the last ``SPAN_S`` of a column, in braille cells (2 by 4 dots) or ASCII.

    Parameters
    ----------
    samples : (n, columns), finite; the first column is s
    column : to draw
    width, rows : of the drawing, in characters
    low, high : values at the bottom and at the top

    Returns
    -------
    ``rows`` texts of ``width`` characters
    """
    dots = np.zeros((4 * rows, 2 * width), dtype=np.bool_)
    if len(samples):
        # Before the left edge and after the right one, as a clock that was set back leaves them, is not drawn.
        at = np.clip(((samples[:, 0] - samples[-1, 0]) / SPAN_S + 1) * (2 * width - 1), -9, 2 * width)
        down = np.clip((high - samples[:, column]) / (high - low), 0, 1) * (4 * rows - 1)
        last_column, last_row = -9, 0
        for here, row in zip(at.round().astype(np.int64).tolist(), down.round().astype(int).tolist(), strict=True):
            if 0 <= here < 2 * width:
                start = last_row if here - last_column <= 2 else row  # a longer step is a gap
                dots[min(start, row) : max(start, row) + 1, here] = True
            last_column, last_row = here, row
    cells = dots.reshape(rows, 4, width, 2).transpose(0, 2, 1, 3)
    if ascii_only:
        levels = np.where(cells[:, :, 2:].any(axis=(2, 3)), 2, 0) + np.where(cells[:, :, :2].any(axis=(2, 3)), 1, 0)
        return ["".join(" '.:"[level] for level in row) for row in levels.tolist()]
    codes = 0x2800 + (cells * _BRAILLE).sum(axis=(2, 3))
    return ["".join(map(chr, row)) for row in codes.tolist()]


@dataclass(frozen=True)
class Image:
    """An image of the encoder: its first three channels as red, green and blue, two pixels a character.

    Attributes
    ----------
    channels : (channels, size, size), each value in [-1, 1]
    """

    channels: Float32

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        size = self.channels.shape[-1]
        side = min(options.max_width, 2 * (options.height or options.max_height), size) // 2 * 2
        average = paa_matrix(size, max(2, side))
        small = np.clip((average.T @ self.channels[:3] @ average + 1) / 2, 0, 1)
        if console.color_system is None or console.no_color or options.ascii_only:
            yield from _shaded(small.mean(axis=0), ASCII_SHADES if options.ascii_only else SHADES)
            return
        # 32 steps a colour: the eye sees no more of a small image, and styles are made once.
        pixels = ((small * 31).round().astype(int) * 255 // 31).transpose(1, 2, 0).tolist()
        for top, bottom in zip(pixels[::2], pixels[1::2], strict=True):
            for above, below in zip(top, bottom, strict=True):
                yield Segment("▀", _two_pixels(_hex(above), _hex(below)))
            yield Segment.line()


@lru_cache(maxsize=4096)
def _two_pixels(above: str, below: str) -> Style:
    return Style(color=above, bgcolor=below)


def _shaded(grey: Float32, shades: str) -> Iterator[Segment]:
    """(side, side) in [0, 1] -> characters, two rows to one."""
    rows = (grey[::2] + grey[1::2]) / 2
    for row in (rows * (len(shades) - 1)).round().astype(int).tolist():
        yield Segment("".join(shades[level] for level in row))
        yield Segment.line()


def _hex(pixel: list[int]) -> str:
    red, green, blue = (pixel * 3)[:3] if len(pixel) < 3 else pixel
    return f"#{red:02x}{green:02x}{blue:02x}"
