"""Samples through a classifier to a callback, the pace of a replay, and the two kinds of output file."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.mean_engine import MeanEngine
from vskd import Classifier, Event
from vskd.commands.input_option import InputOption
from vskd.errors import DataError
from vskd.sinks.event_files import CsvSink, JsonLinesSink, TextSink, csv_columns, file_sink, open_output
from vskd.sources.csv import Chunk
from vskd.sources.feed import feed, paced
from vskd.stream.window import Defect

LABELS = ("x up", "y up, and so on", "z up")
CLIPPED, SLOW = Defect("clipped", "9 % of samples at 2 g"), Defect("slow", "20 Hz, below 40 Hz")
EVENTS = [
    Event("x up", 0.5, "", 0.0, 0.62, 0.64, np.array([0.5, 0.3, 0.2])),
    Event("unknown", 0.4, "probability below 0.6", 0.32, 0.94, 0.64, np.array([0.4, 0.3, 0.3]), (CLIPPED, SLOW)),
]


def chunks_of(samples: int, rows: int) -> list[Chunk]:
    time_s, xyz = np.arange(samples) / 50, np.tile([0.0, 0.0, 1.0], (samples, 1))
    return [Chunk(time_s[at:][:rows], xyz[at:][:rows]) for at in range(0, samples, rows)]


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_a_callback_gets_each_event_of_a_stream(contract, rows):
    events: list[Event] = []
    feed(Classifier(contract, MeanEngine()), chunks_of(100, rows), events.append)
    assert len(events) == 1 + (100 - 32) // 16
    assert {event.label for event in events} == {"z up"}


def test_events_are_handed_out_before_a_source_fails(contract):
    def failing():
        yield from chunks_of(60, 10)
        raise DataError("the sensor fell off")

    events: list[Event] = []
    with pytest.raises(DataError, match="fell off"):
        feed(Classifier(contract, MeanEngine()), failing(), events.append)
    assert len(events) == 2


def test_a_whole_recording_is_gathered(whole_contract):
    events: list[Event] = []
    feed(Classifier(whole_contract, MeanEngine()), chunks_of(77, 10), events.append)
    assert [event.end_s for event in events] == pytest.approx([76 / 50])


# --- pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.work_s = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def times_of(chunks: list[Chunk], speed: float, work_s: float = 0.0) -> list[float]:
    """When each chunk came, if each takes so long to work on."""
    clock = Clock()
    came = []
    for _ in paced(chunks, speed=speed, time_unit="s", clock=clock, sleep=clock.sleep):
        came.append(clock.now - 100.0)
        clock.now += work_s
    return came


def at(*times_s: float) -> list[Chunk]:
    return [Chunk(np.array([time_s]), np.zeros((1, 3))) for time_s in times_s]


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
def test_a_replay_keeps_the_recordings_pace(speed):
    assert times_of(at(5.0, 5.02, 5.04, 9.0), speed) == pytest.approx([0.0, 0.02 / speed, 0.04 / speed, 4.0 / speed])


@pytest.mark.parametrize("place", [0, 2, 5])
@pytest.mark.parametrize("wild_s", [-1e6, 4e6, 1.7e9])
def test_a_replay_does_not_wait_for_a_wild_time(place, wild_s):
    times = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    times[place] = wild_s
    came = times_of(at(*times), 1.0)
    assert came[-1] <= 5.0
    assert came == sorted(came)


def test_slow_work_is_caught_up_and_not_added_to_the_pace():
    assert times_of(at(0, 1, 2, 10), 1.0, work_s=1.5) == pytest.approx([0, 1.5, 3.0, 10.0])


def test_a_clock_that_steps_back_and_one_that_is_not_finite_do_not_stop_a_replay():
    assert times_of(at(math.nan, 7, 8, math.nan, 2, 3), 1.0) == pytest.approx([0, 0, 1, 1, 1, 2])


@pytest.mark.parametrize(
    ("option", "rows", "pauses_s"),
    [
        (InputOption("x.csv", replay_speed=2.0), 1, [5, 10]),
        (InputOption("x.csv", in_view=True), 1, [10, 20]),
        (InputOption("x.csv"), 1024, []),
        (InputOption("x.csv", follow=True, in_view=True), 1, []),
    ],
)
def test_a_recording_is_replayed_in_its_own_unit_of_time(option, rows, pauses_s):
    asked, pauses = [], []

    def chunks(rows):
        asked.append(rows)
        return iter(at(0, 10_000, 20_000))

    source = SimpleNamespace(time_unit="ms", chunks=chunks)
    assert len(list(option.chunks(source, sleep=pauses.append))) == 3
    assert asked == [rows]
    assert pauses == pytest.approx(pauses_s, abs=1)  # the clock is real, the sleep is not


# --- sinks


def test_json_lines_and_csv_hold_the_same_values():
    lines, table = io.StringIO(), io.StringIO()
    json_sink, csv_sink = JsonLinesSink(lines, LABELS), CsvSink(table, LABELS)
    for event in EVENTS:
        json_sink(event)
        csv_sink(event)
    parsed = [json.loads(line) for line in lines.getvalue().splitlines()]
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert len(parsed) == len(rows) == 2
    for event, row in zip(parsed, rows, strict=True):
        probabilities = event.pop("probabilities")
        assert {name: row.pop(f"p({name})") for name in LABELS} == {k: str(v) for k, v in probabilities.items()}
        event["defects"] = "; ".join(event["defects"])
        assert row == {name: str(value) for name, value in event.items()}


def test_lines_to_read_are_aligned_and_say_why_there_is_no_activity():
    told = io.StringIO()
    sink = TextSink(told, ("a", "a much longer label"))
    for event in EVENTS:
        sink(event)
    sink(replace(EVENTS[0], label="\x1b[31m"))
    lines = told.getvalue().splitlines()
    assert len(lines) == 3
    for event, line in zip(EVENTS, lines, strict=False):
        assert f"{event.end_s:.1f} s  {event.label}" in line
        assert f"{event.probability:.2f}" in line
        assert line.endswith(event.reason or f"{event.probability:.2f}")
    assert lines[0].index(f"{EVENTS[0].probability:.2f}") == lines[1].index(f"{EVENTS[1].probability:.2f}")
    assert "\x1b" not in lines[2]


def written(path: Path, *, append: bool) -> str:
    with open_output(path, append=append) as stream:
        sink = file_sink(path, stream, LABELS)
        for event in EVENTS:
            sink(event)
            assert path.read_text().endswith("\n")  # an event is there as soon as it is decided
    return path.read_text()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_is_not_written_over_and_is_appended_to_with_the_option(tmp_path, suffix):
    path = tmp_path / f"events{suffix}"
    once = written(path, append=False)
    with pytest.raises(DataError, match=rf"events{suffix} exists.*--append"):
        written(path, append=False)
    twice = written(path, append=True)
    body = once.split("\n", 1)[1] if suffix == ".csv" else once
    assert twice == once + body
    assert written(tmp_path / f"new{suffix}", append=True) == once


@pytest.mark.parametrize("end", ["\n", "\n1.0,2.0,sit", ""])
def test_nothing_is_appended_to_or_cut_from_a_csv_of_another_bundle(tmp_path, end):
    path = tmp_path / "events.csv"
    before = ",".join(csv_columns(("sit", "walk"))) + end
    path.write_text(before)
    with pytest.raises(DataError, match=r"events\.csv has other columns"):
        written(path, append=True)
    assert path.read_text() == before


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("cut", [5, -5])
def test_half_a_line_of_a_killed_run_is_cut_before_the_next_run_appends(tmp_path, suffix, cut):
    path = tmp_path / f"events{suffix}"
    once = written(path, append=False)
    path.write_text(once[:cut])
    whole = once[: once[:cut].rfind("\n") + 1]
    body = once.split("\n", 1)[1] if suffix == ".csv" and whole else once
    assert written(path, append=True) == whole + body


def test_events_are_appended_to_a_named_pipe(tmp_path):
    path = tmp_path / "events.jsonl"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open_output(path, append=True) as stream:
        file_sink(path, stream, LABELS)(EVENTS[0])
    assert json.loads(os.read(reader, 65536))["label"] == EVENTS[0].label
    os.close(reader)


def test_an_output_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*events\.csv: "):
        written(tmp_path / "file" / "events.csv", append=False)
