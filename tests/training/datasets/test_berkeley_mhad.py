"""Berkeley MHAD's reader, on small trees in the published layout with the defects that a tree can have."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.published_trees import (
    G,
    wrist,
    write_bayer,
    write_kinect,
    write_pgm,
    write_shimmer,
)
from vskd.contract import GafSpec, WindowSpec
from vskd.errors import ConfigError, DataError
from vskd_training.data.experiment import Experiment
from vskd_training.data.splits import split_of
from vskd_training.data.windows import Clips
from vskd_training.datasets.berkeley_mhad import BerkeleySettings
from vskd_training.datasets.berkeley_mhad.reader import ACTIONS, BerkeleyMhadSource
from vskd_training.datasets.check import check
from vskd_training.datasets.files.pgm import read_pgm
from vskd_training.datasets.recording import BrokenFileError, RecordingInfo
from vskd_training.settings import Config, DataConfig

TRIALS = ("s01_a01_r01", "s01_a11_r05", "s12_a02_r03")


def bayer(value: int = 100, frames: int = 6) -> list[NDArray[np.uint8]]:
    """Grey images whose right half is brighter, and which grow brighter from one to the next."""
    image = np.full((24, 32), value, np.uint8)
    image[:, 16:] += 50
    return [image + np.uint8(10 * number) for number in range(frames)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for trial in TRIALS:
        write_shimmer(tmp_path, trial)
        write_bayer(tmp_path, trial, bayer())
        write_kinect(tmp_path, trial, [np.full((12, 16), depth, np.uint16) for depth in (1000, 3000, 5000, 0)])
    write_shimmer(tmp_path, "s01_a12_r01")
    return tmp_path


def kinds(source: BerkeleyMhadSource) -> dict[str, int]:
    return check(source).defects_by_kind


def test_the_published_layout_is_read(tree: Path) -> None:
    source = BerkeleyMhadSource.open(tree, view="rgb", height=12, width=16)
    recordings = list(source.recordings())
    assert [one.info.id for one in recordings] == list(TRIALS)
    assert recordings[1].info == RecordingInfo("s01_a11_r05", "1", "stand_up", 5)
    time_s, reading_g = wrist(90, 30, seed=sum(map(ord, TRIALS[0])))
    np.testing.assert_allclose(recordings[0].acceleration_g, reading_g, atol=1e-6)
    np.testing.assert_allclose(recordings[0].time_s - recordings[0].time_s[0], time_s, atol=1e-5)
    np.testing.assert_allclose(recordings[0].frame_time_s, np.linspace(*recordings[0].time_s[[0, -1]], 6))
    assert source.placement == "right wrist"
    # Images are 24 x 32 and frames half of that: the left half is 100, the right half 150, each image 10 brighter.
    frames = recordings[0].frames
    assert frames.shape == (6, 12, 16)
    np.testing.assert_array_equal(frames[:, 5, 2], 100 + 10 * np.arange(6))
    np.testing.assert_array_equal(frames[:, 5, 13], 150 + 10 * np.arange(6))


def test_the_t_pose_is_left_out_and_counted(tree: Path) -> None:
    report = check(BerkeleyMhadSource.open(tree))
    assert report.recordings == 3
    assert report.by_stream == {"Shimmer02": 3, "T-pose, left out": 1, "unit found from gravity: m/s^2": 3}
    assert len(report.missing_trials) == 657
    assert report.defects == ()
    assert list(report.by_label) == list(ACTIONS)


def test_a_kinect_shows_what_is_near_as_bright(tree: Path) -> None:
    source = BerkeleyMhadSource.open(tree, view="depth", height=12, width=16)
    frames = next(source.recordings()).frames
    assert [int(frame[6, 8]) for frame in frames] == [255, 128, 0, 0]


@pytest.mark.parametrize(("unit", "factor"), [("g", 1.0), ("m/s^2", G), ("mg", 1000.0)])
def test_the_unit_is_found_from_gravity(tmp_path: Path, unit: str, factor: float) -> None:
    write_shimmer(tmp_path, TRIALS[0], unit=factor)
    source = BerkeleyMhadSource.open(tmp_path)
    assert f"unit found from gravity: {unit}" in source.files_by_stream()
    reading_g = wrist(90, 30, seed=sum(map(ord, TRIALS[0])))[1]
    np.testing.assert_allclose(next(source.recordings()).acceleration_g, reading_g, atol=1e-5)


def test_readings_in_no_known_unit_are_refused(tmp_path: Path) -> None:
    write_shimmer(tmp_path, TRIALS[0], unit=50)
    with pytest.raises(DataError, match=r"the median \|a\| is 4\d\.\d+, which is gravity in none of g, m/s\^2, mg"):
        list(BerkeleyMhadSource.open(tmp_path).recordings())


def test_other_sensors_keep_their_numbers(tmp_path: Path) -> None:
    for shimmer, placement in ((1, "left wrist"), (5, "Shimmer 5, no wrist")):
        write_shimmer(tmp_path, TRIALS[0], shimmer=shimmer)
        source = BerkeleyMhadSource.open(tmp_path, settings=BerkeleySettings(shimmer=shimmer))
        assert source.placement == placement
        assert len(list(source.recordings())) == 1


# --- defects ----------------------------------------------------------------------------------------------------------


def test_broken_sensor_files_are_counted_by_kind(tree: Path) -> None:
    folder = tree / "Accelerometer" / "Shimmer02"
    write_shimmer(tree, "s02_a01_r01").write_text("")
    short = write_shimmer(tree, "s02_a01_r02")
    short.write_text(short.read_text().splitlines()[0])
    binary = write_shimmer(tree, "s02_a01_r03")
    binary.write_bytes(b"\xff\xfe" + binary.read_bytes())
    write_shimmer(tree, "s02_a01_r04", unit=20 * G)
    cut = write_shimmer(tree, "s02_a01_r05")
    cut.write_text(cut.read_text()[:-20])
    words = write_shimmer(tree, "s02_a02_r01")
    words.write_text("time went by\n" * 9)
    lines = write_shimmer(tree, "s02_a02_r02").read_text().splitlines()
    (folder / "acc_h02_s02_a02_r02.txt").write_text(
        "\n".join([*lines[:9], lines[8], *lines[9:20], lines[3], *lines[20:]])
    )
    (folder / "acc_h02_s13_a01_r01.txt").write_text("")
    (folder / "acc_h01_s01_a01_r02.txt").write_text("")
    source = BerkeleyMhadSource.open(tree)
    report = check(source)
    assert report.recordings == 3 + 2
    assert report.defects_by_kind == {
        "misnamed file": 2,
        "empty file": 1,
        "too few samples": 1,
        "unreadable": 1,
        "implausible readings": 1,
        "mostly broken lines": 1,
        "broken lines": 1,
        "repeated timestamps": 1,
        "wild timestamps": 1,
    }
    assert len(source.infos()) == 5
    dropped = {defect.where: defect.what for defect in report.defects if not defect.left_out}
    what = dropped["Accelerometer/Shimmer02/acc_h02_s02_a01_r05.txt"]
    assert what == "1 lines are broken and were dropped, the first is line 90"


def test_missing_cameras_and_images_and_broken_ones(tree: Path) -> None:
    camera = tree / "Camera" / "Cluster01" / "Cam01"
    for path in (camera / "S01/A01/R01").iterdir():
        path.unlink()
    (camera / "S01/A01/R01").rmdir()
    (camera / "S01/A11/R05/img_l01_c01_s01_a11_r05_00002.pgm").unlink()
    broken = camera / "S12/A02/R03/img_l01_c01_s12_a02_r03_00004.pgm"
    broken.write_bytes(broken.read_bytes()[:-7])
    source = BerkeleyMhadSource.open(tree, view="rgb", height=12, width=16)
    (recording,) = source.recordings()
    assert recording.info.id == "s01_a11_r05"
    assert kinds(source) == {"missing camera": 1, "cut short": 1, "missing images": 1}
    # The images that are left keep their times.
    share = (recording.frame_time_s - recording.time_s[0]) / (recording.time_s[-1] - recording.time_s[0])
    np.testing.assert_allclose(share, [0, 0.2, 0.6, 0.8, 1], atol=1e-6)
    write_pgm(broken, np.zeros((24, 31), np.uint8))
    assert "unreadable" in kinds(BerkeleyMhadSource.open(tree, view="rgb"))
    write_pgm(broken, np.zeros((24, 32), np.uint16))
    assert "unreadable" in kinds(BerkeleyMhadSource.open(tree, view="rgb"))


def test_a_tree_that_is_not_there_names_what_is(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no folder Accelerometer/Shimmer03/\. Accelerometer/ holds Shimmer02"):
        BerkeleyMhadSource.open(tree, settings=BerkeleySettings(shimmer=3))
    (tree / "Camera" / "Cluster01" / "Cam01").rename(tree / "Camera" / "Cluster01" / "Cam04")
    with pytest.raises(DataError, match=r"has no folder Camera/Cluster01/Cam01/\. Cluster01/ holds Cam04"):
        BerkeleyMhadSource.open(tree, view="rgb")
    with pytest.raises(DataError, match="there is no folder"):
        BerkeleyMhadSource.open(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=re.escape("berkeley.shimmer must lie in 1..6, got 7")):
        BerkeleySettings(shimmer=7)


def test_a_changed_sensor_file_or_image_is_another_fingerprint(tree: Path) -> None:
    seen = {BerkeleyMhadSource.open(tree, view=view).fingerprint() for view in ("none", "rgb", "depth")}
    write_bayer(tree, TRIALS[0], bayer(frames=7))
    seen.add(BerkeleyMhadSource.open(tree, view="rgb").fingerprint())
    write_shimmer(tree, TRIALS[0], samples=91)
    seen.add(BerkeleyMhadSource.open(tree, view="rgb").fingerprint())
    assert len(seen) == 5


# --- images ---------------------------------------------------------------------------------------------------------


def test_a_bayer_image_is_grey_by_the_brightness_of_its_colours(tmp_path: Path) -> None:
    red, green, blue = 200, 100, 50
    raw = np.tile(np.array([[green - 10, red], [blue, green + 10]], np.uint8), (12, 16))
    write_shimmer(tmp_path, TRIALS[0])
    write_bayer(tmp_path, TRIALS[0], [raw, raw])
    (recording,) = BerkeleyMhadSource.open(tmp_path, view="rgb", height=12, width=16).recordings()
    assert set(recording.frames.ravel().tolist()) == {round(0.299 * red + 0.587 * green + 0.114 * blue)}


def test_pgm_images_keep_their_numbers(tmp_path: Path) -> None:
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300
    write_pgm(tmp_path / "a.pgm", deep)
    np.testing.assert_array_equal(read_pgm(tmp_path / "a.pgm", where="a"), deep)
    for content, message in (
        (b"", "is no binary PGM image .0 bytes"),
        (b"P2 1 1 255 7", "is no binary PGM image"),
        (b"P5 0 1 255\n", "has 0 x 1 pixels up to 255"),
        (b"P5 2 2 99999\n", "up to 99999"),
        (b"P5 2 2 255\nabc", "holds 3 bytes of 4"),
    ):
        (tmp_path / "b.pgm").write_bytes(content)
        with pytest.raises(BrokenFileError, match=message):
            read_pgm(tmp_path / "b.pgm", where="b.pgm")
    with pytest.raises(BrokenFileError, match="cannot be read"):
        read_pgm(tmp_path / "c.pgm", where="c.pgm")


# --- the published split ----------------------------------------------------------------------------------------------


def test_cross_subject_is_the_published_one() -> None:
    infos = [
        RecordingInfo(f"s{s}_a{a}_r{r}", str(s), ACTIONS[a - 1], r)
        for s in range(1, 13)
        for a in range(1, 12)
        for r in range(1, 6)
        if (s, a, r) != (4, 8, 5)
    ]
    split = split_of(infos, DataConfig("berkeley-mhad", "none"))
    assert split.protocol == "cross-subject"
    assert len(split.train) + len(split.validation) == 384
    assert len(split.test) == 275
    assert split.test_subjects == ("8", "9", "10", "11", "12")
    assert split.validation_subjects == ("7",)
    assert not split.leaky


def test_a_config_opens_the_tree_and_cuts_windows_of_both_sides(tmp_path: Path) -> None:
    for subject in (1, 6, 7, 8):
        write_shimmer(tmp_path, f"s{subject:02}_a01_r01")
        write_bayer(tmp_path, f"s{subject:02}_a01_r01", bayer())
    config = Config(
        DataConfig("berkeley-mhad", "rgb", frame_height=12, frame_width=16),
        window=WindowSpec(samples=40, rate_hz=25.0, hop_samples=20),
        gaf=GafSpec(size=16),
    )
    experiment = Experiment.open(config, root=tmp_path, cache=tmp_path / "cache", progress=None)
    assert (experiment.split.train_subjects, experiment.split.test_subjects) == (("1", "6"), ("8",))
    assert experiment.contract.sensor.placement == "right wrist"
    table = experiment.windows("train")
    assert len(table) == 4
    clips = Clips.of(experiment.prepared, table, segments=3, motion=False).batch([0, 1], rng=None)
    assert clips.shape == (2, 3, 1, 12, 16)
