"""A profile applied to this machine with the permissions at hand, and undone afterwards.

The clock belongs to the machine: it is set back on leaving, also on Ctrl-C and on SIGTERM (not on SIGKILL: a clock that
was left capped is set back by a restart). Cores and memory are set on every measured process as
soon as it has started, before it loads anything; its children and threads inherit them. Every setting is read back.
What could not be applied is recorded with a code and the reason, and nothing is applied in part without a record.

Memory is held down by ``RLIMIT_DATA``, which takes no right. It counts what was requested, used or not, and so is a
little stricter than the device. The limit of the address space (``RLIMIT_AS``) would count mapped files and reserved
ranges too, and stop engines that need little.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from vskd_benchmarks.device.profiles import ProfileSettings

Code = Literal["no-such-cores", "no-cpufreq", "no-permission", "out-of-reach", "not-held", "asked-otherwise"]

#: A clock that was read back this near to the cap is the nearest step of the processor's table, relative.
CLOCK_STEP = 0.1

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class AppliedSetting:
    """A setting of the profile that held.

    Attributes
    ----------
    setting : its name
    wanted : by the profile
    got : as read back
    means : by what
    """

    setting: str
    wanted: int | float
    got: int | float | tuple[int, ...]
    means: str


@dataclass(frozen=True)
class UnappliedSetting:
    """A setting of the profile that did not hold.

    Attributes
    ----------
    setting : its name
    wanted : by the profile
    code : asked-otherwise: another option overrides it; the rest degrade the result
    reason : in words
    """

    setting: str
    wanted: int | float
    code: Code
    reason: str


class Confinement:
    """The limits of a profile on this machine, while it is entered.

    Parameters
    ----------
    settings : of the profile
    root : of the file system; a test brings its own

    Attributes
    ----------
    applied, not_applied : the profile's settings by name
    """

    def __init__(self, settings: ProfileSettings, root: Path = Path("/")) -> None:
        self.applied: dict[str, AppliedSetting] = {}
        self.not_applied: dict[str, UnappliedSetting] = {}
        self._settings = settings
        self._root = root
        self._cores: list[int] = []
        self._clocks: dict[Path, str] = {}
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # The last cores: the first one serves most interrupts.
        self._cores = sorted(os.sched_getaffinity(0))[-self._settings.cores :]
        self._end_cleanly()
        try:
            self._cap_clock()
        except BaseException:
            self._undo()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo()

    def on_process(self, pid: int) -> str:
        """Hold one process, which has just started, to cores and memory; the ceiling, for a message."""
        self._pin(pid)
        self._hold_memory(pid)
        held = "memory_bytes" in self.applied
        return f" under a ceiling of {self._settings.memory_bytes / 1e6:.1f} MB" if held else ""

    def deviate(self, setting: str, wanted: float, reason: str, code: Code = "asked-otherwise") -> None:
        """Record a setting of the profile that does not hold."""
        self.applied.pop(setting, None)
        self.not_applied[setting] = UnappliedSetting(setting, wanted, code, reason)

    def hold(self, setting: str, wanted: float, got: float | tuple[int, ...], means: str) -> None:
        """Record a setting that holds, unless it failed for an earlier process."""
        if setting not in self.not_applied:
            self.applied[setting] = AppliedSetting(setting, wanted, got, means)

    def _pin(self, pid: int) -> None:
        wanted = self._settings.cores
        if len(self._cores) < wanted:
            self.deviate("cores", wanted, f"this process may use {len(self._cores)}", "no-such-cores")
        try:
            os.sched_setaffinity(pid, self._cores)
            got = sorted(os.sched_getaffinity(pid))
        except OSError as error:
            self.deviate("cores", wanted, f"sched_setaffinity: {error.strerror}", "no-permission")
            return
        if got != self._cores:
            self.deviate("cores", wanted, f"pinned to {self._cores}, but it runs on {got}", "not-held")
        self.hold("cores", wanted, tuple(got), "sched_setaffinity")

    def _hold_memory(self, pid: int) -> None:
        wanted = self._settings.memory_bytes
        try:
            resource.prlimit(pid, resource.RLIMIT_DATA, (wanted, wanted))
            got = resource.prlimit(pid, resource.RLIMIT_DATA)[0]
        except (OSError, ValueError) as error:
            self.deviate("memory_bytes", wanted, f"RLIMIT_DATA: {error}", "no-permission")
            return
        self.hold("memory_bytes", wanted, got, "RLIMIT_DATA")

    def _cap_clock(self) -> None:
        wanted = self._settings.frequency_khz
        folders = [self._root / f"sys/devices/system/cpu/cpu{core}/cpufreq" for core in self._cores]
        if not all((folder / "scaling_max_freq").exists() for folder in folders):
            self.deviate("frequency_khz", wanted, "the system offers no scaling_max_freq", "no-cpufreq")
            return
        highest = max(int(_words(folder / "cpuinfo_max_freq")[0]) for folder in folders)
        if highest < wanted:
            reason = f"these cores run at {highest} kHz at most"
            self.deviate("frequency_khz", wanted, reason, "out-of-reach")
            return
        try:
            # One policy may serve many cores under as many names.
            for path in dict.fromkeys((folder / "scaling_max_freq").resolve() for folder in folders):
                self._clocks[path] = path.read_text(encoding="ascii")
                path.write_text(f"{wanted}\n", encoding="ascii")
        except OSError as error:
            reason = f"scaling_max_freq: {error.strerror}; it takes root"
            self.deviate("frequency_khz", wanted, reason, "no-permission")
            return
        got = max(int(_words(path)[0]) for path in self._clocks)
        if not wanted * (1 - CLOCK_STEP) <= got <= wanted:
            self.deviate("frequency_khz", wanted, f"scaling_max_freq says {got} kHz after the cap", "not-held")
        self.hold("frequency_khz", wanted, got, "scaling_max_freq")

    def _undo(self) -> None:
        for path, content in self._clocks.items():
            try:
                path.write_text(content, encoding="ascii")
            except OSError as error:
                if path.read_text(encoding="ascii") != content:
                    reason = f"{path} could not be set back to {content.strip()}: {error.strerror}"
                    self.deviate("frequency_khz", self._settings.frequency_khz, reason, "no-permission")
        self._clocks.clear()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _end_cleanly(self) -> None:
        """Let the signals that would end this process at once unwind it instead, as Ctrl-C does."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, _unwind) for number in _ENDING}


def _unwind(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
