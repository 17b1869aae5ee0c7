"""A user's own recordings: the documented layout is read, and every mistake in it is told in one sentence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.own_recordings import (
    DESCRIPTION,
    HEADER,
    LABELS,
    G,
    generated,
    read_table,
    write_avi,
    write_folder,
    write_sensor,
    write_table,
)
from vskd.errors import DataError, VskdError
from vskd_training.datasets.check import check
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.prepared import prepare
from vskd_training.datasets.recording import Defect, Recording


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("own") / "kitchen", subjects=2, duration_s=2.5)


@pytest.fixture
def own(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "kitchen"))


def read(root: Path, view: str = "none") -> tuple[FolderSource, list[Recording]]:
    source = FolderSource.open(root, view=view, height=12, width=16)
    return source, list(source.recordings())


def one_clip(tmp_path: Path, lines: str, *, description: str = DESCRIPTION) -> Path:
    (tmp_path / "dataset.toml").write_text(description)
    write_table(tmp_path, [["c", "ann", "wave", "c.csv", "", ""], ["d", "bob", "jog", "d.csv", "", ""]])
    (tmp_path / "c.csv").write_text(lines)
    samples = np.arange(60)[:, np.newaxis]
    write_sensor(
        tmp_path / "d.csv", samples[:, 0] / 50, G * np.hstack([0 * samples, 0.1 * np.sin(samples), samples**0])
    )
    return tmp_path


def only_defect(root: Path, view: str = "none") -> Defect:
    source, _ = read(root, view)
    (defect,) = source.defects()
    return defect


# --- what is read ---------------------------------------------------------------------------------------------------


def test_sensors_are_read_in_g_with_their_own_times(pristine: Path) -> None:
    source, recordings = read(pristine)
    originals = list(generated(2, 2.5))
    assert len(recordings) == len(originals) == 6
    for recording, original in zip(recordings, originals, strict=True):
        np.testing.assert_allclose(recording.acceleration_g, original.acceleration_g, atol=1e-6)
        np.testing.assert_allclose(recording.time_s, original.time_s, atol=1e-6)
        assert recording.frames.shape == (0, 12, 16)
        assert recording.info.subject == f"p{original.info.subject}"
        assert recording.info.groups == {"session": "1"}
    assert (source.name, source.placement, source.gravity) == ("kitchen", "left wrist", "included")
    assert source.labels == tuple(sorted(LABELS))
    assert source.defects() == ()


def test_video_npz_and_images_show_the_same_motion_at_the_right_times(pristine: Path) -> None:
    _, recordings = read(pristine, "video")
    for kind, (recording, original) in enumerate(zip(recordings[:3], generated(2, 2.5), strict=False)):
        times = recording.frame_time_s
        assert times[0] == pytest.approx(0, abs=0.02)
        assert times[-1] == pytest.approx(original.frame_time_s[-1], abs=0.25)
        step = 4 if kind == 2 else 1
        assert len(recording.frames) == len(original.frames[::step])
        # 4 x 4 pixels of the original are one of the frame; a video loses a little at edges in coding.
        expected = original.frames[::step].reshape(-1, 12, 4, 16, 4).mean(axis=(2, 4))
        difference = np.abs(recording.frames - expected)
        assert difference.mean() < 2 if kind == 0 else difference.max() < 0.51


def test_axes_are_turned_and_labels_keep_their_stated_order(own: Path) -> None:
    straight = read(own)[1][0].acceleration_g
    text = DESCRIPTION + 'labels = ["wave", "squat", "jog"]\n[axes]\nx = "-y"\ny = "x"\n'
    (own / "dataset.toml").write_text(text)
    source, recordings = read(own)
    expected = np.stack([-straight[:, 1], straight[:, 0], straight[:, 2]], axis=1)
    np.testing.assert_array_equal(recordings[0].acceleration_g, expected)
    assert source.labels == ("wave", "squat", "jog")


@pytest.mark.parametrize(("column", "factor"), [("time_ms", 1e3), ("time_us", 1e6), ("time_ns", 1e9)])
def test_other_clocks_are_known_by_their_column(tmp_path: Path, column: str, factor: float) -> None:
    times = [f"{round((1_700_000_000 + i / 50) * factor)},0,0,9.8\n" for i in range(60)]
    _, recordings = read(one_clip(tmp_path, f"{column},ax,ay,az\n" + "".join(times)))
    np.testing.assert_allclose(np.diff(recordings[0].time_s), 0.02, atol=1e-5)


def test_without_a_time_column_the_stated_rate_makes_the_times(tmp_path: Path) -> None:
    text = DESCRIPTION + "rate_hz = 25\n"
    root = one_clip(tmp_path, "ax,ay,az\n" + "0,0,9.8\n" * 30, description=text)
    source, recordings = read(root)
    np.testing.assert_allclose(recordings[0].time_s, np.arange(30) / 25)
    # The other file has timestamps at 50 Hz: they decide, and the contradiction is told.
    (defect,) = source.defects()
    assert defect.what == "timestamps give 50.0 Hz and dataset.toml says 25 Hz; the timestamps are used"
    assert not defect.left_out


def test_gravity_that_was_removed_is_believed_until_the_readings_say_otherwise(tmp_path: Path) -> None:
    text = DESCRIPTION.replace("gravity = true", "gravity = false")
    still = "time_s,ax,ay,az\n" + "".join(f"{i / 50},{i % 2},0,0\n" for i in range(60))
    source, recordings = read(one_clip(tmp_path, still, description=text))
    assert source.gravity == "removed"
    assert [recording.info.id for recording in recordings] == ["c"]
    (defect,) = source.defects()
    assert "d.csv" in defect.where
    assert "gravity is in it" in defect.what
    assert defect.if_most == "set gravity = true in dataset.toml"


def test_a_gyroscope_beside_the_accelerometer_is_what_the_teacher_may_see(own: Path) -> None:
    rows = read_table(own)
    text = (own / rows[0][3]).read_text().replace(",0.000000,0.000000,0.000000", ",1,2,3")
    (own / rows[0][3]).write_text(text)
    (own / rows[1][3]).write_text(HEAD + GOOD)
    (own / "dataset.toml").write_text(DESCRIPTION + '[axes]\nx = "-y"\ny = "x"\n')
    source, recordings = read(own, "sensors")
    assert recordings[0].frames.shape == (len(recordings[0].time_s), 2, 3)
    np.testing.assert_allclose(recordings[0].frames[:, 0], recordings[0].acceleration_g, rtol=1e-6)
    np.testing.assert_array_equal(recordings[0].frames[0, 1], [-2, 1, 3])
    np.testing.assert_array_equal(recordings[0].frame_time_s, recordings[0].time_s)
    (defect,) = source.defects()
    assert "lacks 'gx'" in defect.what


def test_a_clip_without_video_is_used_without_a_teacher_and_counted_with_one(own: Path) -> None:
    rows = read_table(own)
    rows[1][4] = ""
    write_table(own, rows)
    assert len(read(own)[1]) == 6
    source, recordings = read(own, "video")
    assert len(recordings) == len(source.infos()) == 6
    assert [len(recording.frames) > 0 for recording in recordings] == [row[0] != rows[1][0] for row in rows]
    what = "has no video (clips.csv, line 3): it has its label in training and test, and no teacher"
    assert source.defects() == (Defect(rows[1][0], what, "no video", left_out=False),)


def test_a_clip_without_a_label_is_read_and_is_no_class(own: Path) -> None:
    rows = read_table(own)
    rows[0][2] = rows[1][2] = ""
    write_table(own, rows)
    source, recordings = read(own, "video")
    assert source.labels == tuple(sorted({row[2] for row in rows[2:]}))
    assert [recording.info.id for recording in recordings] == [row[0] for row in [*rows[2:], *rows[:2]]]
    assert [recording.info.label for recording in recordings[-2:]] == ["", ""]
    assert source.defects() == ()
    report = check(FolderSource.open(own, view="video", height=12, width=16))
    assert report.by_label[""] == 2
    (own / "dataset.toml").write_text(DESCRIPTION + 'labels = ["wave", "squat", "jog"]\n')
    assert read(own)[0].labels == ("wave", "squat", "jog")


def test_a_clip_with_neither_label_nor_video_is_left_out_and_counted(own: Path) -> None:
    rows = read_table(own)
    rows[1][2] = rows[1][4] = ""
    write_table(own, rows)
    source, recordings = read(own, "video")
    assert len(recordings) == len(source.infos()) == 5
    what = "has neither label nor video (clips.csv, line 3), so it cannot be used"
    assert source.defects() == (Defect(rows[1][0], what, "neither label nor video"),)
    assert len(read(own, "none")[1]) == 6


def test_of_two_copies_the_one_with_a_label_is_kept(own: Path) -> None:
    rows = read_table(own)
    rows[0][2] = ""
    write_table(own, rows)
    (own / rows[1][3]).write_bytes((own / rows[0][3]).read_bytes())
    source, recordings = read(own)
    assert [recording.info.id for recording in recordings] == [row[0] for row in rows[1:]]
    (defect,) = source.defects()
    assert (defect.where, defect.kind) == (rows[0][3], "copy of another clip")


def test_the_video_column_may_be_left_out(own: Path) -> None:
    write_table(own, [row[:4] for row in read_table(own)], HEADER[:4])
    assert len(read(own)[1]) == 6


# --- broken sensor files: left out, or used in part ------------------------------------------------------------------

GOOD = "".join(f"{i / 50:.2f},0,0,9.8\n" for i in range(60))
HEAD = "time_s,ax,ay,az\n"

LEFT_OUT = [
    ("", "empty file", "c.csv", "is empty"),
    (HEAD, "too few samples", "c.csv", "holds no samples; give a recording"),
    (
        "t,ax,ay,az\n" + GOOD,
        "missing column",
        "c.csv, line 1",
        "no time column, got 't,ax,ay,az'; name the time",
    ),
    (
        "time_s,ax,ay,a\n" + GOOD,
        "missing column",
        "c.csv, line 1",
        "lacks 'az', got 'time_s,ax,ay,a'; did you mean 'a'?",
    ),
    ("time_s,ax,ay,az,ax\n" + GOOD, "missing column", "c.csv, line 1", "the column 'ax' is there 2 times"),
    (
        "time_s,time_ms,ax,ay,az\n" + GOOD,
        "missing column",
        "c.csv, line 1",
        "there are 2 time columns: time_s, time_ms",
    ),
    (HEAD + "0,zero,0,9.8\n" * 21 + GOOD, "mostly broken lines", "c.csv", "21 of the last 21 lines are no samples"),
    (
        HEAD + GOOD + '2,0,0,"9.8\n',
        "damaged line",
        "c.csv, line 62",
        "a quote is not closed; mend the line",
    ),
    (HEAD + GOOD + "2,0,0\0,9.8\n", "damaged line", "c.csv, line 62", "it holds NUL"),
    (
        HEAD + GOOD.replace("9.8", "nan"),
        "mostly unusable samples",
        "c.csv",
        "0 of 60 samples are usable",
    ),
    (
        HEAD + GOOD.replace("9.8", "980"),
        "implausible readings",
        "c.csv",
        "the median |a| is 99.9 g, and gravity",
    ),
    (
        HEAD + GOOD.replace("9.8", "1.0"),
        "implausible readings",
        "c.csv",
        "the median |a| is 0.102 g",
    ),
    (
        HEAD + "".join(f"{number / 50},0,0,{98 if number < 52 else 9.8}\n" for number in range(200)),
        "implausible readings",
        "c.csv",
        "the median |a| at its start is 9.99 g",
    ),
]


@pytest.mark.parametrize(("lines", "kind", "where", "what"), LEFT_OUT, ids=[row[3][:30] for row in LEFT_OUT])
def test_a_broken_sensor_file_costs_its_recording(tmp_path: Path, lines: str, kind: str, where: str, what: str) -> None:
    root = one_clip(tmp_path, lines)
    source, recordings = read(root)
    assert [recording.info.id for recording in recordings] == ["d"]
    assert [info.id for info in source.infos()] == ["d"]
    (defect,) = source.defects()
    assert (defect.where, defect.kind, defect.left_out) == (where, kind, True)
    assert what in defect.what
    assert defect.what.endswith("(clip 'c', clips.csv, line 2)")


IN_PART = [
    (HEAD + GOOD + "1.2,0,0", "broken lines", "were dropped, the first is line 62: 3 val", 60),
    (HEAD + "0,zero,0,9.8\n" + GOOD, "broken lines", "the first is line 2: 'zero' is no number", 60),
    (HEAD + "-0.02,0,,9.8\n" + GOOD, "values that are no numbers", "1 samples hold NaN", 60),
    (HEAD + GOOD + "1.18,0,0,9.8\n", "repeated timestamps", "before, the first in line 62", 60),
    (HEAD + GOOD + "\n0.5,0,0,9.8\n1.2,0,0,9.8\n", "wild timestamps", "were dropped, the first in line 63", 61),
]  # fmt: skip


def test_zeros_before_a_sensor_wakes_cost_no_recording(tmp_path: Path) -> None:
    zeros = "".join(f"{row / 50},0,0,0\n" for row in range(55))
    rest = "".join(f"{row / 50},{0.01 * (row % 3)},0,9.8\n" for row in range(55, 300))
    source, recordings = read(one_clip(tmp_path, HEAD + zeros + rest))
    assert "c" in {recording.info.id for recording in recordings}
    assert source.defects() == ()


@pytest.mark.parametrize(("lines", "kind", "what", "left"), IN_PART, ids=[row[1] for row in IN_PART])
def test_bad_samples_are_dropped_and_counted(tmp_path: Path, lines: str, kind: str, what: str, left: int) -> None:
    source, recordings = read(one_clip(tmp_path, lines))
    assert [len(recording.time_s) for recording in recordings] == [left, 60]
    (defect,) = source.defects()
    assert (defect.kind, defect.left_out) == (kind, False)
    assert what in defect.what


def test_zeros_before_the_sensor_wakes_cost_no_recording(tmp_path: Path) -> None:
    asleep = "".join(f"{number / 50 - 2},0,0,0\n" for number in range(100))
    source, recordings = read(one_clip(tmp_path, HEAD + asleep + GOOD))
    assert [len(recording.time_s) for recording in recordings] == [160, 60]
    assert source.defects() == ()


def test_a_byte_that_is_no_text_and_a_missing_file(own: Path) -> None:
    rows = read_table(own)
    (own / rows[0][3]).write_bytes(b"time_s,ax,ay,az\n\xff\n")
    (own / rows[1][3]).unlink()
    source, recordings = read(own)
    assert len(recordings) == 4
    assert [defect.kind for defect in source.defects()] == ["unreadable", "missing sensor"]
    assert "byte 0xff is not UTF-8" in source.defects()[0].what


def test_a_copy_under_another_name_is_left_out(own: Path) -> None:
    rows = read_table(own)
    (own / rows[1][3]).write_bytes((own / rows[0][3]).read_bytes())
    defect = only_defect(own)
    assert defect.kind == "copy of another clip"
    assert f"holds the same samples as the clip '{rows[0][0]}'" in defect.what


# --- broken videos ---------------------------------------------------------------------------------------------------

Break = Callable[[Path], None]


def frames(count: int, *shape: int) -> NDArray[np.uint8]:
    return np.zeros((count, *shape), np.uint8)


def saved(**arrays: NDArray[np.generic]) -> Break:
    return lambda path: np.savez(path, **arrays)  # type: ignore[arg-type]


BROKEN_NPZ: list[tuple[str, Break, str, str]] = [
    ("no zip", lambda path: path.write_bytes(b"zip") and None, "unreadable", "cannot be read as .npz"),
    ("no frames", saved(images=frames(3, 4, 4)), "unreadable", "got no such array"),
    ("floats", saved(frames=np.zeros((3, 4, 4))), "unreadable", "must be uint8 (F, H, W) or (F, H, W, 3), got float64"),
    ("flat", saved(frames=frames(9)), "unreadable", "got uint8 (9,)"),
    ("one frame", saved(frames=frames(1, 4, 4)), "no frames", "holds 1 frames, a clip needs 2"),
    ("times", saved(frames=frames(3, 4, 4), time_s=np.arange(2)), "unreadable", "time_s must be 3 numbers"),
    ("back", saved(frames=frames(3, 4, 4), time_s=np.array([0, 2, 1])), "backward timestamps", "does not at frame 2"),
    ("later", saved(frames=frames(3, 4, 4), time_s=np.arange(3) + 60), "video at another time", "need one clock"),
    ("object", saved(frames=np.array([None])), "unreadable", "cannot be read as .npz (Object arrays cannot be loaded"),
]


@pytest.mark.parametrize(("name", "damage", "kind", "what"), BROKEN_NPZ, ids=[row[0] for row in BROKEN_NPZ])
def test_a_broken_npz_costs_its_recording(own: Path, name: str, damage: Break, kind: str, what: str) -> None:
    path = own / read_table(own)[1][4]
    damage(path)
    defect = only_defect(own, "video")
    assert (defect.kind, defect.left_out) == (kind, True)
    assert what in defect.what


def test_videos_that_are_cut_short_or_none_or_of_another_length(own: Path) -> None:
    rows = read_table(own)
    video = own / rows[0][4]
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    assert only_defect(own, "video").kind in ("cut short", "unreadable")
    video.write_bytes(b"no video")
    assert "cannot be read as a video" in only_defect(own, "video").what
    write_avi(video, frames(60, 48, 64))
    defect = only_defect(own, "video")
    assert (defect.kind, defect.left_out) == ("video and sensor differ in length", False)
    assert defect.what == "lasts 3.93 s and the sensor 2.50 s; it was stretched over the whole recording"
    rows[0][4] = "dataset.toml"
    write_table(own, rows)
    assert "is no video: give one of .mp4" in only_defect(own, "video").what


def test_images_without_a_number_twice_or_missing(own: Path) -> None:
    folder = own / read_table(own)[2][4]
    image = (folder / "frame_0.pgm").read_bytes()
    (folder / "notes.txt").write_text("not an image, and no defect")
    (folder / "frame_8.pgm").unlink()
    defect = only_defect(own, "video")
    assert (defect.kind, defect.left_out) == ("missing images", False)
    (folder / "frame_00.pgm").write_bytes(image)
    assert "has the number of frame_0.pgm, 0" in only_defect(own, "video").what
    (folder / "frame_00.pgm").rename(folder / "cover.pgm")
    assert "has no number to be ordered by" in only_defect(own, "video").what
    (folder / "cover.pgm").rename(folder / "frame_8.pgm")
    (folder / "frame_8.pgm").write_bytes(b"")
    assert "cannot be read as an image" in only_defect(own, "video").what


def test_numbered_images_keep_their_times_where_one_is_missing(own: Path) -> None:
    folder = own / read_table(own)[2][4]
    whole = read(own, "video")[1][2].frame_time_s
    (folder / "frame_8.pgm").unlink()
    np.testing.assert_allclose(read(own, "video")[1][2].frame_time_s, np.delete(whole, 2))


# --- mistakes in the two files: errors --------------------------------------------------------------------------------

TABLES = [
    (HEADER, [], r"clips\.csv holds a header and no clips"),
    (["clip", "person"], [], r"line 1: the column 'subject' is missing in 'clip,person'"),
    (["clip;subject;label;sensor"], [], r"line 1: the column 'clip' is missing .*with commas"),
    ([*HEADER, "session"], [], r"line 1: the column 'session' has no name of its own"),
    (HEADER, [["a", "ann", "wave", "a.csv", ""]], r"line 2: 5 values, the header has 6"),
    (HEADER, [["a", "", "wave", "a.csv", "", ""]], r"line 2: the subject is empty"),
    (HEADER, [["a", "ann", "wave", "", "", ""]], r"line 2: the sensor is empty"),
    (
        HEADER,
        [["a", "ann", "", "a.csv", "", ""], ["b", "bob", " ", "b.csv", "", ""]],
        r"clips\.csv: the label is empty in every line \(2\).*only take part in distillation",
    ),
    (HEADER, [["a", "ann", "wave", "/etc/a.csv", "", ""]], r"line 2: the sensor '/etc/a.csv' lies outside the folder"),
    (HEADER, [["a", "ann", "wave", "a.csv", "../b.avi", ""]], r"line 2: the video '../b.avi' lies outside"),
    (HEADER, [["a", "ann", "wave", "C:\\a.csv", "", ""]], r"lies outside the folder"),
    (
        HEADER,
        [["a", "ann", "wave", "a.csv", "", ""], ["a", "bob", "wave", "b.csv", "", ""]],
        r"line 3: the clip 'a' stands in line 2 already",
    ),
    (
        HEADER,
        [["a", "ann", "wave", "a.csv", "", ""], ["b", "bob", "wave", "a.csv", "", ""]],
        r"line 3: the sensor 'a.csv' stands in line 2 already",
    ),
    (
        HEADER,
        [["a", "Ann", "wave", "a.csv", "", ""], ["b", "ann ", "wave", "b.csv", "", ""]],
        r"line 3: the subject 'ann' is 'Ann' in line 2",
    ),
    (
        HEADER,
        [["a", "ann", "wave", "a.csv", "", ""], ["b", "bob", "Wave", "b.csv", "", ""]],
        r"line 3: the label 'Wave' is 'wave' in line 2",
    ),
]


@pytest.mark.parametrize(("header", "rows", "message"), TABLES, ids=[row[2][:40] for row in TABLES])
def test_a_mistake_in_the_table_is_one_sentence(
    tmp_path: Path, header: list[str], rows: list[list[str]], message: str
) -> None:
    (tmp_path / "dataset.toml").write_text(DESCRIPTION)
    write_table(tmp_path, rows, header)
    with pytest.raises(DataError, match=message):
        FolderSource.open(tmp_path, view="none")


DESCRIPTIONS = [
    ("name = kitchen", "dataset.toml is not TOML in UTF-8"),
    (DESCRIPTION.replace("gravity = true\n", ""), "dataset.toml lacks the key 'gravity'"),
    (DESCRIPTION.replace("m/s^2", "ms2"), "dataset.toml.unit cannot be 'ms2'"),
    (DESCRIPTION.replace("unit", "units"), "unknown key 'units' in dataset.toml. Did you mean 'unit'"),
    (DESCRIPTION.replace("kitchen", "../x"), "name is '../x'. Take letters, digits"),
    (DESCRIPTION + "rate_hz = -1", "rate_hz must be above 0 Hz, got -1"),
    (DESCRIPTION + 'labels = ["jog", "jog"]', "labels names 'jog' twice"),
    (DESCRIPTION + 'labels = ["jog", "wavee", "squat"]', r"unknown label 'wave'\. Did you mean 'wavee'"),
    (DESCRIPTION + '[axes]\nx = "z"', "an axis map names x, y and z once each"),
    (DESCRIPTION.replace("left wrist", " "), "placement is empty"),
]


@pytest.mark.parametrize(("text", "message"), DESCRIPTIONS, ids=[row[1][:40] for row in DESCRIPTIONS])
def test_a_mistake_in_the_description_is_one_sentence(own: Path, text: str, message: str) -> None:
    (own / "dataset.toml").write_text(text)
    with pytest.raises(VskdError, match=message):
        FolderSource.open(own, view="none")


@pytest.mark.parametrize("name", ["dataset.toml", "clips.csv"])
def test_a_pipe_in_place_of_a_describing_file_is_not_waited_for(own: Path, name: str) -> None:
    (own / name).unlink()
    os.mkfifo(own / name)
    with pytest.raises(DataError, match=rf"{name} is no file.*`vskd data init FOLDER` writes both"):
        FolderSource.open(own, view="none")


def test_a_folder_that_holds_neither_file(tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match=r"A folder of recordings holds dataset\.toml and clips\.csv"):
            FolderSource.open(root, view="none")
    (tmp_path / "dataset.toml").write_text(DESCRIPTION)
    with pytest.raises(DataError, match=r"cannot read .*clips\.csv"):
        FolderSource.open(tmp_path, view="none")


def test_of_a_header_that_is_none_the_start_is_shown(own: Path) -> None:
    (own / "clips.csv").write_text("x" * 100_000)
    with pytest.raises(DataError, match=r"the column 'clip' is missing in 'x{120}'"):
        FolderSource.open(own, view="none")


# --- the cache and the count ------------------------------------------------------------------------------------------


def test_a_changed_byte_or_word_is_another_fingerprint(own: Path) -> None:
    seen = {FolderSource.open(own, view="video").fingerprint(), FolderSource.open(own, view="none").fingerprint()}
    rows = read_table(own)
    with (own / rows[0][3]).open("a") as stream:
        stream.write("9,0,0,9.8\n")
    seen.add(FolderSource.open(own, view="video").fingerprint())
    image = next(path for path in sorted((own / rows[2][4]).iterdir()))
    image.write_bytes(image.read_bytes()[:-1] + b"\x01")
    seen.add(FolderSource.open(own, view="video").fingerprint())
    (own / "dataset.toml").write_text(DESCRIPTION.replace("left", "right"))
    seen.add(FolderSource.open(own, view="video").fingerprint())
    assert len(seen) == 5


def test_a_prepared_folder_knows_placement_groups_and_what_was_passed_over(own: Path, tmp_path: Path) -> None:
    rows = read_table(own)
    (own / rows[0][3]).write_text("")
    prepared = prepare(FolderSource.open(own, view="none", height=12, width=16), tmp_path / "cache")
    assert len(prepared) == 5
    assert (prepared.placement, prepared.gravity) == ("left wrist", "included")
    assert prepared.infos[0].groups == {"session": "1"}
    assert [defect.kind for defect in prepared.defects] == ["empty file"]


def test_the_count_tells_kinds_columns_and_rates(own: Path) -> None:
    rows = read_table(own)
    (own / rows[0][3]).write_text("")
    report = check(FolderSource.open(own, view="video"))
    assert report.recordings == 5
    assert report.groups == {"session": {"1": 5}}
    assert report.defects_by_kind == {"empty file": 1}
    assert report.left_out == 1
    assert report.rate_hz is not None
    assert report.rate_hz.median == pytest.approx(50, abs=1)
    assert report.by_stream == {"sensor": 6, "video": 6}


# --- parts of files ---------------------------------------------------------------------------------------------------


def parts(root: Path, rows: list[list[str]], header: list[str] | None = None) -> tuple[FolderSource, list[Recording]]:
    """One file of ten seconds whose x is the time, and a table of its parts."""
    root.mkdir(exist_ok=True)
    text = "".join(f"{5 + i / 50:.2f},{i / 5000},0,9.8\n" for i in range(500))
    (root / "day.csv").write_text(HEAD + text)
    (root / "dataset.toml").write_text(DESCRIPTION)
    write_table(root, rows, header or ["clip", "subject", "label", "sensor", "start_s", "end_s"])
    source = FolderSource.open(root, view="none")
    return source, list(source.recordings())


def test_a_long_file_holds_many_clips(tmp_path: Path) -> None:
    """Seconds count from the file's first sample, which is at 5 s here; the end is not part of a clip."""
    rows = [["a", "ann", "walk", "day.csv", "0", "4"], ["b", "ann", "sit", "day.csv", "4.0", "9.5"]]
    _, (walk, sit) = parts(tmp_path, rows)
    np.testing.assert_allclose(walk.time_s, 5 + np.arange(200) / 50)
    np.testing.assert_allclose(sit.time_s, 9 + np.arange(275) / 50)
    np.testing.assert_allclose(sit.acceleration_g[0, 0], 200 / 5000 / 9.80665)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([["a", "ann", "walk", "day.csv", "0", "4"], ["b", "bob", "sit", "day.csv", "3.9", "9"]], "stands in line 2"),
        ([["a", "ann", "walk", "day.csv", "", ""], ["b", "bob", "sit", "day.csv", "3.9", "9"]], "stands in line 2"),
        ([["a", "ann", "walk", "day.csv", "4", "4"]], "start_s is 4 and end_s 4"),
        ([["a", "ann", "walk", "day.csv", "-1", "4"]], "start_s is -1"),
        ([["a", "ann", "walk", "day.csv", "0:04", "4"]], "'0:04' is no number. Give seconds"),
    ],
)
def test_parts_that_overlap_or_cannot_be_are_refused(tmp_path: Path, rows: list[list[str]], what: str) -> None:
    with pytest.raises(DataError, match=what):
        parts(tmp_path, rows)


