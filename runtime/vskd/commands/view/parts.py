"""The parts of the terminal view: activity, signal and image, each drawn in the room that it is given.

Without colour they are drawn in shades, without Unicode in ASCII.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from vskd.contract import Contract
from vskd.decide import NO_SIGNAL, UNKNOWN, Event
from vskd.encoders.gaf import paa_matrix

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Seconds of signal on the screen.
SPAN_S = 6.0
#: A silence of so long, s, is shown before any rule reports it.
SILENCE_S = 1.0

AXIS_STYLES = ("red", "green", "blue")
SHADES, ASCII_SHADES = " ░▒▓█", " .:-=+*#%@"
#: Bits of a braille cell, (row, column) from the top left; U+2800 is the empty one.
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


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
            return line(NO_SIGNAL, "bold yellow"), line(f"no samples for {self.silent_s:.1f} s", "yellow")
        known = not event.reason
        first = line(event.label, "bold green" if known else "bold yellow")
        share = f"{event.probability:.0%}, " if known or event.label == UNKNOWN else ""
        second = f"{share}{event.reason or f'{event.start_s:.2f} to {event.end_s:.2f} s'}"
        return first, line(second, "" if known else "yellow")


def line(text: str, style: str) -> Text:
    """Text that is cut at the edge instead of wrapped."""
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
