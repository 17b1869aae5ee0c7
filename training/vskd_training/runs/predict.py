"""What a trained network answers for every window of a table, without augmentation. Results lie on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vskd_training.data.clips import TeacherClips
from vskd_training.data.windows import WindowTable
from vskd_training.models.output import ModelOutput


def predict_windows(model: nn.Module, table: WindowTable, *, batch: int = 256) -> ModelOutput:
    """A student's output for every window, in the order of the table."""
    windows = torch.from_numpy(table.samples)
    return _predict(model, (windows[rows] for rows in _in_order(len(table), batch)))


def predict_clips(model: nn.Module, clips: TeacherClips, *, batch: int) -> ModelOutput:
    """A teacher's output for every window; of a video by the centre frame of each segment."""
    return _predict(model, (torch.from_numpy(clips.batch(rows, rng=None)) for rows in _in_order(len(clips.ids), batch)))


@torch.no_grad()
def _predict(model: nn.Module, batches: Iterator[Tensor]) -> ModelOutput:
    model.eval()
    device = next(model.parameters()).device
    logits, features = zip(*(model(inputs.to(device)) for inputs in batches), strict=True)
    return ModelOutput(torch.cat(logits).cpu(), torch.cat(features).cpu())


def _in_order(count: int, batch: int) -> Iterator[range]:
    for start in range(0, count, batch):
        yield range(start, min(start + batch, count))
