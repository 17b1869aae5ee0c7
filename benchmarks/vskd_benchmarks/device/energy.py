"""Energy of a run: where it comes from, what is assumed, and what follows for each case and for a battery.

One source a run, never two: a power meter's file, else what the machine measures of itself, else a model (the dynamic
power of a core of the profile times the processor time). A model is called one in every place, has no uncertainty and
no total, and its assumptions are written down. Measured energy counts the sensor -> label path alone, so it takes a
mode in which a case does nothing else (paced or soak), and an idle time before the first case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError
from vskd_benchmarks.device.power_counters import Probe
from vskd_benchmarks.device.power_meter import MeterClock, read_power_meter
from vskd_benchmarks.device.power_trace import PowerTrace
from vskd_benchmarks.device.profiles import Profile

#: The idle machine is measured for this time before the first case, s; the shorter one is enough at a reading a second.
IDLE_S, QUICK_IDLE_S = 20.0, 5.0

#: The raw file of the power readings, beside those of the cases.
POWER = "power"

METER = "power-meter"

STILL_TO_COME = "the power meter's file is still to come: vskd bench --add-power RESULT --power-meter FILE"
MODEL = "model"


@dataclass(frozen=True)
class EnergySettings:
    """How energy is measured and used, as the command line gives it.

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
    settings, profile : of the run
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
    settings, profile : of the run
    probe, lacks : as ``vskd_benchmarks.device.power_counters.find_probe`` gives them

    Raises
    ------
    ConfigError : there is none
    """
    if settings.meter is not None or settings.meter_later:
        return METER, meter_detail(settings)
    if probe is not None:
        return probe.source, probe.detail
    if profile is not None and profile.model is not None:
        return MODEL, f"dynamic power of a core of {profile.name} * processor time"
    raise ConfigError(
        f"nothing here measures energy: {'; '.join(lacks)}",
        hint="Give --power-meter FILE, or --profile NAME for a model",
    )


def meter_detail(settings: EnergySettings) -> str:
    """The meter's file and its clock, for people."""
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
        read_meter(settings, unix_ns=0, monotonic_ns=0, partial=True)


def attach_meter(record: EnergyRecord) -> None:
    """Read the meter's file, now that the run is over; what is wrong with it becomes the record's problem."""
    if record.source != METER:
        return
    if record.settings.meter_later:
        record.problem = STILL_TO_COME
        return
    try:
        record.trace = read_meter(record.settings, unix_ns=record.unix_ns, monotonic_ns=record.monotonic_ns)
    except DataError as error:
        record.problem = str(error)


def read_meter(
    settings: EnergySettings, *, unix_ns: int, monotonic_ns: int, partial: bool = False
) -> PowerTrace | None:
    """The readings of the meter's file; None where no file is named.

    Parameters
    ----------
    settings : the file and its clock
    unix_ns, monotonic_ns : start of the run on both clocks
    partial : the meter is still writing

    Raises
    ------
    DataError : the file is not what it must be
    """
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


def power_arrays(trace: PowerTrace) -> dict[str, NDArray[Any]]:
    """The arrays of the raw file of the power readings."""
    return {"time_ns": trace.time_ns, "power_w": trace.power_w, "means": np.array(trace.means)}
