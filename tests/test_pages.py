"""README and docs: each link leads somewhere, each command and option of a fenced block exists, README is short."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vskd.cli import vskd

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
#: What stands in a command for something else.
PLACEHOLDER = re.compile(r"\$[A-Z]+|\[\[|\.\.\.")


def prose(page: Path) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each ``vskd`` command in a fenced block; lines that end in a backslash go on."""
    for block in re.findall(r"```\w*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*|\s*[|>&;].*", "", line).strip()
            command = re.sub(r"^(\.venv/bin/|time |VSKD_\w+=\S+ )+", "", command)
            if command.startswith("vskd "):
                yield shlex.split(command)[1:]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "cli.md"], ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in commands(page):
        command: click.Command = vskd
        context = click.Context(vskd)
        rest = [word for word in words if not PLACEHOLDER.search(word)]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(context, rest[0])
            if found is None and command.name == "bench":
                found = command.get_command(context, "measure")  # what is meant where no verb is
            assert found is not None, f"{page.name}: vskd {shlex.join(words)}"
            command, rest = found, rest[1:]
        known = {
            name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word.partition("=")[0] for word in rest if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)}
        assert used <= known, f"{page.name}: vskd {shlex.join(words)}: {used - known}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
