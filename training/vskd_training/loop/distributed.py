"""One training on several processes or machines, by torch's own DistributedDataParallel (Li et al., VLDB 2020).

``torchrun`` starts the processes and tells each by environment variables which one it is. Each holds the whole network
and all training windows. Of every batch of the config each process takes every count-th row, augments it, computes the
loss of its own rows, and DDP averages the gradients. So the rows of a step are those of one process, and three things
differ from one process:

- Batch norms. On CUDA they take their statistics over all processes (torch's SyncBatchNorm); on CPUs, where torch has
  none, each process takes those of its own rows, and the first one's running statistics are kept.
- Losses that compare rows of a batch (distance, angle, dist) compare those of one process.
- Augmentation and dropout draw from (seed, epoch, rank).

This module knows nothing of tasks, losses and files, and is the only one that knows torch.distributed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from vskd.errors import ConfigError, VskdError

T = TypeVar("T")

#: What torchrun sets for each process.
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
#: How long a process waits for the others. One prepares recordings or tests while they wait; a process that ends is
#: noticed at once, so this is for a machine that vanishes from the network.
_TIMEOUT = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """One process among those that train together.

    Attributes
    ----------
    rank, count : which one of how many
    local_rank : which one on its machine
    device : where its network, windows, targets and losses are
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes: the run folder, the progress, the card."""
        return self.rank == 0

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

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model, moved to the device; for several processes inside a module that averages their gradients."""
        model.to(self.device)
        if self.count == 1:
            return model
        on_cuda = self.device.type == "cuda"
        if on_cuda:
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(model, device_ids=[self.device] if on_cuda else None)

    def card(self) -> dict[str, Any]:
        """What a run's card says of them, ready for JSON; empty for one process on a CPU."""
        if self.count == 1:
            return {} if self.device.type == "cpu" else {"processes": {"count": 1, "device": self.device.type}}
        norm = "synchronised" if self.device.type == "cuda" else "per process"
        return {"processes": {"count": self.count, "device": self.device.type, "batch_norm": norm}}


#: A training in one process on a CPU.
ALONE = Processes()


def stream_seed(seed: int, epoch: int, *, rank: int = 0, stream: int = 0) -> int:
    """The seed of an epoch's random numbers: one for each rank and stream.

    Below 2^32, since torch's generator on the CPU takes the lower 32 bits of a seed and drops the rest.
    """
    if not rank and not stream:
        return (seed * 1_000_003 + epoch) % (1 << 32)
    return int(np.random.SeedSequence([seed, epoch, rank, stream]).generate_state(1)[0])


def from_environment(variables: Mapping[str, str], *, device: str) -> Processes:
    """Which process this is, by the variables that torchrun sets; without them one on its own.

    Parameters
    ----------
    variables : the environment
    device : ``cpu`` or ``cuda``, of which each process of a machine takes one

    Raises
    ------
    ConfigError : some of the variables are missing; no such device
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
    rank, count, local_rank = (int(variables[name]) for name in VARIABLES[:3])
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
        if device == "cuda":
            torch.cuda.set_device(processes.device)
        dist.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl", timeout=_TIMEOUT)
        yield processes
    except RuntimeError as error:
        if not _is_of_the_connection(error):
            raise
        raise VskdError(
            f"process {processes.rank} of {processes.count} stops, because another one stopped or cannot be reached",
            hint="The message of the one that stopped first says why; --resume continues after the last whole epoch",
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _is_of_the_connection(error: RuntimeError) -> bool:
    """The errors of gloo have no class of their own; they begin with the file of its source that raised them."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


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
