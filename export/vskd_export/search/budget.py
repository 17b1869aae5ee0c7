"""What a device has: multiply-accumulates per window, bytes of flash, bytes of memory to run in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from vskd.errors import ConfigError

_UNITS = {"": 1, "B": 1, "kB": 1000, "KB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")


@dataclass(frozen=True)
class Costs:
    """What a student costs, measured on its int8 ``.tflite``.

    Attributes
    ----------
    macs : multiply-accumulates of one window
    flash_bytes : the file
    arena_bytes : memory that TensorFlow Lite Micro needs for the whole graph; None where it was not measured
    refused : why TensorFlow Lite Micro does not run it; empty where it does, or where it is not installed
    """

    macs: int
    flash_bytes: int
    arena_bytes: int | None = None
    refused: str = ""

    def __str__(self) -> str:
        arena = "" if self.arena_bytes is None else f", {self.arena_bytes / 1000:.1f} kB arena"
        refused = f", and TensorFlow Lite Micro does not run it ({self.refused})" if self.refused else ""
        return f"{self.macs / 1e6:.3g} MMAC, {self.flash_bytes / 1000:.1f} kB flash{arena}{refused}"


@dataclass(frozen=True)
class Budget:
    """Limits, of which at least one is given.

    Attributes
    ----------
    mmac : million multiply-accumulates of one window
    flash_bytes, arena_bytes : as in ``Costs``
    """

    mmac: float | None = None
    flash_bytes: int | None = None
    arena_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.mmac, self.flash_bytes, self.arena_bytes) == (None, None, None):
            raise ConfigError("a search needs a budget", hint="Give --mmac, --flash or --arena")

    @property
    def name(self) -> str:
        """For files and messages, e.g. ``mmac3-flash160kB-arena32kB``."""
        limits = {"mmac": f"{self.mmac:g}" if self.mmac else ""}
        limits |= {"flash": _short(self.flash_bytes), "arena": _short(self.arena_bytes)}
        return "-".join(f"{key}{value}" for key, value in limits.items() if value)

    def excess(self, costs: Costs) -> dict[str, float]:
        """How far a student is over each limit, as a share of it; 0 or less within."""
        found = {}
        if self.mmac is not None:
            found["mmac"] = costs.macs / 1e6 / self.mmac - 1
        if self.flash_bytes is not None:
            found["flash"] = costs.flash_bytes / self.flash_bytes - 1
        if self.arena_bytes is not None:
            # One that does not run at all is as bad as one of twice the size.
            over = 1.0 if costs.refused else -1.0
            found["arena"] = over if costs.arena_bytes is None else costs.arena_bytes / self.arena_bytes - 1
        return found

    def fits(self, costs: Costs) -> bool:
        """Whether a student is within every limit."""
        return max(self.excess(costs).values()) <= 0


def parse_bytes(text: str) -> int:
    """Bytes of ``160kB``, ``64KB`` (1000 bytes each), ``64KiB`` (1024), ``1MB``, ``1MiB``, or of a plain number.

    Raises
    ------
    ConfigError : anything else, or no whole number of bytes above 0
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2] not in _UNITS:
        raise ConfigError(
            f"a size is a number of bytes, or has a unit of {', '.join(filter(None, _UNITS))}, got {text!r}",
            hint="For example 160kB",
        )
    size = float(match[1]) * _UNITS[match[2]]
    if size < 1 or not size.is_integer():
        raise ConfigError(f"a size is a whole number of bytes above 0, got {text!r} = {size:g} bytes")
    return int(size)


def parse_mmac(text: str) -> float:
    """Million multiply-accumulates: a finite number above 0.

    Raises
    ------
    ConfigError : anything else
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"a budget of multiply-accumulates is a number of millions above 0, got {text!r}")
    return value


def _short(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size // 1000}kB" if size % 1000 == 0 else f"{size}B"
