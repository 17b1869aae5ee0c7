"""The training loop: plain, deterministic by seed, resumable after any epoch.

A ``Task`` makes batches and computes their loss; the loop knows optimiser, schedule, precision, log and checkpoint.
All randomness of an epoch comes from (seed, epoch), so that a run that was killed and resumed equals one that was not.
There is no early stopping and no best epoch: the last weights are the result.

A step waits for nothing that the device computes: losses are summed up there, and read every ``SYNC_STEPS`` steps. Then
they are shown, and a loss that is not finite ends the run, always before the next checkpoint is written.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vskd.errors import ConfigError, DataError
from vskd.writing import append_line, keep_lines, write_file
from vskd_training.loop.distributed import ALONE, Processes, stream_seed
from vskd_training.runs.run import LOG, RESUME
from vskd_training.settings import TrainingConfig

#: Called with (steps done, steps in all, the epoch's mean of the loss and of its parts so far).
Progress = Callable[[int, int, dict[str, float]], None]


def silent(done: int, total: int, parts: dict[str, float]) -> None:
    """Progress that nobody watches."""
    del done, total, parts


def unwatched(first_epoch: int) -> Callable[[int, dict[str, float]], None]:
    """A log that goes nowhere but to the file."""
    del first_epoch
    return lambda number, row: None


#: Steps from one reading of the losses to the next.
SYNC_STEPS = 10
#: Epochs from one validation to the next; the last epoch is validated, too.
_VALIDATION_EPOCHS = 10


class NotFiniteLossError(DataError):
    """A training whose loss became infinite or no number."""


class Task(Protocol):
    """What is trained on what."""

    def batches(self, epoch: int, batch: int) -> Iterator[Any]:
        """The epoch's batches, all randomness from the task's seed and the epoch."""
        ...

    def steps(self, batch: int) -> int:
        """Batches in an epoch."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one batch, and its parts for the log, on the device."""
        ...


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes
    ----------
    model : with initial weights
    task : batches and loss
    config : epochs, batch, rate, ...
    seed : with the epoch, of all randomness
    folder : of the run, for the log and the checkpoint; a checkpoint that is there is resumed
    validate : called after the last epoch and every tenth, on subjects who are not trained on
    progress : called every ``SYNC_STEPS`` steps and at the end of each epoch
    processes : those that train together; the first one alone writes, validates and reports progress
    log : called with (epochs that a resumed run has behind it) before the first epoch; gives what is called with
        (epoch, its row of the log) after each
    """

    model: nn.Module
    task: Task
    config: TrainingConfig
    seed: int
    folder: Path
    validate: Callable[[nn.Module], dict[str, float]]
    progress: Progress
    processes: Processes = ALONE
    log: Callable[[int], Callable[[int, dict[str, float]], None]] = unwatched


@dataclass(frozen=True)
class _Loop:
    """What a training keeps from step to step: network, optimiser and schedule, and how many steps there are."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    steps_per_epoch: int
    steps: int

    @property
    def epochs(self) -> int:
        return math.ceil(self.steps / self.steps_per_epoch)


def fit(training: Training) -> None:
    """Train a model in place; it is left on the device and in evaluation mode.

    Raises
    ------
    ConfigError : bf16 on a device without it
    DataError : too few windows for a batch; a loss that is not finite (``NotFiniteLossError``); a checkpoint that
        cannot be read
    """
    model, processes = training.model, training.processes
    loop = _start(training)
    first_epoch = _resume(training, loop)
    log = training.log(first_epoch) if processes.first else unwatched(first_epoch)
    if processes.first:
        # A run that was killed between log and checkpoint has written a row of the epoch that it repeats now.
        keep_lines(training.folder / LOG, lambda line: _epoch_of(line) <= first_epoch)
    for epoch in range(first_epoch, loop.epochs):
        started_s = time.perf_counter()
        model.train()
        row = _train_epoch(training, loop, epoch)
        model.eval()
        if not processes.first:
            continue
        if epoch + 1 == loop.epochs or (epoch + 1) % _VALIDATION_EPOCHS == 0:
            row |= training.validate(model)
        seconds = round(time.perf_counter() - started_s, 3)
        append_line(training.folder / LOG, json.dumps({"epoch": epoch + 1, "seconds": seconds, **row}))
        log(epoch + 1, {"seconds": seconds, **row})
        _save(training, loop, epoch + 1)


