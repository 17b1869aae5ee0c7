"""The settings of a run, and how long each kind of run measures: rounds, calls, warm-up."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vskd_benchmarks.device.energy import EnergySettings
from vskd_benchmarks.device.profiles import Profile
from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE, WarmUpRule

Mode = Literal["single-stream", "paced", "soak"]

#: Of the order of the cases, and of that within each round.
ORDER_SEED = 0

#: A round of the paced mode and of a soak lasts about as long, s: often enough to show a trend.
PACED_ROUND_S = 10.0
SOAK_ROUND_S = 1.0


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    rounds : blocks of calls per case, taken in turns
    least_calls, most_calls : per case, over all rounds
    budget_s : per case, over all rounds; ``least_calls`` are made all the same
    discard : calls at the start of each block that only bring the caches back; by rule, however long they took
    cold_starts, imports : fresh processes per reading
    paced_s, soak_s : of each case, where the user gives none
    repeat_blocks : of the audit of a repeated input
    rule : of the warm-up
    """

    rounds: int
    least_calls: int
    most_calls: int
    budget_s: float
    discard: int
    cold_starts: int
    imports: int
    paced_s: float
    soak_s: float
    repeat_blocks: int
    rule: WarmUpRule = field(default_factory=WarmUpRule)

    def calls_per_round(self, call_s: float) -> int:
        """Calls in one round for a case whose call takes ``call_s``, back to back."""
        wanted = min(self.most_calls, max(self.least_calls, int(self.budget_s / max(call_s, 1e-9))))
        return math.ceil(wanted / self.rounds)


#: Enough for p99 everywhere.
FULL = Effort(
    rounds=8,
    least_calls=SMALLEST_SAMPLE[99.0],
    most_calls=2000,
    budget_s=20.0,
    discard=5,
    cold_starts=5,
    imports=7,
    paced_s=64.0,
    soak_s=600.0,
    repeat_blocks=20,
)

#: Enough for p95; p99 where a call is quick.
QUICK = Effort(
    rounds=4,
    least_calls=SMALLEST_SAMPLE[95.0],
    most_calls=SMALLEST_SAMPLE[99.0],
    budget_s=1.5,
    discard=3,
    cold_starts=2,
    imports=3,
    paced_s=12.0,
    soak_s=20.0,
    repeat_blocks=10,
    rule=dataclasses.replace(WarmUpRule(), ceiling_s=4.0),
)


@dataclass(frozen=True)
class Settings:
    """What to measure, as the command line gives it.

    Attributes
    ----------
    bundles : the folders
    engines, recipes : names; empty takes all
    threads : computing threads
    mode : back to back, paced, or a soak (minutes to hours)
    rate_hz : windows a second; None takes the profile's or 1 in mode paced, and back to back in a soak
    duration_s : of each case in modes paced and soak; None takes the effort's
    quick : a shorter run, one engine per model format
    comparison : whether other pipelines are measured beside the bundle
    command : as typed
    profile : the device whose limits this machine is held to
    energy : how energy is measured and used; None for a run without it
    """

    bundles: tuple[Path, ...]
    engines: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    threads: int = 1
    mode: Mode = "single-stream"
    rate_hz: float | None = None
    duration_s: float | None = None
    quick: bool = False
    comparison: bool = True
    command: str = ""
    profile: Profile | None = None
    energy: EnergySettings | None = None

    @property
    def effort(self) -> Effort:
        """How long to measure."""
        return QUICK if self.quick else FULL

    @property
    def path_only(self) -> bool:
        """Whether only sensor -> label is measured, as on a device; other calls would disturb its idle time."""
        return self.mode != "single-stream"

    @property
    def discard(self) -> int:
        """Calls at the start of each block that are not counted."""
        return 0 if self.path_only else self.effort.discard

    @property
    def pace_hz(self) -> float | None:
        """Windows a second; None is back to back."""
        usual_hz = 1.0 if self.profile is None else self.profile.settings.rate_hz
        return self.rate_hz or (usual_hz if self.mode == "paced" else None)

    @property
    def lasting_s(self) -> float | None:
        """Length of each case's measurement; None where the number of calls decides."""
        if self.mode == "single-stream":
            return None
        return self.duration_s or (self.effort.paced_s if self.mode == "paced" else self.effort.soak_s)

    @property
    def period_ns(self) -> int:
        """From window to window; 0 is back to back."""
        return 0 if self.pace_hz is None else round(1e9 / self.pace_hz)

    def rounds_and_calls(self, call_s: float) -> tuple[int, int]:
        """Rounds, and calls in each, for a case whose call takes ``call_s``."""
        if self.lasting_s is None:
            return self.effort.rounds, self.effort.calls_per_round(call_s)
        wanted_s = PACED_ROUND_S if self.mode == "paced" else SOAK_ROUND_S
        each_s = 1 / self.pace_hz if self.pace_hz else call_s
        total = max(1, round(self.lasting_s / each_s))
        calls = max(1, min(total, round(wanted_s / each_s)))
        return math.ceil(total / calls), calls
