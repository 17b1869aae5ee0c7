"""Progress: a bar on a terminal, and lines where a log is kept."""

from __future__ import annotations

import io
import sys
import time

import pytest

from vskd.commands import progress
from vskd.commands.progress import Log, progress_bar


def test_a_line_tells_what_is_done_how_long_it_took_and_what_is_left():
    now = [100.0]
    log = Log("study", clock=lambda: now[0])
    assert log.line() == ""
    log.update(20, 100)  # resumed: these cost nothing
    now[0] += 130
    assert log.line() == "study: 20 of 100, 2:10"
    log.update(30, 100, "loss 0.412")
    assert log.line() == "study: 30 of 100, 2:10, about 15:10 left, loss 0.412"
    now[0] += 4000
    assert log.line().startswith("study: 30 of 100, 1:08:50, about 8:01:50 left")
    log.update(100, 100)
    assert log.line() == "study: 100 of 100, 1:08:50"


def test_a_log_gets_lines_while_one_step_lasts(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    with progress_bar("train") as bar:
        bar(1, 3, "loss 1")
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"train: 1 of 3, 0:00, loss 1"}


@pytest.mark.parametrize("work", [lambda bar: None, lambda bar: bar(1, 3)])
def test_what_takes_less_than_a_minute_leaves_no_line(work, capsys):
    with progress_bar("train") as bar:
        work(bar)
    with progress_bar("train", shown=False) as bar:
        work(bar)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_only_once_something_is_done(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bar("train"):
        pass
    assert "train" not in terminal.getvalue()
    with progress_bar("train") as bar:
        bar(3, 4, "loss \x1b]0;x\a")
    assert "train" in terminal.getvalue()
    assert "3/4" in terminal.getvalue()
    assert "\x1b]0" not in terminal.getvalue()
