"""Options that several commands have. Only click is imported here."""

from __future__ import annotations

from pathlib import Path

import click

CONFIG = click.option(
    "--config", "config_file", required=True, help="A preset (see `vskd presets`), a TOML file, or a run's folder."
)
SET = click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Override a key: gaf.size=96.")
ROOT = click.option(
    "--root", type=click.Path(path_type=Path), default=None, help="Folder of the data set; a run remembers its own."
)
CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("build/cache"),
    show_default=True,
    help="Folder for prepared recordings.",
)
SEED = click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of joined streams: order of the recordings, pauses, noise.",
)
PAUSE = click.option(
    "--pause",
    nargs=2,
    type=float,
    default=(3.0, 8.0),
    show_default=True,
    metavar="SHORTEST LONGEST",
    help="Pauses between joined recordings, s.",
)
