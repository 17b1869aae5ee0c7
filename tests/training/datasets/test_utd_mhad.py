"""UTD-MHAD's reader, on small trees in the published layout and, where it is there, on the published data."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import loadmat

from training.published_trees import write_mat, write_utd_trial
from vskd.errors import DataError
from vskd_training.datasets.files.images import image_frame
from vskd_training.datasets.recording import Defect
from vskd_training.datasets.utd_mhad import ACTIONS, DATA_SET
from vskd_training.datasets.utd_mhad.frames import depth_frames
from vskd_training.datasets.utd_mhad.reader import UtdMhadSource, frame_times_s

TRIALS = ("a1_s1_t1", "a2_s1_t1", "a10_s2_t3")
RIGHT_WRIST = 10


def standing_subject(frames: int = 4) -> NDArray[np.uint16]:
    """(60, 80, frames), mm: a body of 20 x 8 pixels at 2000 mm with an arm held towards the camera."""
    depth = np.zeros((60, 80, frames), dtype=np.uint16)
    depth[20:40, 30:38] = 2000
    depth[24:28, 38:44] = 1750
    return depth


def standing_joints(frames: int = 4) -> NDArray[np.float64]:
    """(20, 3, frames), m: a T-pose 2 m away, x to the camera's right, y up."""
    joints = np.zeros((20, 3, frames))
    joints[:, 2] = 2.0
    height_m = {0: 0.7, 1: 0.5, 2: 0.3, 3: 0.0, **dict.fromkeys(range(4, 12), 0.5)}
    legs = dict(zip(range(12, 20), (0, -0.4, -0.8, -0.85) * 2, strict=True))
    for joint, height in {**height_m, **legs}.items():
        joints[joint, 1] = height
    for start, side in ((4, -1), (8, 1)):
        joints[start : start + 4, 0] = side * np.array([0.2, 0.45, 0.7, 0.8])[:, np.newaxis]
    joints[12:16, 0], joints[16:20, 0] = -0.1, 0.1
    return joints


def inertial(trial: str, samples: int = 40) -> NDArray[np.float64]:
    return np.random.default_rng(sum(map(ord, trial))).normal(size=(samples, 6))


