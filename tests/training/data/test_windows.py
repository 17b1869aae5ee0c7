"""Windows and clips: cut by the runtime's stream, paired by id and by time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from vskd.contract import WindowSpec
from vskd.errors import DataError
from vskd.stream import Stream
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import Clips, WindowTable, cut
from vskd_training.datasets.recording import RecordingInfo


class FilmOfTimes:
    """Stands for prepared data whose frames show their own number."""

    def __init__(self, frame_time_s: NDArray[np.float64]) -> None:
        self.infos = (RecordingInfo("a", "1", "wave", 1),)
        self._times = frame_time_s

    def video(self, recording: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        del recording
        numbers = np.arange(len(self._times), dtype=np.uint8)
        return self._times, np.broadcast_to(numbers[:, None, None], (len(numbers), 2, 2))


def table(*spans_s: tuple[float, float]) -> WindowTable:
    count = len(spans_s)
    return WindowTable(
        ids=tuple(f"a@{start}" for start, _ in spans_s),
        samples=np.zeros((count, 3, 4), dtype=np.float32),
        labels=np.zeros(count, dtype=np.int64),
        recordings=np.zeros(count, dtype=np.int64),
        spans_s=np.array(spans_s),
        subjects=("1",) * count,
        too_short=0,
    )


def test_windows_are_those_of_the_runtime_stream(tiny: Experiment) -> None:
    made = tiny.windows("test")
    index = tiny.split.test[0]
    expected = Stream(tiny.contract).push(*tiny.prepared.sensor(index))
    rows = np.flatnonzero(made.recordings == index)
    np.testing.assert_array_equal(made.samples[rows], np.stack([window.samples for window in expected]))
    assert [made.ids[row].partition("@")[0] for row in rows] == [tiny.prepared.infos[index].id] * len(expected)
    assert len(set(made.ids)) == len(made)


def test_no_recording_is_on_two_sides(tiny: Experiment) -> None:
    sides = [set(tiny.windows(part).recordings.tolist()) for part in ("train", "validation", "test")]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_a_whole_recording_is_one_window(tiny: Experiment) -> None:
    contract = dataclasses.replace(tiny.contract, window=WindowSpec(mode="whole", samples=64))
    made = cut(tiny.prepared, contract, tiny.split.test)
    assert len(made) == len(tiny.split.test)
    time_s, xyz = tiny.prepared.sensor(tiny.split.test[0])
    np.testing.assert_allclose(made.samples[0][:, [0, -1]].T, xyz[[0, -1]], atol=1e-6)
    np.testing.assert_allclose(made.spans_s[0], time_s[[0, -1]])


def test_recordings_too_short_for_a_window_are_counted_or_refused(tiny: Experiment) -> None:
    contract = dataclasses.replace(tiny.contract, window=WindowSpec(samples=6400, rate_hz=50.0))
    with pytest.raises(DataError, match=r"none of \d+ recordings holds a window of 128 s"):
        cut(tiny.prepared, contract, tiny.split.test)
    assert tiny.windows("test").too_short == 0


def test_a_clip_shows_the_frames_of_its_window() -> None:
    film = FilmOfTimes(np.arange(100) / 10)
    clips = Clips.of(film, table((2.0, 4.0), (5.05, 5.95)), segments=4, motion=False)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    for _ in range(20):
        shown = clips.batch([0, 1], rng=rng)
        assert shown.shape == (2, 4, 1, 2, 2)
        assert shown[0].min() >= 20
        assert shown[0].max() <= 40
        assert shown[1].min() >= 51
        assert shown[1].max() <= 59
        assert (np.diff(shown[0, :, 0, 0, 0].astype(int)) > 0).all()
    middle = clips.batch([0], rng=None)
    np.testing.assert_array_equal(middle, clips.batch([0], rng=None))


def test_motion_adds_the_neighbours_also_at_the_ends_of_the_recording() -> None:
    film = FilmOfTimes(np.arange(6) / 10)
    shown = Clips.of(film, table((0.0, 0.5)), segments=6, motion=True).batch([0], rng=None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(
        shown[0, :, :, 0, 0], [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 5]]
    )


def test_a_window_between_two_frames_is_seen_by_the_next() -> None:
    film = FilmOfTimes(np.array([0.0, 1.0, 2.0]))
    shown = Clips.of(film, table((1.2, 1.6), (2.5, 2.9)), segments=2, motion=False)  # type: ignore[arg-type]
    assert set(shown.batch([0], rng=None).ravel().tolist()) == {2}
    assert set(shown.batch([1], rng=None).ravel().tolist()) == {2}


def test_a_recording_without_video_is_refused() -> None:
    with pytest.raises(DataError, match="a has no video"):
        Clips.of(FilmOfTimes(np.empty(0)), table((0.0, 1.0)), segments=2, motion=False)  # type: ignore[arg-type]
