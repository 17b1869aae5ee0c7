"""Energy of a run: where it comes from, what is assumed, and what follows for each case and for a battery.

One source a run, never two: a power meter's file, else what the machine measures of itself, else a model (the dynamic
power of a core of the profile times the processor time). A model is called one in every place, has no uncertainty and
no total, and its assumptions are written down. Measured energy counts the sensor -> label path alone, so it takes a
mode in which a case does nothing else (paced or soak), and an idle time before the first case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError
from vskd_benchmarks.device.battery import battery_use
from vskd_benchmarks.device.power_counters import Probe
from vskd_benchmarks.device.power_meter import MeterClock, read_power_meter
from vskd_benchmarks.device.power_trace import MeasuredEnergy, PowerTrace, measured_energy
from vskd_benchmarks.device.profiles import Profile

#: The idle machine is measured for so long before the first case, s; the shorter one is enough at a reading a second.
IDLE_S, QUICK_IDLE_S = 20.0, 5.0

#: The raw file of the power readings, beside those of the cases.
POWER = "power"

METER = "power-meter"

STILL_TO_COME = "the power meter's file is still to come: vskd bench --add-power RESULT --power-meter FILE"
MODEL = "model"


@dataclass(frozen=True)
class EnergySettings:
    """What the user asked for.

    Attributes
    ----------
    meter : CSV file of a power meter; None reads the machine's own counters, or takes the model
    meter_later : a meter runs, and its file is added to the result afterwards
    meter_clock, meter_offset_s : see ``vskd_benchmarks.device.power_meter``
    battery_wh : capacity; None takes the profile's
    duty_cycle : share of the day in which windows are decided
    """

    meter: Path | None = None
    meter_later: bool = False
    meter_clock: MeterClock = "unix"
    meter_offset_s: float = 0.0
    battery_wh: float | None = None
    duty_cycle: float = 1.0


@dataclass
class EnergyRecord:
    """What a run recorded of its energy.

    Attributes
    ----------
    settings, profile : as asked
    source, detail : where the figures come from
    lacks : why better sources could not be used
    unix_ns, monotonic_ns : start of the run on both clocks
    idle_ns : start and end of the idle time since the start of the run; None for the model
    trace : power readings; None for the model, and where there is a problem
    problem : why there are no figures; None where there are
    """

    settings: EnergySettings
    profile: Profile | None
    source: str
    detail: str
    lacks: tuple[str, ...]
    unix_ns: int
    monotonic_ns: int
    idle_ns: tuple[int, int] | None = None
    trace: PowerTrace | None = None
    problem: str | None = None


def choose_source(
    settings: EnergySettings, profile: Profile | None, probe: Probe | None, lacks: Sequence[str]
) -> tuple[str, str]:
    """The source of the energy, and its detail.

    Parameters
    ----------
    settings, profile : as asked
    probe, lacks : as ``vskd_benchmarks.device.power_counters.find_probe`` gives them

    Raises
    ------
    ConfigError : there is none
    """
    if settings.meter is not None or settings.meter_later:
        return METER, _meter_detail(settings)
    if probe is not None:
        return probe.source, probe.detail
    if profile is not None and profile.model is not None:
        return MODEL, f"dynamic power of a core of {profile.name} * processor time"
    raise ConfigError(
        f"nothing here tells energy: {'; '.join(lacks)}", hint="Give --power-meter FILE, or --profile NAME for a model"
    )


def _meter_detail(settings: EnergySettings) -> str:
    if settings.meter is None:
        return "a power meter whose file is still to come"
    return f"{settings.meter.name}, {settings.meter_clock} clock, offset {settings.meter_offset_s:g} s"


def check_meter(settings: EnergySettings) -> None:
    """Refuse a meter's file that cannot be right, before minutes are spent on measuring.

    Raises
    ------
    DataError : it is not there, or lacks a column
    """
    if settings.meter is not None:
        _read_meter(settings, unix_ns=0, monotonic_ns=0, partial=True)


def attach_meter(record: EnergyRecord) -> None:
    """Read the meter's file, now that the run is over; what is wrong with it becomes the record's problem."""
    if record.source != METER:
        return
    if record.settings.meter_later:
        record.problem = STILL_TO_COME
        return
    try:
        record.trace = _read_meter(record.settings, unix_ns=record.unix_ns, monotonic_ns=record.monotonic_ns)
    except DataError as error:
        record.problem = str(error)


def add_meter(energy: Mapping[str, Any] | None, settings: EnergySettings) -> tuple[dict[str, Any], PowerTrace]:
    """The run's part of a result with a meter's file that came afterwards, and its readings.

    Parameters
    ----------
    energy : of a result that was measured beside a meter; None in a result without
    settings : the meter's file and its clock

    Raises
    ------
    DataError : the file is not what it must be
    ConfigError : the result was not measured beside a meter
    """
    if energy is None or energy["source"] != METER:
        raise ConfigError("this result was not measured beside a power meter", hint="Measure with --meter-later")
    trace = _read_meter(settings, unix_ns=energy["unix_ns"], monotonic_ns=energy["monotonic_ns"])
    if trace is None:
        raise ConfigError("--add-power takes the meter's file too", hint="Add --power-meter FILE")
    return {**energy, "detail": _meter_detail(settings), "problem": None}, trace


def _read_meter(
    settings: EnergySettings, *, unix_ns: int, monotonic_ns: int, partial: bool = False
) -> PowerTrace | None:
    if settings.meter is None:
        return None
    return read_power_meter(
        settings.meter,
        clock=settings.meter_clock,
        offset_s=settings.meter_offset_s,
        unix_ns=unix_ns,
        monotonic_ns=monotonic_ns,
        partial=partial,
    )


def energy_facts(record: EnergyRecord, *, pace_hz: float | None, batch: int, relation: str | None) -> dict[str, Any]:
    """The run's part of the result: what was recorded, used and assumed.

    Parameters
    ----------
    record : of the run
    pace_hz, batch : of the mode; None is back to back, where the profile's pace and batch make up the day
    relation : of the machine to the profile; None without one
    """
    profile, settings = record.profile, record.settings
    own_wh = None if profile is None or profile.battery is None else profile.battery.capacity_wh
    usual_hz, usual_batch = (1.0, 1) if profile is None else (profile.settings.rate_hz, profile.settings.batch)
    use = {
        "rate_hz": pace_hz or usual_hz,
        "batch": usual_batch if pace_hz is None else batch,
        "duty_cycle": settings.duty_cycle,
        "battery_wh": settings.battery_wh or own_wh,
    }
    wake_ups_measured = record.source != MODEL and pace_hz is not None
    wake_up_j = None if profile is None or wake_ups_measured else profile.wake_up_j
    return {
        "source": record.source,
        "measured": record.source != MODEL,
        "of": _whose(record.source, relation),
        "detail": record.detail,
        "lacks": list(record.lacks),
        "unix_ns": record.unix_ns,
        "monotonic_ns": record.monotonic_ns,
        "idle_ns": None if record.idle_ns is None else list(record.idle_ns),
        "core_active_w": profile.core_active_w if profile is not None and record.source == MODEL else None,
        "wake_up_j": wake_up_j,
        "use": use,
        "problem": record.problem,
        "assumptions": [
            *(_model_assumptions(profile, relation) if record.source == MODEL else _measured_assumptions(record)),
            *_battery_assumptions(record, use, wake_ups_measured=wake_ups_measured),
        ],
    }


def _whose(source: str, relation: str | None) -> str:
    """Whose energy the figures are: a model on a machine that is neither device nor stand-in is nobody's."""
    if relation in ("itself", "stand-in"):
        return "device" if relation == "itself" else "stand-in"
    return "no-device" if source == MODEL else "this-machine"


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
    if record.source == METER:
        lines.append("the meter's clock is this machine's; its readings lie close enough that no burst falls between")
    else:
        lines.append(f"read by this machine itself, which takes part of the power: {record.detail}")
    return lines


