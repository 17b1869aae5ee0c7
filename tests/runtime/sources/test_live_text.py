"""Text that is still being written: a pipe and a growing file, with a clock and a sleep of the test's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vskd.errors import DataError
from vskd.sources.csv import SampleReader
from vskd.sources.live_text import LONGEST_LINE_BYTES, followed_lines, pipe_lines


class Scene:
    """Runs one step of a script at each sleep; raises ``EndedError`` when the script is over."""

    class EndedError(Exception):
        pass

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)
        self.now = 0.0
        self.silences: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if not self._steps:
            raise Scene.EndedError
        self._steps.pop(0)()

    def follow(self, path: Path) -> list[str]:
        lines = followed_lines(path, waiting=self.silences.append, poll_s=1.0, clock=lambda: self.now, sleep=self.sleep)
        return collected(lines)


def collected(lines: Iterator[str]) -> list[str]:
    taken = []
    try:
        for line in lines:
            taken.append(line)
    except Scene.EndedError:
        pass
    return taken


def nothing() -> None:
    """A step in which the logger sleeps too."""


def appender(path: Path, text: str) -> Callable[[], object]:
    def append() -> None:
        with path.open("a") as file:
            file.write(text)

    return append


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text("head\none\n")
    return path


def test_a_growing_file_gives_whole_lines_as_they_are_finished(log):
    scene = Scene(appender(log, "tw"), appender(log, "o\nthr"), appender(log, "ee\n"))
    assert scene.follow(log) == ["head\n", "one\n", "two\n", "three\n"]


def test_the_silence_is_told_and_ends_with_the_next_text(log):
    scene = Scene(nothing, nothing, appender(log, "two\n"), nothing)
    scene.follow(log)
    assert scene.silences == [0.0, 1.0, 2.0, 0.0, 1.0]


def test_a_file_that_goes_away_and_comes_back_goes_on_without_its_header(log):
    steps = [log.unlink, nothing, nothing, lambda: log.write_text("head\ntwo\n"), appender(log, "three\n")]
    scene = Scene(*steps)
    assert scene.follow(log) == ["head\n", "one\n", "two\n", "three\n"]
    assert scene.silences[:4] == [0.0, 1.0, 2.0, 3.0]  # it is silent while it is away


def test_a_file_that_is_rotated_loses_only_its_unfinished_line(log):
    def rotate() -> None:
        log.rename(log.with_suffix(".1"))
        log.write_text("head\nthree\n")

    assert Scene(appender(log, "two\nunfini"), rotate).follow(log) == ["head\n", "one\n", "two\n", "three\n"]


def test_a_file_that_is_cut_short_is_read_from_its_start(log):
    assert Scene(lambda: log.write_text("head\n2\n")).follow(log) == ["head\n", "one\n", "2\n"]


def test_a_file_that_comes_back_as_another_is_refused(log):
    scene = Scene(log.unlink, lambda: log.write_text("other\ntwo\n"))
    with pytest.raises(DataError, match=r"log\.csv was replaced by one with the header 'other'; it was 'head'"):
        scene.follow(log)


def test_a_file_that_is_not_there_at_the_start_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*no\.csv: No such file"):
        Scene().follow(tmp_path / "no.csv")


def test_a_header_still_being_written_is_waited_for(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time_s,a")
    scene = Scene(appender(path, "x,ay,az\n0.00,0,0,1\n"))
    lines = followed_lines(path, waiting=lambda _: None, poll_s=1.0, clock=lambda: scene.now, sleep=scene.sleep)
    chunk = next(SampleReader.open(lines, name="log.csv").chunks(rows=1))
    assert chunk.xyz.tolist() == [[0.0, 0.0, 1.0]]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue  # closed by the test


def test_a_pipe_gives_lines_as_they_come_and_the_last_one_without_an_end(pipe):
    reader, writer = pipe
    os.write(writer, b"head\non")
    lines = pipe_lines(reader, waiting=lambda _: None, poll_s=0.01)
    assert next(lines) == "head\n"
    os.write(writer, b"e\ntwo")
    assert next(lines) == "one\n"
    os.close(writer)
    assert list(lines) == ["two\n"]


def test_a_pipe_that_closes_at_once_gives_nothing(pipe):
    os.close(pipe[1])
    assert list(pipe_lines(pipe[0], waiting=lambda _: None)) == []


def test_a_silent_pipe_is_told_of_again_and_again(pipe):
    reader, writer = pipe
    silences: list[float] = []

    def waiting(silent_s: float) -> None:
        silences.append(silent_s)
        if len(silences) == 3:
            threading.Thread(target=lambda: (os.write(writer, b"late\n"), os.close(writer))).start()

    assert list(pipe_lines(reader, waiting=waiting, poll_s=0.005)) == ["late\n"]
    assert len(silences) >= 3
    assert silences[:3] == sorted(silences[:3])
    assert silences[0] >= 0.004


def test_what_never_ends_a_line_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(b"x" * (3 * LONGEST_LINE_BYTES))
    with path.open("rb") as file, pytest.raises(DataError, match=f"a line of more than {LONGEST_LINE_BYTES} bytes"):
        list(pipe_lines(file.fileno(), waiting=lambda _: None))


def test_a_garbled_line_is_dropped_and_a_garbled_header_refused(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"time_s,ax,ay,az\n0,0,0,1\n0.02,0,\xff\xfe,1\n0.04,0,0,1\n")
    with path.open("rb") as file:
        lines = pipe_lines(file.fileno(), waiting=lambda _: None)
        reader = SampleReader.open(lines, name="standard input", is_live=True)
        assert [chunk.time[0] for chunk in reader.chunks(rows=1)] == [0, 0.04]
        assert reader.bad.first == "line 3: '\ufffd\ufffd' is no number"
    path.write_bytes(b"time_s,ax,ay,az,\xb2\n0,0,0,1\n")
    with path.open("rb") as file:
        lines = pipe_lines(file.fileno(), waiting=lambda _: None)
        with pytest.raises(DataError, match=r"standard input, line 1: no text in UTF-8"):
            SampleReader.open(lines, name="standard input", is_live=True)
