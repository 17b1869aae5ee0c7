"""Skeletons of one's own: read from both kinds of file, put into the teacher's joints, refused by name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vskd.closed import from_mapping
from vskd.errors import ConfigError
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.folder.skeleton import JOINTS, OwnSkeleton, read_joints
from vskd_training.datasets.recording import BrokenFileError
from vskd_training.datasets.utd_mhad import SKELETON

#: As many pose estimators give them, without neck, spine and hands.
COCO = (
    "head", "-", "-", "-", "-", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip


def poses(names: tuple[str, ...], frames: int = 12, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(frames, len(names), 3))


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_the_teachers_joints_stand_in_the_order_that_it_was_made_for() -> None:
    assert (JOINTS[SKELETON.hip], JOINTS[SKELETON.neck]) == ("hip", "neck")
    assert tuple(JOINTS[place] for place in SKELETON.limbs["arm"]) == ("right_shoulder", "right_elbow", "right_wrist")


@settings(max_examples=30)
@given(seed=st.integers(0, 999), missing=st.sets(st.sampled_from(["neck", "spine", "head", "left_hand", "right_foot"])))
def test_any_order_of_joints_gives_the_same_body(
    tmp_path_factory: pytest.TempPathFactory, seed: int, missing: set[str]
) -> None:
    rng = np.random.default_rng(seed)
    names = tuple(name for name in rng.permutation(JOINTS) if name not in missing)
    joints = poses(names, seed=seed)
    path = save(tmp_path_factory.mktemp("j") / "a.npz", joints=joints)
    found = read_joints(path, OwnSkeleton(names), where="a").joints

    def at(name: str) -> NDArray[np.float64]:
        return joints[:, names.index(name)]

    hip = at("hip")
    neck = at("neck") if "neck" in names else (at("left_shoulder") + at("right_shoulder")) / 2
    torso = np.median(np.linalg.norm(neck - hip, axis=1))
    for name in ("left_elbow", "right_wrist", "left_knee"):
        np.testing.assert_allclose(found[:, JOINTS.index(name)], (at(name) - hip) / torso, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(found[:, JOINTS.index("neck")], (neck - hip) / torso, rtol=2e-5, atol=1e-5)


def test_a_csv_and_an_npz_of_the_same_joints_are_the_same(tmp_path: Path) -> None:
    joints, time_s = poses(COCO), np.arange(12) / 30 + 7
    npz = read_joints(save(tmp_path / "a.npz", joints=joints, time_s=time_s), OwnSkeleton(COCO), where="a")
    header = ["time_s", "note", *(f"{name}_{axis}" for name in COCO if name != "-" for axis in "xyz")]
    used = [place for place, name in enumerate(COCO) if name != "-"]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        rows = zip(time_s, joints[:, used].reshape(12, -1), strict=True)
        csv.writer(file).writerows([header, *([at, "x", *row] for at, row in rows)])
    text = read_joints(tmp_path / "a.csv", OwnSkeleton(COCO), where="a")
    np.testing.assert_array_equal(npz.joints, text.joints)
    np.testing.assert_array_equal(npz.position, text.position)
    assert npz.clock == text.clock == "sensor"


def test_the_files_axes_are_turned_to_the_teachers(tmp_path: Path) -> None:
    joints = poses(JOINTS)
    skeleton = from_mapping(OwnSkeleton, {"joints": JOINTS, "axes": {"y": "z", "z": "-y"}}, where="skeleton")
    plain = read_joints(save(tmp_path / "a.npz", joints=joints), OwnSkeleton(JOINTS), where="a").joints
    turned = read_joints(tmp_path / "a.npz", skeleton, where="a").joints
    np.testing.assert_allclose(turned, plain[..., [0, 2, 1]] * [1, 1, -1])


def test_frames_without_a_joint_are_dropped_and_counted(tmp_path: Path) -> None:
    joints = poses(JOINTS)
    joints[[2, 5], 3, 1] = np.nan
    found = read_joints(save(tmp_path / "a.npz", joints=joints), OwnSkeleton(JOINTS), where="a")
    assert found.position.tolist() == [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]
    assert [defect.what for defect in found.defects] == [
        "2 frames hold a joint that is no number and were dropped, the first is 2"
    ]


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        (
            {"joints": poses(JOINTS)[:, :19]},
            r"joints must be \(frames, 20, 3\), as .* names them, got \(12, 19, 3\)",
        ),
        ({"joints": poses(JOINTS)[..., :2]}, r"got \(12, 20, 2\)"),
        ({"frames": poses(JOINTS)}, "must hold joints, and perhaps time_s, as numbers, got frames float64"),
        ({"joints": poses(JOINTS), "time_s": np.arange(5)}, "time_s must be 12 numbers, one for each frame"),
        ({"joints": poses(JOINTS), "time_s": np.zeros(12)}, "time_s must increase"),
        ({"joints": np.full((12, 20, 3), np.nan)}, "0 of 12 frames are usable"),
        ({"joints": np.zeros((12, 20, 3))}, "hip and neck are in one place"),
        ({"joints": np.array([None])}, "cannot be read as .npz"),
    ],
)
def test_what_are_not_these_joints_is_named(tmp_path: Path, arrays: dict[str, Any], what: str) -> None:
    with pytest.raises(BrokenFileError, match=what):
        read_joints(save(tmp_path / "a.npz", **arrays), OwnSkeleton(JOINTS), where="a")


@pytest.mark.parametrize(
    ("joints", "what"),
    [
        (("left_hnad",), "there is no joint 'left_hnad'. Did you mean 'left_hand'"),
        (("head", "head"), "names 'head' twice"),
        (("head", "hip"), "lacks left_shoulder, left_elbow, left_wrist, right_shoulder"),
    ],
)
def test_joints_that_are_not_known_are_refused(joints: tuple[str, ...], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        OwnSkeleton(joints)


def test_a_folder_shows_the_joints_of_those_who_have_them(tmp_path: Path) -> None:
    toml = 'name = "gym"\nunit = "g"\ngravity = true\nplacement = "wrist"\n'
    (tmp_path / "dataset.toml").write_text(f"{toml}[skeleton]\njoints = {list(COCO)!r}\n".replace("'", '"'))
    for name, x in (("a", 0.0), ("b", 0.1)):
        rows = "".join(f"{i / 50},{x + i / 1e5},0,1\n" for i in range(100))
        (tmp_path / f"{name}.csv").write_text("time_s,ax,ay,az\n" + rows)
    save(tmp_path / "a.npz", joints=poses(COCO))
    (tmp_path / "clips.csv").write_text("clip,subject,label,sensor,joints\na,ann,walk,a.csv,a.npz\nb,bob,walk,b.csv,\n")
    source = FolderSource.open(tmp_path, view="joints")
    ann, bob = source.recordings()
    assert (ann.frames.shape, ann.frames.dtype) == ((12, 20, 3), np.float32)
    np.testing.assert_allclose(ann.frame_time_s[[0, -1]], ann.time_s[[0, -1]])
    assert (bob.frames.shape, bob.frames.dtype, len(bob.time_s)) == ((0, 20, 3), np.float32, 100)
    assert [(defect.kind, defect.left_out) for defect in source.defects()] == [("no joints", False)]
