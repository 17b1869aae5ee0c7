"""What every page of a report shares: its style, and how a table becomes HTML that a phone can show, too.

Text alone. The packages that write pages render it by jinja2, which a device has no need of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes
    ----------
    title, caption : what it is, how to read it
    headings : of the columns, with units
    rows : of texts; as many as headings
    names : so many first columns are names, the others numbers
    """

    title: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


def number_of(count: int, noun: str) -> str:
    """``1 subject``, ``2 subjects``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def parts() -> dict[str, str]:
    """Name -> text of what a template includes: ``style.css``, and the macros of ``tables.html.j2``."""
    return {
        name: Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("style.css", "tables.html.j2")
    }
