"""The run: plans the cases, applies the profile, reads the machine and its power, and has every case measured.

This module collects facts and raw numbers; what follows from them is ``vskd_benchmarks.result.derive``'s matter.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.energy import (
    IDLE_S,
    POWER,
    QUICK_IDLE_S,
    EnergyRecord,
    choose_source,
    power_arrays,
)
from vskd_benchmarks.device.environment import READING_S, describe_machine, read_clock_and_heat, read_state
from vskd_benchmarks.device.pmic import STEP_S, PowerReadings, find_pmic
from vskd_benchmarks.device.profiles import profile_sha256
from vskd_benchmarks.device.sampler import Sampler
from vskd_benchmarks.measure.measured_case import MeasuredCase, raw_arrays
from vskd_benchmarks.measure.plan import Plan, SkippedCase, identify, plan_bundles
from vskd_benchmarks.measure.plan_baselines import compared_bundles, make_job, plan_baselines
from vskd_benchmarks.measure.processes import WorkerError, WorkerProcess, worker_command
from vskd_benchmarks.measure.rounds import Measurement, Progress
from vskd_benchmarks.measure.settings import Settings
from vskd_benchmarks.measure.yardstick import KnownYardstick, best_round_ns, fingerprint, keep_best, known_best_ns

#: About as many readings of the machine are kept of a run with a duration.
MOST_READINGS = 3600


@dataclass(frozen=True)
class Run:
    """Everything that was measured, and nothing that follows from it.

    Attributes
    ----------
    settings, bundles : what was measured; bundles by their id
    cases : as planned; ``order`` : their ids as they were loaded
    skipped : what was not measured
    machine, before, after, readings : the environment
    imports : of vskd, over numpy
    epoch_ns : start of the run by ``time.perf_counter_ns``
    confinement : how the profile was applied; None without one
    energy : what was recorded of it; None for a run without it
    yardstick : what this machine's best round was before
    """

    settings: Settings
    bundles: dict[str, Bundle]
    cases: tuple[MeasuredCase, ...]
    order: tuple[str, ...]
    skipped: tuple[SkippedCase, ...]
    machine: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    readings: list[dict[str, Any]]
    imports: dict[str, Any]
    epoch_ns: int
    yardstick: KnownYardstick
    confinement: Confinement | None = None
    energy: EnergyRecord | None = None


def run_bench(settings: Settings, progress: Progress, *, is_stopped: Callable[[], bool] = lambda: False) -> Run:
    """Measure bundles on this machine.

    Parameters
    ----------
    settings : what to measure
    progress : called at every step
    is_stopped : asked after every round: whether to end with what was measured so far

    Raises
    ------
    BundleError : no bundle there, or changed
    ConfigError : an engine or a recipe that does not exist here
    EngineError : an engine that was named cannot run, or a process died
    """
    bundles = identify([_checked(path) for path in settings.bundles])
    plan = plan_bundles(bundles, settings)
    epoch_ns, unix_ns = time.perf_counter_ns(), time.time_ns()
    energy = None
    if settings.energy is not None:
        energy = choose_source(settings.energy, settings.profile, find_pmic(), unix_ns=unix_ns)
    readings: list[dict[str, Any]] = []
    before = read_state()
    every_s = max(READING_S, (settings.lasting_s or 0) * len(plan.cases) / MOST_READINGS)
    with (
        tempfile.TemporaryDirectory(prefix="vskd-bench-") as folder,
        Sampler(lambda: readings.append(_reading(epoch_ns)), every_s),
        _confined(settings) as confinement,
        _power_read(energy, epoch_ns),
    ):
        if settings.comparison:
            progress("making the networks to compare with", 0, 1)
            plan += _baselines(bundles, settings, Path(folder))
        measurement = Measurement(
            settings,
            plan.cases,
            progress,
            variables={"NUMBA_CACHE_DIR": f"{folder}/numba"},
            on_start=None if confinement is None else confinement.on_process,
            is_stopped=is_stopped,
        )
        imports = measurement.imports()
        _idle(energy, settings, progress, epoch_ns)
        measured = measurement.measure()
    machine = describe_machine()
    return Run(
        settings=settings,
        bundles=bundles,
        cases=tuple(sorted(measured, key=lambda case: plan.cases.index(case.plan))),
        order=tuple(case.plan.id for case in measured),
        skipped=(*plan.skipped, *measurement.skipped),
        machine=machine,
        before=before,
        after=read_state(),
        readings=readings,
        imports=imports,
        epoch_ns=epoch_ns,
        yardstick=_yardstick(machine, settings, measured),
        confinement=confinement,
        energy=energy,
    )


def _yardstick(machine: dict[str, Any], settings: Settings, measured: Sequence[MeasuredCase]) -> KnownYardstick:
    """The machine's best round before this run; a better one of this run is kept for the next."""
    name = fingerprint(machine, profile="" if settings.profile is None else profile_sha256(settings.profile.name))
    known = KnownYardstick(name, known_best_ns(name))
    keep_best(name, best_round_ns([block["yardstick_ns"] for case in measured for block in case.blocks]))
    return known


