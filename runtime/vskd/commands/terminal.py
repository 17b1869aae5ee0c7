"""What commands print. Everything on the way to a terminal comes through here or through ``rich_console``.

A command talks to whoever reads its output: text on a terminal, JSON in a pipe or file, or where ``--json`` asks for
it. Labels, names of files and arrays, and sentences of a bundle come from others: what a terminal would obey in them is
shown as an escape, and a line break in a name does not begin a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from vskd.untrusted.text import shown


def example_lines(*commands: str) -> str:
    """The end of a command's help: each example on a line of its own, which is not wrapped."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {command}" for command in commands)])


#: Exit code of a command that Ctrl-C ended before its work was done.
STOPPED = 130

#: Of every command that speaks JSON to programs.
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON also on a terminal; a pipe or file always gets it."
)


def for_people(as_json: bool) -> bool:
    """Whether standard output is read by a person, and ``--json`` was not given."""
    return not as_json and sys.stdout is not None and sys.stdout.isatty()


@contextmanager
def left_at_stop(*sentences: str) -> Iterator[None]:
    """What a Ctrl-C leaves of the work within, and how it goes on; the command ``vskd`` says it last."""
    try:
        yield
    except KeyboardInterrupt as stop:
        for sentence in sentences:
            stop.add_note(sentence)
        raise


def tell(document: Mapping[str, Any], in_words: str, *, as_json: bool) -> None:
    """Print what a command did: in words for a person, else as one line of JSON."""
    if for_people(as_json):
        say(in_words)
    else:
        say_json(document, as_json=as_json)


def say_json(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a document as one line, unless a person reads: the command has told them the same in words."""
    if not for_people(as_json):
        say(json.dumps(document, sort_keys=True))


def say(text: object = "", *, err: bool = False, nl: bool = True, lines: bool = False) -> None:
    """Print one line, escaped.

    Parameters
    ----------
    text : to print
    err : on standard error
    nl : end the line
    lines : the text is a document or table of ours, whose line breaks stay
    """
    click.echo(shown(str(text), lines=lines), err=err, nl=nl)
