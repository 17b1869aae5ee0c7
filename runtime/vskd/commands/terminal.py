"""What commands print. Everything on the way to a terminal comes through here or through ``rich_console``.

Labels, names of files and arrays, and sentences of a bundle come from others: what a terminal would obey in them is
shown as an escape, and a line break in a name does not begin a line.
"""

from __future__ import annotations

import click

from vskd.untrusted.text import shown


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
