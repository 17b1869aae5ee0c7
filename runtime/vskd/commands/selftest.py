"""``vskd selftest``: whether a bundle works on this machine as it did at export."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.input_option import InputOption
from vskd.errors import BundleError

if TYPE_CHECKING:
    from vskd.sources.feed import Source


@click.command(epilog="Example: vskd selftest wrist.bundle --input recording.csv")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "source",
    default=None,
    help="Also check the rate and unit of a CSV, an NPZ, standard input (-) or a sensor (i2c:lsm6dsox, see vskd run).",
)
@click.option("--unit", type=click.Choice(["g", "m/s^2"]), default=None, help="Unit of ax, ay, az.  [default: g]")
@click.option("--axes", default="x,y,z", help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
def selftest(bundle: Path, source: str | None, unit: str | None, axes: str) -> None:
    """Try every stage on this machine, one line each; exit code 1 if one fails."""
    from vskd.bundle import Bundle
    from vskd.checks.selftest import selftest as try_stages

    option = InputOption(source or "", unit=unit)
    option.check_options()
    with ExitStack() as resources:
        samples: Source | None = None
        if source:
            contract = Bundle.open(bundle).contract
            option.check_contract(contract)
            samples = option.open(
                contract, waiting=lambda _: None, note=partial(click.echo, err=True), resources=resources
            )
        results = try_stages(bundle, source=samples, unit=option.sample_unit, axes=axes)
    for result in results:
        click.echo(f"{'ok' if result.passed else 'FAILED':6} {result.stage:9} {result.detail}".rstrip())
        if result.problem:
            click.echo(f"{'':16} {result.problem}")
    failed = sum(not result.passed for result in results)
    if failed:
        raise BundleError(
            f"{failed} of {len(results)} stages failed on this machine", hint="`vskd doctor` names what it lacks"
        )
