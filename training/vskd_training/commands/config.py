"""The commands ``vskd presets`` and ``vskd config show``: which configs there are, and what is in one."""

from __future__ import annotations

import textwrap

import click

from vskd.commands.terminal import say
from vskd_training.commands.options import SET


@click.command(epilog="Example: vskd presets; vskd train student --config demo --out runs/student")
def presets() -> None:
    """List the configs that come with vskd, for --config."""
    from vskd_training.settings.presets import about, preset_names

    wide = max(len(name) for name in preset_names()) + 2
    for name in preset_names():
        text = " ".join(about(name).split()).partition(". ")[0]
        say(textwrap.fill(text, 79, initial_indent=name.ljust(wide), subsequent_indent=" " * wide), lines=True)


@click.group(epilog="Example: vskd config show folder")
def config() -> None:
    """Show the settings of a training."""


@config.command("show", epilog="Example: vskd config show folder --set student=watch > my.toml")
@click.argument("name", metavar="CONFIG")
@SET
@click.option("--short", is_flag=True, help="Only the keys that differ from their default, without comments.")
def show(name: str, changes: tuple[str, ...], short: bool) -> None:
    """Print a config as TOML: every key with its value and what it means.

    CONFIG is a preset's name, a TOML file, or a run's folder. What is printed is a config file itself.
    """
    from vskd_training.settings import load_config
    from vskd_training.settings.described import toml_text
    from vskd_training.settings.presets import about, preset_names

    found = load_config(name, changes=changes)
    comment = about(name).splitlines() if name in preset_names() else ()
    say(toml_text(found, every=not short, comment=comment).rstrip(), lines=True)
