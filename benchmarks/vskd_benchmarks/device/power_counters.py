"""What this machine measures of its own power: RAPL, a sensor of hwmon, or the Raspberry Pi 5's power management chip.

Read again and again by a thread while the run lasts; a reading costs this machine some of the power it measures. What
each of them covers differs: RAPL the processor's package and its memory, the Pi 5's chip the rails behind it (not the
5 V of USB), a sensor of hwmon whatever it is soldered to. ``root`` stands for ``/`` so that a test can bring its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd_benchmarks.device.power_trace import PowerTrace

CounterSource = Literal["rapl", "hwmon", "pmic"]

#: Between two readings, s. RAPL counts each millisecond; the Pi's tool takes about 10 ms of a core.
FILE_STEP_S, TOOL_STEP_S = 0.1, 0.5

#: Graphics cards and drives report their own power, which is not the processor's; a laptop's battery its charge.
_NOT_THE_BOARD = ("amdgpu", "nouveau", "i915", "xe", "nvme", "BAT", "drivetemp")

_RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$")


@dataclass(frozen=True)
class Probe:
    """A way to read power or energy.

    Attributes
    ----------
    source : what it is
    detail : its parts, in words
    step_s : between two readings
    read : the values now: energies in uJ, or powers in W
    wraps_uj : of each energy counter, where it starts again at 0; None where powers are read, 0 where it never does
    """

    source: CounterSource
    detail: str
    step_s: float
    read: Callable[[], Sequence[float]] = field(repr=False)
    wraps_uj: tuple[int, ...] | None = None


def find_probe(root: Path = Path("/"), tool: str = "vcgencmd") -> tuple[Probe | None, tuple[str, ...]]:
    """The best probe of this machine, and why the better ones cannot be used.

    Parameters
    ----------
    root : of the file system
    tool : the Raspberry Pi's command
    """
    reasons: list[str] = []
    for found in (find_rapl(root), find_hwmon(root), find_pmic(tool)):
        if isinstance(found, Probe):
            return found, tuple(reasons)
        reasons.append(found)
    return None, tuple(reasons)


def find_rapl(root: Path = Path("/")) -> Probe | str:
    """Energy counters of Intel and AMD processors: every package and its memory; or why there are none."""
    zones = [zone for zone in sorted(root.glob("sys/class/powercap/intel-rapl:*")) if _rapl_part(zone)]
    if not zones:
        return "RAPL: no zones under /sys/class/powercap"
    files = [zone / "energy_uj" for zone in zones]
    try:
        wraps = tuple(int(_text(zone / "max_energy_range_uj")) for zone in zones)
        for file in files:
            _number(file)
    except (OSError, ValueError) as error:
        return f"RAPL: {error}; energy_uj is for root alone"
    names = ", ".join(_text(zone / "name") for zone in zones)
    return Probe("rapl", f"RAPL: {names}", FILE_STEP_S, lambda: [_number(file) for file in files], wraps)


def _rapl_part(zone: Path) -> bool:
    # Cores lie within the package, psys around it: counting them too would count twice.
    try:
        name = _text(zone / "name")
    except OSError:
        return False
    return name.startswith("package") or name == "dram"


def find_hwmon(root: Path = Path("/")) -> Probe | str:
    """The one sensor of energy or power in hwmon; or why there is none."""
    found: list[tuple[str, Path]] = []
    for chip in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if not (chip / "name").is_file() or _text(chip / "name").startswith(_NOT_THE_BOARD):
            continue
        files = sorted(chip.glob("energy*_input")) or sorted(chip.glob("power*_input"))
        found += [(_text(chip / "name"), file) for file in files or sorted(chip.glob("power*_average"))]
    if not found:
        return "hwmon: no sensor of energy or power"
    if len(found) > 1:
        names = ", ".join(f"{name} {file.name}" for name, file in found)
        return f"hwmon: {len(found)} sensors, and none is marked as the board's: {names}"
    name, file = found[0]
    try:
        _number(file)
    except (OSError, ValueError) as error:
        return f"hwmon: {error}"
    if file.name.startswith("energy"):
        return Probe("hwmon", f"hwmon: {name} {file.name}", FILE_STEP_S, lambda: [_number(file)], (0,))
    return Probe("hwmon", f"hwmon: {name} {file.name}", FILE_STEP_S, lambda: [_number(file) / 1e6])


def find_pmic(tool: str = "vcgencmd") -> Probe | str:
    """The Raspberry Pi 5's power management chip; or why there is none."""
    path = shutil.which(tool)
    if path is None:
        return f"power management chip: no {tool}"
    command = [path, "pmic_read_adc"]

    def read() -> list[float]:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return [rail_power_w(answer.stdout)]

    try:
        read()
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"power management chip: {error}"
    return Probe("pmic", "power management chip: the sum over its rails, without the 5 V of USB", TOOL_STEP_S, read)


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


class PowerMonitor:
    """Reads a probe again and again while it is entered.

    Parameters
    ----------
    probe : what to read
    epoch_ns : start of the run by ``clock``
    clock : a test brings its own

    Attributes
    ----------
    problem : why it stopped reading; None where it did not
    """

    def __init__(self, probe: Probe, epoch_ns: int, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self.problem: str | None = None
        self._probe = probe
        self._epoch_ns = epoch_ns
        self._clock = clock
        self._time_ns: list[int] = []
        self._values: list[Sequence[float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read_until_done, daemon=True)

    def __enter__(self) -> Self:
        self.read()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.read()

    def read(self) -> None:
        """Take one reading."""
        try:
            values = self._probe.read()
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            self.problem = f"{self._probe.source} stopped: {error}"
            return
        self._time_ns.append(self._clock() - self._epoch_ns)
        self._values.append(values)

    def _read_until_done(self) -> None:
        while not self._done.wait(self._probe.step_s) and self.problem is None:
            self.read()

    def trace(self) -> PowerTrace:
        """What was read."""
        time_ns, values = np.array(self._time_ns, np.int64), np.array(self._values, np.float64)
        if self._probe.wraps_uj is None:
            return PowerTrace(time_ns, values[:, 0])
        used_uj = unwrapped(values, self._probe.wraps_uj).sum(axis=1)
        power_w = np.diff(used_uj) / 1e6 / (np.diff(time_ns) / 1e9)
        return PowerTrace(time_ns, np.concatenate([power_w[:1], power_w]), means=True)


def unwrapped(values_uj: NDArray[np.float64], wraps_uj: Sequence[int]) -> NDArray[np.float64]:
    """Energy since the first reading, of counters that start again at 0 when they reach their range.

    Parameters
    ----------
    values_uj : (readings, counters)
    wraps_uj : the range of each; 0 where it never starts again

    Returns
    -------
    (readings, counters), uJ, rising

    Raises
    ------
    DataError : a counter fell that has no range, or by more than its range
    """
    steps = np.diff(values_uj, axis=0)
    steps = np.where(steps < 0, steps + np.asarray(wraps_uj, np.float64), steps)
    if (steps < 0).any():
        raise DataError(f"an energy counter fell by {-steps.min():.0f} uJ beyond its range", hint="Measure again")
    return np.concatenate([np.zeros((1, values_uj.shape[1])), np.cumsum(steps, axis=0)])


def _number(path: Path) -> int:
    return int(_text(path))


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip()
