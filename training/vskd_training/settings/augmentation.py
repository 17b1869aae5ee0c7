"""``[augment]``: how far the student's windows may be changed in training, see ``data.augment``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from vskd.errors import ConfigError

#: A sensor whose clock is further off than this is broken, and the stream's check of the rate names it.
_LARGEST_CLOCK_SKEW = 0.2


@dataclass(frozen=True)
class Augmentation:
    """How far a window may be changed; 0 turns each change off.

    Attributes
    ----------
    rotation_rad : largest angle by which the sensor's frame is turned about a random axis (a strap worn otherwise)
    scale : standard deviation of a factor on all axes around 1 (a stronger subject, a miscalibrated sensor)
    jitter_g : standard deviation of white noise, g
    crop : largest part of the window cut off at its ends; the rest is stretched over the window
    time_warp : largest relative change of the local tempo
    mixup : alpha of the Beta distribution (Zhang et al., ICLR 2018)
    clock_skew : largest relative error of the time between two samples, the same throughout a window
    sample_dropout : largest mean share of a window's samples that are lost; they are interpolated linearly, as the
        stream does
    sample_dropout_run : largest number of samples lost in a row
    handedness_flip : probability that a window is worn on the other wrist, see ``data.augment``
    handedness_flip_axis : the axis that changes its sign there: ``x`` for a watch that is turned to be read on either
        wrist
    """

    rotation_rad: float = 0.35
    scale: float = 0.1
    jitter_g: float = 0.03
    crop: float = 0.1
    time_warp: float = 0.1
    mixup: float = 0.2
    clock_skew: float = 0.0
    sample_dropout: float = 0.0
    sample_dropout_run: int = 5
    handedness_flip: float = 0.0
    handedness_flip_axis: Literal["x", "y", "z"] = "x"

    RETIRED: ClassVar[Mapping[str, str]] = {
        "rate": "It is called clock_skew now",
        "dropped": "It is called sample_dropout now",
        "dropped_run": "It is called sample_dropout_run now",
        "mirror": "It is called handedness_flip now",
        "mirror_axis": "It is called handedness_flip_axis now",
    }

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "handedness_flip_axis" and value < 0:
                raise ConfigError(f"augment.{item.name} must not be negative, got {value}")
        if self.crop >= 0.9 or self.time_warp >= 0.5:
            raise ConfigError(
                f"augment.crop must stay below 0.9 and time_warp below 0.5, got {self.crop} and {self.time_warp}"
            )
        limits = {"clock_skew": _LARGEST_CLOCK_SKEW, "sample_dropout": 0.5, "handedness_flip": 1.0}
        for name, limit in limits.items():
            if getattr(self, name) > limit:
                raise ConfigError(f"augment.{name} must be at most {limit:g}, got {getattr(self, name)}")
        if self.sample_dropout_run < 1:
            raise ConfigError(
                "augment.sample_dropout_run must be at least 1, got 0", hint="augment.sample_dropout = 0 turns it off"
            )
