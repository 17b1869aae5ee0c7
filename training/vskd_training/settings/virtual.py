"""``[virtual]``: virtual sensors on skeletons as further training windows, see ``data.virtual_windows``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vskd.errors import ConfigError


@dataclass(frozen=True)
class VirtualConfig:
    """Virtual windows beside the real ones in a student's training. For ``view = "joints"``.

    Attributes
    ----------
    per_real : virtual windows in a batch for each real one; 0 turns them off
    without_sensor : training subjects of whom only the skeleton is used; their real windows are not used
    sensor_count : instead of names, so many of the training subjects have a sensor, drawn as ``labels.count`` is
    """

    per_real: float = 0.0
    without_sensor: tuple[str, ...] = ()
    sensor_count: int = 0

    DROPPED: ClassVar[Mapping[str, float]] = {
        "torso_m": 0.4, "strap_rad": 0.35, "length": 0.1, "bias_g": 0.03, "noise_g": 0.02,
    }  # fmt: skip
    RETIRED: ClassVar[Mapping[str, str]] = {
        "both_sides": "It was removed: no study used it",
        **dict.fromkeys(DROPPED, "It was removed: no study changed it"),
    }

    def __post_init__(self) -> None:
        for name in ("per_real", "sensor_count"):
            if getattr(self, name) < 0:
                raise ConfigError(f"virtual.{name} must not be negative, got {getattr(self, name)}")
        if self.per_real > 8:
            raise ConfigError(f"virtual.per_real must be 8 at most, got {self.per_real}")
        if self.without_sensor and self.sensor_count:
            raise ConfigError(
                "virtual.without_sensor and sensor_count exclude each other", hint="Name the subjects, or draw them"
            )
        if (self.without_sensor or self.sensor_count) and not self.per_real:
            raise ConfigError("subjects without a sensor need virtual windows", hint="Set virtual.per_real above 0")
