"""What is trained on what: a teacher on clips, a student on windows with or without distillation targets.

All tensors of a batch lie on the device of the training, where windows, labels and targets are kept and where the
augmentation is drawn and applied. All randomness of an epoch comes from (seed, epoch), and the rank where several
processes train together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.errors import DataError
from vskd_training.data.augment import augment, mixing
from vskd_training.data.clips import TeacherClips
from vskd_training.data.virtual_windows import VirtualWindows
from vskd_training.data.windows import UNLABELLED, WindowTable
from vskd_training.distillation.losses import distillation_loss
from vskd_training.distillation.targets import DistillationTargets
from vskd_training.loop.distributed import ALONE, Processes, stream_seed
from vskd_training.models.output import ModelOutput
from vskd_training.settings import Augmentation, Config, LossWeights

#: Virtual windows draw from a stream of their own, so that the real ones are the same with and without them.
_VIRTUAL_STREAM = 1


@dataclass(frozen=True)
class EpochOrder:
    """Which rows each batch of an epoch holds: a permutation by (seed, epoch), cut into batches.

    Of every batch a process takes every count-th row. A last batch that would leave a process fewer than two rows is
    left out, since a batch norm needs two.

    Attributes
    ----------
    count : rows in all
    seed : with the epoch, of the permutation
    processes : those that share each batch
    """

    count: int
    seed: int
    processes: Processes = ALONE

    def batches(self, epoch: int, batch: int) -> list[NDArray[np.int64]]:
        """The rows of each batch that are this process's; ``batch`` rows are of all processes together."""
        rows = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        parts = [rows[start : start + batch] for start in range(0, self.count, batch)]
        rank, processes = self.processes.rank, self.processes.count
        return [part[rank::processes] for part in parts if len(part) >= 2 * processes]

    def steps(self, batch: int) -> int:
        """How many batches an epoch has."""
        return self.count // batch + (self.count % batch >= 2 * self.processes.count)

    def generator(self, epoch: int, device: torch.device, *, stream: int = 0) -> torch.Generator:
        """The source of an epoch's random numbers on the device."""
        seed = stream_seed(self.seed, epoch, rank=self.processes.rank, stream=stream)
        return torch.Generator(device).manual_seed(seed)


@dataclass(frozen=True)
class StudentBatch:
    """Some windows, their labels, and the targets of the same windows if there are any.

    Attributes
    ----------
    rows : (batch,), into the table; windows, labels and targets are all taken by these
    windows : (batch, 3, samples), g
    labels : (batch, classes), shares; a row of zeros has no label
    targets : the teachers' output for the same rows, or None
    taught : (batch,), whether a row has a target; None: all have
    """

    rows: Tensor
    windows: Tensor
    labels: Tensor
    targets: ModelOutput | None
    taught: Tensor | None = None


