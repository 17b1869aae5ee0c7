"""The energy of a run and of each case, and the share of a battery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vskd_benchmarks.device.energy import EnergySource


@dataclass(frozen=True)
class DailyUse:
    """What a day is taken to be.

    Attributes
    ----------
    rate_hz : windows a second
    duty_cycle : share of the day
    battery_wh : capacity; null where none is known
    """

    rate_hz: float
    duty_cycle: float
    battery_wh: float | None


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Where energy comes from, what is assumed, and what follows for the whole run.

    Attributes
    ----------
    source : of every figure of the run; model is no measurement
    measured : false: model
    of : whose energy it is; no-device: a model whose processor time is another machine's, only the formula can be seen
    detail : of the source, for people
    lacks : why better sources could not be used
    unix_ns : start of the run, Unix time
    idle_ns : start and end of the idle time since the start of the run; null for the model
    core_active_w : the model's power of a computing core
    wake_up_j : energy of a wake-up; null: within the measured energy, or not known
    use : what a day is taken to be
    problem : why there are no figures
    assumptions : each in a sentence
    step_s : usual time between two power readings
    idle_w : mean power of the idle machine
    """

    source: EnergySource
    measured: bool
    of: Literal["device", "stand-in", "this-machine", "no-device"]
    detail: str
    lacks: tuple[str, ...]
    unix_ns: int
    idle_ns: tuple[int, ...] | None
    core_active_w: float | None
    wake_up_j: float | None
    use: DailyUse
    problem: str | None
    assumptions: tuple[str, ...]
    step_s: float | None
    idle_w: float | None


@dataclass(frozen=True)
class CaseEnergy:
    """Energy of one inference, sensor to label.

    Attributes
    ----------
    source, measured : as those of the run
    inferences : in the blocks
    per_inference_mj : over idle; may be below 0 within its uncertainty
    uncertainty_mj : twice the standard uncertainty; null for the model
    total_per_inference_mj : with the idle machine's share; null for the model
    idle_w, active_w : mean power at rest and during the blocks
    readings : of the power, within the blocks
    """

    source: EnergySource
    measured: bool
    inferences: int
    per_inference_mj: float
    uncertainty_mj: float | None = None
    total_per_inference_mj: float | None = None
    idle_w: float | None = None
    active_w: float | None = None
    readings: int | None = None


@dataclass(frozen=True)
class BatteryUse:
    """Share of a battery a day: (energy per inference + energy of a wake-up) * inferences a day / capacity.

    Nothing else a watch does is in it: display, radio, the sensor itself and the losses of its converter are not.

    Attributes
    ----------
    percent_per_day : of the capacity
    uncertainty_percent : from that of the energy, in points; null for the model
    inferences_per_day : each with a wake-up of its own
    wake_up_mj : of one; 0 where the energy per inference holds it
    capacity_wh : of the battery
    """

    percent_per_day: float
    uncertainty_percent: float | None
    inferences_per_day: float
    wake_up_mj: float
    capacity_wh: float
