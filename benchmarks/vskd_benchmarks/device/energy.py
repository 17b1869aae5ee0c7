"""Energy of a run: where it comes from, and what is recorded for it.

One source a run, never two: a power meter whose file is added afterwards, else what the board measures of itself, else
a model (the dynamic power of a core of the profile times the processor time). A model is called one in every place, has
no uncertainty and no total, and its assumptions are written down. Measured energy counts the sensor -> label path
alone, so it takes a mode in which a case does nothing else (paced or soak), and an idle time before the first case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from vskd.errors import ConfigError
from vskd_benchmarks.device.pmic import DETAIL
from vskd_benchmarks.device.power_trace import PowerTrace
from vskd_benchmarks.device.profiles import Profile

#: Of every figure of a run; a model is no measurement.
EnergySource = Literal["power-meter", "pmic", "model"]

#: The idle machine is measured for this time before the first case, s; the shorter one is enough at a reading a second.
IDLE_S, QUICK_IDLE_S = 20.0, 5.0

#: The raw file of the power readings, beside those of the cases.
POWER = "power"

STILL_TO_COME = "the power meter's file is still to come: vskd bench add-power RESULT FILE"


@dataclass(frozen=True)
class EnergySettings:
    """How energy is measured and used, as the command line gives it.

    Attributes
    ----------
    meter_later : a power meter runs, and its file is added to the result afterwards
    battery_wh : capacity; None takes the profile's
    duty_cycle : share of the day in which windows are decided
    """

    meter_later: bool = False
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
    unix_ns : start of the run, Unix time
    idle_ns : start and end of the idle time since the start of the run; None for the model
    trace : power readings; None for the model and the meter, and where there is a problem
    problem : why there are no figures; None where there are
    power_w : gives the board's own power, where that is the source
    """

    settings: EnergySettings
    profile: Profile | None
    source: EnergySource
    detail: str
    lacks: tuple[str, ...]
    unix_ns: int
    idle_ns: tuple[int, int] | None = None
    trace: PowerTrace | None = None
    problem: str | None = None
    power_w: Callable[[], float] | None = None


def choose_source(
    settings: EnergySettings, profile: Profile | None, pmic: Callable[[], float] | str, *, unix_ns: int
) -> EnergyRecord:
    """The record of a run's energy, with the best source that there is.

    Parameters
    ----------
    settings, profile : of the run
    pmic : as ``vskd_benchmarks.device.pmic.find_pmic`` gives it
    unix_ns : start of the run

    Raises
    ------
    ConfigError : nothing measures energy, and no profile has a model
    """
    if settings.meter_later:
        detail = "a power meter whose file is still to come"
        return EnergyRecord(settings, profile, "power-meter", detail, (), unix_ns, problem=STILL_TO_COME)
    if not isinstance(pmic, str):
        return EnergyRecord(settings, profile, "pmic", DETAIL, (), unix_ns, power_w=pmic)
    if profile is not None and profile.model is not None:
        detail = f"dynamic power of a core of {profile.name} * processor time"
        return EnergyRecord(settings, profile, "model", detail, (pmic,), unix_ns)
    raise ConfigError(
        f"nothing here measures energy: {pmic}",
        hint="Log a power meter and give --meter-later, or give --profile NAME for a model",
    )


def power_arrays(trace: PowerTrace) -> dict[str, NDArray[Any]]:
    """The arrays of the raw file of the power readings."""
    return {"time_ns": trace.time_ns, "power_w": trace.power_w}
