"""The command ``vskd study``. Only click is imported here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import left_at_stop, say
from vskd_training.commands.options import CACHE, ROOT

if TYPE_CHECKING:
    from vskd_training.study.cells import Outcome
    from vskd_training.study.plan import Study


@click.command(epilog="Example: vskd study training/studies/utd-mhad-scarce.toml --root DIR --out build/scarce")
@click.argument("study_file", metavar="STUDY.toml", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the study; one that is there is resumed. Only --plan needs none.",
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
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Train nothing: print cells, splits, labels of each class, and an estimate of the hours.",
)
@ROOT
@CACHE
def study(
    study_file: Path,
    out: Path | None,
    jobs: int | None,
    backend: str,
    ray_address: str,
    only_plan: bool,
    root: Path | None,
    cache: Path,
) -> None:
    """Train every arm on every fold and seed, and compare them.

    Killed at any moment, the same command resumes it; finished cells are not trained again. Leaves result.json,
    table.md, differences.png and report.html in the folder, and prints the table. A cell that fails stops only those
    that it teaches; it is named with its error, the exit code is 1, and the next run tries it again. What is finished
    is always reported. --plan shows what would be trained, and for how long.

    With --backend ray --ray-address HOST:PORT cells are trained on a cluster (extra `ray`): `ray start --head` on one
    machine, `ray start --address=HOST:PORT` on each other one, all with the same vskd and the same folders.
    """
    if (backend == "ray") != bool(ray_address):
        raise click.UsageError("--backend ray and --ray-address HOST:PORT go together; `ray start` prints the address")
    if out is None and not only_plan:
        raise click.UsageError("Missing option '--out', the folder of the study. Only --plan needs none")
    from vskd.errors import VskdError
    from vskd_training.study.plan import open_study
    from vskd_training.study.running import failure, run_study

    opened = open_study(study_file, root=root)
    if only_plan or out is None:
        _print_plan(opened, out, root, cache, jobs or 1)
        return
    kept = left_at_stop(f"finished cells are kept in {out}", "the same command goes on")
    with kept, progress_bar(f"study {opened.spec.name}") as bar:
        noted: Callable[..., None] = bar
        try:
            failed = run_study(opened, out, root=root, cache=cache, jobs=jobs, progress=noted, ray_address=ray_address)
        except (VskdError, KeyboardInterrupt):
            _report_what_is_finished(opened, out)
            raise
    if not failed:
        _report(opened, out)
        return
    for text in dict.fromkeys(outcome.traceback for outcome in failed):
        say(text, err=True, nl=False, lines=True)
    _report_what_is_finished(opened, out, failed)
    raise failure(failed, len(opened.cells))


def _report(study: Study, out: Path, failed: Sequence[Outcome] = ()) -> None:
    from vskd.commands.rich_console import say_tables
    from vskd_training.study.report import PAGE, RESULT, report_study
    from vskd_training.study.tables import table

    say_tables(table(report_study(study, out, failed)))
    say(f"result: {out / RESULT}; page: {out / PAGE}", err=True)


def _print_plan(study: Study, out: Path | None, root: Path | None, cache: Path, jobs: int) -> None:
    from vskd.commands.rich_console import say_tables
    from vskd_training.study.dry_run import plan_in_words, plan_study

    with progress_bar(f"time {study.spec.name}") as bar:
        folds, items = plan_study(study, out, root=root, cache=cache, progress=bar)
    say_tables(plan_in_words(study, folds, items, jobs=jobs))


def _report_what_is_finished(study: Study, out: Path, failed: Sequence[Outcome] = ()) -> None:
    """A study that ends with an error leaves a table and a result of its finished cells, if there are any."""
    from vskd.errors import VskdError

    with contextlib.suppress(VskdError):  # nothing is finished, or cannot be read; the study's own error says more
        _report(study, out, failed)
