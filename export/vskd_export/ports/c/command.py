"""``vskd port``: a bundle as C99."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.terminal import say

if TYPE_CHECKING:
    from vskd_export.ports.c.port import Port


@click.command(epilog="Example: vskd port wrist.bundle --out wrist-c --measure")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace a port that is there.")
@click.option(
    "--examples",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Wearer's examples that the state reserves memory for.",
)
@click.option("--measure", is_flag=True, help="Also compile it for Cortex-M, and run it in an emulator; some minutes.")
def port(bundle: Path, out: Path, overwrite: bool, examples: int, measure: bool) -> None:
    """Write a bundle as C99: samples in, events out.

    The bits are those of TensorFlow Lite Micro.

    The folder holds the core, the model, an example, a self-test with the bundle's golden windows and streams, and a
    README for firmware engineers.
    """
    from vskd.bundle import Bundle
    from vskd.errors import BundleError
    from vskd.writing import disk_errors, refuse_replacing, write_folder
    from vskd_export.ports.c.port import port_of, table_bytes

    opened = Bundle.open(bundle)
    opened.refuse_within(out)
    refuse_replacing(out, mark="vskd_core.h", what="port", kind=BundleError, overwrite=overwrite)
    made = port_of(opened, examples=examples)
    with disk_errors(out, BundleError, hint="Make room, or give another --out"):
        write_folder(out, {name: text.encode() for name, text in made.files.items()}, replace=overwrite)
    say(f"{out}: {made.model} in C; {table_bytes(made.plan) / 1000:.1f} kB of tables, arena {made.arena.size} bytes")
    if measure:
        _measure(made)
    folder, build = shlex.quote(str(out)), shlex.quote(str(out / "build"))
    say(f"Next: cmake -S {folder} -B {build} && cmake --build {build} && ctest --test-dir {build}")
    say(f"Then: {out / 'README.md'}")


def _measure(made: Port) -> None:
    from vskd_export.ports.c.measure import BOARDS, measure

    for board in BOARDS.values():
        found = measure(made, board)
        say(
            f"{found.processor}: flash {found.flash_bytes / 1000:.1f} kB, state {found.state_bytes / 1000:.1f} kB with "
            f"the arena, stack {found.stack_bytes} bytes; instructions of a window: encoder {found.encoder:,}, network "
            f"{found.network:,}, all with the stream {found.per_window:,}; windows equal {found.windows_equal} of "
            f"{found.windows}, events {found.events_equal} of {found.events}"
        )
