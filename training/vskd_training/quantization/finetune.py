"""The fine-tuning that prepares a trained student for int8: its labels stay what they are when every tensor is rounded.

The student is its own teacher. Rounded as the int8 model will be (``fake``), it is pulled towards itself in float, and
that towards the student as it was trained, on augmented windows and without labels, so neither the run's loss nor its
teachers are needed. What is left is a student of the same layers, in float, whose norms are folded and whose weights
lie on the grid of int8: quantizing them loses nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vskd_training.models.student import Student
from vskd_training.quantization.fake import FakeQuantized, fold_norms, quantize_weights
from vskd_training.settings import QuantizationConfig

#: Windows that set the ranges of the activations, evenly spaced over those of the training.
RANGE_WINDOWS = 200

#: Weight of the rounded student's distance from the float one, against the float one's from the trained one.
_ROUNDED = 5.0

#: Largest norm of the gradient.
_CLIP_NORM = 20.0


@dataclass(frozen=True)
class FineTuning:
    """One fine-tuning.

    Attributes
    ----------
    student : trained; fine-tuned in place, left in evaluation mode
    windows : (n, channels, samples), g, of training subjects, not augmented
    batches : epoch -> its augmented windows, batch by batch
    steps : batches in an epoch
    config : epochs and rate
    progress : called with (steps done, steps in all, the epoch's means so far) as in training
    """

    student: Student
    windows: Tensor
    batches: Callable[[int], Iterator[Tensor]]
    steps: int
    config: QuantizationConfig
    progress: Callable[[int, int, dict[str, float]], None]


def finetune(job: FineTuning) -> list[float]:
    """Fine-tune a student for int8, in place.

    Returns
    -------
    the mean loss of each epoch
    """
    student = job.student.eval()
    trained = copy.deepcopy(student)
    fold_norms(student)
    rounded, few = FakeQuantized(student), _evenly(job.windows, RANGE_WINDOWS)
    parameters = _trained_parameters(student)
    optimiser = torch.optim.AdamW(parameters, lr=job.config.learning_rate, weight_decay=0.0)
    total = job.config.epochs * job.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, job.config.learning_rate, total_steps=total)
    means = []
    for epoch in range(job.config.epochs):
        rounded.calibrate(few)
        losses = []
        for windows in job.batches(epoch):
            loss = _loss(trained, student, rounded, windows)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, _CLIP_NORM)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            job.progress(epoch * job.steps + len(losses), total, {"loss": float(np.mean(losses))})
        means.append(float(np.mean(losses)))
    _snap_weights(student)
    return means


def _loss(trained: Student, student: Student, rounded: FakeQuantized, windows: Tensor) -> Tensor:
    with torch.no_grad():
        goal = trained(windows).logits
    full, integer = student(windows).logits, rounded(windows).logits
    return divergence(full, goal) + _ROUNDED * divergence(integer, full)


def divergence(logits: Tensor, goal: Tensor) -> Tensor:
    """KL(goal || logits) of the probabilities, mean over windows."""
    return F.kl_div(F.log_softmax(logits, dim=1), F.log_softmax(goal, dim=1), reduction="batchmean", log_target=True)


def _trained_parameters(student: Student) -> list[nn.Parameter]:
    """All but the factors of the folded norms, which have to stay 1."""
    factors = {id(module.weight) for module in student.modules() if isinstance(module, nn.BatchNorm2d)}
    return [value for value in student.parameters() if id(value) not in factors]


@torch.no_grad()
def _snap_weights(student: Student) -> None:
    for module in student.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(quantize_weights(module.weight))


def _evenly(windows: Tensor, count: int) -> Tensor:
    rows = np.unique(np.linspace(0, len(windows) - 1, min(count, len(windows))).round().astype(np.int64))
    return windows[torch.from_numpy(rows).to(windows.device)]