def _battery_assumptions(record: EnergyRecord, use: Mapping[str, Any], *, wake_ups_measured: bool) -> list[str]:
    profile = record.profile
    if use["battery_wh"] is None:
        return ["no share of a battery: no capacity is known; --battery-wh gives one"]
    windows = "a window" if use["batch"] == 1 else f"{use['batch']} windows a wake-up,"
    lines = [f"{windows} at {use['rate_hz']:g} Hz for {use['duty_cycle']:.0%} of the day"]
    if record.settings.battery_wh is not None:
        lines.append(f"battery of {use['battery_wh']:g} Wh, from --battery-wh")
    elif profile is not None:
        source = profile.sources["battery.capacity_wh"]
        lines.append(f"battery of {use['battery_wh']:g} Wh ({source.kind}): {source.text}")
    if wake_ups_measured:
        lines.append("wake-ups lie within the measured energy")
    elif profile is not None and profile.wake_up_j is not None and profile.model is not None:
        lines.append(f"a wake-up takes {profile.wake_up_j * 1e3:.3g} mJ: {profile.model.wake_up_us:g} us of the core")
    else:
        lines.append("a wake-up takes nothing, for lack of a figure")
    return lines


def power_arrays(trace: PowerTrace) -> dict[str, NDArray[Any]]:
    """The arrays of the raw file of the power readings."""
    return {"time_ns": trace.time_ns, "power_w": trace.power_w, "means": np.array(trace.means)}


