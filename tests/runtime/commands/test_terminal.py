"""What commands say to people and to programs, and at Ctrl-C."""

from __future__ import annotations

import io
import json
import sys

import click
import pytest
from click.testing import CliRunner

from vskd import cli
from vskd.commands.rich_console import say_tables
from vskd.commands.terminal import JSON, for_people, left_at_stop, say_json


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@click.command()
@JSON
def shows(as_json: bool) -> None:
    click.echo("in words", err=True)
    say_json({"b": 1, "a": "\x1b[31m"}, as_json=as_json)


@click.command()
def is_stopped() -> None:
    with left_at_stop("finished cells are kept", "the same command resumes it"):
        raise KeyboardInterrupt


def test_a_pipe_gets_one_line_of_json():
    out = CliRunner().invoke(shows, []).stdout
    assert json.loads(out) == {"a": "\x1b[31m", "b": 1}
    assert out.index('"a"') < out.index('"b"')


@pytest.mark.parametrize(("words", "shown"), [([], ""), (["--json"], '{"a": "\\u001b[31m", "b": 1}\n')])
def test_a_terminal_gets_json_on_request(monkeypatch, words, shown):
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    shows(words, standalone_mode=False)
    assert terminal.getvalue() == shown


def test_tables_of_a_document_are_drawn_for_people_and_stay_markdown_for_programs(monkeypatch, capsys):
    document = "tiny: 2 cells.\n\n| | accuracy |\n|---|---|\n| a \x1b[31m | 0.5 |\n\nEnd.\n"
    say_tables(document)
    assert capsys.readouterr().out == document.replace("\x1b", "\\x1b")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    say_tables(document)
    shown = terminal.getvalue()
    assert "|" not in shown
    assert "\x1b[31m" not in shown
    assert [word for word in ("tiny: 2 cells.", "accuracy", "0.5", "End.") if word not in shown] == []


def test_a_closed_standard_output_is_nobody(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert not for_people(False)


def test_ctrl_c_says_what_is_left_and_ends_with_130(monkeypatch):
    monkeypatch.setattr(cli.Commands, "get_command", lambda self, ctx, name: is_stopped)
    done = CliRunner().invoke(cli.vskd, ["study"])
    assert done.exit_code == 130
    assert done.stderr == "stopped; finished cells are kept; the same command resumes it\n"
    assert "Aborted" not in done.output
