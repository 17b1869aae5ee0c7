"""``vskd verify``: whether the bundle is whole, and whether this machine gives its golden answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.engines import ENGINES, is_installed, missing_engine
from vskd.errors import BundleError, VskdError

if TYPE_CHECKING:
    from vskd.bundle import Bundle


@click.command(epilog="Example: vskd verify wrist.bundle")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--engine", type=click.Choice(list(ENGINES)), default=None, help="Only this one.  [default: every one installed]"
)
def verify(bundle: Path, engine: str | None) -> None:
    """Check every file of a bundle, and replay its golden windows and stream in the engines of this machine."""
    from vskd.bundle import Bundle
    from vskd.checks.golden import replay, replay_images
    from vskd.checks.golden_stream import replay_stream
    from vskd.model_contract import contract_problem

    opened = Bundle.open(bundle)
    opened.check()
    click.echo(f"{'ok':6} {len(opened.files)} files, sha256 {opened.sha256()[:16]}")
    for sentence in opened.degraded:
        click.echo(f"{'note':6} DEGRADED, accepted at export: {sentence}")
    inside = [contract_problem(opened, entry) for entry in opened.models]
    for entry, problem in zip(opened.models, inside, strict=True):
        _verdict(problem, f"contract inside {entry.file}")
    pairs = [(name, entry) for name, entry in opened.runnable() if engine in (None, name)]
    if not pairs:
        raise _nothing_to_replay(opened, engine)
    images = replay_images(opened)
    _verdict(images.problem, f"encoder in numpy: {images.windows} images, largest difference "
             f"{images.largest_difference:.1e} ({images.worst_window})")  # fmt: skip
    results = replay(opened, pairs)
    for result in results:
        text = (
            f"{result.entry.file} on {result.engine} {result.version}: {result.windows} windows, "
            f"largest difference {result.largest_difference:.1e} ({result.worst_window}), {result.flips} flips"
        )
        _verdict(result.problem, text)
    streams = replay_stream(opened, pairs)
    for stream in streams:
        text = (
            f"{stream.entry.file} on {stream.engine} {stream.version}: {stream.events} events of the golden stream, "
            f"largest difference {stream.largest_difference:.1e} of a probability"
        )
        _verdict(stream.problem, text)
    checks = [
        *(not problem for problem in inside),
        images.passed,
        *(result.passed for result in results),
        *(stream.passed for stream in streams),
    ]
    failed = checks.count(False)
    if failed:
        raise BundleError(
            f"{failed} of {len(checks)} checks failed on this machine",
            hint="Do not use this bundle here; the lines above name the engine and the model",
        )


def _nothing_to_replay(bundle: Bundle, engine: str | None) -> VskdError:
    if engine is None or not is_installed(engine):
        return missing_engine(engine, purpose="replaying the golden windows")
    held = ", ".join(entry.file for entry in bundle.models)
    return BundleError(f"{bundle.path} has no model for {engine}", hint=f"It holds: {held}")


def _verdict(problem: str, text: str) -> None:
    click.echo(f"{'FAILED' if problem else 'ok':6} {text}" + (f"\n       {problem}" if problem else ""))
