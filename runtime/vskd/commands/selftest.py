"""``vskd selftest``: whether a bundle works on this machine as it did at export, and with this sensor."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from vskd.commands.input_option import LAYOUT, Input, InputOption, trained_layout
from vskd.commands.terminal import say
from vskd.commands.verify import print_checks


@click.command(epilog="Example: vskd selftest wrist.bundle --input recording.csv")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    default=None,
    help="Also check the rate and unit of a CSV, an NPZ, standard input (-) or a sensor (i2c:lsm6dsox, see vskd run).",
)
@click.option("--unit", type=click.Choice(["g", "m/s^2"]), default=None, help="Unit of the readings, see vskd run.")
@click.option("--axes", default=None, help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
@LAYOUT
def selftest(bundle: Path, source: str | None, unit: str | None, axes: str | None, layouts: tuple[str, ...]) -> None:
    """Verify a bundle on this machine, and a source of samples.

    Exit code 1 if a check fails.
    """
    from vskd.bundle import Bundle
    from vskd.checks.selftest import selftest as try_all

    option = InputOption(source or "", unit=unit, axes=axes, layouts=layouts)
    option.check_options()
    opened = Bundle.open(bundle)
    with ExitStack() as resources:
        found: Input | None = None
        if source:
            option.check_contract(opened.contract)
            found = option.open(
                opened.contract, waiting=lambda _: None, note=partial(say, err=True), resources=resources,
                trained_on=trained_layout(opened),
            )  # fmt: skip
        given: dict[str, Any] = {"source": found.samples, "unit": found.unit, "axes": found.axes} if found else {}
        print_checks(try_all(opened, **given))
