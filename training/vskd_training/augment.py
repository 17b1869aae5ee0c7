"""Augmentation of the signal, before the encoder: what another wrist, strap or day could have done to the same motion.

Never applied to the image: a flipped or cropped Gramian field belongs to no motion. Works on whole batches of tensors;
all randomness comes from the generator that is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vskd.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """How far a window may be changed; 0 turns each off.

    Attributes
    ----------
    rotation_rad : largest angle by which the sensor's frame is turned about a random axis (a strap worn otherwise)
    scale : standard deviation of a factor on all axes around 1 (a stronger person, a miscalibrated sensor)
    jitter_g : standard deviation of white noise, g
    crop : largest part of the window cut off at its ends; the rest is stretched over the window
    time_warp : largest relative change of the local tempo
    mixup : alpha of the Beta distribution (Zhang et al., ICLR 2018)
    """

    rotation_rad: float = 0.35
    scale: float = 0.1
    jitter_g: float = 0.03
    crop: float = 0.1
    time_warp: float = 0.1
    mixup: float = 0.2

    def __post_init__(self) -> None:
        for item in fields(self):
            if getattr(self, item.name) < 0:
                raise ConfigError(f"augment.{item.name} must not be negative, got {getattr(self, item.name)}")
        if self.crop >= 0.9 or self.time_warp >= 0.5:
            raise ConfigError(
                f"augment.crop must stay below 0.9 and time_warp below 0.5, got {self.crop} and {self.time_warp}"
            )


def augment(windows: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Change every window of a batch in its own way.

    Parameters
    ----------
    windows : (batch, 3, samples), g
    how : the limits
    generator : source of all randomness

    Returns
    -------
    (batch, 3, samples), g
    """
    if how.crop or how.time_warp:
        windows = _resample(windows, _warped_positions(windows, how, generator))
    if how.rotation_rad:
        windows = _rotations(len(windows), how.rotation_rad, generator) @ windows
    if how.scale:
        windows = windows * (1 + how.scale * torch.randn(len(windows), 1, 1, generator=generator))
    if how.jitter_g:
        windows = windows + how.jitter_g * torch.randn(windows.shape, generator=generator)
    return windows


def mixing(batch: int, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Partners and shares for mixup: ``share * x + (1 - share) * x[partner]``.

    Parameters
    ----------
    batch : clips
    alpha : of Beta(alpha, alpha), above 0

    Returns
    -------
    partner : (batch,), a permutation
    share : (), at least 0.5, so that a clip keeps its own identity
    """
    # A ratio of gamma variates is a beta variate; torch's own gamma sampler takes the generator.
    gamma = torch._standard_gamma(torch.full((2,), alpha), generator=generator)
    share = gamma[0] / gamma.sum().clamp_min(1e-12)
    return torch.randperm(batch, generator=generator), torch.maximum(share, 1 - share)


def _rotations(batch: int, limit_rad: float, generator: torch.Generator) -> Tensor:
    """(batch, 3, 3) rotations by up to ``limit_rad`` about uniformly random axes (Rodrigues' formula)."""
    axis = torch.nn.functional.normalize(torch.randn(batch, 3, generator=generator), dim=1)
    angle = (2 * torch.rand(batch, 1, 1, generator=generator) - 1) * limit_rad
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(batch, 3, 3)
    return torch.eye(3) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)


def _warped_positions(windows: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """(batch, samples) positions to read at, increasing, within the window."""
    batch, _, samples = windows.shape
    kept = 1 - how.crop * torch.rand(batch, 1, generator=generator)
    start = (1 - kept) * torch.rand(batch, 1, generator=generator)
    phase = 2 * torch.pi * torch.rand(batch, 1, generator=generator)
    depth = how.time_warp * (2 * torch.rand(batch, 1, generator=generator) - 1)
    time = torch.linspace(0, 1, samples).expand(batch, samples)
    # d/dt of the bump is depth * (cos(2 pi t + phase) - mean), so the tempo never changes by more than ``time_warp``.
    bump = depth / (2 * torch.pi) * (torch.sin(2 * torch.pi * time + phase) - torch.sin(phase))
    return ((start + kept * (time + bump)).clamp(0, 1)) * (samples - 1)


def _resample(windows: Tensor, positions: Tensor) -> Tensor:
    """Read (batch, channels, samples) at fractional positions (batch, samples), linearly."""
    left = positions.floor().clamp_max(windows.shape[-1] - 2).long()
    weight = (positions - left).unsqueeze(1)
    index = left.unsqueeze(1).expand(-1, windows.shape[1], -1)
    return torch.lerp(windows.gather(2, index), windows.gather(2, index + 1), weight.expand(index.shape))
