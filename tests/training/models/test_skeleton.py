"""The skeleton teacher: joints without place and size, read in the time of each window, and a network over them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError
from vskd_training.data.joints import ARMS, CROP, JointClips, vary_joints
from vskd_training.datasets.skeleton_joints import joints_in_torsos, relative_joints
from vskd_training.datasets.utd_mhad import SKELETON
from vskd_training.models.build import build_teacher
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import FEATURE_SIZE
from vskd_training.settings import Config, DataConfig, TeacherConfig

HIP, NECK = 3, 1


def moving_body(frames: int = 9) -> NDArray[np.float64]:
    """(frames, 20, 3), m: a body of random shape that goes sideways by 0.1 m a frame."""
    rng = np.random.default_rng(4)
    shape = rng.normal(size=(20, 3))
    shape[HIP], shape[NECK] = 0, (0, 0.5, 0)
    joints = np.repeat(shape[np.newaxis], frames, axis=0)
    joints[:, :, 0] += 0.1 * np.arange(frames)[:, np.newaxis]
    return joints


@given(st.floats(0.3, 3), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 9))
def test_place_and_size_of_a_subject_do_not_matter(size: float, x: float, y: float, z: float) -> None:
    joints = moving_body()
    elsewhere = size * joints + np.array([x, y, z])
    np.testing.assert_allclose(relative_joints(elsewhere, SKELETON), relative_joints(joints, SKELETON), atol=2e-5)


def test_joints_come_back_up_to_place_and_size() -> None:
    joints = moving_body()
    back = joints_in_torsos(relative_joints(joints, SKELETON), SKELETON)
    np.testing.assert_allclose(0.5 * back, joints - np.median(joints[:, HIP], axis=0), atol=1e-5)


def test_joints_are_relative_to_the_hip_and_the_hip_to_its_median() -> None:
    joints = moving_body()
    relative = relative_joints(joints, SKELETON)
    assert relative.shape == (9, 20, 3)
    assert relative.dtype == np.float32
    np.testing.assert_allclose(relative[:, NECK], np.tile((0, 1, 0), (9, 1)), atol=1e-6)
    np.testing.assert_allclose(relative[:, HIP, 0], 0.2 * (np.arange(9) - 4), atol=1e-6)
    np.testing.assert_allclose(relative[5, 7], (joints[5, 7] - joints[5, HIP]) / 0.5, atol=1e-5)


def test_a_body_without_size_is_refused() -> None:
    with pytest.raises(DataError, match="hip and neck are in one place"):
        relative_joints(np.zeros((4, 20, 3)), SKELETON)


class FilmOfTimes:
    """Prepared joints that all say which time they were seen at: 0, 0.1, ..., 5 s."""

    infos = (SimpleNamespace(id="clip"),)

    def __init__(self, dtype: type = np.float32) -> None:
        self.times_s = np.arange(51) / 10
        self.frames = np.tile(self.times_s[:, np.newaxis, np.newaxis], (1, 20, 3)).astype(dtype)

    def video(self, recording: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        assert recording == 0
        return self.times_s, self.frames


def table(*spans_s: tuple[float, float]) -> Any:
    ids = tuple(f"clip@{start}" for start, _ in spans_s)
    return SimpleNamespace(ids=ids, recordings=np.zeros(len(ids), int), spans_s=np.array(spans_s))


def test_each_window_becomes_equal_steps_over_its_own_time() -> None:
    clips = JointClips.of(FilmOfTimes(), table((1.0, 3.0), (2.03, 2.47), (4.5, 6.0)), steps=5)  # type: ignore[arg-type]
    seen = clips.batch([0, 1, 2], rng=None)
    assert seen.shape == (3, 5, 20, 3)
    np.testing.assert_allclose(seen[0, :, 7, 1], np.linspace(1, 3, 5), atol=1e-6)
    np.testing.assert_allclose(seen[1, :, 0, 2], np.linspace(2.03, 2.47, 5), atol=1e-6)
    # What lies beyond the film is held at its last frame.
    np.testing.assert_allclose(seen[2, :, 0, 0], np.linspace(4.5, 5.0, 5), atol=1e-6)


def test_training_cuts_a_little_off_the_ends_and_repeats_by_seed() -> None:
    clips = JointClips.of(FilmOfTimes(), table(*[(1.0, 3.0)] * 40), steps=4)  # type: ignore[arg-type]
    seen = clips.batch(range(40), rng=np.random.default_rng(1))[:, :, 0, 0]
    length = seen[:, -1] - seen[:, 0]
    assert seen.min() >= 1 - 1e-6
    assert seen.max() <= 3 + 1e-6
    assert 2 * (1 - CROP) - 1e-5 <= length.min() < 1.9 < length.max() <= 2
    np.testing.assert_array_equal(clips.batch(range(40), rng=np.random.default_rng(1))[:, :, 0, 0], seen)


def test_pictures_are_no_joints() -> None:
    with pytest.raises(DataError, match=r"clip has no joints.*data.view = 'joints'"):
        JointClips.of(FilmOfTimes(np.uint8), table((0.0, 1.0)), steps=4)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"teacher.steps must be at least 2, got 1"):
        JointClips.of(FilmOfTimes(), table((0.0, 1.0)), steps=1)  # type: ignore[arg-type]


def test_a_varied_body_is_turned_about_the_vertical_and_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vskd_training.data.joints.JITTER", 0.0)
    joints = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 5, 20, 3))).float()
    varied = vary_joints(joints, np.random.default_rng(1))
    scale = varied[..., 1] / joints[..., 1]
    for row in range(6):
        factor = float(scale[row, 0, 0])
        torch.testing.assert_close(scale[row], torch.full((5, 20), factor), rtol=1e-4, atol=1e-4)
        # Lengths are kept but for the factor, and left stays left: the turn has no reflection.
        torch.testing.assert_close(varied[row].norm(dim=2), factor * joints[row].norm(dim=2), rtol=1e-4, atol=1e-4)
        before, after = joints[row, 0, :3].double(), varied[row, 0, :3].double()
        assert torch.linalg.det(after) / torch.linalg.det(before) == pytest.approx(factor**3, rel=1e-3)
    assert scale.std() > 0.01


@pytest.mark.parametrize("width", [0.125, 0.5, 1.0])
def test_the_network_gives_logits_and_a_feature_as_the_students(width: float) -> None:
    model = SkeletonTeacher(20, 27, width=width).eval()
    view = model(torch.randn(3, 16, 20, 3))
    assert view.logits.shape == (3, 27)
    assert view.feature.shape == (3, FEATURE_SIZE)
    assert float(view.feature.detach().min()) >= 0.0


def test_an_arm_is_also_seen_from_its_shoulder() -> None:
    """Wherever the body goes: of what the network takes in, the part about the arms stays when all of it is moved."""
    model = SkeletonTeacher(20, 5, width=0.125, chains=ARMS).eval()
    taken: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    joints = torch.randn(2, 8, 20, 3)
    model(joints)
    model(joints + torch.tensor([0.5, -1.0, 2.0]))

    assert taken[0].shape == (2, 2 * 3 * 26, 8)
    arms = slice(3 * 20, 3 * 26)
    torch.testing.assert_close(taken[1][:, arms], taken[0][:, arms], rtol=0, atol=1e-5)
    assert not torch.allclose(taken[1][:, : 3 * 20], taken[0][:, : 3 * 20])
    expected = joints[:, :, [5, 6, 7, 9, 10, 11]] - joints[:, :, [4, 4, 4, 8, 8, 8]]
    torch.testing.assert_close(taken[0][:, arms], expected.flatten(2).transpose(1, 2))


def test_the_network_tells_movements_of_one_joint_apart() -> None:
    """Two movements that start, end and average alike: a hand that circles one way or the other."""
    torch.manual_seed(0)
    phase = torch.linspace(0, 2 * torch.pi, 24)
    circle = torch.stack([torch.cos(phase), torch.sin(phase), torch.zeros(24)], dim=1)

    def bodies(count: int) -> torch.Tensor:
        made = 0.3 * torch.randn(count, 1, 20, 3).repeat(1, 24, 1, 1)
        made[: count // 2, :, 11] += circle
        made[count // 2 :, :, 11] += circle * torch.tensor([1.0, -1.0, 1.0])
        return made

    labels = torch.arange(64) // 32
    model = SkeletonTeacher(20, 2, width=0.125, dropout=0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(bodies(64)).logits, labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert (model.eval()(bodies(40)).logits.argmax(1) == torch.arange(40) // 20).float().mean() >= 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 1}, "at least 2 classes, got 1"),
        ({"width": 0.1}, "width of at least 0.125, got 0.1"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_settings_without_meaning_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SkeletonTeacher(20, **{"classes": 5, **change})


def test_joints_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"joints must be \(batch, steps, 20, 3\), got \(2, 8, 15, 3\)"):
        SkeletonTeacher(20, 5)(torch.zeros(2, 8, 15, 3))


def test_view_and_network_must_fit() -> None:
    for view, backbone in (("depth", "joints"), ("joints", "small")):
        data = DataConfig(dataset="utd-mhad", view=view)  # type: ignore[arg-type]
        config = Config(data, teacher=TeacherConfig(backbone=backbone))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=f"the teacher '{backbone}' does not take the view '{view}'"):
            build_teacher(config, 27)
