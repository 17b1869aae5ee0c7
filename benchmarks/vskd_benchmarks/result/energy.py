"""The energy of a result: what was recorded and assumed, and what follows for each case and for a battery.

A model is called one in every place, has no uncertainty and no total, and its assumptions are written down.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from vskd.errors import ConfigError, DataError
from vskd_benchmarks.device.energy import POWER, EnergyRecord
from vskd_benchmarks.device.power_meter import read_power_meter
from vskd_benchmarks.device.power_trace import PowerTrace, measured_energy
from vskd_benchmarks.device.profiles import Profile
from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.records.case import Case
from vskd_benchmarks.result.records.energy import (
    BatteryUse,
    CaseEnergy,
    DailyUse,
    Energy,
)

DAY_S, J_PER_WH = 86_400, 3_600.0


def energy_facts(record: EnergyRecord, *, pace_hz: float | None, relation: str | None) -> Energy:
    """The run's part of the result: what was recorded, used and assumed.

    Parameters
    ----------
    record : of the run
    pace_hz : of the mode; None is back to back, where the profile's pace makes up the day
    relation : of the machine to the profile; None without one
    """
    profile, settings = record.profile, record.settings
    own_wh = None if profile is None or profile.battery is None else profile.battery.capacity_wh
    usual_hz = 1.0 if profile is None else profile.settings.rate_hz
    use = DailyUse(
        rate_hz=pace_hz or usual_hz,
        duty_cycle=settings.duty_cycle,
        battery_wh=settings.battery_wh or own_wh,
    )
    wake_ups_measured = record.source != "model" and pace_hz is not None
    wake_up_j = None if profile is None or wake_ups_measured else profile.wake_up_j
    assumptions = _model_assumptions(profile, relation) if record.source == "model" else _measured_assumptions(record)
    return Energy(
        source=record.source,
        measured=record.source != "model",
        of=_whose(record.source, relation),
        detail=record.detail,
        lacks=tuple(record.lacks),
        unix_ns=record.unix_ns,
        idle_ns=record.idle_ns,
        core_active_w=profile.core_active_w if profile is not None and record.source == "model" else None,
        wake_up_j=wake_up_j,
        use=use,
        problem=record.problem,
        assumptions=(*assumptions, *_battery_assumptions(record, use, wake_ups_measured=wake_ups_measured)),
        step_s=None,
        idle_w=None,
    )


def _whose(source: str, relation: str | None) -> Literal["device", "stand-in", "this-machine", "no-device"]:
    """Whose energy the figures are: a model on a machine that is neither device nor stand-in is nobody's."""
    if relation in ("itself", "stand-in"):
        return "device" if relation == "itself" else "stand-in"
    return "no-device" if source == "model" else "this-machine"


def _model_assumptions(profile: Profile | None, relation: str | None) -> list[str]:
    if profile is None or profile.model is None or profile.core_active_w is None:
        return []
    model, megahertz = profile.model, profile.settings.frequency_khz / 1000
    lines = [
        f"model, not measured: a computing core takes {profile.core_active_w * 1e3:.3g} mW = "
        f"{model.coefficient_uw_per_mhz_v2:g} uW/MHz/V^2 * {megahertz:g} MHz * ({model.core_v:g} V)^2; "
        "leakage, caches shared by cores, memory and converters are not in it",
    ]
    lines += [
        f"{name.partition('.')[2]} ({source.kind}): {source.text}"
        for name, source in profile.sources.items()
        if name.startswith("model.")
    ]
    if relation == "other":
        lines.append(
            "the processor time is this machine's, which is neither the device nor a stand-in for it: "
            f"no figure of energy or battery here is one of a {profile.title}"
        )
    return lines


def _measured_assumptions(record: EnergyRecord) -> list[str]:
    lines = ["energy per inference is what flowed above the idle machine's power, which is taken to be constant"]
    if record.source == "power-meter":
        lines.append("the meter's clock is this machine's; its readings lie close enough that no burst falls between")
    else:
        lines.append(f"read by this machine itself, which takes part of the power: {record.detail}")
    return lines


def _battery_assumptions(record: EnergyRecord, use: DailyUse, *, wake_ups_measured: bool) -> list[str]:
    profile = record.profile
    if use.battery_wh is None:
        return ["no share of a battery: no capacity is known; --battery-wh gives one"]
    lines = [f"a window at {use.rate_hz:g} Hz for {use.duty_cycle:.0%} of the day"]
    if record.settings.battery_wh is not None:
        lines.append(f"battery of {use.battery_wh:g} Wh, from --battery-wh")
    elif profile is not None:
        source = profile.sources["battery.capacity_wh"]
        lines.append(f"battery of {use.battery_wh:g} Wh ({source.kind}): {source.text}")
    if wake_ups_measured:
        lines.append("wake-ups lie within the measured energy")
    elif profile is not None and profile.wake_up_j is not None and profile.model is not None:
        lines.append(f"a wake-up takes {profile.wake_up_j * 1e3:.3g} mJ: {profile.model.wake_up_us:g} us of the core")
    else:
        lines.append("a wake-up takes nothing, for lack of a figure")
    return lines


