"""The command ``vskd timeline``. Only click is imported here."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.terminal import say


@click.command(epilog="Example: vskd timeline events.jsonl --truth truth.csv --out timeline.png")
@click.argument("events", metavar="EVENTS.jsonl", type=click.Path(path_type=Path))
@click.option("--truth", type=click.Path(path_type=Path), required=True, help="CSV start_s,end_s,label.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG to write.")
def timeline(events: Path, truth: Path, out: Path) -> None:
    """Draw the decisions of `vskd run` against the truth."""
    from vskd.errors import DataError
    from vskd.writing import disk_errors
    from vskd_training.data.stream_files import read_events, read_truth
    from vskd_training.evaluation.timeline import draw_timeline

    if out.suffix != ".png":
        raise click.UsageError(f"--out must end in .png, got {out}")
    with disk_errors(out, DataError, hint="Give another --out"):
        found = draw_timeline(read_events(events), read_truth(truth), out)
    say(f"{found}; plot: {out}")