@dataclass(frozen=True)
class StudentTask:
    """Windows in, labels and distillation targets out; made by ``student_task``.

    Attributes
    ----------
    windows : (n, 3, samples), g
    labels : (n, classes); a row of zeros has no label, so that only its target is learned from
    targets : n rows, or None
    real : rows whose real windows are used
    order : of an epoch, by places in ``real``
    augmentation, weights : of the windows; of the loss
    virtual : sensors on the skeletons of the same windows; each batch of real windows, which stays what it is without
        them, is followed by some of theirs
    taught : (n,), whether a window has a target; None: all have
    """

    windows: Tensor
    labels: Tensor
    targets: ModelOutput | None
    real: Tensor
    order: EpochOrder
    augmentation: Augmentation
    weights: LossWeights
    virtual: VirtualWindows | None = None
    taught: Tensor | None = None

    def steps(self, batch: int) -> int:
        return self.order.steps(batch)

    def batches(self, epoch: int, batch: int) -> Iterator[StudentBatch]:
        """Augmented batches of an epoch."""
        generator = self.order.generator(epoch, self.windows.device)
        further = self._virtual_batches(self.virtual, epoch) if self.virtual else None
        for places in self.order.batches(epoch, batch):
            rows = self.real.index_select(0, _moved(places, self.windows.device))
            made = self._augmented(rows, self.windows.index_select(0, rows), generator)
            yield made if further is None else _concatenated(made, further(len(rows)))

    def loss(self, model: nn.Module, batch: StudentBatch) -> tuple[Tensor, dict[str, Tensor]]:
        output: ModelOutput = model(batch.windows)
        # A branched student answers once for each branch.
        each = zip(*(torch.split(part, len(batch.rows)) for part in output), strict=True)
        losses = [
            distillation_loss(ModelOutput(*one), batch.targets, batch.labels, self.weights, taught=batch.taught)
            for one in each
        ]
        return _mean_loss(losses)

    def _virtual_batches(self, virtual: VirtualWindows, epoch: int) -> Callable[[int], StudentBatch]:
        """Gives the virtual windows beside so many real ones; a generator of its own leaves the real ones alone."""
        generator = self.order.generator(epoch, self.windows.device, stream=_VIRTUAL_STREAM)
        order = _endless(len(virtual), generator)

        def batch(real: int) -> StudentBatch:
            count = max(1, round(virtual.config.per_real * real))
            chosen = _moved(np.array(list(itertools.islice(order, count))), self.windows.device)
            return self._augmented(virtual.rows.index_select(0, chosen), virtual.draw(chosen, generator), generator)

        return batch

    def _augmented(self, rows: Tensor, windows: Tensor, generator: torch.Generator) -> StudentBatch:
        targets = None if self.targets is None else self.targets.rows(rows)
        taught = None if self.taught is None else self.taught.index_select(0, rows)
        batch = StudentBatch(
            rows, augment(windows, self.augmentation, generator), self.labels.index_select(0, rows), targets, taught
        )
        return _mixed(batch, self.augmentation.mixup, generator) if self.augmentation.mixup else batch


def student_task(
    table: WindowTable,
    config: Config,
    classes: int,
    *,
    targets: DistillationTargets | None = None,
    virtual: VirtualWindows | None = None,
    processes: Processes = ALONE,
) -> StudentTask:
    """The task of a student, on the device of the processes.

    Parameters
    ----------
    table : the windows, with labels or without
    config : its augmentation, loss and seed
    classes : activities
    targets : for the same windows in the same order, or None
    virtual : sensors on the skeletons of the same windows, or None

    Raises
    ------
    DataError : the targets are of other windows
    """
    if targets is not None and targets.ids != table.ids:
        raise DataError(
            f"the targets are of {len(targets.ids)} windows, the student has {len(table.ids)}, and not all of them are "
            "the same recordings in the same order",
            hint="Compute the targets from the student's own table of windows",
        )
    device = processes.device
    unseen = frozenset() if virtual is None else virtual.without_sensor
    real = torch.tensor([row for row in range(len(table)) if row not in unseen], device=device)
    return StudentTask(
        windows=torch.from_numpy(table.samples).to(device),
        labels=one_hot(torch.from_numpy(table.labels), classes).to(device),
        targets=None if targets is None else targets.output.to(device),
        real=real,
        order=EpochOrder(len(real), config.seed, processes),
        augmentation=config.augment,
        weights=config.loss,
        virtual=None if virtual is None else virtual.to(device),
        taught=None if targets is None or targets.taught is None else targets.taught.to(device),
    )


def _mean_loss(losses: list[tuple[Tensor, dict[str, Tensor]]]) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean over the branches, of the loss and of each of its terms; one branch's own where there is one."""
    if len(losses) == 1:
        return losses[0]
    terms = {name: torch.stack([parts[name] for _, parts in losses]).mean() for name in losses[0][1]}
    return torch.stack([loss for loss, _ in losses]).mean(), terms


