"""The options that name a source of samples, for ``vskd run`` and ``vskd selftest``: what fits, and what they open."""

from __future__ import annotations

import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.bundle_files import LAYOUT as TRAINED_LAYOUT
from vskd.errors import ConfigError, DataError
from vskd.sources.i2c_sensors import PREFIX, Place
from vskd.untrusted.documents import read_toml

if TYPE_CHECKING:  # numpy is slow to import, and `--help` needs none
    from vskd.bundle import Bundle
    from vskd.contract import Contract, Unit
    from vskd.sources.csv import Chunk
    from vskd.sources.feed import Source
    from vskd.sources.layout import Described
    from vskd.sources.live_text import Waiting

LAYOUT = click.option(
    "--layout",
    "layouts",
    multiple=True,
    metavar="FILE|KEY=VALUE",
    help="How the text of --input is laid out: a dataset.toml (its [layout], unit, axes), or a key: separator=';', "
    "decimal=',', skip_lines=10, comment='#', header=false, time='Time (s)', time_unit=iso, rate_hz=50, x='-gx'.",
)

#: Takes a sentence for the user.
Note = Callable[[str], object]


@dataclass(frozen=True)
class Input:
    """An open source, and what its samples are.

    Attributes
    ----------
    samples : the source
    unit : of the samples
    axes : map of their axes, as ``AxisMap.parse`` takes it
    """

    samples: Source
    unit: Unit
    axes: str