def add_meter(energy: Energy | None, path: Path) -> tuple[Energy, PowerTrace]:
    """The run's energy with a meter's file that came afterwards, and its readings.

    Parameters
    ----------
    energy : of a result that was measured beside a meter; None in a result without
    path : the meter's file

    Raises
    ------
    DataError : the file is not what it must be
    ConfigError : the result was not measured beside a meter
    """
    if energy is None or energy.source != "power-meter":
        raise ConfigError("this result was not measured beside a power meter", hint="Measure with --meter-later")
    trace = read_power_meter(path, unix_ns=energy.unix_ns)
    return dataclasses.replace(energy, detail=path.name, problem=None), trace


def derive_energy(energy: Energy, cases: Sequence[Case], raws: Mapping[str, Raw]) -> tuple[Energy, tuple[Case, ...]]:
    """The run's energy and each case with its own, from what was recorded.

    Parameters
    ----------
    energy : as ``energy_facts`` gives it
    cases : what they hold of energy and battery is replaced; None where there are no figures
    raws : case id -> its arrays, and the power readings
    """
    trace = _trace(raws)
    found: dict[str, CaseEnergy] = {}
    problem = energy.problem
    for case in cases:
        if problem is None and case.sensor_to_label is not None:
            try:
                found[case.id] = _case_energy(energy, case, raws[case.id], trace)
            except DataError as error:
                problem = f"{case.name}: {error}"
    if problem is not None:
        found = {}
    step_s = None if trace is None or len(trace.time_ns) < 2 else trace.step_s
    idle_w = next((figures.idle_w for figures in found.values()), None)
    # Compared with what is written down: a problem that only shows here is written down too.
    run = dataclasses.replace(energy, problem=problem, step_s=step_s, idle_w=idle_w)
    return run, tuple(_with_energy(energy, case, found.get(case.id)) for case in cases)


def _trace(raws: Mapping[str, Raw]) -> PowerTrace | None:
    raw = raws.get(POWER)
    return None if raw is None else PowerTrace(raw["time_ns"], raw["power_w"])


def _with_energy(energy: Energy, case: Case, figures: CaseEnergy | None) -> Case:
    battery = None if figures is None else _case_battery(energy, figures)
    return dataclasses.replace(case, energy=figures, battery=battery)


def _case_energy(energy: Energy, case: Case, raw: Raw, trace: PowerTrace | None) -> CaseEnergy:
    inferences = case.rounds * case.calls_per_round
    if trace is None:
        if energy.core_active_w is None:
            raise DataError("the power readings are missing", hint="Copy the folder again")
        used_j = energy.core_active_w * case.cpu.busy_ns / 1e9
        return CaseEnergy(energy.source, energy.measured, inferences, 1e3 * used_j / inferences)
    if energy.idle_ns is None:
        raise DataError("the idle time was not recorded", hint="Measure again")
    start_ns, end_ns = energy.idle_ns
    measured = measured_energy(trace, (start_ns, end_ns), raw["interval"])
    return CaseEnergy(
        source=energy.source,
        measured=energy.measured,
        inferences=inferences,
        per_inference_mj=1e3 * measured.over_idle_j / inferences,
        uncertainty_mj=1e3 * measured.uncertainty_j / inferences,
        total_per_inference_mj=1e3 * measured.total_j / inferences,
        idle_w=measured.idle_w,
        active_w=measured.active_w,
        readings=measured.readings,
    )


def _case_battery(energy: Energy, figures: CaseEnergy) -> BatteryUse | None:
    use, uncertainty_mj = energy.use, figures.uncertainty_mj
    if use.battery_wh is None:
        return None
    wake_up_mj = 1e3 * (energy.wake_up_j or 0.0)
    inferences = use.rate_hz * DAY_S * use.duty_cycle
    percent_per_mj = 100 * inferences / (1e3 * J_PER_WH * use.battery_wh)
    return BatteryUse(
        percent_per_day=percent_per_mj * (figures.per_inference_mj + wake_up_mj),
        uncertainty_percent=None if uncertainty_mj is None else percent_per_mj * uncertainty_mj,
        inferences_per_day=inferences,
        wake_up_mj=wake_up_mj,
        capacity_wh=use.battery_wh,
    )