def _mixed(batch: StudentBatch, alpha: float, generator: torch.Generator) -> StudentBatch:
    """Mixup of the windows; labels and targets are mixed in the same shares."""
    partner, share = mixing(len(batch.rows), alpha, generator, device=batch.windows.device)

    def mix(values: Tensor) -> Tensor:
        return share * values + (1 - share) * values.index_select(0, partner)

    targets = None if batch.targets is None else ModelOutput(*map(mix, batch.targets))
    taught = None if batch.taught is None else batch.taught & batch.taught.index_select(0, partner)
    return StudentBatch(batch.rows, mix(batch.windows), mix(batch.labels), targets, taught)


def _concatenated(one: StudentBatch, other: StudentBatch) -> StudentBatch:
    """Both batches' windows, one's first."""
    targets = None
    if one.targets is not None and other.targets is not None:
        targets = ModelOutput(*(torch.cat(pair) for pair in zip(one.targets, other.targets, strict=True)))
    rows, windows, labels = (
        torch.cat([getattr(one, name), getattr(other, name)]) for name in ("rows", "windows", "labels")
    )
    taught = None
    if one.taught is not None and other.taught is not None:
        taught = torch.cat([one.taught, other.taught])
    return StudentBatch(rows, windows, labels, targets, taught)


def _endless(count: int, generator: torch.Generator) -> Iterator[int]:
    """Every number below ``count`` in random order, again and again."""
    while True:
        yield from torch.randperm(count, generator=generator, device=generator.device).tolist()


def _moved(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array on the device, without waiting for the steps that the device still works at."""
    return torch.from_numpy(values).to(device, non_blocking=True)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(n, classes) float32 of (n,) classes; a row of zeros for ``UNLABELLED``."""
    known = (labels != UNLABELLED).unsqueeze(1)
    return F.one_hot(labels.clamp_min(0), classes).float() * known


#: How a batch of clips is varied in training.
Vary = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass(frozen=True)
class TeacherTask:
    """Clips in, labels out; made by ``teacher_task``.

    Attributes
    ----------
    labels : (n,)
    clips : the teacher's input, on the CPU; batches of it are moved to the labels' device
    vary : augmentation of the clips
    smoothing : label smoothing
    order : of an epoch
    """

    labels: Tensor
    clips: TeacherClips
    vary: Vary
    smoothing: float
    order: EpochOrder

    def steps(self, batch: int) -> int:
        return self.order.steps(batch)

    def batches(self, epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Clips of which random instants are taken, varied."""
        rank = self.order.processes.rank
        rng = np.random.default_rng([self.order.seed, epoch, 1, *([rank] if rank else [])])
        device = self.labels.device
        for rows in self.order.batches(epoch, batch):
            clips = _moved(self.clips.batch(rows.tolist(), rng=rng), device)
            yield self.vary(clips, rng), self.labels.index_select(0, _moved(rows, device))

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        clips, labels = batch
        loss = F.cross_entropy(model(clips).logits, labels, label_smoothing=self.smoothing)
        return loss, {"ce": loss.detach()}


def teacher_task(
    table: WindowTable, config: Config, clips: TeacherClips, *, vary: Vary, processes: Processes = ALONE
) -> TeacherTask:
    """The task of a teacher, on the device of the processes; ``clips`` are of the table's windows."""
    labels = torch.from_numpy(table.labels).to(processes.device)
    order = EpochOrder(len(labels), config.seed, processes)
    return TeacherTask(labels, clips, vary, config.loss.label_smoothing, order)


#: TRN's scales of the crop. Its horizontal flip is left out: it turns left actions into right ones.
CROP_SCALES = (1.0, 0.875, 0.75, 0.66)


def multi_scale_crop(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Crop each clip to one of TRN's scales at a random place, and resize it back.

    Parameters
    ----------
    frames : (batch, segments, frames, height, width), uint8
    rng : source of scale and place, one for all frames of a clip

    Returns
    -------
    the same shape, uint8
    """
    height, width = frames.shape[-2:]
    cropped = torch.empty_like(frames)
    for row, clip in enumerate(frames):
        scale = float(rng.choice(CROP_SCALES))
        rows, columns = round(height * scale), round(width * scale)
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        part = clip[..., top : top + rows, left : left + columns].float()
        resized = F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False)
        cropped[row] = resized.round().to(torch.uint8)
    return cropped
