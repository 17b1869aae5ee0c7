"""Write the pages that are made from the code: ``python docs/generate.py``.

``cli.md`` comes from the help of every command, ``api.md`` from signatures and docstrings, ``config.md`` from those of
the settings. A test holds the pages equal to what this writes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

import vskd
from vskd import errors
from vskd.cli import vskd as command_line
from vskd.engines import Engine
from vskd.stream import Health
from vskd.wearer.profile import Profile
from vskd_export.package.report import ExportReport
from vskd_training.evaluation.evaluate import Evaluation, Threshold
from vskd_training.runs.run import Run
from vskd_training.settings.described import sections

FOLDER = Path(__file__).resolve().parent
MADE = "<!-- Made by `python docs/generate.py`; do not edit. -->\n"

API = """
# Python interface

What `import vskd` gives, and what comes out of it. `Place` is a file or folder: `str | os.PathLike[str]`.
[Python](python.md) shows how the parts are used together.
"""
CLI = """
# Commands

`vskd COMMAND --help` prints the same. Exit codes: 0 success, 1 an error that the user can fix, 2 misuse, 130 Ctrl-C.
"""

CONFIG = """
# Config

Every key of a config, with its values and its default. `vskd presets` lists the configs that come with vskd, and
`vskd config show NAME` prints one; `--set section.key=value` changes a key.
[Training](training.md) says which to change.
"""

#: Heading -> what stands under it.
PARTS: dict[str, tuple[Callable[..., Any], ...]] = {
    "From recordings to a bundle": (vskd.train, vskd.evaluate, vskd.export),
    "On the device": (vskd.Classifier, vskd.Event, vskd.Bundle, vskd.Contract),
    "What they return": (Run, Evaluation, Threshold, ExportReport, Health, Profile, Engine),
}


def files() -> dict[Path, str]:
    """Every page that is made: place -> content."""
    return {FOLDER / "api.md": api_page(), FOLDER / "cli.md": cli_page(), FOLDER / "config.md": config_page()}


def api_page() -> str:
    """The public names with signatures and docstrings."""
    lines = [MADE, API.strip(), ""]
    for heading, members in PARTS.items():
        lines += [f"## {heading}", ""]
        for member in members:
            lines += _described(member)
    lines += ["## Errors", "", *_markdown(inspect.getdoc(errors) or "")]
    return "\n".join(lines).rstrip() + "\n"


def _described(member: Callable[..., Any]) -> Iterator[str]:
    public = vars(vskd).get(member.__name__) is member
    name = f"vskd.{member.__name__}" if public else member.__name__
    yield from (f"### {name}", "")
    if not public:
        yield from (f"In `{member.__module__}`.", "")
    if not inspect.isclass(member):
        yield from (*_signature(member, name), *_markdown(inspect.getdoc(member) or ""))
        return
    yield from _markdown(inspect.getdoc(member) or "")
    for key, value in vars(member).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if key.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        yield from (f"#### {member.__name__}.{key}", "")
        if not isinstance(value, property):
            yield from _signature(function, f"{member.__name__}.{key}")
        yield from _markdown(inspect.getdoc(function) or "")


def _signature(function: Callable[..., Any], name: str) -> Iterator[str]:
    """The call in a fence; annotations are the source's own words."""
    shown = inspect.signature(function)
    words, only_by_name = [], False
    for parameter in shown.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not only_by_name:
            only_by_name = True
            words.append("*")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        words.append(f"{parameter.name}: {parameter.annotation}{default}")
    line = f"{name}({', '.join(words)}) -> {shown.return_annotation}"
    if len(line) > 100:
        line = "\n".join([f"{name}(", *(f"    {word}," for word in words), f") -> {shown.return_annotation}"])
    yield from ("```python", line, "```", "")


def _markdown(text: str) -> Iterator[str]:
    """A docstring of numpydoc as Markdown: sections in bold, entries as lists, drawings and examples in fences."""
    lines = text.split("\n")
    blocks = [list(block) for empty, block in groupby(lines, key=lambda line: not line.strip()) if not empty]
    drawn = False
    for block in blocks:
        if block == ["::"]:
            drawn = True
        elif drawn and all(line.startswith("    ") for line in block):
            yield from ("```text", *(line[4:] for line in block), "```", "")
            drawn = False
        else:
            yield from _section(block)


def _section(block: Sequence[str]) -> Iterator[str]:
    """A paragraph, or a heading with what stands under it."""
    if len(block) < 2 or set(block[1]) != {"-"}:
        yield from (*map(_plain, block), "")
        return
    heading, entries = block[0], block[2:]
    yield from (f"**{heading}**", "")
    if entries and entries[0].startswith(">>>"):
        yield from ("```python", *(line.removesuffix("  # doctest: +SKIP") for line in entries), "```")
    elif heading in ("Returns", "Yields"):
        yield from map(_plain, entries)
    else:
        yield from map(_entry, entries)
    yield ""


def _entry(line: str) -> str:
    """One line of a section: ``name : meaning`` or names alone begin an item, indented lines go on with it."""
    name, colon, meaning = line.partition(" : ")
    if line.startswith("    "):
        return f"  {_plain(line.strip())}"
    return f"- `{name}`: {_plain(meaning)}" if colon else f"- {_plain(line)}"


def _plain(text: str) -> str:
    """Text whose signs are no Markdown; what stands between backticks is code."""
    parts = text.replace("``", "`").split("`")
    parts[::2] = [re.sub(r"([*<\\])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def cli_page() -> str:
    """Every command with its options."""
    lines = [MADE, CLI.strip(), ""]
    for path, command in _commands(click.Context(command_line, info_name="vskd"), command_line):
        lines += [f"## {path}", "", *_command(path, command)]
    return "\n".join(lines).rstrip() + "\n"


def _commands(context: click.Context, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        path = f"{context.command_path} {name}"
        yield path, command
        if isinstance(command, click.Group):
            yield from _commands(click.Context(command, info_name=name, parent=context), command)


class _List(click.HelpFormatter):
    """Click's sections as lists of Markdown, whatever a command puts into them."""

    def write_heading(self, heading: str) -> None:
        self.write(f"**{heading}**\n\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        for name, meaning in rows:
            if not name.endswith("--help"):
                self.write(f"- `{name}`: {_plain(meaning)}\n")


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path, color=False, show_default=True)
    yield from (_plain(inspect.cleandoc(command.help or "").replace("\b\n", "")), "")
    yield from ("```text", " ".join([path, *command.collect_usage_pieces(context)]), "```", "")
    # As wide as it takes: the summaries of a group's commands are not cut.
    options = _List(width=10_000)
    command.format_options(context, options)
    listed = options.getvalue().strip()
    if not listed.endswith("**Options**"):
        yield from (listed, "")
    word, _, examples = inspect.cleandoc(command.epilog or "").replace("\b\n", "").partition(":")
    if examples:
        lines = (line.strip() for line in re.split(r"; |\n", examples.strip()))
        yield from (f"{word}:", "", "```text", *lines, "```", "")


def config_page() -> str:
    """Every section of the config with its keys."""
    lines = [MADE, CONFIG.strip(), ""]
    for name, meaning, keys in sections():
        lines += [f"## [{name}]" if name else "## Above all sections", "", _plain(meaning), ""]
        for key in keys:
            default = f", default `{key.default}`" if key.default else ""
            lines.append(f"- `{key.name}` ({_plain(key.kind)}{default}): {_plain(key.meaning)}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the pages."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
