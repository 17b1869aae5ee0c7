"""Augmentation keeps what physics keeps."""

from __future__ import annotations

import math

import pytest
import torch

from vskd.errors import ConfigError
from vskd_training.augment import Augmentation, augment, mixing

OFF = {"rotation_rad": 0.0, "scale": 0.0, "jitter_g": 0.0, "crop": 0.0, "time_warp": 0.0, "mixup": 0.0}


def only(**settings: float) -> Augmentation:
    return Augmentation(**{**OFF, **settings})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def windows() -> torch.Tensor:
    return torch.randn(20, 3, 64, generator=seeded(1))


def test_all_off_changes_nothing(windows: torch.Tensor) -> None:
    torch.testing.assert_close(augment(windows, only(), seeded()), windows, rtol=0, atol=0)


def test_a_rotation_keeps_lengths_and_turns_by_no_more_than_the_limit(windows: torch.Tensor) -> None:
    turned = augment(windows, only(rotation_rad=0.35), seeded())
    torch.testing.assert_close(turned.norm(dim=1), windows.norm(dim=1))
    cosine = torch.nn.functional.cosine_similarity(turned, windows, dim=1)
    assert float(cosine.min()) >= math.cos(0.35) - 1e-5
    assert float(cosine.min()) < math.cos(0.2)  # and it does turn


def test_scale_is_one_factor_per_window(windows: torch.Tensor) -> None:
    ratio = augment(windows, only(scale=0.1), seeded()) / windows
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-4, atol=1e-4)
    assert float(ratio[:, 0, 0].std()) == pytest.approx(0.1, rel=0.5)


def test_jitter_has_the_stated_spread(windows: torch.Tensor) -> None:
    noise = augment(windows, only(jitter_g=0.03), seeded()) - windows
    assert float(noise.std()) == pytest.approx(0.03, rel=0.1)


def test_crop_and_warp_read_a_ramp_in_order_within_its_ends() -> None:
    ramp = torch.linspace(0, 1, 64).expand(50, 3, 64)
    read = augment(ramp, only(crop=0.3, time_warp=0.3), seeded())
    steps = read.diff(dim=-1)
    assert float(steps.min()) >= -1e-6
    assert float(read.min()) >= -1e-6
    assert float(read.max()) <= 1 + 1e-6
    covered = read[:, 0, -1] - read[:, 0, 0]
    assert float(covered.min()) >= 0.7 * 0.7 - 0.05
    assert float(covered.max()) < 1.0


def test_a_crop_alone_keeps_the_tempo_even() -> None:
    ramp = torch.linspace(0, 1, 64).expand(50, 3, 64)
    steps = augment(ramp, only(crop=0.3), seeded()).diff(dim=-1)
    torch.testing.assert_close(steps, steps.mean(dim=-1, keepdim=True).expand_as(steps), rtol=1e-3, atol=1e-5)


def test_one_seed_gives_one_batch(windows: torch.Tensor) -> None:
    first, second = (augment(windows, Augmentation(), seeded(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(windows, Augmentation(), seeded(6)))


def test_mixing_keeps_the_larger_share() -> None:
    shares = []
    for seed in range(200):
        partner, share = mixing(8, 0.2, seeded(seed))
        assert sorted(partner.tolist()) == list(range(8))
        shares.append(float(share))
    assert min(shares) >= 0.5
    assert max(shares) <= 1.0
    assert 0.8 < sum(shares) / len(shares) < 0.95  # E[max(b, 1 - b)] for Beta(.2, .2) is 0.89


@pytest.mark.parametrize("settings", [{"scale": -0.1}, {"crop": 0.95}, {"time_warp": 0.6}])
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"augment\."):
        only(**settings)
