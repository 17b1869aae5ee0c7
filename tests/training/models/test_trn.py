"""The teacher: which frames, which relations, which input, and the size of the paper's network."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vskd.errors import ConfigError, DataError
from vskd_training.data.frames import segment_indices, with_neighbours
from vskd_training.models.bn_inception import BnInception
from vskd_training.models.output import FEATURE_SIZE
from vskd_training.models.trn import (
    BgrInput,
    BnInceptionBackbone,
    GreyInput,
    MultiScaleTrn,
    SmallBackbone,
    Teacher,
)

torch.set_num_threads(1)


def clips(batch: int = 2, segments: int = 8, frames: int = 3, side: tuple[int, int] = (48, 64)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, segments, frames, *side), dtype=torch.uint8, generator=generator)


def small(*, segments: int = 8, motion: bool = True) -> Teacher:
    torch.manual_seed(0)
    return Teacher(SmallBackbone(motion=motion, width=0.125), 5, segments=segments)


# Frames of a clip.


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (16, [1, 3, 5, 7, 9, 11, 13, 15]),
        (64, [4, 12, 20, 28, 36, 44, 52, 60]),
        (4, [0, 0, 1, 1, 2, 2, 3, 3]),
        (1, [0] * 8),
    ],
)
def test_evaluation_takes_the_middle_of_each_part(frames: int, expected: list[int]) -> None:
    assert segment_indices(frames, 8, rng=None).tolist() == expected


@settings(max_examples=100)
@given(frames=st.integers(1, 200), segments=st.integers(1, 12), seed=st.integers(0, 1000))
def test_every_choice_lies_in_its_part(frames: int, segments: int, seed: int) -> None:
    for rng in (None, np.random.default_rng(seed)):
        chosen = segment_indices(frames, segments, rng=rng)
        assert chosen.shape == (segments,)
        assert chosen.dtype == np.int64
        assert (np.diff(chosen) >= 0).all()
        for part, index in enumerate(chosen):
            assert (
                part * frames // segments <= index < max((part + 1) * frames // segments, part * frames // segments + 1)
            )
        if frames >= segments:
            assert len(set(chosen)) == segments


def test_training_reaches_every_frame_and_follows_its_seed() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([segment_indices(24, 8, rng=rng) for _ in range(200)])
    assert set(drawn.ravel()) == set(range(24))
    again = segment_indices(24, 8, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again, drawn[0])


def test_impossible_clips_are_refused() -> None:
    with pytest.raises(DataError, match="clip needs at least one frame, got 0"):
        segment_indices(0, 8, rng=None)
    with pytest.raises(ConfigError, match="segments must be at least 1, got 0"):
        segment_indices(8, 0, rng=None)


def test_neighbours_stop_at_the_ends() -> None:
    assert with_neighbours(np.array([0, 4, 9]), 10).tolist() == [[0, 0, 1], [3, 4, 5], [8, 9, 9]]
    assert with_neighbours(np.array([0]), 1).tolist() == [[0, 0, 0]]


# Relations.


def test_nineteen_relations_on_ordered_subsets() -> None:
    relations = MultiScaleTrn(8, 4, 3)
    for training in (True, False):
        relations.train(training)
        counts = {}
        for scale in relations.scales:
            rows = [tuple(row) for row in relations.subsets(scale).tolist()]
            assert set(rows) <= set(itertools.combinations(range(8), scale))
            assert len(set(rows)) == len(rows)
            counts[scale] = len(rows)
        assert counts == {8: 1, 7: 3, 6: 3, 5: 3, 4: 3, 3: 3, 2: 3}
        assert sum(counts.values()) == 19


def test_evaluation_subsets_are_fixed_and_spread_over_the_clip() -> None:
    first, second = MultiScaleTrn(8, 4, 3).eval(), MultiScaleTrn(8, 4, 3).eval()
    torch.manual_seed(0)
    for scale in first.scales:
        once = first.subsets(scale)
        torch.manual_seed(99)
        assert torch.equal(once, first.subsets(scale))
        assert torch.equal(once, second.subsets(scale))
    # The middle ones of three equal parts of the 28 pairs and of the 8 sevens in their order.
    pairs = list(itertools.combinations(range(8), 2))
    assert [tuple(row) for row in first.subsets(2).tolist()] == [pairs[4], pairs[14], pairs[23]]
    sevens = list(itertools.combinations(range(8), 7))
    assert [tuple(row) for row in first.subsets(7).tolist()] == [sevens[1], sevens[4], sevens[6]]


def test_training_subsets_are_drawn_by_torchs_generator_and_reach_all() -> None:
    relations = MultiScaleTrn(8, 4, 3)
    torch.manual_seed(7)
    first = [relations.subsets(4) for _ in range(200)]
    torch.manual_seed(7)
    again = [relations.subsets(4) for _ in range(200)]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({tuple(row) for rows in first for row in rows.tolist()}) == 70


def test_the_sum_over_relations_by_hand() -> None:
    torch.manual_seed(0)
    relations = MultiScaleTrn(4, 2, 3).eval().double()
    features = torch.randn(5, 4, 2, dtype=torch.float64)
    expected = torch.zeros(5, 3, dtype=torch.float64)
    state = relations.state_dict()
    for scale in (4, 3, 2):
        first, second = (
            (state[f"relations.{scale}.{layer}.weight"], state[f"relations.{scale}.{layer}.bias"]) for layer in (1, 3)
        )
        for row in relations.subsets(scale).tolist():
            joined = torch.cat([features[:, index] for index in row], dim=1)
            hidden = torch.clamp(torch.clamp(joined, min=0) @ first[0].T + first[1], min=0)
            expected += hidden @ second[0].T + second[1]
    torch.testing.assert_close(relations(features), expected, rtol=1e-12, atol=1e-12)


def test_the_order_of_frames_matters() -> None:
    torch.manual_seed(0)
    relations = MultiScaleTrn(8, 4, 3).eval()
    features = torch.randn(1, 8, 4)
    assert (relations(features) - relations(features.flip(1))).abs().max() > 1e-3


def test_gradients_of_relations_are_right() -> None:
    torch.manual_seed(0)
    relations = MultiScaleTrn(3, 2, 2).eval().double()
    features = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(relations, (features,))


def test_subsets_are_not_saved() -> None:
    assert set(MultiScaleTrn(3, 2, 2).state_dict()) == {
        f"relations.{scale}.{layer}.{kind}" for scale in (2, 3) for layer in (1, 3) for kind in ("weight", "bias")
    }


# Input.


def test_bgr_input_is_the_published_preprocessing() -> None:
    frames = torch.full((2, 1, 64, 64), 200, dtype=torch.uint8)
    frames[1] = 0
    images = BgrInput(64)(frames)
    assert images.dtype == torch.float32
    assert images[0, :, 3, 5].tolist() == [200 - 104, 200 - 117, 200 - 128]
    assert images[1, :, 63, 0].tolist() == [-104, -117, -128]


def test_bgr_input_keeps_a_fitting_frame_and_resizes_another() -> None:
    frames = clips(1, 1, 1, (64, 64))[0]
    torch.testing.assert_close(BgrInput(64)(frames)[:, 0], frames[:, 0].float() - 104, rtol=0, atol=1e-3)
    # Halving by an antialiased line filter keeps the mean of a gradient.
    ramp = torch.arange(0, 256, 2, dtype=torch.uint8).expand(1, 1, 64, 128)
    resized = BgrInput(32)(ramp)
    assert resized.shape == (1, 3, 32, 32)
    assert resized[:, 0].mean().item() == pytest.approx(127 - 104, abs=0.5)
    assert (resized.diff(dim=-1) > 0).all()


@pytest.mark.parametrize("size", [0, 31, 100])
def test_bgr_input_refuses_sizes_that_do_not_halve(size: int) -> None:
    with pytest.raises(ConfigError, match=f"multiple of 32 px, got {size}"):
        BgrInput(size)


def test_grey_input_draws_differences_of_neighbours() -> None:
    model = GreyInput(motion=True).eval()
    frames = torch.tensor([51, 102, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    # Untrained statistics are mean 0 and variance 1, so what comes out is what went in.
    torch.testing.assert_close(model(frames).flatten(), torch.tensor([0.4, 0.2, 0.6]), rtol=0, atol=1e-4)
    still = GreyInput(motion=False).eval()
    assert still(frames[:, 1:2]).item() == pytest.approx(0.4, abs=1e-4)


def test_grey_input_learns_the_spread_of_each_channel() -> None:
    model = GreyInput(motion=True)
    frames = clips(8, 8, 3).flatten(0, 1)
    scaled = model(frames)
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    torch.testing.assert_close(scaled.std(dim=(0, 2, 3)), torch.ones(3), rtol=0, atol=1e-2)
    assert list(model.parameters()) == []
    black = model(torch.zeros(4, 3, 8, 8, dtype=torch.uint8))
    assert black.isfinite().all()


# The whole.


def test_the_papers_teacher_has_13_3_million_parameters() -> None:
    teacher = Teacher(BnInceptionBackbone(), 27)
    relations = sum(scale * 300 * 256 + 256 + 256 * 27 + 27 for scale in range(2, 9))
    count = sum(parameter.numel() for parameter in teacher.parameters())
    assert count == 10_270_240 + 1024 * 300 + 300 + relations
    assert count == pytest.approx(13.3e6, rel=0.002)


@pytest.mark.parametrize("motion", [True, False])
@pytest.mark.parametrize("segments", [2, 8])
def test_small_teacher_views(motion: bool, segments: int) -> None:
    teacher = small(segments=segments, motion=motion).eval()
    frames = clips(3, segments, 3 if motion else 1)
    with torch.no_grad():
        view = teacher(frames)
        assert view.logits.shape == (3, 5)
        assert view.feature.shape == (3, FEATURE_SIZE) == (3, 300)
        by_frame = [teacher.feature(teacher.backbone(frames[:, segment])) for segment in range(segments)]
        torch.testing.assert_close(view.feature, torch.stack(by_frame).mean(dim=0), rtol=1e-4, atol=1e-5)
        assert view.feature.min() < 0 < view.feature.max()


def test_bn_inception_teacher_on_small_frames() -> None:
    teacher = Teacher(BnInceptionBackbone(size_px=32), 4, segments=3).eval()
    with torch.no_grad():
        view = teacher(clips(2, 3, 1))
    assert view.logits.shape == (2, 4)
    assert view.feature.isfinite().all()


def test_evaluation_is_deterministic_and_one_clip_does_not_see_another() -> None:
    teacher = small().eval()
    frames = clips(4)
    with torch.no_grad():
        torch.manual_seed(1)
        once = teacher(frames)
        torch.manual_seed(2)
        again = teacher(frames)
        alone = teacher(frames[2:3])
    assert torch.equal(once.logits, again.logits)
    assert torch.equal(once.feature, again.feature)
    torch.testing.assert_close(alone.logits, once.logits[2:3], rtol=1e-4, atol=1e-5)


def test_training_follows_torchs_seed() -> None:
    frames = clips()
    outputs = []
    for seed in (3, 3, 4):
        teacher = small()
        torch.manual_seed(seed)
        outputs.append(teacher(frames).logits)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_gradients_do_not_depend_on_the_run() -> None:
    gradients = []
    for _ in range(2):
        teacher = small()
        torch.manual_seed(3)
        teacher(clips()).logits.square().sum().backward()
        gradients.append([value.grad for value in teacher.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


def test_a_saved_teacher_answers_the_same() -> None:
    teacher = small()
    teacher(clips())
    copy = small(segments=8)
    copy.load_state_dict(teacher.state_dict())
    with torch.no_grad():
        assert torch.equal(copy.eval()(clips()).logits, teacher.eval()(clips()).logits)


def test_pretrained_weights_freeze_norms_and_start_the_feature_small(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = BnInception()
    torch.save(source.state_dict(), tmp_path / "w.pth")
    teacher = Teacher(BnInceptionBackbone(weights=tmp_path / "w.pth", size_px=32), 4, segments=2)
    assert teacher.feature.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert not teacher.feature.bias.any()
    teacher.train()
    norms = [module for module in teacher.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [norm.training for norm in norms] == [True] + [False] * 68
    loaded = teacher.backbone.network.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in source.state_dict().items())


def test_from_scratch_every_norm_learns_and_the_feature_starts_as_torch_has_it() -> None:
    teacher = Teacher(BnInceptionBackbone(size_px=32), 4, segments=2).train()
    assert all(norm.training for norm in teacher.modules() if isinstance(norm, nn.BatchNorm2d))
    # Uniform in +-1 / sqrt(1024).
    assert teacher.feature.weight.std().item() == pytest.approx(1 / 32 / 3**0.5, rel=0.02)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(2, 8, 1, 48, 64, dtype=torch.uint8), r"\(batch, 8, 3, height, width\) of uint8, got \(2, 8, 1,"),
        (torch.zeros(2, 7, 3, 48, 64, dtype=torch.uint8), r"got \(2, 7, 3, 48, 64\) of uint8"),
        (torch.zeros(2, 8, 3, 48, 64), "of float32"),
        (torch.zeros(8, 3, 48, 64, dtype=torch.uint8), r"got \(8, 3, 48, 64\)"),
    ],
)
def test_other_frames_are_refused(frames: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        small()(frames)


def test_impossible_teachers_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 classes, got 1"):
        Teacher(SmallBackbone(width=0.125), 1)
    with pytest.raises(ConfigError, match="at least 2 segments, got 1"):
        Teacher(SmallBackbone(width=0.125), 3, segments=1)
    for dropout in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match=rf"dropout must lie in \[0, 1\), got {dropout}"):
            Teacher(SmallBackbone(width=0.125), 3, dropout=dropout)


def test_a_small_teacher_learns_the_direction_of_a_dot() -> None:
    """Left and right show the same frames in another order: only relations and differences tell them apart."""
    generator = np.random.default_rng(0)
    frames = np.zeros((32, 8, 3, 24, 32), dtype=np.uint8)
    labels = torch.arange(32) % 2
    for clip, label in enumerate(labels.tolist()):
        row, positions = generator.integers(4, 20), np.arange(4, 28, 3) + generator.integers(-2, 3)
        path = positions if label else positions[::-1]
        neighbours = with_neighbours(np.arange(8), 8)
        for segment, trio in enumerate(neighbours):
            for place, index in enumerate(trio):
                frames[clip, segment, place, row - 2 : row + 2, path[index] - 2 : path[index] + 2] = 220
    torch.manual_seed(0)
    teacher = Teacher(SmallBackbone(width=0.125), 2, dropout=0.0)
    optimiser = torch.optim.AdamW(teacher.parameters(), 2e-3)
    video = torch.from_numpy(frames)
    for _ in range(12):
        loss = nn.functional.cross_entropy(teacher(video).logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
