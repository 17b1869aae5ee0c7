"""Augmentation of the signal, before the encoder: what another wrist, strap, sensor or day could have done to it.

Never applied to the image: a flipped or cropped Gramian field belongs to no motion. Works on whole batches of tensors;
all randomness comes from the generator that is handed in. A setting of 0 draws nothing.

**Three ways to change time.** ``crop`` looks at a part of the window, so a motion only ever becomes slower.
``time_warp`` is a subject whose tempo varies within the window; its ends stay where they are. ``clock_skew`` is a wrong
clock: every sample stands for a little more time than is assumed, or for a little less, by one factor throughout the
window. None of the three changes a reading, and in ``clock_skew`` that is exact: a subject who moves faster accelerates
more, a clock that is wrong changes the time axis alone. Where a window would begin before its first sample or end after
its last, that reading is held.

**The other wrist** (``handedness_flip``). A subject who does the same with the other hand moves as the image of the
first in a vertical mirror, S. Let R rotate the sensor's frame into the room's; the sensor reads R^T f of the specific
force f, which is S f in the mirrored motion, gravity included, since it lies within a vertical mirror. The image of the
frame, S R, is left-handed, which no sensor is: the watch on the other wrist has R' = S R D, where D reverses one axis.
So it reads

    R'^T S f = D R^T S^T S f = D (what the first one read)

and one axis changes its sign: the one whose place on the forearm is *not* mirrored. A watch that is turned so that it
can be read keeps 12 o'clock (y) on the side of the little finger and its face (z) outward on either wrist, while
3 o'clock (x) points to the hand on the left wrist and to the elbow on the right one: x changes. One that is moved over
with the crown still towards the hand changes y. All this holds for axes that lie along the forearm, across it and out
of it.

The class is taken to be the same on both sides. Where a class tells side or direction ("swipe left"), leave
``handedness_flip`` at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vskd_training.settings import Augmentation

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Change:
    """What is done to each window of a batch; None leaves a step out.

    Attributes
    ----------
    positions : (batch, samples), where the window is read, in samples of it; never decreasing
    reflection : (batch, 3, 1), 1 on every axis, or -1 on the mirrored one
    rotation : (batch, 3, 3)
    factor : (batch, 1, 1)
    noise_g : (batch, 3, samples)
    lost : (batch, samples), bool, never the first and the last
    """

    positions: Tensor | None = None
    reflection: Tensor | None = None
    rotation: Tensor | None = None
    factor: Tensor | None = None
    noise_g: Tensor | None = None
    lost: Tensor | None = None

    def of_windows(self, windows: Tensor) -> Tensor:
        """The changed windows; (batch, 3, samples), g, of accelerometers."""
        if self.positions is not None:
            windows = _resample(windows, self.positions)
        if self.reflection is not None:
            windows = self.reflection * windows
        if self.rotation is not None:
            windows = self.rotation @ windows
        if self.factor is not None:
            windows = windows * self.factor
        if self.noise_g is not None:
            windows = windows + self.noise_g
        return windows if self.lost is None else _bridged(windows, self.lost)


def augment(windows: Tensor, config: Augmentation, generator: torch.Generator) -> Tensor:
    """Change every window of a batch in its own way.

    Parameters
    ----------
    windows : (batch, 3, samples), g
    config : the limits
    generator : source of all randomness

    Returns
    -------
    (batch, 3, samples), g
    """
    return draw_change(windows.shape, config, generator, device=windows.device).of_windows(windows)


def draw_change(
    shape: tuple[int, ...], config: Augmentation, generator: torch.Generator, *, device: torch.device = _CPU
) -> Change:
    """Draw what is done to each window of a batch.

    Parameters
    ----------
    shape : (batch, 3, samples) of the windows
    config : the limits
    generator : source of all randomness
    device : of the windows and of the generator
    """
    batch, _, samples = shape
    draw = _Draw(generator, device)
    retimed = config.crop or config.time_warp or config.clock_skew
    positions = _read_positions(batch, samples, config, draw) if retimed else None
    rotation = _rotations(batch, config.rotation_rad, draw) if config.rotation_rad else None
    factor = 1 + config.scale * draw.normal(batch, 1, 1) if config.scale else None
    noise_g = config.jitter_g * draw.normal(*shape) if config.jitter_g else None
    return Change(
        positions=positions,
        rotation=rotation,
        factor=factor,
        noise_g=noise_g,
        reflection=_reflections(batch, config, draw) if config.handedness_flip else None,
        lost=_lost(batch, samples, config, draw) if config.sample_dropout else None,
    )


def mixing(
    batch: int, alpha: float, generator: torch.Generator, *, device: torch.device = _CPU
) -> tuple[Tensor, Tensor]:
    """Partners and shares for mixup: ``share * x + (1 - share) * x[partner]``.

    Parameters
    ----------
    batch : clips
    alpha : of Beta(alpha, alpha), above 0
    generator : source of all randomness
    device : of the clips and of the generator

    Returns
    -------
    partner : (batch,), a permutation
    share : (), at least 0.5, so that a clip keeps its own identity
    """
    # A ratio of gamma variates is a beta variate; torch's own gamma sampler takes the generator.
    gamma = torch._standard_gamma(torch.full((2,), alpha, device=device), generator=generator)
    share = gamma.select(0, 0) / gamma.sum().clamp_min(1e-12)
    return torch.randperm(batch, generator=generator, device=device), torch.maximum(share, 1 - share)


@dataclass(frozen=True)
class _Draw:
    """Random tensors on the windows' device."""

    generator: torch.Generator
    device: torch.device

    def normal(self, *shape: int) -> Tensor:
        """Of mean 0 and deviation 1."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1)."""
        return torch.rand(shape, generator=self.generator, device=self.device)

    def signed(self, *shape: int) -> Tensor:
        """In [-1, 1)."""
        return 2 * self.uniform(*shape) - 1

    def integers(self, low: int, end: int, *shape: int) -> Tensor:
        """In [low, end)."""
        return torch.randint(low, end, shape, generator=self.generator, device=self.device)