def test_a_part_outside_its_file_is_left_out(tmp_path: Path) -> None:
    rows = [["a", "ann", "walk", "day.csv", "0", "4"], ["b", "ann", "sit", "day.csv", "8", "20"]]
    source, recordings = parts(tmp_path, rows)
    assert [recording.info.id for recording in recordings] == ["a"]
    (defect,) = source.defects()
    assert defect.kind == "part outside its file"
    assert "start_s and end_s are 8 and 20, and the file lasts 9.98 s" in defect.what


@pytest.mark.parametrize("name", ["start", "end_ms", "Begin", "stop_s", "offset", "from"])
def test_a_column_that_would_change_the_clips_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"the column '{name}' would change what a clip is.*start_s and end_s"):
        parts(tmp_path, [["a", "ann", "walk", "day.csv", "1"]], ["clip", "subject", "label", "sensor", name])


def test_rows_of_one_file_are_clips_of_their_own(tmp_path: Path) -> None:
    header = ["clip", "subject", "label", "sensor", "rows"]
    text = "".join(f"{i / 50:.2f},{i % 2},0,9.8,{'ann' if i % 2 else 'bob'}\n" for i in range(300))
    (tmp_path / "all.csv").write_text("time_s,ax,ay,az,who\n" + text)
    rows = [["a", "ann", "walk", "all.csv", "who=ann"], ["b", "bob", "walk", "all.csv", "who=bob"]]
    _, recordings = parts(tmp_path, rows, header)
    assert [recording.acceleration_g[0, 0] > 0.05 for recording in recordings] == [True, False]
    for second in ("who = ann", "", "time_s=0.02"):
        with pytest.raises(DataError, match="stands in line 2 already"):
            parts(tmp_path, [rows[0], ["b", "bob", "walk", "all.csv", second]], header)


def test_lines_of_the_table_may_be_comments(tmp_path: Path) -> None:
    parts(tmp_path, [["a", "ann", "walk", "day.csv", "", ""]])
    table = tmp_path / "clips.csv"
    table.write_text("# guessed\n" + table.read_text() + "# b,bob,sit,no.csv,,\nc,ann,sit\n")
    with pytest.raises(DataError, match=r"clips\.csv, line 5: 3 values"):
        FolderSource.open(tmp_path, view="none")
