"""One training on several processes or machines: the only module that knows torch.distributed.

``torchrun`` starts the processes and tells each by environment variables which one it is. Each holds the whole network
and makes the same augmented batch from the same seed. Then::

    each runs the network on its part of the rows     batch norms take their statistics over the parts of all processes,
                                                      dropout draws for the whole batch and takes its part
    each gathers the outputs of all rows              so that every loss sees the whole batch, whatever rows it compares
    each computes the same loss                       its gradient flows back through the process's own rows
    DDP (Li et al., VLDB 2020) adds the gradients up

So N processes take the steps that one takes, up to the rounding of sums. Torch's own SyncBatchNorm would do the first
line on CUDA; it refuses CPUs, and one layer for both is one that is tested.

This module knows nothing of tasks, losses and files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from vskd.errors import ConfigError, VskdError
from vskd_training.models.student import ModelOutput

T = TypeVar("T")

#: What torchrun sets for each process.
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
#: How long a process waits for the others. One prepares recordings or tests while they wait; a process that ends is
#: noticed at once, so this is for a machine that vanishes from the network.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """One process among those that train together.

    Attributes
    ----------
    rank, count : which one of how many
    local_rank : which one on its machine
    device : where its network lives; losses and data stay on the CPU
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes: the run folder, the progress, the card."""
        return self.rank == 0

    @property
    def plain(self) -> bool:
        """Whether this is one process on a CPU, for which nothing here is needed."""
        return self.count == 1 and self.device.type == "cpu"

    def by_first(self, action: Callable[[], T]) -> T:
        """What the first process alone does; every process gets its result, which must pickle."""
        done = [action() if self.first else None]
        if self.count > 1:
            dist.broadcast_object_list(done, src=0, device=torch.device("cpu"))
        return cast(T, done[0])

    def in_turn(self, action: Callable[[], T]) -> T:
        """What every process does, after the first one of its machine has done it and left its files there."""
        if self.count == 1:
            return action()
        ours = [action()] if self.local_rank == 0 else []
        dist.all_reduce(torch.zeros(1))
        return ours[0] if ours else action()

    def spread(self, model: nn.Module, *, bf16: bool) -> nn.Module:
        """The network that computes each batch together with the other processes.

        Parameters
        ----------
        model : moved to the device; its batch norms and dropouts are replaced by ones of the same parameters that
            know of the other processes
        bf16 : the network in bfloat16; its outputs are float32

        Returns
        -------
        a module that takes the whole batch and returns the ``ModelOutput`` of the whole batch, on the CPU; for one
        process on a CPU the model as it is
        """
        return model if self.plain else _Spread(model, self, bf16=bf16)

    def card(self) -> dict[str, Any]:
        """What a run's card keeps, ready for JSON; empty for one process on a CPU."""
        return {} if self.plain else {"processes": {"count": self.count, "device": self.device.type}}


#: A training in one process on a CPU.
ALONE = Processes()


def from_environment(variables: Mapping[str, str], *, device: str) -> Processes:
    """Which process this is, by the variables that torchrun sets; without them one on its own.

    Parameters
    ----------
    variables : the environment
    device : ``cpu`` or ``cuda``, of which each process of a machine takes one

    Raises
    ------
    ConfigError : some of the variables are missing or make no sense; no such device
    """
    # A MASTER_ADDR alone is left over in many a cluster's environment and starts nothing.
    if "RANK" not in variables and "WORLD_SIZE" not in variables:
        return Processes(device=_device(device, 0))
    missing = [name for name in VARIABLES if name not in variables]
    if missing:
        raise ConfigError(
            f"the environment says that several processes train together, but {', '.join(missing)} is not set",
            hint="Start them by torchrun, or unset RANK and WORLD_SIZE",
        )
    rank, count, local_rank = (_whole_number(name, variables[name]) for name in VARIABLES[:3])
    if not rank < count:
        raise ConfigError(f"RANK must be below WORLD_SIZE, got {rank} of {count}", hint="Start them by torchrun")
    return Processes(rank, count, local_rank, _device(device, local_rank))


