"""Device profiles: the limits that hold a machine to those of a watch or a board, with the source of every figure.

A profile is one closed TOML file in ``device_profiles/``. It gives the limits of the machine (cores, clock, memory,
pace), which machine it really is and which board may stand in for it, what its battery holds, and the power of one of
its cores for the energy model. Every figure names its source; what was not found is not there, and what is assumed is
marked so. ``device.confinement`` applies a profile. A profile never turns the figures of one machine into
another's: ``relation_to`` tells which machine was measured.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vskd.closed import from_mapping
from vskd.errors import ConfigError, did_you_mean

FOLDER = Path(__file__).parent / "device_profiles"

#: What a machine is to a profile: the device, a board that the profile accepts in its place, or another machine.
Relation = Literal["itself", "stand-in", "other"]


@dataclass(frozen=True)
class Source:
    """Where a figure comes from.

    Attributes
    ----------
    kind : ``stated`` by who makes it, ``reported`` by others, ``kernel`` (Linux source), or an ``assumption``
    text : title, or the reason of an assumption
    url : of the page or file; empty for an assumption
    """

    kind: Literal["stated", "reported", "kernel", "assumption"]
    text: str
    url: str = ""


@dataclass(frozen=True)
class MachineNames:
    """How machines call themselves in the device tree (``/proc/device-tree/model``), by the start of the name.

    Attributes
    ----------
    boards : the device itself
    stand_ins : boards that may stand in for it
    """

    boards: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProfileSettings:
    """The limits of the machine.

    Attributes
    ----------
    cores : that a measured process may run on
    frequency_khz : highest clock of these cores
    memory_bytes : ceiling of a measured process
    rate_hz : windows a second in mode paced
    """

    cores: int
    frequency_khz: int
    memory_bytes: int
    rate_hz: float


@dataclass(frozen=True)
class PowerModel:
    """The dynamic power of a computing core, ``coefficient * f * V**2``, as Linux's energy model has it.

    Attributes
    ----------
    coefficient_uw_per_mhz_v2 : ``dynamic-power-coefficient`` of the device tree
    core_v : voltage of the core at the profile's clock
    wake_up_us : that a core needs to leave its idle state and to enter it again
    """

    coefficient_uw_per_mhz_v2: float
    core_v: float
    wake_up_us: float


@dataclass(frozen=True)
class Battery:
    """The battery: its ``capacity_wh``."""

    capacity_wh: float


@dataclass(frozen=True)
class Profile:
    """A device.

    Attributes
    ----------
    name, title : for the command line, and in reports
    note : what to know before comparing
    machine, settings, model, battery : see their classes; None where nothing is known
    sources : of every figure, by ``table.key``
    """

    name: str
    title: str
    note: str
    machine: MachineNames
    settings: ProfileSettings
    model: PowerModel | None = None
    battery: Battery | None = None
    sources: dict[str, Source] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Every figure by ``table.key``."""
        found: dict[str, float] = {}
        for table in ("settings", "model", "battery"):
            record = getattr(self, table)
            found |= {} if record is None else {f"{table}.{key}": value for key, value in vars(record).items()}
        return found

    @property
    def core_active_w(self) -> float | None:
        """Dynamic power of one computing core at the profile's clock, W; None without a model."""
        if self.model is None:
            return None
        megahertz = self.settings.frequency_khz / 1000
        return self.model.coefficient_uw_per_mhz_v2 * megahertz * self.model.core_v**2 / 1e6

    @property
    def wake_up_j(self) -> float | None:
        """Energy of one wake-up, J: the core's power over the time of the idle state's exit and entry."""
        power_w = self.core_active_w
        return None if self.model is None or power_w is None else power_w * self.model.wake_up_us / 1e6

    def relation_to(self, board: str | None) -> Relation:
        """What a machine is to this profile.

        Parameters
        ----------
        board : model of its device tree; None where it has none
        """
        if board is not None and board.startswith(self.machine.boards):
            return "itself"
        return "stand-in" if board is not None and board.startswith(self.machine.stand_ins) else "other"


def profile_names() -> tuple[str, ...]:
    """Names of all profiles."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def read_profile(name: str) -> Profile:
    """A profile by its name.

    Raises
    ------
    ConfigError : no such profile
    """
    if name not in profile_names():
        raise ConfigError(f"unknown profile {name!r}", hint=did_you_mean(name, profile_names()))
    path = FOLDER / f"{name}.toml"
    return from_mapping(Profile, tomllib.loads(path.read_text(encoding="utf-8")), where=path.name)


def profile_sha256(name: str) -> str:
    """SHA-256 of a profile's file."""
    return hashlib.sha256((FOLDER / f"{name}.toml").read_bytes()).hexdigest()
