"""The command ``vskd study``. Only click is imported here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from vskd_training.commands.options import CACHE, ROOT
from vskd_training.commands.terminal import progress_bar


@click.command(epilog="Example: vskd study training/studies/utd-mhad-scarce.toml --root DIR --out build/scarce")
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the study; one that is there is resumed."
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    help="Cells trained at a time.  [default: 1; with ray as many as the cluster has cores for]",
)
@click.option(
    "--backend",
    type=click.Choice(["loky", "ray"]),
    default="loky",
    show_default=True,
    help="The cores of this machine, or a Ray cluster, whose nodes all see --out, --cache and --root.",
)
@click.option("--ray-address", metavar="HOST:PORT", default="", show_default=False, help="Head of the Ray cluster.")
@ROOT
@CACHE
def study(
    study_file: Path,
    out: Path,
    jobs: int | None,
    backend: str,
    ray_address: str,
    root: Path | None,
    cache: Path,
) -> None:
    """Train every arm on every fold and seed, and compare them over subjects.

    Killed at any moment, the same command resumes it; finished cells are not trained again. Leaves result.json,
    table.md and differences.png in the folder, and prints the table.

    With --backend ray --ray-address HOST:PORT cells are trained on a cluster (extra `ray`): `ray start --head` on one
    machine, `ray start --address=HOST:PORT` on each other one, all with the same vskd and the same folders.
    """
    if (backend == "ray") != bool(ray_address):
        raise click.UsageError("--backend ray and --ray-address HOST:PORT go together; `ray start` prints the address")
    from vskd_training.study.plan import open_study
    from vskd_training.study.report import PLOT, RESULT, report_study, table
    from vskd_training.study.running import run_study

    opened = open_study(study_file, root=root)
    with progress_bar(f"study {opened.spec.name}") as bar:
        noted: Callable[..., None] = bar
        run_study(opened, out, root=root, cache=cache, jobs=jobs, progress=noted, ray_address=ray_address)
    click.echo(table(report_study(opened, out)), nl=False)
    click.echo(f"result: {out / RESULT}; plot: {out / PLOT}", err=True)
