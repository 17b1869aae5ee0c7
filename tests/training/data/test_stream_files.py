"""Files around `vskd run`: what is written can be read, and decisions are judged fairly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vskd.errors import DataError
from vskd.sources.csv import SampleReader
from vskd.sources.layout import of_first_line
from vskd_training.data.stream_files import read_events, read_truth, write_samples, write_truth
from vskd_training.datasets.recording import Span
from vskd_training.evaluation.timeline import draw_timeline, score


def test_samples_are_read_back_by_the_runtime(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "samples.csv"
    xyz = np.random.default_rng(0).normal(size=(7, 3))
    write_samples(path, np.arange(7) / 50, xyz)
    lines = path.read_text().splitlines(keepends=True)
    described, _ = of_first_line(lines[0], None)
    reader = SampleReader.open(lines, name="samples.csv", layout=described.text)
    (chunk,) = reader.chunks(rows=100)
    assert (reader.time_unit, described.unit) == ("s", "g")
    np.testing.assert_allclose(chunk.time, np.arange(7) / 50)
    np.testing.assert_allclose(chunk.xyz, xyz, atol=1e-6)


def test_truth_is_read_back(tmp_path: Path) -> None:
    spans = [Span(0.0, 2.5, "wave"), Span(2.5, 5.0, "jog")]
    write_truth(tmp_path / "truth.csv", spans)
    assert read_truth(tmp_path / "truth.csv") == spans


def test_only_windows_within_one_activity_are_judged() -> None:
    spans = [Span(0, 5, "wave"), Span(5, 10, "jog")]
    events = [Span(0, 2, "wave"), Span(4, 6, "jog"), Span(6, 8, "wave"), Span(8, 10, "jog")]
    assert score(events, spans) == (2, 3, 0)


def test_no_signal_and_still_are_no_decisions_unless_an_activity_is_called_so() -> None:
    events = [Span(0, 2, "wave"), Span(2, 3, "no signal"), Span(3, 4, "still"), Span(4, 6, "still")]
    found = score(events, [Span(0, 5, "wave")])
    assert found == (1, 1, 2)
    assert str(found).endswith("; 2 not decided (no signal, still)")
    assert score(events, [Span(0, 2, "wave"), Span(2, 6, "still")]) == (3, 3, 1)


def test_the_timeline_is_a_plot(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("".join(json.dumps({"start_s": t, "end_s": t + 2, "label": "wave"}) + "\n" for t in range(5)))
    picture = tmp_path / "timeline.png"
    assert draw_timeline(read_events(events), [Span(0, 4, "wave"), Span(4, 9, "jog")], picture) == (3, 4, 0)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "holds no decisions"), ("{}\n", "line 1: not a decision"), ('{"start_s":0}\nx', "line 1")],
)
def test_broken_events_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_events(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("start_s,end_s,label\n", "holds no spans"),
        ("start_s,end_s,label\n0,x,wave\n", "line 2: not start_s"),
        ("start_s,end_s\n0,1\n", "line 2"),
    ],
)
def test_a_broken_truth_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_truth(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere.csv"):
        read_truth(tmp_path / "nowhere.csv")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_truth(blocked / "truth.csv", [])
