"""Batches: every row once, windows, labels and targets of one recording together, mixed in the same shares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from vskd.errors import DataError
from vskd_training.data.experiment import Experiment
from vskd_training.data.joints import vary_joints
from vskd_training.distillation.targets import DistillationTargets
from vskd_training.loop.distributed import Processes, stream_seed
from vskd_training.loop.tasks import (
    CROP_SCALES,
    EpochOrder,
    StudentTask,
    multi_scale_crop,
    student_task,
)
from vskd_training.models.output import ModelOutput
from vskd_training.models.student import gaf_resnet
from vskd_training.settings import Augmentation, Config, LossWeights

STILL = Augmentation(rotation_rad=0, scale=0, jitter_g=0, crop=0, time_warp=0, mixup=0)
EVERY_CHANGE = Augmentation(clock_skew=0.1, sample_dropout=0.2, handedness_flip=0.5)


def config_with(tiny: Experiment, augmentation: Augmentation, seed: int = 0, loss: LossWeights | None = None) -> Config:
    return dataclasses.replace(tiny.config, augment=augmentation, seed=seed, loss=loss or LossWeights(kd=1.0))


def task(
    tiny: Experiment, augmentation: Augmentation, *, seed: int = 0, processes: Processes | None = None
) -> StudentTask:
    """A student's task whose targets name the row that they belong to."""
    table, classes = tiny.windows("train"), len(tiny.contract.labels)
    row = torch.arange(len(table)).float().unsqueeze(1)
    targets = DistillationTargets(table.ids, ModelOutput(row.expand(-1, classes).clone(), row.expand(-1, 300).clone()))
    config = config_with(tiny, augmentation, seed)
    return student_task(table, config, classes, targets=targets, processes=processes or Processes())


@given(st.integers(1, 200), st.integers(2, 33), st.integers(0, 5), st.integers(1, 4))
def test_the_processes_share_every_row_once_and_each_batch_norm_has_two(
    count: int, batch: int, epoch: int, processes: int
) -> None:
    orders = [EpochOrder(count, 0, Processes(rank, processes)) for rank in range(processes)]
    shares = [order.batches(epoch, batch) for order in orders]
    rows = [row for share in shares for part in share for row in part.tolist()]
    assert len(set(rows)) == len(rows)
    left_out = count % batch if count % batch < 2 * processes else 0
    assert len(rows) == (count - left_out if batch >= 2 * processes else 0)
    steps = {len(share) for share in shares} | {order.steps(batch) for order in orders}
    if batch >= 2 * processes:
        assert len(steps) == 1
    for parts in zip(*shares, strict=True):
        assert sum(map(len, parts)) <= batch
        assert min(map(len, parts)) >= 2
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_windows_labels_and_targets_of_a_batch_are_of_the_same_recordings(tiny: Experiment) -> None:
    table = tiny.windows("train")
    for batch in task(tiny, STILL).batches(epoch=0, batch=16):
        assert batch.targets is not None
        rows = batch.rows.numpy()
        np.testing.assert_array_equal(batch.windows.numpy(), table.samples[rows])
        np.testing.assert_array_equal(batch.labels.argmax(1).numpy(), table.labels[rows])
        np.testing.assert_array_equal(batch.targets.logits[:, 0].numpy(), rows)
        np.testing.assert_array_equal(batch.targets.feature[:, 0].numpy(), rows)


def test_mixup_mixes_signal_label_and_target_in_one_share(tiny: Experiment) -> None:
    """Every mixed window must be the same mixture of two rows that the target's number says."""
    plain = list(task(tiny, STILL).batches(epoch=0, batch=16))
    mixed = list(task(tiny, dataclasses.replace(STILL, mixup=0.5)).batches(epoch=0, batch=16))
    differs = 0
    for before, after in zip(plain, mixed, strict=True):
        assert torch.equal(before.rows, after.rows)
        assert after.targets is not None
        own = after.rows.float()
        for row in range(len(own)):
            share, partner = _share_and_partner(before.windows, after.windows[row], row)
            expected = share * before.windows[row] + (1 - share) * before.windows[partner]
            torch.testing.assert_close(after.windows[row], expected, rtol=1e-4, atol=1e-5)
            number = share * own[row] + (1 - share) * own[partner]
            torch.testing.assert_close(after.targets.logits[row, 0], number, rtol=1e-4, atol=1e-2)
            torch.testing.assert_close(after.targets.feature[row, 0], number, rtol=1e-4, atol=1e-2)
            label = share * before.labels[row] + (1 - share) * before.labels[partner]
            torch.testing.assert_close(after.labels[row], label, rtol=1e-4, atol=1e-4)
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


