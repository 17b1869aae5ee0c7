"""``vskd verify``: whether the bundle is whole, and whether this machine gives its golden answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.terminal import say
from vskd.engines import ENGINE_NAMES
from vskd.errors import BundleError

if TYPE_CHECKING:  # numpy is slow to import, and `--help` needs none
    from vskd.bundle import Bundle
    from vskd.checks.selftest import Check


@click.command(epilog="Example: vskd verify wrist.bundle")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--engine", type=click.Choice(ENGINE_NAMES), default=None, help="Only this one.  [default: every one installed]"
)
@click.option(
    "--key", type=click.Path(path_type=Path), default=None, help="Public key (PEM) of whoever must have signed it."
)
def verify(bundle: Path, engine: str | None, key: Path | None) -> None:
    """Check that a bundle is whole and answers here as it should.

    Every file's hash is checked, and the golden windows and streams are replayed in the engines of this machine.
    """
    from vskd.bundle import Bundle
    from vskd.checks.selftest import selftest

    opened = Bundle.open(bundle)
    for sentence in opened.degraded:
        say(f"{'note':6} DEGRADED, accepted at export: {sentence}")
    if key is not None:
        print_checks(_signature(opened, key))
    elif opened.is_signed:
        say(f"{'note':6} signed; --key PUBLIC.pem checks by whom")
    print_checks(selftest(opened, engine=engine))


def _signature(opened: Bundle, key: Path) -> Iterator[Check]:
    from vskd.checks.selftest import Check
    from vskd.transport.signature import signature_problem

    yield Check("signature", f"by the owner of {key}", signature_problem(opened, key))


def print_checks(checks: Iterable[Check]) -> None:
    """Print a line per check as soon as it is made.

    Raises
    ------
    BundleError : one failed
    """
    problems = []
    for check in checks:
        say(f"{'FAILED' if check.problem else 'ok':6} {check.stage:9} {check.detail}".rstrip())
        if check.problem:
            say(f"{'':16} {check.problem}")
        problems.append(check.problem)
    if any(problems):
        raise BundleError(
            f"{len(problems) - problems.count('')} of {len(problems)} checks failed on this machine",
            hint="The lines above say which; `vskd doctor` names what this machine lacks",
        )
