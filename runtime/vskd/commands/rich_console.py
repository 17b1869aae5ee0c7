"""The console on which tables, progress and the view are drawn: as rich's, and escaped as ``terminal`` does.

A document in Markdown stays Markdown in a pipe or file; on a terminal its tables are drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from vskd.commands.terminal import for_people, say
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


def say_tables(document: str) -> None:
    """Print our own Markdown on standard output; for a person its tables fit the terminal.

    Parameters
    ----------
    document : paragraphs, and tables whose first two lines are the headings and the rule
    """
    if not for_people(as_json=False):
        say(document, nl=False, lines=True)
        return
    console = SafeConsole()
    for is_table, lines in itertools.groupby(document.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            console.print(_drawn([line.strip().strip("|").split("|") for line in lines]))
        else:
            console.print(Text("\n".join(lines)))


def _drawn(rows: list[list[str]]) -> Table:
    headings, _, *cells = rows
    table = Table(box=box.SIMPLE, collapse_padding=True, pad_edge=False)
    for heading in headings:
        table.add_column(Text(heading.strip()), overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell.strip()) for cell in row))
    return table