def test_epochs_differ_and_repeat_by_seed_and_rank(tiny: Experiment) -> None:
    first = next(task(tiny, Augmentation()).batches(epoch=0, batch=16))
    again = next(task(tiny, Augmentation()).batches(epoch=0, batch=16))
    later = next(task(tiny, Augmentation()).batches(epoch=1, batch=16))
    other = next(task(tiny, Augmentation(), seed=1).batches(epoch=0, batch=16))
    assert torch.equal(first.windows, again.windows)
    assert first.rows.tolist() != later.rows.tolist()
    assert first.rows.tolist() != other.rows.tolist()
    # Two processes draw different noise for their rows.
    still = dataclasses.replace(STILL, jitter_g=0.1)
    parts = [next(task(tiny, still, processes=Processes(rank, 2)).batches(epoch=0, batch=16)) for rank in range(2)]
    samples = torch.from_numpy(tiny.windows("train").samples)
    one, two = (part.windows - samples[part.rows] for part in parts)
    assert not torch.allclose(one, two, atol=1e-3)


@given(st.integers(0, 3000), st.integers(0, 1000), st.integers(0, 1000))
def test_ranks_and_streams_draw_different_numbers(seed: int, epoch: int, other: int) -> None:
    """Torch's generator of the CPU knows 32 bits of a seed: two that differ above them are one."""
    kinds = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
    seeds = [stream_seed(seed, epoch, rank=rank, stream=stream) for rank, stream in kinds]
    assert len(set(seeds)) == len(kinds)
    assert all(0 <= value < 1 << 32 for value in seeds)
    assert (stream_seed(seed, other) == seeds[0]) == (other == epoch)


@pytest.mark.parametrize("ids", [slice(1, None), slice(None, None, -1)])
def test_targets_of_other_windows_or_in_another_order_are_refused(tiny: Experiment, ids: slice) -> None:
    table = tiny.windows("train")
    given_ids = table.ids[ids]
    targets = DistillationTargets(given_ids, ModelOutput(torch.zeros(len(given_ids), 12), torch.zeros(1, 300)))
    with pytest.raises(DataError, match=r"the targets are of \d+ windows, .* the same recordings in the same order"):
        student_task(table, config_with(tiny, STILL), 12, targets=targets)


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


# --- the device -----------------------------------------------------------------------------------------------------


def test_a_batch_and_its_loss_stay_on_the_device(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake CUDA tensors: an operation of tensors of two devices is an error, and so is one that waits for values."""
    loss = LossWeights(
        kd=1, distance=1, angle=1, semantic=1, decoupled=1, dist=1, standardised=True, label_smoothing=0.1
    )
    table, classes, batch = tiny.windows("train"), len(tiny.contract.labels), 16
    config = config_with(tiny, EVERY_CHANGE, loss=loss)
    network = gaf_resnet(tiny.contract, width=0.125).eval()
    generators: list[torch.Generator] = []

    def on_the_cpu(self: EpochOrder, epoch: int, device: torch.device, *, stream: int = 0) -> torch.Generator:
        assert device.type == "cuda"
        generators.append(torch.Generator())  # a fake tensor draws nothing, and there may be no CUDA to draw from
        return generators[-1]

    monkeypatch.setattr(EpochOrder, "generator", on_the_cpu)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        cuda = Processes(device=torch.device("cuda", 0))
        targets = DistillationTargets(
            table.ids, ModelOutput(torch.zeros(len(table), classes), torch.zeros(len(table), 300))
        )
        made = student_task(table, config, classes, targets=targets, processes=cuda)
        drawn = next(made.batches(0, batch))
        state = {
            name: torch.zeros(value.shape, dtype=value.dtype, device="cuda")
            for name, value in (*network.named_parameters(), *network.named_buffers())
        }

        def on_cuda(windows: torch.Tensor) -> ModelOutput:
            found: ModelOutput = torch.func.functional_call(network, state, (windows,))
            return found

        value, parts = made.loss(on_cuda, drawn)  # type: ignore[arg-type]
        assert drawn.targets is not None
        found = [drawn.rows, drawn.windows, drawn.labels, *drawn.targets, value, *parts.values()]
        assert {tensor.device.type for tensor in found} == {"cuda"}
        assert len(parts) == 7
        joints = vary_joints(torch.zeros(2, 8, 20, 3, device="cuda"), np.random.default_rng(0))
        assert joints.device.type == "cuda"
    assert generators
