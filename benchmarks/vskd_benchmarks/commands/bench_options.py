"""The options of ``vskd bench`` as one record, and the settings of a run that follow from them.

Options that contradict each other are refused here, before anything is read or measured.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # what measures is imported when something is measured, so that `vskd --help` stays quick
    from vskd_benchmarks.device.energy import EnergySettings
    from vskd_benchmarks.device.profiles import Profile
    from vskd_benchmarks.measure.settings import Mode, Settings

#: Options that bear on energy.
_ENERGY = ("meter_later", "battery_wh", "duty_cycle")


@dataclass(frozen=True)
class Options:
    """As typed; None where an option was not given."""

    bundles: tuple[Path, ...]
    mode: Mode | None
    engines: tuple[str, ...]
    recipes: tuple[str, ...]
    threads: int
    profile: str | None
    rate_hz: float | None
    duration_s: float | None
    meter_later: bool
    battery_wh: float | None
    duty_cycle: float | None
    quick: bool
    comparison: bool | None
    out: Path | None
    overwrite: bool

    def refuse(self, *names: str, because: str) -> None:
        """Refuse options that were given and mean nothing here."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value is not False:  # 0.0 was given
                raise click.UsageError(f"--{name.replace('_', '-')} {because}")

    def settings(self) -> Settings:
        """What to measure.

        Raises
        ------
        click.UsageError : options that contradict each other
        ConfigError : an unknown profile
        """
        from vskd_benchmarks.measure.settings import Settings

        energy = self._energy()
        if not self.bundles:
            raise click.UsageError("Missing argument 'BUNDLE...': which bundle to measure, e.g. wrist.bundle")
        profile = self._profile()
        mode = self._mode
        if mode == "single-stream":
            way_out = "means nothing in mode single-stream; add --mode paced or --mode soak"
            self.refuse("rate_hz", "duration_s", because=way_out)
        return Settings(
            self.bundles,
            engines=self.engines,
            recipes=self.recipes,
            threads=_threads(self.threads, profile),
            mode=mode,
            rate_hz=self.rate_hz,
            duration_s=self.duration_s,
            quick=self.quick,
            comparison=mode == "single-stream" and profile is None if self.comparison is None else self.comparison,
            command=shlex.join(["vskd", *sys.argv[1:]]),
            profile=profile,
            energy=energy,
        )

    @property
    def _mode(self) -> Mode:
        return self.mode or ("single-stream" if self.profile is None else "paced")

    def _profile(self) -> Profile | None:
        from vskd_benchmarks.device.profiles import read_profile

        return None if self.profile is None else read_profile(self.profile)

    def _energy(self) -> EnergySettings | None:
        """How energy is measured and used; None for a run without it."""
        from vskd_benchmarks.device.energy import EnergySettings

        if self._mode == "single-stream":
            self.refuse(
                *_ENERGY,
                because="means nothing in mode single-stream, which computes each window three ways; "
                "add --mode soak (the smallest uncertainty) or --mode paced (with wake-ups)",
            )
            return None
        if self.profile is None and not any(getattr(self, name) for name in _ENERGY):
            return None
        return EnergySettings(self.meter_later, self.battery_wh, self.duty_cycle or 1.0)


def _threads(asked: int, profile: Profile | None) -> int:
    if profile is not None and asked > profile.settings.cores:
        cores = profile.settings.cores
        raise click.UsageError(
            f"--threads {asked} contradicts --profile {profile.name}, which has {cores} "
            f"core{'s' if cores > 1 else ''}; leave one of them out"
        )
    return asked
