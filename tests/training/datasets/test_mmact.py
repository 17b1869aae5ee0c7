"""MMAct's reader, on small trees in the published layout with the defects that its files are known for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.command_line import Command
from training.published_trees import G, wrist, write_mmact_video, write_watch
from vskd.errors import ConfigError, DataError
from vskd_training.data.splits import folds_of, split_of
from vskd_training.datasets.check import check
from vskd_training.datasets.mmact import MmactSettings
from vskd_training.datasets.mmact.reader import LABELS, NAMES, MmactSource
from vskd_training.datasets.recording import RecordingInfo
from vskd_training.settings import DataConfig

PLACES = (
    "subject1/scene1/session1/carrying",
    "subject1/scene3/session2/using_phone",
    "subject17/scene2/session5/talking_on_phone",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for place in PLACES:
        write_watch(tmp_path, place)
    return tmp_path


def test_there_are_37_classes_and_no_dead_one() -> None:
    assert (len(NAMES), len(LABELS), len(set(LABELS))) == (35, 37, 37)
    assert list(NAMES) == sorted(NAMES)


def test_the_published_layout_is_read(tree: Path) -> None:
    source = MmactSource.open(tree)
    recordings = list(source.recordings())
    assert [one.info.label for one in recordings] == ["carrying", "using_phone_desk", "talking_on_phone"]
    assert recordings[2].info == RecordingInfo(
        "subject17_scene2_session5_talking_on_phone", "17", "talking_on_phone", 5, {"scene": "2", "session": "5"}
    )
    time_s, reading_g = wrist(250, 100, seed=sum(map(ord, PLACES[0])))
    np.testing.assert_allclose(recordings[0].acceleration_g, reading_g, atol=1e-5)
    # The recording runs over midnight.
    np.testing.assert_allclose(recordings[0].time_s, time_s, atol=1e-6)
    assert source.defects() == ()


@pytest.mark.parametrize("prefix", ["", "cross_view/trainval"])
def test_videos_of_both_releases_are_found(tree: Path, prefix: str) -> None:
    for place in PLACES:
        write_mmact_video(tree, place, camera=2, prefix=prefix)
    source = MmactSource.open(tree, view="rgb", settings=MmactSettings(camera=2), height=9, width=16)
    recordings = list(source.recordings())
    assert len(recordings) == 3
    assert recordings[0].frames.shape == (75, 9, 16)
    assert recordings[0].frame_time_s[[0, -1]] == pytest.approx(recordings[0].time_s[[0, -1]])


# --- defects ----------------------------------------------------------------------------------------------------------


def change(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines) + "\n")


def test_every_known_defect_is_counted_and_none_stops_the_reading(tree: Path) -> None:
    place = "subject2/scene1/session1/"
    write_watch(tree, place + "closing").write_text("")
    fraction = write_watch(tree, place + "drinking")
    change(fraction, 50, f"20181026_00:00:00,0,0,{G}")
    backward = write_watch(tree, place + "entering")
    change(backward, 100, f"20181025_23:59:59.600000,0,0,{G}")
    repeated = write_watch(tree, place + "exiting")
    lines = repeated.read_text().splitlines()
    repeated.write_text("\n".join([*lines[:9], lines[8], *lines[9:]]))
    cut = write_watch(tree, place + "kicking")
    cut.write_text(cut.read_text()[:-12])
    nonsense = write_watch(tree, place + "jumping")
    change(nonsense, 3, f"20181399_00:00:00.1,0,0,{G}")
    change(nonsense, 4, "")
    nan = write_watch(tree, place + "opening")
    change(nan, 3, nan.read_text().splitlines()[3].rpartition(",")[0] + ",nan")
    still = write_watch(tree, place + "pointing")
    still.write_text("\n".join(line.split(",")[0] + ",0,0,0" for line in still.read_text().splitlines()))
    write_watch(tree, place + "Carrying_light")
    write_watch(tree, place + "closing_eyes")
    write_watch(tree, "subject2/session1/closing")
    source = MmactSource.open(tree)
    report = check(source)
    assert report.recordings == 3 + 7
    assert report.defects_by_kind == {
        "misnamed file": 2,
        "capitals in a name": 1,
        "empty file": 1,
        "implausible readings": 1,
        "times without a fraction": 1,
        "wild timestamps": 1,
        "repeated timestamps": 1,
        "broken lines": 2,
        "values that are no numbers": 1,
    }
    assert report.left_out == 4
    by_name = {one.info.label: one for one in source.recordings() if one.info.subject == "2"}
    assert "carrying_light" in by_name
    # A missing fraction is the whole second, which here is the right one.
    assert len(by_name["drinking"].time_s) == 250
    assert len(by_name["entering"].time_s) == len(by_name["opening"].time_s) == 249


def test_a_name_that_is_there_twice_but_for_capitals(tree: Path) -> None:
    write_watch(tree, "subject1/scene1/session1/Carrying")
    report = check(MmactSource.open(tree))
    assert report.recordings == 3
    assert report.defects_by_kind == {"capitals in a name": 1, "file that is there twice": 1}


def test_missing_videos_and_missing_sensors_are_told_apart(tree: Path) -> None:
    write_mmact_video(tree, PLACES[0])
    write_mmact_video(tree, "subject3/scene1/session1/fall")
    (write_mmact_video(tree, PLACES[1])).write_bytes(b"no video")
    source = MmactSource.open(tree, view="rgb", height=9, width=16)
    report = check(source)
    assert report.recordings == 1
    assert report.defects_by_kind == {"missing camera": 1, "missing sensor": 1, "unreadable": 1}
    assert report.by_stream == {"acc_watch_clip": 3, "cam1": 3}


def test_a_tree_that_is_not_there(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folder acc_watch_clip/"):
        MmactSource.open(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"has no video subject\*/cam1/scene\*/session\*/\*\.mp4"):
        MmactSource.open(tree, view="rgb")
    with pytest.raises(ConfigError, match=r"mmact\.camera must lie in 1\.\.4, got 5"):
        MmactSettings(camera=5)


def test_a_changed_file_is_another_fingerprint(tree: Path) -> None:
    for place in PLACES:
        write_mmact_video(tree, place)
    seen = {MmactSource.open(tree).fingerprint(), MmactSource.open(tree, view="rgb").fingerprint()}
    video = write_mmact_video(tree, PLACES[0])
    video.write_bytes(video.read_bytes() + b"\0")
    seen.add(MmactSource.open(tree, view="rgb").fingerprint())
    write_watch(tree, PLACES[0], samples=249)
    seen.add(MmactSource.open(tree).fingerprint())
    assert len(seen) == 4


# --- the published splits ---------------------------------------------------------------------------------------------

INFOS = [
    RecordingInfo(f"{s}-{c}-{e}-{n}", str(s), n, e, {"scene": str(c), "session": str(e)})
    for s in range(1, 21)
    for c in range(1, 5)
    for e in range(1, 6)
    for n in ("fall", "running")
]
DATA = DataConfig("mmact", "none")


def test_cross_subject_is_the_published_one_also_where_a_subject_is_missing() -> None:
    split = split_of(INFOS, DATA)
    assert split.test_subjects == ("17", "18", "19", "20")
    assert split.train_subjects[-1] == "12"
    assert split.validation_subjects == ("13", "14", "15", "16")
    fewer = split_of([info for info in INFOS if info.subject not in ("3", "18")], DATA)
    assert fewer.test_subjects == ("17", "19", "20")


@pytest.mark.parametrize(
    ("protocol", "column", "tested"), [("cross-session", "session", "5"), ("cross-scene", "scene", "2")]
)
def test_cross_session_and_cross_scene_have_the_same_subjects_on_both_sides(
    protocol: str, column: str, tested: str
) -> None:
    data = replace(DATA, protocol=protocol)
    with pytest.raises(ConfigError, match=f"{protocol} puts '1', '2', '3' and 17 more into training and test"):
        split_of(INFOS, data)
    split = split_of(INFOS, replace(data, allow_leak=True))
    assert split.leaky
    assert (split.protocol, split.fold) == (protocol, None)
    assert {INFOS[i].groups[column] for i in split.test} == {tested}
    assert tested not in {INFOS[i].groups[column] for i in (*split.train, *split.validation)}
    with pytest.raises(ConfigError, match="has one split and no folds, got fold '3'"):
        split_of(INFOS, replace(data, fold="3"))


def test_published_splits_have_no_folds_and_the_others_theirs() -> None:
    assert folds_of(INFOS, DATA) == folds_of(INFOS, replace(DATA, protocol="cross-session")) == ()
    assert folds_of(INFOS, replace(DATA, protocol="subject-folds", fold_count=4)) == ("1", "2", "3", "4")
    assert folds_of(INFOS, replace(DATA, protocol="column", split_column="scene")) == ("1", "2", "3", "4")


def test_cross_view_is_refused_with_its_reason() -> None:
    with pytest.raises(ConfigError, match=r"the sensor file is the same for all of them.*Take cross-subject"):
        split_of(INFOS, replace(DATA, protocol="cross-view", allow_leak=True))


def test_the_command_counts_and_refuses(vskd: Command, tree: Path) -> None:
    write_watch(tree, "subject2/scene1/session1/closing").write_text("")
    done = vskd("data", "check", "--dataset", "mmact", "--root", tree, "--view", "none")
    assert done.code == 0, done.err
    assert "mmact, view none: 3 recordings" in done.out
    assert "defects     1: 1 recording left out, 0 used in part, 0 doubtful\n  1 x empty file\n" in done.out
    done = vskd("data", "check", "--dataset", "mmact", "--root", tree / "acc_watch_clip")
    assert done.code == 1
    assert "has no folder acc_watch_clip/" in done.err
