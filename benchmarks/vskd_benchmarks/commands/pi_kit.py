"""The command ``vskd pi-kit``. Progress on stderr, what was made on stdout."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.terminal import say
from vskd.errors import ConfigError
from vskd_benchmarks.pi_kit.boards import BOARDS, PYTHONS, board_for


@click.command(name="pi-kit", epilog="Example: vskd pi-kit wrist.bundle --out pi.tar.gz --python 3.13")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Write the kit here, NAME.tar.gz.")
@click.option(
    "--machine",
    type=click.Choice(list(BOARDS)),
    default="aarch64",
    help="Output of `uname -m` on the board.",
)
@click.option(
    "--python", type=click.Choice(PYTHONS), default="3.11", help="Output of `python3 --version` on the board."
)
@click.option("--overwrite", is_flag=True, help="Replace a kit that is there.")
def pi_kit(bundle: Path, out: Path, machine: str, python: str, overwrite: bool) -> None:
    """Pack a bundle for a Raspberry Pi without a network.

    The kit holds all that the board needs to test and measure it.
    """
    from vskd_benchmarks.pi_kit.kit import make_kit
    from vskd_benchmarks.pi_kit.wheels import check_tools, clone_of

    try:
        board = board_for(machine, python)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    check_tools()
    kit = make_kit(
        bundle,
        out,
        board=board,
        python=python,
        clone=clone_of(),
        overwrite=overwrite,
        progress=lambda sentence: say(sentence, err=True),
    )
    say(f"{kit.path}: {kit.size_bytes / 1e6:.1f} MB, sha256 {kit.sha256}")
    say(f"holds {bundle.name}, {', '.join(kit.wheels)}")
    say(f"On the board: tar xf {kit.path.name} && sh {kit.folder}/install-and-run.sh")
