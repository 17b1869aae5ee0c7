"""``vskd bundle``: a bundle as one file, and its signature."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.terminal import say

_BUNDLE = click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))


@click.group("bundle", epilog="Example: vskd bundle pack wrist.bundle && vskd bundle unpack wrist.bundle.zip")
def bundle() -> None:
    """Pack a bundle into one file, unpack it, and sign it."""


@bundle.command("pack", epilog="Example: vskd bundle pack wrist.bundle --out wrist.bundle.zip")
@_BUNDLE
@click.option("--out", type=click.Path(path_type=Path), default=None, help="File to write.  [default: BUNDLE.zip]")
def pack(bundle: Path, out: Path | None) -> None:
    """Write a bundle as one file, after checking every hash.

    The same bundle gives the same bytes.
    """
    from vskd.bundle import Bundle
    from vskd.transport.archive import pack

    place = out or bundle.with_name(f"{bundle.resolve().name}.zip")
    pack(Bundle.open(bundle), place)
    say(f"{place}: {place.stat().st_size / 1e6:.2f} MB", err=True)


@bundle.command("unpack", epilog="Example: vskd bundle unpack wrist.bundle.zip")
@click.argument("packed", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder to make.  [default: as packed]")
def unpack(packed: Path, out: Path | None) -> None:
    """Write the bundle that a packed file holds.

    Every hash is checked first.
    """
    from vskd.transport.archive import unpack

    say(f"bundle: {unpack(packed, out)}", err=True)


@bundle.command("sign", epilog="Example: vskd bundle sign wrist.bundle --key key.pem")
@_BUNDLE
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Private elliptic key in PEM, no password.")
def sign(bundle: Path, key: Path) -> None:
    """Sign every file of a bundle.

    The package model-signing does it; `vskd verify --key` checks it.
    """
    from vskd.bundle import Bundle
    from vskd.transport.signature import sign

    opened = Bundle.open(bundle)
    sign(opened, key)
    say(f"signed: {opened.path}", err=True)
