"""The command ``vskd report``: the page of a result folder, made anew."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.terminal import say


@click.command(epilog="Example: vskd report wrist-bench; then open wrist-bench/report/report.html in any browser")
@click.argument("folder", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Write the page of a result of vskd bench.

    It is FOLDER/report/report.html, with its plots as PNG and its figures as CSV beside it.

    Needs the extra bench.
    """
    from vskd_benchmarks.report.html import write_report

    say(write_report(folder))