def _start(training: Training) -> _Loop:
    config = training.config
    _check_bf16(config, training.processes.device)
    training.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
    network = training.processes.parallel(training.model)
    per_epoch = training.task.steps(config.batch)
    if not per_epoch:
        raise DataError(
            "too few windows to train on: a batch norm needs two, in each process", hint="Record more, or use fewer"
        )
    steps = config.steps or config.epochs * per_epoch
    optimiser = optimiser_for(training.model, config)
    return _Loop(network, optimiser, _schedule(optimiser, config, steps), per_epoch, steps)


def _check_bf16(config: TrainingConfig, device: torch.device) -> None:
    cuda = device.type == "cuda"
    if config.bf16 and not (torch.cuda.is_bf16_supported() if cuda else torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        raise ConfigError(
            f"bf16 is set, but this {'GPU' if cuda else 'CPU'} has no instructions for it", hint="Set bf16 = false"
        )


def _train_epoch(training: Training, loop: _Loop, epoch: int) -> dict[str, float]:
    """Train one epoch; the means of the loss and of its parts over its steps."""
    config, processes = training.config, training.processes
    done = epoch * loop.steps_per_epoch
    planned = min(loop.steps_per_epoch, loop.steps - done)  # config.steps may end within an epoch
    torch.manual_seed(stream_seed(training.seed, epoch, rank=processes.rank))  # of dropout
    sums: dict[str, Tensor] = {}
    means: dict[str, float] = {}
    batches = itertools.islice(training.task.batches(epoch, config.batch), planned)
    for step, batch in enumerate(batches, start=1):
        parts = train_step(loop.network, training.task, batch, loop.optimiser, config)
        loop.schedule.step()
        sums = {name: value.double() + sums.get(name, 0.0) for name, value in parts.items()}
        if step % SYNC_STEPS and step < planned:
            continue
        means = _means(sums, step, epoch)
        if processes.first:
            training.progress(done + step, loop.steps, means)
    return means


def _means(sums: dict[str, Tensor], steps: int, epoch: int) -> dict[str, float]:
    """Read the sums from the device, all at once."""
    values = torch.stack(list(sums.values())).tolist()
    means = {name: value / steps for name, value in zip(sums, values, strict=True)}
    if not math.isfinite(means["loss"]):
        raise NotFiniteLossError(
            f"the loss became {means['loss']} within {steps} steps of epoch {epoch + 1}",
            hint="Lower the learning rate, or look for bad recordings",
        )
    return means


def train_step(
    model: nn.Module, task: Task, batch: Any, optimiser: torch.optim.Optimizer, config: TrainingConfig
) -> dict[str, Tensor]:
    """One step of a model in training mode; the loss and its parts, detached, on the device."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.bf16):
        loss, parts = task.loss(model, batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if config.clip_norm:
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimiser.step()
    return {"loss": loss.detach(), **parts}


def optimiser_for(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The config's optimiser; biases and norms (one-dimensional parameters) do not decay."""
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
            optimiser, max_lr=config.learning_rate, total_steps=steps, pct_start=0.3
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


def _save(training: Training, loop: _Loop, epoch: int) -> None:
    content = io.BytesIO()
    state = {
        "epoch": epoch,
        "model": training.model.state_dict(),
        "optimiser": loop.optimiser.state_dict(),
        "schedule": loop.schedule.state_dict(),
    }
    torch.save(state, content)
    write_file(training.folder / RESUME, content.getvalue())


def _resume(training: Training, loop: _Loop) -> int:
    """Load what ``_save`` wrote, if it is there; the epochs already done. Only the first process needs the file."""
    path = training.folder / RESUME
    content = training.processes.by_first(lambda: path.read_bytes() if path.is_file() else None)
    if content is None:
        return 0
    try:
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:
        hint = "Remove that folder to start again (vskd train: --overwrite)"
        raise DataError(f"{path} cannot be read: {error}", hint=hint) from error
    training.model.load_state_dict(state["model"])
    loop.optimiser.load_state_dict(state["optimiser"])
    loop.schedule.load_state_dict(state["schedule"])
    return int(state["epoch"])