def derive_energy(
    energy: Mapping[str, Any], cases: Sequence[dict[str, Any]], raws: Mapping[str, Mapping[str, NDArray[Any]]]
) -> dict[str, Any]:
    """Give each case its energy and battery, from what was recorded; the run's part with what follows for it.

    Parameters
    ----------
    energy : as ``energy_facts`` gives it
    cases : each gets ``energy`` and ``battery``, null where there are no figures
    raws : case id -> its arrays, and the power readings
    """
    trace = None
    if POWER in raws:
        raw = raws[POWER]
        trace = PowerTrace(raw["time_ns"], raw["power_w"], bool(raw["means"]))
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    problem = energy["problem"]
    for case in cases:
        case["energy"] = case["battery"] = None
        if problem is not None or "sensor_to_label" not in case["scopes"]:
            continue
        try:
            found.append((case, _case_energy(energy, case, raws[case["id"]], trace)))
        except DataError as error:
            problem = f"{case['name']}: {error}"
    if problem is None:
        for case, figures in found:
            case["energy"], case["battery"] = figures, _case_battery(energy, figures)
    # Compared with what is written down: a problem that only shows here is written down too.
    return {
        **energy,
        "problem": problem,
        "step_s": None if trace is None or len(trace.time_ns) < 2 else trace.step_s,
        "idle_w": found[0][1]["idle_w"] if found and problem is None else None,
    }


def _case_energy(
    energy: Mapping[str, Any], case: Mapping[str, Any], raw: Mapping[str, NDArray[Any]], trace: PowerTrace | None
) -> dict[str, Any]:
    inferences = case["rounds"] * case["calls_per_round"]
    figures = {"source": energy["source"], "measured": energy["measured"], "inferences": inferences}
    if trace is None:
        used_j = energy["core_active_w"] * case["cpu"]["busy_ns"] / 1e9
        return {**figures, **_per_inference(used_j, inferences, None)}
    start_ns, end_ns = energy["idle_ns"]
    measured = measured_energy(trace, (start_ns, end_ns), raw["interval"])
    return {**figures, **_per_inference(measured.over_idle_j, inferences, measured)}


def _per_inference(used_j: float, inferences: int, measured: MeasuredEnergy | None) -> dict[str, Any]:
    def millijoules(energy_j: float | None) -> float | None:
        return None if energy_j is None else 1e3 * energy_j / inferences

    return {
        "per_inference_mj": millijoules(used_j),
        "uncertainty_mj": None if measured is None else millijoules(measured.uncertainty_j),
        "total_per_inference_mj": None if measured is None else millijoules(measured.total_j),
        "idle_w": None if measured is None else measured.idle_w,
        "active_w": None if measured is None else measured.active_w,
        "readings": None if measured is None else measured.readings,
    }


def _case_battery(energy: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any] | None:
    use, uncertainty_mj = energy["use"], figures["uncertainty_mj"]
    if use["battery_wh"] is None:
        return None
    return battery_use(
        inference_j=figures["per_inference_mj"] / 1e3,
        wake_up_j=energy["wake_up_j"] or 0.0,
        rate_hz=use["rate_hz"],
        batch=use["batch"],
        duty_cycle=use["duty_cycle"],
        capacity_wh=use["battery_wh"],
        uncertainty_j=None if uncertainty_mj is None else uncertainty_mj / 1e3,
    )
