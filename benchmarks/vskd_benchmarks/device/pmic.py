"""The power that a Raspberry Pi 5 measures of itself: its power management chip, read by ``vcgencmd``.

The chip sees the rails behind it, not the 5 V of USB. A reading takes about 10 ms of a core, and so some of the power.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vskd_benchmarks.device.power_trace import PowerTrace

#: Between two readings, s.
STEP_S = 0.5

DETAIL = "power management chip: the sum over its rails, without the 5 V of USB"

_RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$")


def find_pmic(tool: str = "vcgencmd") -> Callable[[], float] | str:
    """What reads the power, W; or why nothing does.

    Parameters
    ----------
    tool : the Raspberry Pi's command
    """
    path = shutil.which(tool)
    if path is None:
        return f"power management chip: no {tool}"

    def read() -> float:
        command = [path, "pmic_read_adc"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return rail_power_w(answer.stdout)

    try:
        read()
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"power management chip: {error}"
    return read


def rail_power_w(text: str) -> float:
    """The sum over all rails of voltage times current, W, in the output of ``vcgencmd pmic_read_adc``.

    Raises
    ------
    ValueError : it names no rail with both
    """
    values = {(match[1], match[2]): float(match[3]) for line in text.splitlines() if (match := _RAIL.match(line))}
    rails = [name for name, kind in values if kind == "A" and (name, "V") in values]
    if not rails:
        raise ValueError(f"vcgencmd pmic_read_adc named no rail with current and voltage: {text.strip()[:80]!r}")
    return sum(values[name, "A"] * values[name, "V"] for name in rails)


@dataclass
class PowerReadings:
    """Readings of the power, one after the other.

    Attributes
    ----------
    power_w : gives the power now
    epoch_ns : start of the run by ``clock``
    clock : a test brings its own
    problem : why the readings ended; None where they did not
    """

    power_w: Callable[[], float]
    epoch_ns: int
    clock: Callable[[], int] = time.perf_counter_ns
    problem: str | None = None
    _readings: list[tuple[int, float]] = field(default_factory=list)

    def read(self) -> None:
        """Take one reading, unless one has failed."""
        if self.problem is not None:
            return
        try:
            power_w = self.power_w()
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            self.problem = f"the readings of the power management chip ended: {error}"
        else:
            self._readings.append((self.clock() - self.epoch_ns, power_w))

    def trace(self) -> PowerTrace:
        """What was read."""
        time_ns, power_w = zip(*self._readings, strict=True)
        return PowerTrace(np.array(time_ns, np.int64), np.array(power_w, np.float64))
