"""The commands ``page`` and ``serve``. Only click is imported here; numpy loads inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.input_option import LAYOUT, InputOption, trained_layout
from vskd.commands.terminal import say

if TYPE_CHECKING:
    from contextlib import ExitStack

    from vskd.bundle import Bundle
    from vskd.sources.csv import Chunk
    from vskd_export.ports.page.broadcast import Broadcast
    from vskd_export.ports.page.server import PageServer

_WASM = click.option(
    "--wasm/--no-wasm",
    default=None,
    help="Compile the network to WebAssembly, several times as fast.  [default: where clang and lld are installed]",
)

_EVERYWHERE = ("0.0.0.0", "::")


@click.command(epilog="Example: vskd page wrist.bundle --out site && python -m http.server --directory site")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace a page that is there.")
@_WASM
def page(bundle: Path, out: Path, overwrite: bool, wasm: bool | None) -> None:
    """Write a bundle as a page for a phone's browser.

    They are files for any web server; the page can be installed, and works offline.

    Browsers give motion to secure pages only: https, or the machine itself.
    """
    from vskd.bundle import Bundle
    from vskd.errors import BundleError
    from vskd.writing import disk_errors, refuse_replacing, write_folder
    from vskd_export.ports.page.files import WORKER, page_files
    from vskd_export.ports.page.model import model_of

    opened = Bundle.open(bundle)
    opened.refuse_within(out)
    refuse_replacing(out, mark=WORKER, what="page", kind=BundleError, overwrite=overwrite)
    files = page_files(model_of(opened, compiles=_compiles(wasm)))
    with disk_errors(out, BundleError, hint="Nothing was left behind"):
        write_folder(out, files, replace=overwrite)
    say(f"page: {out}, {len(files)} files, {sum(map(len, files.values())) / 1e6:.2f} MB")


@click.command(epilog="Example: vskd serve wrist.bundle --host 0.0.0.0 --https --clips recordings")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for a phone.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--https", is_flag=True, help="Sign a certificate for it; the browser asks once whether to trust it.")
@click.option("--name", "names", multiple=True, help="A further name by which browsers may call it.")
@click.option("--clips", type=click.Path(path_type=Path), default=None, help="Folder that takes recorded clips.")
@click.option("--input", "source", default=None, help="Show this source in the page, as vskd run reads it.")
@click.option("--follow", is_flag=True, help="The CSV of --input is still being written.")
@click.option(
    "--unit", type=click.Choice(["g", "m/s^2"]), default=None, help="Unit of --input.  [default: as vskd run]"
)
@click.option("--axes", default=None, help="The axes of --input: the sensor's for each of the contract's, '-y,x,z'.")
@LAYOUT
@_WASM
def serve(
    bundle: Path,
    host: str,
    port: int,
    https: bool,
    names: tuple[str, ...],
    clips: Path | None,
    source: str | None,
    follow: bool,
    unit: str | None,
    axes: str | None,
    layouts: tuple[str, ...],
    wasm: bool | None,
) -> None:
    """Serve a bundle's page until Ctrl-C.

    To this machine alone, unless --host says otherwise.

    The page records clips into --clips, and shows the source --input, for whoever opens it by the address that is
    printed: its token is asked for both.
    """
    import threading
    from contextlib import ExitStack, suppress

    from vskd.bundle import Bundle

    option = InputOption(source or "", follow, unit=unit, axes=axes, layouts=layouts)
    if source:
        option.check_options()
    opened = Bundle.open(bundle)
    if clips:
        opened.refuse_within(clips)
    with ExitStack() as resources:
        live, chunks = _live(option, opened, resources) if source else (None, ())
        server = resources.enter_context(_server(opened, host, port, https, names, clips, live, _compiles(wasm)))
        if live:
            threading.Thread(target=live.run, args=[chunks], daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    say("stopped", err=True)


def _compiles(wanted: bool | None) -> bool:
    """Whether the network is compiled: as wanted, or where it can be, which is said."""
    from vskd_export.ports.page.wasm import missing_tools

    missing = " and ".join(missing_tools())
    if missing and wanted:
        raise click.UsageError(f"--wasm needs {missing}, which is not installed")
    if missing and wanted is None:
        say(f"the page computes the network in JavaScript, slower: {missing} is not installed", err=True)
    return not missing and wanted is not False


def _live(option: InputOption, bundle: Bundle, resources: ExitStack) -> tuple[Broadcast, Iterable[Chunk]]:
    """The source, and its samples as they come; a recording at its own speed, once somebody listens."""
    from dataclasses import replace

    from vskd_export.ports.page.broadcast import Broadcast

    option = option if option.is_live else replace(option, replay_speed=1.0)
    note = partial(say, err=True)
    found = option.open(
        bundle.contract, waiting=lambda _: None, note=note, resources=resources, trained_on=trained_layout(bundle)
    )
    live = Broadcast(unit=found.unit, axes=found.axes, time_unit=found.samples.time_unit, waits=not option.is_live)
    return live, option.chunks(found.samples)


def _server(
    bundle: Bundle,
    host: str,
    port: int,
    https: bool,
    names: tuple[str, ...],
    clips: Path | None,
    live: Broadcast | None,
    compiles: bool,
) -> PageServer:
    """A server that listens, after saying how it is reached."""
    import secrets

    from vskd.errors import ConfigError
    from vskd_export.ports.page.addresses import LOOPBACK, own_addresses, written
    from vskd_export.ports.page.certificate import self_signed
    from vskd_export.ports.page.clips import ClipFolder
    from vskd_export.ports.page.files import page_files
    from vskd_export.ports.page.model import model_of
    from vskd_export.ports.page.server import Offer, PageServer

    folder = ClipFolder(clips) if clips else None
    if folder:
        folder.check()
    reached = own_addresses() if host in _EVERYWHERE else [host]
    known = frozenset(written(one) for one in (*LOOPBACK, *reached, *names))
    files = page_files(
        model_of(bundle, served={"clips": folder is not None, "live": live.how if live else None}, compiles=compiles)
    )
    offer = Offer(files, known, secrets.token_urlsafe(16), folder, live)
    try:
        server = PageServer((host, port), offer, tls=self_signed(sorted(known)) if https else None)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}, port {port}: {error.strerror}", hint="Give others") from error
    scheme, port = "https" if https else "http", server.server_address[1]
    for one in reached:
        say(f"{scheme}://{written(one)}:{port}/#token={offer.token}")
    for sentence in _how_from_a_phone(host, https):
        say(sentence, err=True)
    return server


def _how_from_a_phone(host: str, https: bool) -> Iterator[str]:
    if host in ("localhost", "127.0.0.1", "::1"):
        yield "Only this machine reaches it. For a phone in the same network: --host 0.0.0.0 --https"
    elif not https:
        yield "A phone that opens it gets no motion from its browser, which wants https: add --https"
    else:
        yield "Open the address on a phone in the same network. It warns of the certificate, which this machine signed."
    yield "Ctrl-C stops it"
