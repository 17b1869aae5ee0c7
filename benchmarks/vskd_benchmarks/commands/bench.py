"""The command ``vskd bench``. Progress and tables on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # what measures is imported when something is measured, so that `vskd --help` stays quick
    from vskd_benchmarks.device.energy import EnergySettings
    from vskd_benchmarks.device.power_meter import MeterClock
    from vskd_benchmarks.device.profiles import Profile
    from vskd_benchmarks.measure.bench import Run
    from vskd_benchmarks.measure.settings import Mode, Settings

#: Options that bear on energy.
_ENERGY = ("energy", "power_meter", "meter_later", "meter_clock", "meter_offset_s", "battery_wh", "duty_cycle")


@click.command(
    epilog="Examples: vskd bench wrist.bundle --out wrist-bench; "
    "vskd bench wrist.bundle --mode paced --rate-hz 1 --out paced; "
    "vskd bench wrist.bundle --profile generic-watch --out watch; "
    "vskd bench wrist.bundle --mode soak --power-meter meter.csv --battery-wh 1.3 --out soak; "
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
    "--batch",
    "windows_at_once",
    type=click.IntRange(1, 1000),
    default=None,
    help="Windows that a sensor's buffer collects and one wake-up computes.  [default: the profile's, or 1]",
)
@click.option(
    "--duration-s",
    type=click.FloatRange(1, 86400),
    default=None,
    help="Of each case in modes paced and soak; every nanosecond is held in memory till the end.  "
    "[default: 64 and 600; quick: 12 and 20]",
)
@click.option("--energy", is_flag=True, help="Energy per inference; always with --profile in modes paced and soak.")
@click.option(
    "--power-meter",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file that a power meter is writing: time_s and power_w, or time_s, voltage_v and current_a.  "
    "[default: the machine's own counters, else the profile's model]",
)
@click.option("--meter-later", is_flag=True, help="A power meter runs; its file is added by --add-power.")
@click.option(
    "--meter-clock",
    type=click.Choice(["unix", "monotonic"]),
    help="What time_s is: Unix time, or this machine's monotonic clock.  [default: unix]",
)
@click.option("--meter-offset-s", type=float, help="Added to the meter's time_s.  [default: 0]")
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
@click.option("--seed", type=int, default=0, help="Of the order of the cases.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result folder here.")
@click.option("--overwrite", is_flag=True, help="Replace a result folder that is there.")
@click.option(
    "--add-power",
    type=click.Path(path_type=Path),
    help="Measure nothing; add the file of --power-meter to this result folder of --meter-later.",
)
@click.option("--check", type=click.Path(path_type=Path), help="Measure nothing; verify this result folder.")
def bench(check: Path | None, add_power: Path | None, out: Path | None, overwrite: bool, **choices: Any) -> None:
    """Measure bundles on this machine: latency with its split, cold start and memory, compared with other pipelines.

    Tables go to stderr; the last line of stdout is the result as one JSON document, also without --out.
    """
    if check is not None:
        if choices["bundles"]:
            raise click.UsageError("--check takes a result folder and no BUNDLE: nothing is measured")
        _check(check)
        return
    if add_power is not None:
        _add_power(add_power, **choices)
        return
    settings = _settings(**choices)

    from rich.console import Console

    from vskd_benchmarks.report.terminal import print_tables
    from vskd_benchmarks.result.document import derive, facts
    from vskd_benchmarks.result.folder import check_out, write_result

    if out is not None:
        check_out(out, overwrite=overwrite)
    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=110)
    run = _measure(settings, console)
    raws = _raws(run)
    result = derive(facts(run), raws)
    if out is not None:
        write_result(out, result, raws, overwrite=overwrite)
    print_tables(result, console)
    if out is not None:
        console.print(f"written: {out}; verify it with: vskd bench --check {out}", markup=False)
        console.print(_report(out), markup=False)
    click.echo(json.dumps(result))
    _report_missing_energy(result)


def _report(out: Path) -> str:
    """Where the report page is; or, on a device without a plotting library, how to make it elsewhere."""
    from vskd.errors import MissingExtraError
    from vskd_benchmarks.report.html import write_report

    try:
        return f"report: {write_report(out)}"
    except MissingExtraError as error:
        return f"no report.html: {error}. Or copy the folder to a machine that has it: vskd report {out}"


def _raws(run: Run) -> dict[str, Any]:
    from vskd_benchmarks.device.energy import POWER, attach_meter, power_arrays
    from vskd_benchmarks.measure.measured_case import raw_arrays

    raws = {case.plan.id: raw_arrays(case, run.epoch_ns) for case in run.cases}
    if run.energy is not None:
        attach_meter(run.energy)
        if run.energy.trace is not None:
            raws[POWER] = power_arrays(run.energy.trace)
    return raws


def _add_power(folder: Path, *, bundles: tuple[Path, ...], power_meter: Path | None, **choices: Any) -> None:
    from vskd_benchmarks.device.energy import POWER, EnergySettings, add_meter, power_arrays
    from vskd_benchmarks.result.document import derive
    from vskd_benchmarks.result.folder import read_raw, read_result, write_result

    if bundles:
        raise click.UsageError("--add-power takes a result folder and no BUNDLE: nothing is measured")
    for name in ("battery_wh", "duty_cycle"):
        if choices[name] is not None:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} belongs to the measurement; leave it out with --add-power")
    result = read_result(folder)
    clock: MeterClock = choices["meter_clock"] or "unix"
    asked = EnergySettings(power_meter, meter_clock=clock, meter_offset_s=choices["meter_offset_s"] or 0.0)
    energy, trace = add_meter(result.get("energy"), asked)
    raws: dict[str, Any] = {case["id"]: read_raw(folder, case["id"]) for case in result["cases"]}
    raws[POWER] = power_arrays(trace)
    result = derive({**result, "energy": energy}, raws)
    # A file that does not fit leaves the folder as it was, so that the right one can follow.
    _report_missing_energy(result)
    write_result(folder, result, raws, overwrite=True)
    for case in result["cases"]:
        if case["energy"] is not None:
            each, plus_minus = case["energy"]["per_inference_mj"], case["energy"]["uncertainty_mj"]
            click.echo(f"{case['name']}: {each:.3g} mJ an inference, +- {plus_minus:.2g}")
    click.echo(f"written: {folder}; its report is to be made again: vskd report {folder}", err=True)


def _report_missing_energy(result: dict[str, Any]) -> None:
    from vskd.errors import DataError
    from vskd_benchmarks.device.energy import STILL_TO_COME

    problem = result.get("energy", {}).get("problem")
    if problem == STILL_TO_COME:
        click.echo(problem, err=True)
    elif problem is not None:
        raise DataError(f"everything but energy was measured: {problem}")


def _settings(
    bundles: tuple[Path, ...],
    mode: Mode | None,
    threads: str | None,
    profile: str | None,
    comparison: bool | None,
    **choices: Any,
) -> Settings:
    energy = _energy(profile, mode, **{name: choices.pop(name) for name in _ENERGY})
    from vskd_benchmarks.measure.settings import Settings

    if not bundles:
        raise click.UsageError("Missing argument 'BUNDLE...': which bundle to measure, e.g. wrist.bundle")
    device = None if profile is None else _profile(profile)
    mode = mode or ("single-stream" if device is None else "paced")
    if mode == "single-stream":
        for name in ("rate_hz", "duration_s"):
            if choices[name] is not None:
                option = "--" + name.replace("_", "-")
                raise click.UsageError(f"{option} means nothing in mode single-stream; add --mode paced or --mode soak")
    if choices["windows_at_once"] is not None and mode != "paced" and choices["rate_hz"] is None:
        raise click.UsageError("--batch means nothing back to back; add --mode paced, or --rate-hz in a soak")
    return Settings(
        bundles,
        threads=_threads(threads, device),
        comparison=mode == "single-stream" and device is None if comparison is None else comparison,
        mode=mode,
        profile=device,
        energy=energy,
        command=shlex.join(["vskd", *sys.argv[1:]]),
        **choices,
    )


def _energy(
    profile: str | None, mode: Mode | None, *, energy: bool, power_meter: Path | None, meter_later: bool, **given: Any
) -> EnergySettings | None:
    """How energy is measured and used; None where nothing asks for it."""
    from vskd_benchmarks.device.energy import EnergySettings

    chosen = {"energy": energy, "power_meter": power_meter, "meter_later": meter_later, **given}
    asked = [name for name, value in chosen.items() if value]
    single_stream = mode == "single-stream" or (mode is None and profile is None)
    if single_stream:
        if asked:
            option = "--" + asked[0].replace("_", "-")
            raise click.UsageError(
                f"{option} means nothing in mode single-stream, which computes each window three ways; "
                "add --mode soak (the smallest uncertainty) or --mode paced (with wake-ups)"
            )
        return None
    for name in ("meter_clock", "meter_offset_s"):
        if given[name] is not None and power_meter is None:
            raise click.UsageError(f"--{name.replace('_', '-')} means nothing without --power-meter")
    if meter_later and power_meter is not None:
        raise click.UsageError("--meter-later contradicts --power-meter: the file comes with --add-power")
    if not asked and profile is None:
        return None
    return EnergySettings(
        power_meter,
        meter_later=meter_later,
        meter_clock=given["meter_clock"] or "unix",
        meter_offset_s=given["meter_offset_s"] or 0.0,
        battery_wh=given["battery_wh"],
        duty_cycle=given["duty_cycle"] or 1.0,
    )


def _profile(name: str) -> Profile:
    from vskd_benchmarks.device.profiles import read_profile

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

    from vskd_benchmarks.measure.bench import run_bench

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        return run_bench(
            settings,
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )


def _check(folder: Path) -> None:
    from vskd.errors import DataError
    from vskd_benchmarks.result.check import differences, goals_since
    from vskd_benchmarks.result.folder import read_result

    found = differences(folder)
    for line in found:
        click.echo(line)
    if found:
        some = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        raise DataError(f"{folder} is not what was measured: {some}", hint="Copy it again, or measure again")
    result = read_result(folder)
    click.echo(f"ok: {folder} is as it was written; the result is {result['validity']['status']}")
    for line in goals_since(folder, result):
        click.echo(line)
