"""What is trained on what: a teacher on clips, a student on windows with or without a teacher's view of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.errors import DataError
from vskd_training.data.augment import augment, mixing
from vskd_training.data.virtual_windows import VirtualWindows
from vskd_training.data.windows import UNLABELLED, WindowTable
from vskd_training.distillation.losses import distillation_loss
from vskd_training.models.student import ModelOutput
from vskd_training.settings import Augmentation, LossWeights


def epoch_order(count: int, batch: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Rows of each batch of an epoch, shuffled; a last batch of one row is left out (a batch norm needs two).

    Parameters
    ----------
    count : rows in all
    batch : rows in a batch
    """
    rows = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    batches = [rows[start : start + batch] for start in range(0, count, batch)]
    return [rows for rows in batches if len(rows) > 1]


def steps_per_epoch(count: int, batch: int) -> int:
    """How many batches ``epoch_order`` gives."""
    return math.ceil(count / batch) - (count % batch == 1)


class TeacherClips(Protocol):
    """What a teacher sees of every window of a table: ``windows.Clips`` or ``joints.JointClips``.

    Attributes
    ----------
    ids : (n,), of the windows
    """

    ids: tuple[str, ...]

    def batch(self, rows: Sequence[int], *, rng: np.random.Generator | None) -> NDArray[Any]:
        """Some windows, (rows, ...); ``rng`` varies what is taken of each, None takes the middle or all of it."""
        ...


#: How a batch of clips is varied in training.
Vary = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass(frozen=True)
class DistillationTargets:
    """What the teacher says of every window of a table: once, whatever the student's augmentation makes of it.

    Attributes
    ----------
    ids : (n,), of the windows
    logits : (n, classes)
    features : (n, FEATURE_SIZE)
    """

    ids: tuple[str, ...]
    logits: Tensor
    features: Tensor

    def view(self, rows: list[int]) -> ModelOutput:
        """What was said of some windows."""
        return ModelOutput(self.logits[rows], self.features[rows])

    def exchanged(self, source: NDArray[np.int64]) -> DistillationTargets:
        """The same ids with the views of other windows: ``source`` (n,) says whose."""
        return DistillationTargets(self.ids, self.logits[source], self.features[source])


@dataclass(frozen=True)
class StudentBatch:
    """Some windows, the answers, and the teacher's view of the same windows if there is one."""

    ids: tuple[str, ...]
    windows: Tensor
    targets: Tensor
    teacher: ModelOutput | None
    teacher_ids: tuple[str, ...] | None


class StudentTask:
    """Windows in, labels and a teacher's knowledge out.

    Parameters
    ----------
    table : the windows; one without a label has a target of zeros, so that only the teacher speaks of it
    classes : activities
    augmentation : of the signal
    weights : of the loss
    teacher : what it says of the same windows in the same order, or None
    seed : of order and augmentation
    virtual : sensors on the skeletons of the same windows; each batch of real windows, which stays what it is without
        them, is followed by some of theirs

    Raises
    ------
    DataError : the teacher's views are of other windows
    """

    def __init__(
        self,
        table: WindowTable,
        classes: int,
        *,
        augmentation: Augmentation,
        weights: LossWeights,
        teacher: DistillationTargets | None,
        seed: int,
        virtual: VirtualWindows | None = None,
    ) -> None:
        if teacher is not None and len(teacher.ids) != len(table.ids):
            raise DataError(f"the teacher saw {len(teacher.ids)} windows, the student has {len(table.ids)}")
        self._ids = table.ids
        self._windows = torch.from_numpy(table.samples)
        self._targets = one_hot(torch.from_numpy(table.labels), classes)
        self._augmentation = augmentation
        self._weights = weights
        self._teacher = teacher
        self._seed = seed
        self._virtual = virtual
        unseen = frozenset() if virtual is None else virtual.without_sensor
        self._real = [row for row in range(len(table.ids)) if row not in unseen]

    def steps(self, batch: int) -> int:
        return steps_per_epoch(len(self._real), batch)

    def batches(self, epoch: int, batch: int) -> Iterator[StudentBatch]:
        """Augmented batches; the generator of each epoch is seeded by (seed, epoch)."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        more = self._virtual_batches(self._virtual, epoch) if self._virtual else None
        for places in epoch_order(len(self._real), batch, seed=self._seed, epoch=epoch):
            rows = [self._real[place] for place in places]
            made = self._varied(rows, self._windows[rows], generator)
            yield made if more is None else _together(made, more(len(rows)))

    def _virtual_batches(self, virtual: VirtualWindows, epoch: int) -> Callable[[int], StudentBatch]:
        """Gives the virtual windows beside so many real ones; a generator of its own leaves the real ones alone."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch + _VIRTUAL_STREAM)
        order = _endless(len(virtual), generator)

        def batch(real: int) -> StudentBatch:
            chosen = list(itertools.islice(order, max(1, round(virtual.config.per_real * real))))
            return self._varied(virtual.rows[chosen].tolist(), virtual.draw(chosen, generator), generator)

        return batch

    def _varied(self, rows: list[int], windows: Tensor, generator: torch.Generator) -> StudentBatch:
        made = self._batch(rows, augment(windows, self._augmentation, generator))
        return self._mixed(made, generator) if self._augmentation.mixup else made

    def _batch(self, rows: list[int], windows: Tensor) -> StudentBatch:
        ids = tuple(self._ids[row] for row in rows)
        if self._teacher is None:
            return StudentBatch(ids, windows, self._targets[rows], None, None)
        view = self._teacher.view(rows)
        teacher_ids = tuple(self._teacher.ids[row] for row in rows)
        return StudentBatch(ids, windows, self._targets[rows], view, teacher_ids)

    def _mixed(self, batch: StudentBatch, generator: torch.Generator) -> StudentBatch:
        """Mixup of the signals; answers and the teacher's view are mixed in the same shares."""
        partner, share = mixing(len(batch.ids), self._augmentation.mixup, generator)

        def mix(values: Tensor) -> Tensor:
            return share * values + (1 - share) * values[partner]

        view = batch.teacher
        if view is not None:
            view = ModelOutput(mix(view.logits), mix(view.feature))
        return StudentBatch(batch.ids, mix(batch.windows), mix(batch.targets), view, batch.teacher_ids)

    def loss(self, model: nn.Module, batch: StudentBatch) -> tuple[Tensor, dict[str, Tensor]]:
        return distillation_loss(
            model(batch.windows),
            batch.teacher,
            batch.targets,
            self._weights,
            student_ids=batch.ids,
            teacher_ids=batch.teacher_ids,
        )