@dataclass(frozen=True)
class InputOption:
    """Where samples come from, as the command line names it.

    Attributes
    ----------
    source : of ``--input``
    follow, replay_speed : as the options
    unit : of ``--unit``; None where it is not given
    in_view : whether ``--view`` draws, which replays a recording at its own speed
    axes : of ``--axes``; None where it is not given
    layouts : of ``--layout``
    """

    source: str
    follow: bool = False
    replay_speed: float | None = None
    unit: str | None = None
    in_view: bool = False
    axes: str | None = None
    layouts: tuple[str, ...] = ()

    @cached_property
    def described(self) -> Described:
        """What ``--layout`` says of the source."""
        from vskd.sources.layout import described

        keys = dict(one.split("=", 1) for one in self.layouts if "=" in one)
        return described([Path(one) for one in self.layouts if "=" not in one], toml_values(keys))

    @property
    def is_sensor(self) -> bool:
        """Whether samples come out of a sensor of this machine."""
        return self.source.startswith(PREFIX)

    @property
    def is_endless(self) -> bool:
        """Whether only a signal ends the source."""
        return self.follow or self.is_sensor

    @property
    def is_live(self) -> bool:
        """Whether samples come while the sensor makes them."""
        return self.is_endless or self.source == "-"

    def check_options(self) -> None:
        """Raise ``click.UsageError`` for options that contradict each other."""
        if self.is_sensor:
            self._place()  # raises for a sensor that does not exist
        if self.is_sensor and self.unit == "g":
            raise click.UsageError(f"the drivers of {PREFIX} sensors give m/s^2; leave out --unit")
        if self.layouts and (self.is_sensor or self.source.endswith(".npz")):
            raise click.UsageError(f"--layout describes text, which {self.source!r} is not")
        if self.follow and self.is_sensor:
            raise click.UsageError(f"--follow waits for more of a CSV file; {self.source} has no end anyway")
        if self.follow and (self.source == "-" or self.source.endswith(".npz")):
            raise click.UsageError(f"--follow waits for more of a CSV file, which {self.source!r} is not")
        if self.is_live and self.replay_speed is not None:
            raise click.UsageError("--replay-speed is for recordings; a live source has its own speed")
        if self.in_view:
            from vskd.commands.view import refuse_without_terminal  # rich is slow to import

            refuse_without_terminal()

    def check_file(self) -> None:
        """Refuse, before a model is loaded, a file that is not there. It is not opened: a named pipe opens only once.

        Raises
        ------
        DataError
        """
        from vskd.sources.live_text import OTHER_FILE

        if self.is_sensor or self.source == "-":
            return
        try:
            mode = Path(self.source).stat().st_mode
        except OSError as error:
            raise DataError(f"cannot read {self.source}: {error.strerror}", hint=OTHER_FILE) from error
        if stat.S_ISDIR(mode):
            raise DataError(f"{self.source} is a folder, and --input is one recording", hint="Give a file in it")

    def check_contract(self, contract: Contract) -> None:
        """Raise ``click.UsageError`` for an endless source where the contract needs a whole recording."""
        if self.is_endless and contract.window.mode == "whole":
            name = self.source if self.is_sensor else "--follow"
            raise click.UsageError(f"{name} has no end, and this bundle decides on whole recordings")

    def _place(self) -> Place:
        try:
            return Place.parse(self.source)
        except ConfigError as error:
            raise click.BadParameter(str(error), param_hint="'--input'") from error

    def open(
        self,
        contract: Contract,
        *,
        waiting: Waiting,
        note: Note,
        resources: ExitStack,
        trained_on: Described | None = None,
    ) -> Input:
        """Open the source and read its header, or set up its sensor for the contract.

        Parameters
        ----------
        contract : of the model
        waiting : see ``Waiting``
        note : takes sentences for the user
        resources : gets what is to be closed
        trained_on : the files that the model was trained on, see ``trained_layout``; text is read like them where no
            option and no header says otherwise
        """
        from vskd.sources.layout import Described, of_first_line

        if self.is_sensor:
            from vskd.sources.i2c import I2cSource

            rate_hz, range_g = contract.window.rate_hz, contract.sensor.range_g
            sensor = I2cSource.open(self._place(), rate_hz=rate_hz, range_g=range_g, waiting=waiting, note=note)
            return self._input(sensor, Described(unit="m/s^2"))
        from vskd.sources.csv import SampleReader
        from vskd.sources.npz import NpzReader

        if self.source.endswith(".npz"):
            return self._input(NpzReader.open(Path(self.source)), Described())
        name = "standard input" if self.source == "-" else self.source
        lines, found = self._lines(waiting), self.described
        if not self.layouts:
            first = next(lines, "")
            found, said = of_first_line(first, trained_on)
            lines = chain([first], lines) if first else lines
            if said and not self.unit:
                note(f"{name}: {said}")
        return self._input(
            SampleReader.open(lines, name=name, layout=found.text, is_live=self.is_live, note=note), found
        )

    def _input(self, samples: Source, found: Described) -> Input:
        unit = self.unit or found.unit or "g"
        axes = self.axes or (found.axes.map if found.axes else "x,y,z")
        return Input(samples, unit, axes)  # type: ignore[arg-type]  # the unit is of a click.Choice

    def _lines(self, waiting: Waiting) -> Iterator[str]:
        from vskd.sources.live_text import followed_lines, pipe_lines
        from vskd.sources.text_file import file_lines

        if self.source == "-":
            return pipe_lines(_standard_input(), waiting=waiting)
        path = Path(self.source)
        return followed_lines(path, waiting=waiting) if self.follow else file_lines(path, name=self.source)

    def chunks(self, samples: Source, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Chunk]:
        """The source's chunks, as fast as they come or at the replay speed."""
        from vskd.sources.feed import paced

        speed = self.replay_speed or (1.0 if self.in_view and not self.is_live else None)
        chunks = samples.chunks(rows=1 if self.is_live or speed else 1024)
        if speed is None:
            return chunks
        return paced(chunks, speed=speed, time_unit=samples.time_unit, sleep=sleep)


def trained_layout(bundle: Bundle) -> Described | None:
    """What the files were that a bundle's model was trained on; None where they were as vskd's own."""
    from vskd.sources.layout import described

    return described([bundle.checked_path(TRAINED_LAYOUT)], {}) if TRAINED_LAYOUT in bundle.files else None


def _standard_input() -> int:
    if sys.stdin is None:
        raise DataError("standard input is closed", hint="Pipe a logger into vskd, or give a CSV file")
    return sys.stdin.fileno()


def toml_values(texts: Mapping[str, str]) -> dict[str, Any]:
    """``{"min_lead": "0.1"}`` -> ``{"min_lead": 0.1}``; what is no value in TOML is text."""
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name.strip()] = read_toml(f"value = {text}")["value"]
        except ValueError:
            values[name.strip()] = text.strip()
    return values
