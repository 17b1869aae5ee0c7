"""Help of every command, as a terminal of eighty columns shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import click
import pytest

from vskd.cli import vskd

ROOT = Path(__file__).resolve().parents[1]


def contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=78)
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from contexts(found, each, context)


ALL = {context.command_path: context for context in contexts(vskd, "vskd")}
GROUPS = [path for path, context in ALL.items() if isinstance(context.command, click.Group)]


@pytest.mark.parametrize("path", GROUPS)
def test_no_summary_is_cut(path):
    commands = ALL[path].get_help().partition("\nCommands:\n")[2].partition("\n\n")[0]
    assert commands
    assert not [line for line in commands.splitlines() if line.endswith("...")]


@pytest.mark.parametrize("path", [path for path, context in ALL.items() if not context.command.hidden])
def test_every_help_has_an_example_that_calls_it(path):
    end = re.sub(r"\s+", " ", ALL[path].get_help()).rpartition(" Example")[2]
    assert path in end or path in GROUPS, end
    assert "vskd" in end


def test_make_help_names_every_target():
    shown = run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("make ")} == set(phony[1].split())
