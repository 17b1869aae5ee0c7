"""``vskd watch``: a bundle as a Wear OS project."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.terminal import say


@click.command(epilog="Example: vskd watch wrist.bundle --out wrist-watch")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace a project that is there.")
@click.option(
    "--examples",
    type=click.IntRange(0),
    default=None,
    help="Wearer's examples that the code holds; 0: none.  [default: 256 if the contract says how they count]",
)
def watch(bundle: Path, out: Path, overwrite: bool, examples: int | None) -> None:
    """Write a bundle as a Wear OS project in Kotlin.

    App, service, self-test, and the core on its own.

    The golden windows are executed for the self-test, which takes some seconds.
    """
    from vskd.bundle import Bundle
    from vskd_export.ports.watch.project import project_of, refuse_existing, write_project

    opened = Bundle.open(bundle)
    opened.refuse_within(out)
    refuse_existing(out, overwrite=overwrite)
    project = project_of(opened, examples=examples)
    write_project(project, out, overwrite=overwrite)
    size = sum(map(len, project.files.values()))
    say(f"{out}: {len(project.files)} files, {size / 1e6:.1f} MB, with the network of {project.model}")
    say(f"Next: open {out} in Android Studio, or follow {out / 'README.md'}; the app's self-test tells on the watch ")
    say("whether every bit is Python's")
