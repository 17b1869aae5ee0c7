"""A result for people on a terminal: five lines, the page's tables, what was skipped, the verdict's reasons."""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

import rich.table
from rich import box
from rich.console import Console
from rich.text import Text

from vskd.pages import Table
from vskd_benchmarks.report import evidence, tables
from vskd_benchmarks.report.headline import headline
from vskd_benchmarks.result.records.result import Result


def print_tables(result: Result, console: Console) -> None:
    """Show a result.

    Parameters
    ----------
    result : of a run
    console : where to
    """
    for topic, sentence in headline(result):
        console.print(f"{topic:15} {sentence}", style="bold", markup=False, highlight=False)
    named = (_filled(_cut(tables.latency(result), _LATENCY)), tables.encoders(result))
    makers = (tables.split, tables.start, tables.processor, tables.energy)
    measured = [make(result) for make in makers]
    ratios = [_cut(table, _MEDIANS) for table in tables.ratios(result)]
    for table in (*named, *(_numbers(table) for table in (*measured, *ratios)), tables.goals(result)):
        if table.rows:
            console.print(_rich(table))
    lines = [f"not measured: {skipped.name}: {skipped.reason}" for skipped in result.not_measured]
    machine = result.environment.machine
    lines.append(f"{machine.cpu}, {machine.cores} cores, {' '.join(machine.features)}")
    lines += [f"energy: {sentence}" for sentence in (result.energy.assumptions if result.energy else ())]
    if result.profile is not None:
        lines.append(f"profile {result.profile.name}: {result.profile.statement}")
        lines += [f"  {held.setting} {held.got}: by {held.means}" for held in result.profile.applied]
    for line in lines:
        console.print(line, markup=False)
    console.print(f"result: {result.validity.status}", style="bold")
    for kind, where, sentence in evidence.lowering(result):
        console.print(f"  {kind} ({where}): {sentence}", markup=False)


def _numbers(table: Table) -> Table:
    """A table with the number of each case in place of its name, which stands in the first two tables."""
    rows = tuple(tuple(map(_number, row)) for row in table.rows)
    return dataclasses.replace(table, headings=tuple(map(_number, table.headings)), rows=rows)


def _number(text: str) -> str:
    return re.sub(r"^(#\d+) .*", r"\1", text)


_LATENCY = "n/a: too few windows for this percentile. Overhead: of the runtime, beyond the library's bare call, median."
_PAGE_ONLY = "p50, yardsticks"
_MEDIANS = (
    "Ratio of the median latencies, sensor to label, median over the rounds. The page has the range of the rounds."
)


def _cut(table: Table, caption: str) -> Table:
    """A table with the medians alone, without what stands behind them in brackets: a terminal is too narrow."""
    rows = tuple((row[0], *(text.partition(" (")[0] for text in row[1:])) for row in table.rows)
    return dataclasses.replace(table, rows=rows, caption=caption)


def _filled(table: Table) -> Table:
    """A table without the columns that tell nothing (no value, or a valid case, in each row) and the page's own."""
    telling = [
        column
        for column in range(len(table.headings))
        if table.headings[column] != _PAGE_ONLY and any(row[column] not in ("", "n/a", "valid") for row in table.rows)
    ]
    rows = tuple(tuple(row[column] for column in telling) for row in table.rows)
    return dataclasses.replace(table, headings=tuple(table.headings[column] for column in telling), rows=rows)


def _rich(table: Table) -> rich.table.Table:
    shown = rich.table.Table(
        title=Text(table.title), caption=table.caption, box=box.SIMPLE, title_justify="left", caption_justify="left",
        collapse_padding=True, pad_edge=False,
    )  # fmt: skip
    for index, heading in enumerate(table.headings):
        named = index < table.names
        # Names break between words only; numbers not at all.
        words = (word for text in (heading, *(row[index] for row in table.rows)) for word in text.split())
        widest = max(map(len, words), default=1)
        justify: Literal["left", "right"] = "left" if named else "right"
        shown.add_column(Text(heading), justify=justify, overflow="fold", min_width=widest)
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown
