"""``vskd selftest``: does this machine do with this bundle what the bundle promises."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from vskd.commands.run import Wanted
from vskd.errors import BundleError


@click.command(epilog="Example: vskd selftest wrist.bundle --input recording.csv")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--input", "source", default=None, help="Also check the rate and unit of a CSV or NPZ; '-' reads standard input."
)
@click.option("--unit", type=click.Choice(["g", "m/s^2"]), default="g", help="Unit of ax, ay, az.")
@click.option("--axes", default="x,y,z", help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
def selftest(bundle: Path, source: str | None, unit: str, axes: str) -> None:
    """Try every stage on this machine, one line each; exit code 1 if one fails."""
    from vskd.selftest import selftest as try_stages

    with ExitStack() as resources:
        wanted = Wanted(source, follow=False, replay_speed=None) if source else None
        samples = wanted.open(waiting=lambda _: None, resources=resources) if wanted else None
        results = try_stages(bundle, source=samples, unit=unit, axes=axes)  # type: ignore[arg-type]  # click.Choice
    for result in results:
        click.echo(f"{'ok' if result.passed else 'FAILED':6} {result.stage:9} {result.detail}".rstrip())
        if result.problem:
            click.echo(f"{'':16} {result.problem}")
    failed = sum(not result.passed for result in results)
    if failed:
        raise BundleError(
            f"{failed} of {len(results)} stages failed on this machine", hint="`vskd doctor` says what it lacks"
        )
