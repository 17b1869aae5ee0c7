"""The console on which tables, progress and the view are drawn: as rich's, and escaped as ``terminal`` does."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from vskd.untrusted.text import shown


class SafeConsole(Console):
    """What it is given as text cannot command the terminal; rich's own colours and cursor moves can."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of rich, whose text is escaped."""
        for segment in super().render(renderable, options):
            if segment.control or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(shown(segment.text, lines=True), segment.style)
