"""A virtual watch on a measured arm: the physics by hand, UTD-MHAD's skeletons against its real watch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from training.command_line import Command
from training.published_trees import write_utd_trial
from vskd.errors import DataError
from vskd_training.data.virtual_wrist import arm_axes, limb_parts_g
from vskd_training.datasets.folder.reader import FolderSource
from vskd_training.datasets.utd_mhad import RIGHT_ARM
from vskd_training.datasets.utd_mhad.reader import UtdMhadSource

G = 9.80665
UP = (0.0, 0.0, 1.0)


def swinging_arm(rate_rad_s: float, frames: int = 41) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An upper arm along -x, a forearm of 0.25 m that turns about the elbow in the horizontal plane."""
    time_s = np.arange(frames) / 20
    angle = 0.5 + rate_rad_s * time_s
    wrist = 0.25 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    elbow = np.zeros_like(wrist)
    return time_s, np.stack([elbow - np.array([0.3, 0, 0]), elbow, wrist], axis=1)


@pytest.mark.parametrize("rate_rad_s", [0.0, 0.5, 1.2])
def test_a_turning_forearm_reads_gravity_and_the_pull_to_the_elbow(rate_rad_s: float) -> None:
    time_s, arm_m = swinging_arm(rate_rad_s)
    at_s = np.arange(101) / 50
    reading_g = sum(limb_parts_g(time_s, arm_m, limb="arm", at_s=at_s, up=UP))
    inside = (at_s > 0.3) & (at_s < 1.7)
    pull_g = rate_rad_s**2 * 0.25 / G
    np.testing.assert_allclose(reading_g[inside, 0], pull_g, atol=0.002)
    np.testing.assert_allclose(np.abs(reading_g[inside, 2]), 1, atol=0.002)
    np.testing.assert_allclose(reading_g[inside, 1], 0, atol=0.002)


def test_the_axes_are_a_rotation_that_does_not_jump_where_the_arm_is_straight() -> None:
    _, arm_m = swinging_arm(1.5, frames=61)  # from bent to straight and on to the other side
    axes = arm_axes(arm_m)
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), np.broadcast_to(np.eye(3), axes.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(axes), 1)
    turn = np.einsum("fij,fij->f", axes[1:], axes[:-1])
    assert turn.min() > 3 - 0.1  # the trace of the turn from one frame to the next


def test_an_arm_that_is_straight_throughout_has_axes_too() -> None:
    arm_m = np.tile([[0.0, 0, 0], [0, -0.3, 0], [0, -0.6, 0]], (10, 1, 1))
    assert np.isfinite(arm_axes(arm_m)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arm: arm[:4], "a limb needs 6 frames or more to be differentiated, got 4"),
        (lambda arm: arm * 0, "two joints of the arm are in one place"),
    ],
)
def test_an_arm_that_cannot_be_is_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    time_s, arm_m = swinging_arm(1.0)
    changed = change(arm_m)
    with pytest.raises(DataError, match=message):
        limb_parts_g(time_s[: len(changed)], changed, limb="arm", at_s=time_s[:2], up=UP)


def test_the_command_writes_a_folder_that_is_read_as_ones_own(vskd: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for trial in ("a1_s1_t1", "a2_s2_t1"):
        joints = 0.2 * rng.normal(size=(20, 3, 1)) + 0.02 * np.sin(np.arange(30) / 5 + rng.normal(size=(20, 3, 1)))
        write_utd_trial(tmp_path, trial, sensor=np.ones((80, 6)), joints_m=joints)
    write_utd_trial(tmp_path, "a3_s1_t1", sensor=np.ones((80, 6)))
    (tmp_path / "Skeleton" / "a3_s1_t1_skeleton.mat").write_bytes(b"")
    one_point = np.ones((20, 3, 30))  # no body
    write_utd_trial(tmp_path, "a4_s1_t1", sensor=np.ones((80, 6)), joints_m=one_point)
    done = vskd("data", "virtual", "--root", tmp_path, "--out", tmp_path / "virtual")
    assert done.code == 0, done.err
    assert "2 virtual recordings, 2 left out" in done.err
    source = FolderSource.open(tmp_path / "virtual", view="none")
    recordings = list(source.recordings())
    assert source.defects() == ()
    assert [one.info.label for one in recordings] == ["swipe_left", "swipe_right"]
    assert [len(one.time_s) for one in recordings] == [80, 80]
    again = vskd("data", "virtual", "--root", tmp_path, "--out", tmp_path / "virtual")
    assert again.code == 1
    assert "holds something already" in again.err


@pytest.mark.data
def test_it_follows_the_real_watch(utd_mhad_root: Path) -> None:
    """Both smoothed alike, and turned by the best rotation, since nobody knows how the strap sat."""
    correlations = []
    source = UtdMhadSource.open(utd_mhad_root, view="joints")
    for info, time_s, joints_m in source.skeletons():
        if not info.id.endswith("_s4_t2") or int(info.id[1:].split("_")[0]) > 21:
            continue
        at_s = np.arange(int(50 * time_s[-1] + 1e-9) + 1) / 50
        virtual = sum(limb_parts_g(time_s, joints_m[:, RIGHT_ARM], limb="arm", at_s=at_s, up=(0, 1, 0)))
        real = loadmat(utd_mhad_root / "Inertial" / f"{info.id}_inertial.mat")["d_iner"][: len(virtual), :3]
        real = np.stack([np.convolve(axis, np.ones(15) / 15, "same") for axis in real.T], axis=1)
        virtual = virtual[: len(real)]
        left, _, right = np.linalg.svd(virtual.T @ real)
        turned = virtual @ left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
        correlations.append(np.mean([np.corrcoef(turned[:, axis], real[:, axis])[0, 1] for axis in range(3)]))
    assert len(correlations) == 21
    assert np.median(correlations) > 0.6
