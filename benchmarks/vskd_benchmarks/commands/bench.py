"""The command ``vskd bench``. Progress and tables on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.terminal import say
from vskd_benchmarks.commands.bench_options import Options

if TYPE_CHECKING:  # what measures is imported when something is measured, so that `vskd --help` stays quick
    from rich.console import Console

    from vskd_benchmarks.measure.bench import Run
    from vskd_benchmarks.measure.settings import Settings


@click.command(
    epilog="Examples: vskd bench wrist.bundle --out wrist-bench; "
    "vskd bench wrist.bundle --mode paced --rate-hz 1 --out paced; "
    "vskd bench wrist.bundle --profile generic-watch --out watch; "
    "vskd bench wrist.bundle --mode soak --meter-later --battery-wh 1.3 --out soak; "
    "vskd bench --add-power soak --power-meter meter.csv; "
    "vskd bench --check wrist-bench"
)
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--mode",
    type=click.Choice(["single-stream", "paced", "soak"]),
    default=None,
    help="Back to back; one window each 1 / rate; or for long, with memory and temperature.  "
    "[default: single-stream; paced with --profile]",
)
@click.option(
    "--engine", "engines", multiple=True, help="Measure this engine; may be repeated.  [default: all installed]"
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="Measure this model, e.g. fp32, and other networks in the same recipe; may be repeated.  [default: all]",
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, help="Computing threads.")
@click.option(
    "--profile",
    help="Hold this machine to a device's limits: pi-zero-2w, pi-4, pi-5, snapdragon-w5, exynos-w1000, generic-watch.",
)
@click.option(
    "--rate-hz",
    type=click.FloatRange(0.02, 1000),
    default=None,
    help="Windows a second.  [default: 1 in mode paced; back to back in a soak]",
)
@click.option(
    "--duration-s",
    type=click.FloatRange(1, 86400),
    default=None,
    help="Of each case in modes paced and soak; every nanosecond is held in memory till the end.  "
    "[default: 64 and 600; quick: 12 and 20]",
)
@click.option("--meter-later", is_flag=True, help="A power meter logs meanwhile; --add-power adds its file.")
@click.option(
    "--battery-wh",
    type=click.FloatRange(0, min_open=True),
    help="Capacity, for the share of a battery a day.  [default: the profile's]",
)
@click.option(
    "--duty-cycle",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the day in which windows are decided.  [default: 1]",
)
@click.option("--quick", is_flag=True, help="A shorter run: fewer windows, one engine per model format.")
@click.option(
    "--comparison/--no-comparison",
    default=None,
    help="Also pyts + ResNet18, image-input models, other students.  [default: in mode single-stream]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result folder here.")
@click.option("--overwrite", is_flag=True, help="Replace a result folder that is there.")
@click.option(
    "--add-power",
    type=click.Path(path_type=Path),
    help="Measure nothing; add the file of --power-meter to this result folder of --meter-later.",
)
@click.option(
    "--power-meter",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file for --add-power: time_s (Unix time) and power_w, or time_s, voltage_v and current_a.",
)
@click.option("--check", type=click.Path(path_type=Path), help="Measure nothing; verify this result folder.")
def bench(**given: Any) -> None:
    """Measure bundles on this machine: latency with its split, cold start and memory, compared with other pipelines.

    Tables go to stderr; the last line of stdout is the result as one JSON document, also without --out.
    """
    options = Options(**given)
    if options.check is None and options.add_power is None:
        _bench(options)
        return
    from vskd_benchmarks.commands.bench_folder import add_power, check_folder

    if options.check is not None:
        options.refuse_bundles("--check")
        check_folder(options.check)
    elif options.add_power is not None:
        add_power(options.add_power, options)


def _bench(options: Options) -> None:
    settings, out = options.settings(), options.out

    from vskd.closed import to_mapping
    from vskd.commands.rich_console import SafeConsole
    from vskd_benchmarks.commands.bench_folder import report_missing_energy
    from vskd_benchmarks.measure.bench import raws_of
    from vskd_benchmarks.report.terminal import print_tables
    from vskd_benchmarks.result.derive import derive
    from vskd_benchmarks.result.facts import facts
    from vskd_benchmarks.result.folder import check_out, write_result

    if out is not None:
        check_out(out, overwrite=options.overwrite)
    console = SafeConsole(stderr=True)
    if not console.is_terminal:
        console = SafeConsole(stderr=True, width=110)
    run = _measure(settings, console)
    raws = raws_of(run)
    result = derive(facts(run), raws)
    if out is not None:
        write_result(out, result, raws, overwrite=options.overwrite)
    print_tables(result, console)
    if out is not None:
        console.print(f"written: {out}; verify it with: vskd bench --check {out}", markup=False)
        console.print(_report(out), markup=False)
    say(json.dumps(to_mapping(result)))
    report_missing_energy(result)


def _report(out: Path) -> str:
    """Where the report page is; or, on a device without a plotting library, how to make it elsewhere."""
    from vskd.errors import MissingExtraError
    from vskd_benchmarks.report.html import write_report

    try:
        return f"report: {write_report(out)}"
    except MissingExtraError as error:
        return f"no report.html: {error}. Or copy the folder to a machine that has it: vskd report {out}"


def _measure(settings: Settings, console: Console) -> Run:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from vskd_benchmarks.measure.bench import run_bench

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        return run_bench(
            settings,
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
