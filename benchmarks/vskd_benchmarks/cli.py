"""The command ``vskd bench``. Progress and tables on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Example: vskd bench wrist.bundle --engine litert --recipe w8a8-static-pc --out bench.json")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--engine", "engines", multiple=True, help="Measure this engine; may be repeated.  [default: all installed]"
)
@click.option(
    "--recipe", "recipes", multiple=True, help="Measure this model, e.g. fp32; may be repeated.  [default: all]"
)
@click.option("--threads", type=click.IntRange(1), default=1, help="Computing threads.")
@click.option("--quick", is_flag=True, help="Half a minute: fewer windows, one engine per model format.")
@click.option("--no-comparison", is_flag=True, help="Leave out pyts + torchvision's resnet18.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the document here, the raw latencies beside it.")
def bench(
    bundle: Path,
    engines: tuple[str, ...],
    recipes: tuple[str, ...],
    threads: int,
    quick: bool,
    no_comparison: bool,
    out: Path | None,
) -> None:
    """Measure a bundle on this machine: latency, cold start, memory, size.

    Tables go to stderr; the last line of stdout is one JSON document.
    """
    # Imported here, so that `vskd --help` stays quick.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from vskd_benchmarks.bench import run_bench
    from vskd_benchmarks.plan import Settings
    from vskd_benchmarks.report import check_out, document, print_tables, raw_latencies, write_result

    if out is not None:
        check_out(out)
    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=110)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    settings = Settings(bundle, engines, recipes, threads=threads, quick=quick, comparison=not no_comparison)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        run = run_bench(
            settings,
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    result = document(run)
    if out is not None:
        result = write_result(out, result, raw_latencies(run))
    print_tables(result, console)
    click.echo(json.dumps(result))