@contextmanager
def open_processes(device: str = "cpu") -> Iterator[Processes]:
    """Meet the other processes that torchrun started, if it did, and part from them at the end.

    Parameters
    ----------
    device : ``cpu`` (connected by gloo) or ``cuda`` (by nccl)

    Raises
    ------
    ConfigError : as ``from_environment``
    VskdError : another process stopped, or cannot be reached
    """
    processes = from_environment(os.environ, device=device)
    if processes.count == 1:
        yield processes
        return
    try:
        dist.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl", timeout=_PATIENCE)
        yield processes
    except RuntimeError as error:
        if not _is_of_the_connection(error):
            raise
        raise VskdError(
            f"process {processes.rank} of {processes.count} stops, because another one stopped or cannot be reached",
            hint="The message of the one that stopped first says why; --resume goes on after the last whole epoch",
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _is_of_the_connection(error: RuntimeError) -> bool:
    """The errors of gloo have no class of their own; they begin with the file of its source that raised them."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def _whole_number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ConfigError(f"{name} must be a whole number, got {value!r}", hint="Start the processes by torchrun")
    return int(value)


def _device(kind: str, index: int) -> torch.device:
    if kind == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count()
    if index >= found:
        raise ConfigError(
            f"process {index} of this machine needs a CUDA device of its own; torch {torch.__version__} sees {found}",
            hint="Use --device cpu, fewer processes, or a torch that was built for CUDA",
        )
    return torch.device("cuda", index)


class _Share:
    """Which rows of the present batch are this process's. A batch of fewer rows than processes is computed by all."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank = rank
        self.count = count
        self.bounds = [0]

    def of(self, total: int) -> slice:
        """The process's rows of a batch of so many."""
        parts = self.count if total >= self.count else 1
        self.bounds = [total * part // parts for part in range(parts + 1)]
        return self.rows

    @property
    def divided(self) -> bool:
        return len(self.bounds) > 2

    @property
    def rows(self) -> slice:
        return slice(self.bounds[self.rank], self.bounds[self.rank + 1]) if self.divided else slice(0, self.total)

    @property
    def total(self) -> int:
        return self.bounds[-1]

    def per_row(self, own: int) -> int:
        """How many of so many values of this process belong to one row of the batch: a clip has several frames."""
        return own // len(range(self.total)[self.rows])


class _Spread(nn.Module):
    """See ``Processes.spread``."""

    def __init__(self, model: nn.Module, processes: Processes, *, bf16: bool) -> None:
        super().__init__()
        self._device = processes.device
        self._bf16 = bf16
        self._share = _Share(processes.rank, processes.count)
        model.to(self._device)
        self._network = model
        if processes.count > 1:
            _replace(model, self._share)
            ids = [self._device] if self._device.type == "cuda" else None
            # Statistics are equal everywhere already, so the first process need not send its own before each step.
            self._network = DistributedDataParallel(model, device_ids=ids, forward_sync_buffers=False)

    def forward(self, batch: Tensor) -> ModelOutput:
        mine = batch[self._share.of(len(batch))].to(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16):
            view = self._network(mine)
        return ModelOutput(*(self._of_all_rows(_full(values).cpu()) for values in (view.logits, view.feature)))

    def _of_all_rows(self, mine: Tensor) -> Tensor:
        """(all rows, values) of (own rows, values); gradients reach the own ones."""
        if not self._share.divided:
            return mine
        sizes = [stop - start for start, stop in zip(self._share.bounds, self._share.bounds[1:], strict=False)]
        padded = F.pad(mine.detach(), (0, 0, 0, max(sizes) - len(mine)))
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        known = [part[:size] for part, size in zip(parts, sizes, strict=True)]
        # A name of its own: the network may go on from this tensor itself, as from the feature to the logits.
        known[self._share.rank] = own = mine.view_as(mine)
        if own.requires_grad:
            # DDP divides the sum of the gradients by the number of processes; here their sum is the gradient.
            own.register_hook(lambda gradient: gradient * len(sizes))  # type: ignore[no-untyped-call]
        return torch.cat(known)


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        del ctx
        value = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


class _SharedNorm(_BatchNorm):
    """A batch norm over the rows of all processes, with the parameters and statistics of another one."""

    def __init__(self, layer: _BatchNorm, share: _Share) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked
        self.training = layer.training
        self._share = share

    def _check_input_dim(self, values: Tensor) -> None:
        """Any number of axes: this stands for norms of one and of two dimensions."""

    def forward(self, values: Tensor) -> Tensor:
        if not (self.training and self._share.divided):
            return super().forward(values)
        axes = [axis for axis in range(values.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(values.ndim)]
        count = self._share.per_row(values.numel() // self.num_features) * self._share.total
        wide = _full(values)
        mean = _sum(wide.sum(axes)) / count
        centred = wide - mean.view(shape)
        variance = _sum(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps)
        if not self.affine:
            return (centred * scale.view(shape)).to(values.dtype)
        return (centred * (scale * self.weight).view(shape) + self.bias.view(shape)).to(values.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        # Without a momentum torch averages over all batches alike.
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


class _SharedDropout(nn.Dropout):
    """Dropout that draws for the rows of all processes, as one process would, and takes its own."""

    def __init__(self, layer: nn.Dropout, share: _Share) -> None:
        super().__init__(layer.p)
        self.training = layer.training
        self._share = share

    def forward(self, values: Tensor) -> Tensor:
        if not (self.training and self._share.divided):
            return super().forward(values)
        per_row, rows = self._share.per_row(len(values)), self._share.rows
        kept = F.dropout(values.new_ones(self._share.total * per_row, *values.shape[1:]), self.p)
        return values * kept[rows.start * per_row : rows.stop * per_row]


def _full(values: Tensor) -> Tensor:
    """The values in float32, or as they are where they are finer."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _sum(value: Tensor) -> Tensor:
    return cast(Tensor, _Sum.apply(value))  # type: ignore[no-untyped-call]


def _replace(module: nn.Module, share: _Share) -> None:
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _SharedNorm(child, share))
        elif isinstance(child, nn.Dropout):
            setattr(module, name, _SharedDropout(child, share))
        else:
            _replace(child, share)
