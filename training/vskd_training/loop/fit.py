"""The training loop: plain, deterministic by seed, resumable after any epoch.

A ``Task`` says what a batch is and what its loss is; the loop knows optimiser, schedule, precision, log and checkpoint.
All randomness of an epoch comes from (seed, epoch), so that a run that was killed and resumed equals one that was not.
There is no early stopping and no best epoch: the last weights are the result.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vskd.errors import ConfigError, DataError
from vskd.writing import append_line, keep_lines, write_file
from vskd_training.loop.distributed import ALONE, Processes
from vskd_training.loop.run import LOG, RESUME
from vskd_training.settings import TrainingConfig


class Task(Protocol):
    """What is trained on what."""

    def batches(self, epoch: int, batch: int) -> Iterator[Any]:
        """The epoch's batches, all randomness from the task's seed and the epoch."""
        ...

    def steps(self, batch: int) -> int:
        """Batches in an epoch."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one batch, and its parts for the log."""
        ...


def fit(
    model: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    run: Path,
    validate: Callable[[nn.Module], dict[str, float]],
    progress: Callable[[int, int, dict[str, float]], None],
    processes: Processes = ALONE,
) -> None:
    """Train a model in place.

    Parameters
    ----------
    model : with initial weights; left in evaluation mode
    task : batches and loss
    config : epochs, batch, rate, ...
    seed : with the epoch, of all randomness
    run : folder for the log and the resume file; one that is there is taken up
    validate : called after the last epoch and every tenth, on people who are not trained on
    progress : called after every step with (steps done, steps in all, the parts of the loss)
    processes : those that train together; the first one alone writes, validates and tells of progress

    Raises
    ------
    ConfigError : bf16 on a device without it
    DataError : fewer than two windows; a loss that is not finite; a resume file that cannot be read
    """
    _check_bf16(config, processes.device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
    network = processes.spread(model, bf16=config.bf16)
    steps = task.steps(config.batch)
    if not steps:
        raise DataError("one window alone cannot be trained on: a batch norm needs two", hint="Record more")
    total = config.steps or config.epochs * steps
    epochs = math.ceil(total / steps)
    optimiser = optimiser_for(model, config)
    schedule = _schedule(optimiser, config, total)
    first_epoch = _resume(run / RESUME, model, optimiser, schedule, processes)
    if processes.first:
        # A run that was killed between log and resume file has written a row of the epoch that it repeats now.
        keep_lines(run / LOG, lambda line: _epoch_of(line) <= first_epoch)
    for epoch in range(first_epoch, epochs):
        started_s = time.perf_counter()
        torch.manual_seed(seed * 1_000_003 + epoch)
        model.train()
        sums: dict[str, float] = {}
        planned = min(steps, total - epoch * steps)  # config.steps may end within an epoch
        for step, batch in enumerate(itertools.islice(task.batches(epoch, config.batch), planned)):
            parts = train_step(network, task, batch, optimiser, config)
            schedule.step()
            sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
            if processes.first:
                progress(epoch * steps + step + 1, total, parts)
        row: dict[str, float] = {name: value / planned for name, value in sums.items()}
        last = epoch + 1 == epochs
        model.eval()
        if not processes.first:
            continue
        if last or epoch % 10 == 9:
            row |= validate(model)
        seconds = round(time.perf_counter() - started_s, 3)
        append_line(run / LOG, json.dumps({"epoch": epoch + 1, "seconds": seconds, **row}))
        _save(run / RESUME, epoch + 1, model, optimiser, schedule)


def _check_bf16(config: TrainingConfig, device: torch.device) -> None:
    cuda = device.type == "cuda"
    if config.bf16 and not (torch.cuda.is_bf16_supported() if cuda else torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        raise ConfigError(
            f"bf16 was asked for, but this {'GPU' if cuda else 'CPU'} has no instructions for it",
            hint="Set bf16 = false",
        )


def train_step(
    model: nn.Module, task: Task, batch: Any, optimiser: torch.optim.Optimizer, config: TrainingConfig
) -> dict[str, float]:
    """One step of a model in training mode; the loss and its parts.

    Raises
    ------
    DataError : a loss that is not finite
    """
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.bf16):
        loss, parts = task.loss(model, batch)
    if not torch.isfinite(loss):
        raise DataError(
            f"the loss became {float(loss.detach())}", hint="Lower the learning rate, or look for bad recordings"
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if config.clip_norm:
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimiser.step()
    return {"loss": float(loss.detach()), **{name: float(value) for name, value in parts.items()}}


def optimiser_for(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """As asked for; biases and norms (one-dimensional parameters) do not decay."""
    trained = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.learning_rate)


def _schedule(
    optimiser: torch.optim.Optimizer, config: TrainingConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The rate of each of so many steps."""
    if config.schedule == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=config.learning_rate,
            total_steps=steps,
            pct_start=0.3,
        )
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0, total_iters=1)
    return torch.optim.lr_scheduler.StepLR(optimiser, step_size=math.ceil(steps / 2), gamma=0.1)


def _epoch_of(line: str) -> float:
    """The epoch of a row of the log; infinite for what is no row."""
    try:
        return float(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _save(
    path: Path,
    epoch: int,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    content = io.BytesIO()
    state = {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
    }
    torch.save(state, content)
    write_file(path, content.getvalue())


def _resume(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    processes: Processes,
) -> int:
    """Load what ``_save`` wrote, if it is there; the epochs already done. Only the first process needs the file."""
    content = processes.by_first(lambda: path.read_bytes() if path.is_file() else None)
    if content is None:
        return 0
    try:
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:
        raise DataError(f"{path} cannot be read: {error}", hint="Start again with --overwrite") from error
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    schedule.load_state_dict(state["schedule"])
    return int(state["epoch"])
