"""Batches: every row once, both views of one recording together, mixed in the same shares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vskd.errors import DataError
from vskd_training.data.experiment import Experiment
from vskd_training.loop.tasks import (
    CROP_SCALES,
    DistillationTargets,
    StudentTask,
    epoch_order,
    multi_scale_crop,
    steps_per_epoch,
)
from vskd_training.models.student import ModelOutput
from vskd_training.settings import Augmentation, LossWeights

STILL = Augmentation(rotation_rad=0, scale=0, jitter_g=0, crop=0, time_warp=0, mixup=0)


def task(tiny: Experiment, *, how: Augmentation, seed: int = 0) -> StudentTask:
    """A student's task whose teacher's logits and features name the row that they belong to."""
    table = tiny.windows("train")
    row = torch.arange(len(table)).float().unsqueeze(1)
    views = DistillationTargets(
        table.ids, row.expand(-1, len(tiny.contract.labels)).clone(), row.expand(-1, 300).clone()
    )
    return StudentTask(
        table, len(tiny.contract.labels), augmentation=how, weights=LossWeights(kd=1.0), teacher=views, seed=seed
    )


@given(st.integers(1, 200), st.integers(2, 33), st.integers(0, 5))
def test_an_epoch_shows_every_row_once_but_never_a_batch_of_one(count: int, batch: int, epoch: int) -> None:
    batches = epoch_order(count, batch, seed=0, epoch=epoch)
    rows = [row for rows in batches for row in rows]
    assert len(set(rows)) == len(rows)
    assert len(rows) == count - (count % batch == 1)
    assert all(2 <= len(rows) <= batch for rows in batches)
    assert len(batches) == steps_per_epoch(count, batch)


def test_both_views_of_a_batch_are_of_the_same_windows(tiny: Experiment) -> None:
    table = tiny.windows("train")
    for batch in task(tiny, how=STILL).batches(epoch=0, batch=16):
        assert batch.teacher is not None
        assert batch.ids == batch.teacher_ids
        rows = [table.ids.index(name) for name in batch.ids]
        np.testing.assert_array_equal(batch.windows.numpy(), table.samples[rows])
        np.testing.assert_array_equal(batch.targets.argmax(1).numpy(), table.labels[rows])
        np.testing.assert_array_equal(batch.teacher.logits[:, 0].numpy(), rows)
        np.testing.assert_array_equal(batch.teacher.feature[:, 0].numpy(), rows)


def test_mixup_mixes_signal_answer_and_teacher_in_one_share(tiny: Experiment) -> None:
    """Every mixed window must be the same mixture of two rows that the teacher's number says."""
    table = tiny.windows("train")
    plain = list(task(tiny, how=STILL).batches(epoch=0, batch=16))
    mixed = list(task(tiny, how=dataclasses.replace(STILL, mixup=0.5)).batches(epoch=0, batch=16))
    differs = 0
    for before, after in zip(plain, mixed, strict=True):
        assert before.ids == after.ids
        assert after.teacher is not None
        own = torch.tensor([table.ids.index(name) for name in after.ids]).float()
        for row in range(len(own)):
            share, partner = _share_and_partner(before.windows, after.windows[row], row)
            expected = share * before.windows[row] + (1 - share) * before.windows[partner]
            torch.testing.assert_close(after.windows[row], expected, rtol=1e-4, atol=1e-5)
            number = share * own[row] + (1 - share) * own[partner]
            torch.testing.assert_close(after.teacher.logits[row, 0], number, rtol=1e-4, atol=1e-2)
            differs += share < 0.999
    assert differs > 10


def _share_and_partner(windows: torch.Tensor, mixed: torch.Tensor, row: int) -> tuple[float, int]:
    """Which row of ``windows`` the mixed one was made with, and how much of its own is left: by least squares."""
    best = (np.inf, 1.0, row)
    for partner, other in enumerate(windows):
        direction = other - windows[row]
        size = float((direction**2).sum())
        weight = float(((mixed - windows[row]) * direction).sum()) / size if size else 0.0
        error = float((mixed - windows[row] - weight * direction).abs().max())
        if 0 <= weight <= 0.5 + 1e-6 and error < best[0]:
            best = (error, 1 - weight, partner)
    return best[1], best[2]


def test_epochs_differ_and_repeat_by_seed(tiny: Experiment) -> None:
    how = Augmentation()
    first = next(task(tiny, how=how).batches(epoch=0, batch=16))
    again = next(task(tiny, how=how).batches(epoch=0, batch=16))
    later = next(task(tiny, how=how).batches(epoch=1, batch=16))
    other = next(task(tiny, how=how, seed=1).batches(epoch=0, batch=16))
    assert torch.equal(first.windows, again.windows)
    assert first.ids != later.ids
    assert first.ids != other.ids


def test_a_teacher_of_other_windows_is_refused(tiny: Experiment) -> None:
    table = tiny.windows("train")
    views = DistillationTargets(table.ids[1:], torch.zeros(len(table) - 1, 2), torch.zeros(len(table) - 1, 300))
    with pytest.raises(DataError, match=r"the teacher saw \d+ windows, the student has \d+"):
        StudentTask(table, 12, augmentation=STILL, weights=LossWeights(kd=1.0), teacher=views, seed=0)


def test_a_teacher_whose_ids_are_in_another_order_is_refused(tiny: Experiment) -> None:
    made = task(tiny, how=STILL)
    made._teacher = dataclasses.replace(made._teacher, ids=made._teacher.ids[::-1])  # type: ignore[type-var]
    batch = next(made.batches(epoch=0, batch=16))
    model = _Constant(len(tiny.contract.labels))
    with pytest.raises(DataError, match="not the same recording"):
        made.loss(model, batch)


class _Constant(torch.nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, windows: torch.Tensor) -> ModelOutput:
        return ModelOutput(torch.zeros(len(windows), self.classes), torch.zeros(len(windows), 300))


def test_a_crop_keeps_shape_and_shows_a_part_of_the_clip() -> None:
    columns = torch.arange(48, dtype=torch.uint8).expand(6, 2, 3, 40, 48).contiguous()
    cropped = multi_scale_crop(columns, np.random.default_rng(0))
    assert cropped.shape == columns.shape
    assert cropped.dtype == torch.uint8
    span = cropped[:, 0, 0, 0, -1].int() - cropped[:, 0, 0, 0, 0].int()
    assert set(span.tolist()) <= {round(48 * scale) - 1 for scale in CROP_SCALES}
    assert len(set(span.tolist())) > 1
    # one crop for all frames of a clip
    assert torch.equal(cropped[:, 0, 0], cropped[:, 1, 2])
