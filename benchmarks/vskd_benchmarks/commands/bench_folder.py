"""What ``vskd bench check`` and ``add-power`` do with a result folder that is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vskd.commands.terminal import say
from vskd.errors import DataError
from vskd_benchmarks.device.energy import POWER, STILL_TO_COME, power_arrays
from vskd_benchmarks.result.check import differences, goals_since
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.energy import add_meter
from vskd_benchmarks.result.folder import ResultFolder, read_result, write_result
from vskd_benchmarks.result.records.result import Result


def check_folder(folder: Path) -> None:
    """Verify a result folder and print what differs.

    Raises
    ------
    DataError : something differs
    """
    found = differences(folder)
    for line in found:
        say(line)
    if found:
        some = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        raise DataError(f"{folder} is not what was measured: {some}", hint="Copy it again, or measure again")
    result = read_result(folder)
    say(f"ok: {folder} is as it was written; the result is {result.validity.status}")
    for line in goals_since(folder, result):
        say(line)


def add_power(folder: Path, meter: Path) -> None:
    """Add the file of a power meter to a result that was measured beside it.

    Raises
    ------
    DataError : the file does not fit, or the folder was changed; the folder stays as it is, so that the right file can
        follow
    """
    opened = ResultFolder.open(folder)
    energy, trace = add_meter(opened.result.energy, meter)
    raws = opened.raws() | {POWER: power_arrays(trace)}
    result = derive(replace(opened.result, energy=energy), raws)
    report_missing_energy(result)
    write_result(folder, result, raws, overwrite=True)
    for case in result.cases:
        if case.energy is not None:
            uncertainty_mj = case.energy.uncertainty_mj or 0.0
            say(f"{case.name}: {case.energy.per_inference_mj:.3g} mJ an inference, +- {uncertainty_mj:.2g}")
    say(f"written: {folder}; its report is to be made again: vskd report {folder}", err=True)


def report_missing_energy(result: Result) -> None:
    """Print that a meter's file is still to come.

    Raises
    ------
    DataError : energy could not be measured
    """
    problem = None if result.energy is None else result.energy.problem
    if problem == STILL_TO_COME:
        say(problem, err=True)
    elif problem is not None:
        raise DataError(f"everything but energy was measured: {problem}")