#: Keeps the virtual windows' generators apart from the real ones'.
_VIRTUAL_STREAM = 1 << 40


def _endless(count: int, generator: torch.Generator) -> Iterator[int]:
    """Every number below ``count`` in random order, again and again."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


def _together(one: StudentBatch, other: StudentBatch) -> StudentBatch:
    """Both batches' windows, one's first."""
    view, ids = None, None
    if one.teacher is not None and other.teacher is not None:
        view = _stacked(one.teacher, other.teacher)
        ids = (one.teacher_ids or ()) + (other.teacher_ids or ())
    windows, targets = torch.cat([one.windows, other.windows]), torch.cat([one.targets, other.targets])
    return StudentBatch(one.ids + other.ids, windows, targets, view, ids)


def _stacked(one: ModelOutput, other: ModelOutput) -> ModelOutput:
    return ModelOutput(torch.cat([one.logits, other.logits]), torch.cat([one.feature, other.feature]))


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(n, classes) float32 of (n,) classes; a row of zeros for ``UNLABELLED``."""
    known = (labels != UNLABELLED).unsqueeze(1)
    return F.one_hot(labels.clamp_min(0), classes).float() * known


class TeacherTask:
    """Clips in, labels out.

    Parameters
    ----------
    table : the windows
    clips : the camera's view of them
    vary : augmentation of the clips
    smoothing : label smoothing
    seed : of order, frames and augmentation
    """

    def __init__(self, table: WindowTable, clips: TeacherClips, *, vary: Vary, smoothing: float, seed: int) -> None:
        self._labels = torch.from_numpy(table.labels)
        self._clips = clips
        self._vary = vary
        self._smoothing = smoothing
        self._seed = seed

    def steps(self, batch: int) -> int:
        return steps_per_epoch(len(self._labels), batch)

    def batches(self, epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Clips of which random instants are taken, varied; all of it from (seed, epoch)."""
        rng = np.random.default_rng([self._seed, epoch, 1])
        for rows in epoch_order(len(self._labels), batch, seed=self._seed, epoch=epoch):
            clips = torch.from_numpy(self._clips.batch(rows, rng=rng))
            yield self._vary(clips, rng), self._labels[rows]

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        clips, labels = batch
        loss = F.cross_entropy(model(clips).logits, labels, label_smoothing=self._smoothing)
        return loss, {"ce": loss.detach()}


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


@torch.no_grad()
def predict_clips(model: nn.Module, clips: TeacherClips, *, batch: int) -> DistillationTargets:
    """What a trained teacher says of every clip, which is not varied: a video by the middle frame of each segment."""
    model.eval()
    rows_of = _in_order(len(clips.ids), batch)
    views = [_predict(model, torch.from_numpy(clips.batch(rows, rng=None))) for rows in rows_of]
    return _gathered(clips.ids, views)


@torch.no_grad()
def predict_windows(model: nn.Module, table: WindowTable, *, batch: int = 256) -> DistillationTargets:
    """What a trained student says of every window of a table, which is not varied."""
    model.eval()
    windows = torch.from_numpy(table.samples)
    views = [_predict(model, windows[rows]) for rows in _in_order(len(table), batch)]
    return _gathered(table.ids, views)


def _gathered(ids: tuple[str, ...], views: list[ModelOutput]) -> DistillationTargets:
    return DistillationTargets(
        ids, torch.cat([view.logits for view in views]), torch.cat([view.feature for view in views])
    )


@torch.no_grad()
def student_logits(model: nn.Module, table: WindowTable, *, batch: int = 256) -> Tensor:
    """Logits (n, classes) of a trained student on every window of a table."""
    model.eval()
    windows = torch.from_numpy(table.samples)
    return torch.cat([_predict(model, windows[rows]).logits for rows in _in_order(len(table), batch)])


def _predict(model: nn.Module, inputs: Tensor) -> ModelOutput:
    """What a network says of inputs, on the CPU wherever it lives."""
    view: ModelOutput = model(inputs.to(next(model.parameters()).device))
    return ModelOutput(view.logits.cpu(), view.feature.cpu())


def _in_order(count: int, batch: int) -> Iterator[Sequence[int]]:
    for start in range(0, count, batch):
        yield range(start, min(start + batch, count))