def _rotations(batch: int, limit_rad: float, draw: _Draw) -> Tensor:
    """(batch, 3, 3) rotations by up to ``limit_rad`` about uniformly random axes (Rodrigues' formula)."""
    axis = torch.nn.functional.normalize(draw.normal(batch, 3), dim=1)
    angle = draw.signed(batch, 1, 1) * limit_rad
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(batch, 3, 3)
    return torch.eye(3, device=draw.device) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)


def _reflections(batch: int, config: Augmentation, draw: _Draw) -> Tensor:
    """(batch, 3, 1): of each window 1 on every axis, or -1 on the one that is flipped."""
    other_wrist = draw.uniform(batch) < config.handedness_flip
    axis = torch.arange(3, device=draw.device) == "xyz".index(config.handedness_flip_axis)
    return torch.where(other_wrist.unsqueeze(1) & axis, -1.0, 1.0).unsqueeze(2)


def _read_positions(batch: int, samples: int, config: Augmentation, draw: _Draw) -> Tensor:
    """(batch, samples) positions to read at, never decreasing, within the window."""
    kept = 1 - config.crop * draw.uniform(batch, 1)
    place = draw.uniform(batch, 1)
    phase = 2 * torch.pi * draw.uniform(batch, 1)
    depth = config.time_warp * draw.signed(batch, 1)
    if config.clock_skew:
        kept = kept * (1 + config.clock_skew * draw.signed(batch, 1))
    start = (1 - kept) * place
    time = torch.linspace(0, 1, samples, device=draw.device).expand(batch, samples)
    # d/dt of the bump is depth * (cos(2 pi t + phase) - mean), so the tempo never changes by more than ``time_warp``.
    bump = depth / (2 * torch.pi) * (torch.sin(2 * torch.pi * time + phase) - torch.sin(phase))
    return ((start + kept * (time + bump)).clamp(0, 1)) * (samples - 1)


def _lost(batch: int, samples: int, config: Augmentation, draw: _Draw) -> Tensor:
    """(batch, samples), which are lost, in runs of 1 to ``sample_dropout_run``.

    The window is cut into blocks of ``sample_dropout_run`` + 1 at a random offset. A block loses at most one run and
    never its last sample, so that no two runs make a longer one. A run takes half of its block in the mean.
    """
    longest = config.sample_dropout_run
    blocks = samples // (longest + 1) + 2
    offset = draw.integers(0, longest + 1, batch, 1)
    share = 2 * config.sample_dropout * draw.uniform(batch, 1)
    broken = draw.uniform(batch, blocks) < share
    length = draw.integers(1, longest + 1, batch, blocks)
    begin = (draw.uniform(batch, blocks) * (longest - length + 1)).long()
    sample = torch.arange(samples, device=draw.device)
    place = sample + offset
    block, within = place // (longest + 1), place % (longest + 1)
    begin, length, broken = (values.gather(1, block) for values in (begin, length, broken))
    inside = (sample > 0) & (sample < samples - 1)
    return broken & (begin <= within) & (within < begin + length) & inside


def _bridged(windows: Tensor, lost: Tensor) -> Tensor:
    """Put a straight line from the last sample before each loss to the first after it."""
    index = torch.arange(lost.shape[1], device=lost.device).expand(lost.shape)
    before = torch.where(lost, 0, index).cummax(dim=1).values
    after = torch.where(lost, lost.shape[1], index).flip(1).cummin(dim=1).values.flip(1)
    share = (index - before) / (after - before).clamp_min(1)
    left, right = (place.unsqueeze(1).expand(windows.shape) for place in (before, after))
    return torch.lerp(windows.gather(2, left), windows.gather(2, right), share.unsqueeze(1).expand(windows.shape))


def _resample(windows: Tensor, positions: Tensor) -> Tensor:
    """Read (batch, channels, samples) at fractional positions (batch, samples), linearly."""
    left = positions.floor().clamp_max(windows.shape[-1] - 2).long()
    weight = (positions - left).unsqueeze(1)
    index = left.unsqueeze(1).expand(-1, windows.shape[1], -1)
    return torch.lerp(windows.gather(2, index), windows.gather(2, index + 1), weight.expand(index.shape))
