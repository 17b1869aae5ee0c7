"""The command ``vskd study-int8``. Only click is imported here."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import left_at_stop, say
from vskd_training.commands.options import CACHE, ROOT

_EXAMPLE = "Example: vskd study-int8 training/studies/utd-mhad-image-or-raw.toml --root DIR --out build/study --jobs 2"


@click.command("study-int8", epilog=_EXAMPLE)
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the finished study.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Only these seeds' students.  [default: all]")
@click.option("--arm", "arms", multiple=True, help="Only these arms' students.  [default: all]")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Models made at a time.")
@ROOT
@CACHE
def study_int8(
    study_file: Path,
    out: Path,
    seeds: tuple[int, ...],
    arms: tuple[str, ...],
    jobs: int,
    root: Path | None,
    cache: Path,
) -> None:
    """Export the students of a finished study as int8.

    It says what they keep and cost.

    Each model is calibrated on its training subjects and run on its test recordings, beside the network in torch.
    Every arm's flash, arena and latency are of its first model. Leaves int8.json and int8.md in the study's folder, and
    the models in OUT/int8; killed at any moment, the same command goes on.
    """
    from vskd.commands.rich_console import say_tables
    from vskd_export.study_int8.cell import Place
    from vskd_export.study_int8.study import RESULT, TABLE, score_study, write_result
    from vskd_training.study.plan import open_study

    opened = open_study(study_file, root=root)
    place = Place(out.resolve(), root and root.resolve(), cache.resolve(), opened.spec.decisions)
    kept = left_at_stop(f"finished models are kept in {out}", "the same command goes on")
    with kept, progress_bar(f"int8 models of {opened.spec.name}") as bar:
        found = score_study(opened, place, seeds=seeds, arms=arms, jobs=jobs, progress=bar)
    say_tables(write_result(found, out))
    say(f"written: {out / RESULT}, {out / TABLE}", err=True)