def write_avi(path: Path, images: list[NDArray[np.uint8]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = images[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuvj420p"
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three trials with every view."""
    root = tmp_path / "utd-mhad"
    for trial in TRIALS:
        write_utd_trial(root, trial, sensor=inertial(trial), joints_m=standing_joints(), depth_mm=standing_subject())
        write_avi(root / "RGB" / f"{trial}_color.avi", [np.full((48, 64), 40 * i, np.uint8) for i in range(5)])
    (root / "Skeleton" / "Skeleton_joint_order.txt").write_text("1. head;")
    return root


def defects_but_missing_trials(source: UtdMhadSource) -> list[Defect]:
    missing = set(source.missing_trials())
    return [defect for defect in source.defects() if defect.where not in missing]


# --- labels, order, samples ---------------------------------------------------------------------------------------


def test_labels_follow_the_official_numbering() -> None:
    assert len(ACTIONS) == len(set(ACTIONS)) == 27
    assert (ACTIONS[0], ACTIONS[8], ACTIONS[21], ACTIONS[26]) == ("swipe_left", "draw_circle_clockwise", "jog", "squat")
    assert DATA_SET.label_groups["wrist"][-1] == "pick_up_and_throw"
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in ACTIONS)


def test_recordings_are_ordered_by_number_and_not_by_name(tree: Path) -> None:
    source = UtdMhadSource.open(tree, view="none")
    assert [info.id for info in source.infos()] == ["a1_s1_t1", "a2_s1_t1", "a10_s2_t3"]
    last = source.infos()[-1]
    assert (last.subject, last.label, last.trial) == ("2", "draw_circle_counter_clockwise", 3)
    assert [recording.info for recording in source.recordings()] == list(source.infos())


def test_the_sensor_is_the_accelerometer_alone_at_50_hz(tree: Path) -> None:
    first = next(UtdMhadSource.open(tree, view="none").recordings())
    np.testing.assert_array_equal(first.acceleration_g, inertial("a1_s1_t1")[:, :3])
    np.testing.assert_allclose(np.diff(first.time_s), 0.02, atol=1e-12)
    assert first.time_s[0] == 0
    assert first.frames.shape[0] == first.frame_time_s.size == 0


def test_frames_are_stretched_over_the_whole_trial(tree: Path) -> None:
    np.testing.assert_allclose(frame_times_s(np.array([0.0, 0.02, 0.04, 0.06, 0.08]), 3), [0, 0.04, 0.08])
    first = next(UtdMhadSource.open(tree, view="depth").recordings())
    # 40 samples last 0.78 s; four frames lie at the thirds.
    np.testing.assert_allclose(first.frame_time_s, [0, 0.26, 0.52, 0.78])


@pytest.mark.parametrize("view", ["rgb", "depth"])
def test_each_view_has_the_size_asked_for(tree: Path, view: Any) -> None:
    for recording in UtdMhadSource.open(tree, view=view, height=30, width=44).recordings():
        assert recording.frames.dtype == np.uint8
        assert recording.frames.shape == (len(recording.frame_time_s), 30, 44)
        assert recording.frames.flags.c_contiguous


# --- depth --------------------------------------------------------------------------------------------------------


def test_depth_is_coded_around_the_clips_median() -> None:
    depth = np.zeros((6, 8, 2), dtype=np.uint16)
    depth[:] = 2000
    depth[0, :4], depth[1, :2], depth[2, 5] = 1700, 3500, 0
    frames = depth_frames(depth, height=6, width=8)
    # 128 + 127 * 300 / 750 = 178.8; 1500 mm behind saturates at 1; nothing is 0.
    assert frames[0, 0, 0] == 179
    assert frames[0, 1, 0] == 1
    assert frames[0, 2, 5] == 0
    assert frames[0, 5, 7] == 128


@given(
    down=st.integers(-15, 15),
    right=st.integers(-25, 30),
    farther_mm=st.integers(-1000, 2000),
)
def test_depth_frames_do_not_depend_on_place_or_distance(down: int, right: int, farther_mm: int) -> None:
    depth = standing_subject()
    moved = np.roll(depth.astype(np.int32), (down, right), axis=(0, 1))
    moved[moved > 0] += farther_mm
    expected = depth_frames(depth, height=30, width=40)
    np.testing.assert_array_equal(depth_frames(moved.astype(np.uint16), height=30, width=40), expected)


def test_motion_within_a_clip_stays_visible() -> None:
    depth = np.zeros((40, 60, 3), dtype=np.uint16)
    for frame, (column, distance) in enumerate([(10, 2400), (20, 2000), (30, 1600)]):
        depth[10:30, column : column + 6, frame] = distance
    frames = depth_frames(depth, height=20, width=30)
    centres = [np.average(np.arange(30), weights=frame.sum(axis=0).astype(float)) for frame in frames]
    assert np.all(np.diff(centres) > 5)
    assert [int(frame.max()) for frame in frames] == [60, 128, 196]


def test_half_and_full_resolution_give_the_same_frames() -> None:
    half = standing_subject()
    full = half.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(depth_frames(half, height=30, width=40), depth_frames(full, height=30, width=40))


def test_a_speck_of_noise_does_not_widen_the_crop() -> None:
    clean = standing_subject(frames=60)
    noisy = clean.copy()
    noisy[2, 70, 5] = 3000
    np.testing.assert_array_equal(depth_frames(noisy, height=30, width=40), depth_frames(clean, height=30, width=40))


def test_the_persons_aspect_is_kept() -> None:
    depth = np.zeros((60, 80, 2), dtype=np.uint16)
    depth[10:50, 20:30] = 2000
    frame = depth_frames(depth, height=40, width=60)[0]
    rows, columns = (np.flatnonzero(frame.any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (40, 10)
    assert (columns[0], columns[-1]) == (25, 34)


# --- images ------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), factor=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_images_are_averaged_by_area(rows: int, columns: int, factor: int, seed: int) -> None:
    """Oracle: repeat every pixel until both grids fit, then average plain blocks."""
    height, width = rows * factor, columns * factor
    source_rows, source_columns = rows * 3, columns * 3
    image = np.random.default_rng(seed).integers(0, 256, (source_rows, source_columns)).astype(np.uint8)
    fine = image.repeat(height, axis=0).repeat(width, axis=1).astype(np.float64)
    expected = fine.reshape(height, source_rows, width, source_columns).mean(axis=(1, 3))
    actual = image_frame(image, height=height, width=width)
    assert np.abs(actual - expected).max() <= 0.501


def test_an_image_of_another_aspect_gets_black_borders() -> None:
    frame = image_frame(np.full((48, 64), 200, np.uint8), height=30, width=60)
    np.testing.assert_array_equal(frame[:, 10:50], 200)
    assert not frame[:, :10].any()
    assert not frame[:, 50:].any()


def test_a_video_is_read_in_order_and_in_grey(tree: Path) -> None:
    first = next(UtdMhadSource.open(tree, view="rgb").recordings())
    levels = first.frames.mean(axis=(1, 2))
    np.testing.assert_allclose(levels, [0, 40, 80, 120, 160], atol=3)


# --- defects ------------------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[str, dict[str, Any] | bytes, str]] = {
    "empty": ("Inertial/a2_s1_t1_inertial.mat", b"", r"not a MATLAB 5 file \(0 bytes\)"),
    "text": ("Inertial/a2_s1_t1_inertial.mat", b"<html>404 Not Found</html>" * 20, "not a MATLAB 5 file"),
    "hdf5": ("Inertial/a2_s1_t1_inertial.mat", b"MATLAB 7.3 MAT-file" + bytes(600), "not a MATLAB 5 file"),
    "missing key": ("Inertial/a2_s1_t1_inertial.mat", {"iner": np.ones((9, 6))}, "holds no variable d_iner"),
    "five columns": ("Inertial/a2_s1_t1_inertial.mat", {"d_iner": np.ones((9, 5))}, r"got shape \(9, 5\)"),
    "one sample": ("Inertial/a2_s1_t1_inertial.mat", {"d_iner": np.ones((1, 6))}, r"samples >= 2.*\(1, 6\)"),
    "no sample": ("Inertial/a2_s1_t1_inertial.mat", {"d_iner": np.ones((0, 6))}, r"numbers in 2 dimensions.*\(0, 6\)"),
    "nan": ("Inertial/a2_s1_t1_inertial.mat", {"d_iner": np.full((9, 6), np.nan)}, "54 values that are NaN"),
    "words": ("Inertial/a2_s1_t1_inertial.mat", {"d_iner": "acceleration"}, "must hold numbers"),
    "struct": ("Inertial/a2_s1_t1_inertial.mat", {"d_iner": {"x": 1.0}}, "must hold numbers"),
    "one depth frame": ("Depth/a2_s1_t1_depth.mat", {"d_depth": np.ones((9, 9))}, "numbers in 3 dimensions"),
    "nobody": ("Depth/a2_s1_t1_depth.mat", {"d_depth": np.zeros((9, 9, 4))}, "not empty.*all 0"),
    "infinite joint": ("Skeleton/a2_s1_t1_skeleton.mat", {"d_skel": np.full((20, 3, 4), np.inf)}, "NaN or infinite"),
    "25 joints": ("Skeleton/a2_s1_t1_skeleton.mat", {"d_skel": np.ones((25, 3, 4))}, r"\(20, 3, frames >= 2\)"),
    "no video": ("RGB/a2_s1_t1_color.avi", b"", "cannot be read as a video"),
    "text as video": ("RGB/a2_s1_t1_color.avi", b"<html>404 Not Found</html>" * 20, "cannot be read as a video"),
}
VIEW_OF_FOLDER = {"Inertial": "none", "Depth": "depth", "Skeleton": "joints", "RGB": "rgb"}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_a_defect_and_its_recording_is_left_out(tree: Path, case: str) -> None:
    where, content, message = BROKEN[case]
    if isinstance(content, bytes):
        (tree / where).write_bytes(content)
    else:
        write_mat(tree / where, **content)
    view: Any = VIEW_OF_FOLDER[where.split("/")[0]]
    source = UtdMhadSource.open(tree, view=view)
    yielded = [recording.info for recording in source.recordings()]
    assert [info.id for info in yielded] == ["a1_s1_t1", "a10_s2_t3"]
    assert source.infos() == tuple(yielded)
    (defect,) = defects_but_missing_trials(source)
    assert defect.where == where
    assert re.search(message, defect.what), defect.what


def test_joints_without_a_body_are_a_defect(tree: Path) -> None:
    write_mat(tree / "Skeleton/a2_s1_t1_skeleton.mat", d_skel=np.ones((20, 3, 4)))
    source = UtdMhadSource.open(tree, view="joints")
    assert [recording.info.id for recording in source.recordings()] == ["a1_s1_t1", "a10_s2_t3"]
    (defect,) = defects_but_missing_trials(source)
    assert defect.where == "Skeleton/a2_s1_t1_skeleton.mat"
    assert "hip and neck are in one place" in defect.what


def test_a_broken_file_of_another_view_does_no_harm(tree: Path) -> None:
    (tree / "Depth" / "a1_s1_t1_depth.mat").write_bytes(b"")
    source = UtdMhadSource.open(tree, view="joints")
    assert len(list(source.recordings())) == 3
    assert not defects_but_missing_trials(source)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_a_defect_wherever_it_ends(tree: Path, share: float) -> None:
    path = tree / "Inertial" / "a1_s1_t1_inertial.mat"
    write_mat(path, d_iner=inertial("a1_s1_t1"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    source = UtdMhadSource.open(tree, view="none")
    assert [recording.info.id for recording in source.recordings()] == ["a2_s1_t1", "a10_s2_t3"]
    assert [defect.where for defect in defects_but_missing_trials(source)] == ["Inertial/a1_s1_t1_inertial.mat"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_a_flipped_bit_is_a_defect_or_changes_nothing(tree: Path, data: st.DataObject) -> None:
    path = tree / "Inertial" / "a1_s1_t1_inertial.mat"
    write_mat(path, d_iner=inertial("a1_s1_t1"))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    source = UtdMhadSource.open(tree, view="none")
    first = next(source.recordings())
    if first.info.id == "a1_s1_t1":
        np.testing.assert_array_equal(first.acceleration_g, inertial("a1_s1_t1")[:, :3])
    else:
        assert [defect.where for defect in defects_but_missing_trials(source)] == ["Inertial/a1_s1_t1_inertial.mat"]


def test_a_video_that_was_cut_short_is_a_defect(tree: Path) -> None:
    path = tree / "RGB" / "a2_s1_t1_color.avi"
    rng = np.random.default_rng(0)
    write_avi(path, [rng.integers(0, 256, (48, 64)).astype(np.uint8) for _ in range(20)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = UtdMhadSource.open(tree, view="rgb")
    assert len(list(source.recordings())) == 2
    (defect,) = defects_but_missing_trials(source)
    assert re.search(r"holds \d+ frames of 20|cannot be read as a video", defect.what)


def test_what_is_not_there_is_listed(tree: Path) -> None:
    (tree / "Depth" / "a2_s1_t1_depth.mat").unlink()
    (tree / "Inertial" / "a10_s2_t3_inertial.mat").unlink()
    (tree / "Inertial" / "a28_s1_t1_inertial.mat").write_bytes(b"")
    (tree / "Inertial" / "notes.txt").write_text("not a recording, and not read")
    source = UtdMhadSource.open(tree, view="depth")
    assert [info.id for info in source.infos()] == ["a1_s1_t1"]
    assert {(defect.where, defect.what[:12]) for defect in defects_but_missing_trials(source)} == {
        ("Depth/a2_s1_t1_depth.mat", "is missing, "),
        ("Inertial/a10_s2_t3_inertial.mat", "is missing, "),
        ("Inertial/a28_s1_t1_inertial.mat", "is not named"),
    }
    missing = source.missing_trials()
    assert len(missing) == 864 - 3
    assert missing[0] == "a1_s1_t2"
    assert Defect("a27_s8_t4", "this trial is missing", "missing trial") in source.defects()


# --- refusals -----------------------------------------------------------------------------------------------------


def test_a_missing_root_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere\. Give the folder that holds Inertial/"):
        UtdMhadSource.open(tmp_path / "nowhere", view="none")


def test_a_root_without_sensor_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no folder Inertial/\. Give the folder that holds Inertial/"):
        UtdMhadSource.open(tmp_path / "empty", view="none")


@pytest.mark.parametrize("wrong", [".", "utd-mhad/Depth"])
def test_a_root_beside_the_right_one_names_the_right_one(tree: Path, wrong: str) -> None:
    with pytest.raises(DataError, match=r"There is one in .*utd-mhad: give that folder"):
        UtdMhadSource.open(tree.parent / wrong, view="none")


def test_a_missing_view_names_those_that_are_there(tree: Path) -> None:
    (tree / "RGB").rename(tree / "Colour")
    with pytest.raises(DataError, match=r"no folder RGB/ for the view 'rgb'\. .*there: depth, joints, none"):
        UtdMhadSource.open(tree, view="rgb")


# --- fingerprint --------------------------------------------------------------------------------------------------


def test_the_fingerprint_tells_content_and_settings_and_not_the_place(tree: Path, tmp_path: Path) -> None:
    def fingerprint(root: Path = tree, **options: Any) -> str:
        return UtdMhadSource.open(root, **({"view": "depth"} | options)).fingerprint()

    before = fingerprint()
    assert fingerprint() == before
    others = [fingerprint(view="none"), fingerprint(view="joints"), fingerprint(height=61), fingerprint(width=81)]
    assert len({before, *others}) == 5
    moved = tree.rename(tmp_path / "elsewhere")
    assert fingerprint(moved) == before

    path = moved / "Depth" / "a1_s1_t1_depth.mat"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    changed = fingerprint(moved)
    path.rename(path.with_name("a1_s1_t2_depth.mat"))
    assert len({before, changed, fingerprint(moved)}) == 3
    assert fingerprint(moved, view="none") == others[0], "a file that is not read does not count"


# --- the published data -------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_published_tree_has_861_trials_and_lacks_three(utd_mhad_root: Path) -> None:
    source = UtdMhadSource.open(utd_mhad_root, view="none")
    recordings = list(source.recordings())
    assert len(recordings) == len(source.infos()) == 861
    assert source.missing_trials() == ("a8_s1_t4", "a23_s6_t4", "a27_s8_t4")
    assert not defects_but_missing_trials(source)
    samples = [len(recording.time_s) for recording in recordings]
    assert (min(samples), float(np.median(samples)), max(samples)) == (107, 177, 326)
    largest = max(float(np.abs(recording.acceleration_g).max()) for recording in recordings)
    assert 7.9 < largest <= 8.1
    # A wrist moves through all directions, and still the mean magnitude stays near gravity.
    magnitude = [float(np.linalg.norm(recording.acceleration_g, axis=1).mean()) for recording in recordings]
    assert 0.95 < np.median(magnitude) < 1.3


@pytest.mark.data
def test_every_published_skeleton_has_a_torso_as_its_unit(utd_mhad_root: Path) -> None:
    source = UtdMhadSource.open(utd_mhad_root, view="joints")
    recordings = list(source.recordings())
    frames = [len(recording.frames) for recording in recordings]
    assert (len(frames), min(frames), float(np.median(frames)), max(frames)) == (861, 41, 67, 125)
    assert not defects_but_missing_trials(source)
    for recording in recordings:
        assert recording.frames.shape == (len(recording.frame_time_s), 20, 3)
        neck = np.linalg.norm(recording.frames[:, 1], axis=1)
        assert np.median(neck) == pytest.approx(1, abs=1e-4)
        assert np.abs(recording.frames).max() < 8


@pytest.mark.data
def test_every_published_depth_clip_of_one_action_shows_a_subject(utd_mhad_root: Path) -> None:
    source = UtdMhadSource.open(utd_mhad_root, view="depth")
    for recording in itertools.islice(source.recordings(), 32):
        filled = (recording.frames > 0).mean(axis=(1, 2))
        assert 0.05 < filled.min() <= filled.max() < 0.5, recording.info.id
        assert np.median(recording.frames[recording.frames > 0]) == pytest.approx(128, abs=20)


@pytest.mark.data
def test_stretched_frames_follow_the_sensor(utd_mhad_root: Path) -> None:
    """The wrist turns when it moves: at the nominal rates the same correlation is 0.27 (see the data set's notes)."""
    source = UtdMhadSource.open(utd_mhad_root, view="none")
    correlations = []
    for recording in source.recordings():
        if recording.info.label not in DATA_SET.label_groups["wrist"]:
            continue
        name = recording.info.id
        joints = loadmat(utd_mhad_root / "Skeleton" / f"{name}_skeleton.mat")["d_skel"]
        rate = np.linalg.norm(loadmat(utd_mhad_root / "Inertial" / f"{name}_inertial.mat")["d_iner"][:, 3:], axis=1)
        frame_time_s = frame_times_s(recording.time_s, joints.shape[2])
        speed = np.linalg.norm(np.gradient(joints[RIGHT_WRIST], frame_time_s, axis=1), axis=0)
        correlations.append(np.corrcoef(np.interp(frame_time_s, recording.time_s, rate), speed)[0, 1])
    assert len(correlations) == 671
    assert np.median(correlations) > 0.6
