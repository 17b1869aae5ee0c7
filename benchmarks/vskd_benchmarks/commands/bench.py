"""The command ``vskd bench``: measures bundles, unless its first word is ``check`` or ``add-power``.

Progress and tables on stderr; one JSON document on stdout where a program reads it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import JSON, example_lines, say, say_json
from vskd_benchmarks.commands.bench_options import Options

if TYPE_CHECKING:  # what measures is imported when something is measured, so that `vskd --help` stays quick
    from vskd_benchmarks.measure.bench import Run
    from vskd_benchmarks.measure.settings import Settings


class Bench(click.Group):
    """A group that measures what is named where no verb is; its help is that of measuring, then the verbs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["measure", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        measure.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(
    cls=Bench,
    options_metavar="[OPTIONS]",
    subcommand_metavar="BUNDLE... | check RESULT | add-power RESULT FILE",
    epilog=example_lines(
        "vskd bench wrist.bundle --out wrist-bench",
        "vskd bench check wrist-bench",
        "vskd bench wrist.bundle --mode paced --rate-hz 1 --out paced",
        "vskd bench wrist.bundle --profile generic-watch --out watch",
        "vskd bench wrist.bundle --mode soak --meter-later --out soak",
        "vskd bench add-power soak meter.csv",
    ),
)
def bench() -> None:
    """Measure bundles on this machine: latency, start, memory.

    They are compared with other pipelines. Five lines say what was found, and tables say the rest. Ctrl-C ends the
    measurement after the round that is under way, with what was measured so far; a second one ends the command.
    """


@bench.command("measure", hidden=True)
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
    "[default: 64 paced, 600 in a soak; with --quick 12 and 20]",
)
@click.option("--meter-later", is_flag=True, help="A power meter logs meanwhile; `vskd bench add-power` adds its file.")
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
@JSON
def measure(as_json: bool, **given: Any) -> None:
    """Measure bundles."""
    options = Options(**given)
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
    run = _measure(settings)
    raws = raws_of(run)
    result = derive(facts(run), raws)
    if out is not None:
        write_result(out, result, raws, overwrite=options.overwrite)
    print_tables(result, console)
    if out is not None:
        console.print(f"written: {out}; verify it with: vskd bench check {out}", markup=False)
        console.print(_report(out), markup=False)
    say_json(to_mapping(result), as_json=as_json)
    report_missing_energy(result)


def _report(out: Path) -> str:
    """Where the report page is; or, on a device without a plotting library, how to make it elsewhere."""
    from vskd.errors import MissingExtraError
    from vskd_benchmarks.report.html import write_report

    try:
        return f"report: {write_report(out)}"
    except MissingExtraError as error:
        return f"no report.html: {error}. Or copy the folder to a machine that has it: vskd report {out}"


def _measure(settings: Settings) -> Run:
    from vskd_benchmarks.measure.bench import run_bench

    with progress_bar("bench") as bar, _ended_by_ctrl_c() as is_stopped:
        return run_bench(settings, lambda what, done, total: bar(done, total, what), is_stopped=is_stopped)


@contextmanager
def _ended_by_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second one interrupts as ever."""
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)
        say("stopping after this round; Ctrl-C again ends without a result", err=True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


_RESULT = click.argument("result", type=click.Path(path_type=Path))


@bench.command(epilog="Example: vskd bench check wrist-bench")
@_RESULT
def check(result: Path) -> None:
    """Verify that a result folder is as it was measured."""
    from vskd_benchmarks.commands.bench_folder import check_folder

    check_folder(result)


@bench.command("add-power", epilog="Example: vskd bench add-power soak meter.csv")
@_RESULT
@click.argument("meter", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def power(result: Path, meter: Path) -> None:
    """Add a power meter's file to a result of --meter-later.

    FILE is a CSV with time_s (Unix time) and power_w, or time_s, voltage_v and current_a.
    """
    from vskd_benchmarks.commands.bench_folder import add_power

    add_power(result, meter)