def raws_of(run: Run) -> dict[str, dict[str, NDArray[Any]]]:
    """The arrays of every raw file of the result: of each case by its id, and the power readings."""
    raws = {case.plan.id: raw_arrays(case, run.epoch_ns) for case in run.cases}
    if run.energy is not None and run.energy.trace is not None:
        raws[POWER] = power_arrays(run.energy.trace)
    return raws


def _reading(epoch_ns: int) -> dict[str, Any]:
    return {"at_s": round((time.perf_counter_ns() - epoch_ns) / 1e9, 3), **read_clock_and_heat()}


@contextlib.contextmanager
def _power_read(energy: EnergyRecord | None, epoch_ns: int) -> Iterator[None]:
    """Read the board's own power while measuring, where that is the source of the energy."""
    if energy is None or energy.power_w is None:
        yield
        return
    power = PowerReadings(energy.power_w, epoch_ns)
    with Sampler(power.read, STEP_S):
        yield
    energy.problem = power.problem
    if power.problem is None:
        energy.trace = power.trace()


def _idle(energy: EnergyRecord | None, settings: Settings, progress: Progress, epoch_ns: int) -> None:
    """Leave the machine alone for a while, so that its power at rest is known."""
    if energy is None or energy.source == "model":
        return
    progress("measuring the idle machine", 0, 1)
    start_ns = time.perf_counter_ns()
    time.sleep(QUICK_IDLE_S if settings.quick else IDLE_S)
    energy.idle_ns = (start_ns - epoch_ns, time.perf_counter_ns() - epoch_ns)


@contextlib.contextmanager
def _confined(settings: Settings) -> Iterator[Confinement | None]:
    """The limits of the profile while measuring, and the options that replace some of them."""
    if settings.profile is None:
        yield None
        return
    wanted = settings.profile.settings
    with Confinement(wanted) as confinement:
        if settings.pace_hz is None:
            confinement.deviate("rate_hz", wanted.rate_hz, f"mode {settings.mode} computes back to back")
        elif settings.pace_hz != wanted.rate_hz:
            confinement.deviate("rate_hz", wanted.rate_hz, f"--rate-hz {settings.pace_hz:g}")
        else:
            confinement.hold("rate_hz", wanted.rate_hz, settings.pace_hz, f"mode {settings.mode}")
        yield confinement


def _checked(path: Path) -> Bundle:
    bundle = Bundle.open(path)
    bundle.check()
    return bundle


def _baselines(bundles: dict[str, Bundle], settings: Settings, folder: Path) -> Plan:
    plan = Plan()
    for bundle_id, bundle in compared_bundles(bundles).items():
        place = folder / bundle_id
        place.mkdir()
        made, failure = _made_networks(bundle, place)
        if failure:
            plan += Plan(skipped=(SkippedCase("other networks", bundle_id, failure),))
        prefix = bundle_id if len(bundles) > 1 else ""
        plan += plan_baselines(
            bundle_id, bundle, made, threads=settings.threads, prefix=prefix, recipes=settings.recipes
        )
    return plan


def _made_networks(bundle: Bundle, folder: Path) -> tuple[dict[str, Any], str]:
    """What could be made, and why nothing could: a torch that crashes is no reason not to measure the bundle."""
    command = worker_command(make_job(bundle, folder))
    try:
        with WorkerProcess("making the networks to compare with", command, threads=1) as process:
            return process.ready, ""
    except WorkerError as error:
        return {}, str(error)
