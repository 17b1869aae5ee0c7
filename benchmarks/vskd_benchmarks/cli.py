"""The command ``vskd bench``. Progress and tables on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # what measures is imported when something is measured, so that `vskd --help` stays quick
    from vskd_benchmarks.plan import Mode, Settings
    from vskd_benchmarks.profiles import Profile


@click.command(
    epilog="Examples: vskd bench wrist.bundle --out wrist-bench; "
    "vskd bench wrist.bundle --mode paced --rate-hz 1 --out paced; "
    "vskd bench wrist.bundle --profile generic-watch --out watch; vskd bench --check wrist-bench"
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
    "--recipe", "recipes", multiple=True, help="Measure this model, e.g. fp32; may be repeated.  [default: all]"
)
@click.option("--threads", default=None, help="Computing threads; several with commas, e.g. 1,2,4.  [default: 1]")
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
@click.option("--quick", is_flag=True, help="A shorter run: fewer windows, one engine per model format.")
@click.option(
    "--comparison/--no-comparison",
    default=None,
    help="Also pyts + ResNet18, image-input models, other students.  [default: in mode single-stream]",
)
@click.option("--seed", type=int, default=0, help="Of the order of the cases.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result folder here.")
@click.option("--overwrite", is_flag=True, help="Replace a result folder that is there.")
@click.option("--check", type=click.Path(path_type=Path), help="Measure nothing; verify this result folder.")
def bench(check: Path | None, out: Path | None, overwrite: bool, **choices: Any) -> None:
    """Measure bundles on this machine: latency with its split, cold start, memory, and what they are set beside.

    Tables go to stderr; the last line of stdout is the result as one JSON document, also without --out.
    """
    if check is not None:
        if choices["bundles"]:
            raise click.UsageError("--check takes a result folder and no BUNDLE: nothing is measured")
        _check(check)
        return
    settings = _settings(**choices)

    from rich.console import Console

    from vskd_benchmarks.bench import raw_arrays
    from vskd_benchmarks.document import derive, facts
    from vskd_benchmarks.result_folder import check_out, write_result
    from vskd_benchmarks.tables import print_tables

    if out is not None:
        check_out(out, overwrite=overwrite)
    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=110)
    run = _measure(settings, console)
    raws = {subject.plan.id: raw_arrays(subject, run.epoch_ns) for subject in run.subjects}
    result = derive(facts(run), raws)
    if out is not None:
        write_result(out, result, raws, overwrite=overwrite)
    print_tables(result, console)
    if out is not None:
        console.print(f"written: {out}; verify it with: vskd bench --check {out}", markup=False)
    click.echo(json.dumps(result))


def _settings(
    bundles: tuple[Path, ...],
    mode: Mode | None,
    threads: str | None,
    profile: str | None,
    comparison: bool | None,
    **choices: Any,
) -> Settings:
    from vskd_benchmarks.plan import Settings

    if not bundles:
        raise click.UsageError("Missing argument 'BUNDLE...': which bundle to measure, e.g. wrist.bundle")
    device = None if profile is None else _profile(profile)
    mode = mode or ("single-stream" if device is None else "paced")
    if mode == "single-stream":
        for name in ("rate_hz", "duration_s"):
            if choices[name] is not None:
                option = "--" + name.replace("_", "-")
                raise click.UsageError(f"{option} means nothing in mode single-stream; add --mode paced or --mode soak")
    return Settings(
        bundles,
        threads=_threads(threads, device),
        comparison=mode == "single-stream" and device is None if comparison is None else comparison,
        mode=mode,
        profile=device,
        command=shlex.join(["vskd", *sys.argv[1:]]),
        **choices,
    )


def _profile(name: str) -> Profile:
    from vskd_benchmarks.profiles import read_profile

    return read_profile(name)


def _threads(text: str | None, profile: Profile | None) -> tuple[int, ...]:
    if text is None:
        return (1 if profile is None else profile.settings.threads,)
    numbers = text.split(",")
    if not all(number.strip().isdigit() and 1 <= int(number) <= 256 for number in numbers):
        raise click.BadParameter(f"{text!r} is no list of numbers from 1 to 256, e.g. 1,2,4", param_hint="--threads")
    found = tuple(dict.fromkeys(int(number) for number in numbers))
    if profile is not None and max(found) > profile.settings.cores:
        cores = profile.settings.cores
        raise click.UsageError(
            f"--threads {text} contradicts --profile {profile.name}, which has {cores} core{'s' if cores > 1 else ''}; "
            "leave one of them out"
        )
    return found


def _measure(settings: Settings, console: Any) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from vskd_benchmarks.bench import run_bench

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        return run_bench(
            settings,
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )


def _check(folder: Path) -> None:
    from vskd.errors import DataError
    from vskd_benchmarks.check import differences
    from vskd_benchmarks.result_folder import read_result

    found = differences(folder)
    for line in found:
        click.echo(line)
    if found:
        some = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        raise DataError(f"{folder} is not what was measured: {some}", hint="Copy it again, or measure again")
    status = read_result(folder)["validity"]["status"]
    click.echo(f"ok: {folder} is as it was written; the result is {status}")
