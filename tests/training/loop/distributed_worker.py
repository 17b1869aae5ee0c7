"""Rounds of processes that train together, forked with the variables that torchrun would set.

A program of its own, so that torch is loaded once for all of them and has not computed anything when they are forked.
Usage: distributed_worker.py JSON; it holds "rounds" (of each a name, a count of processes and their actions), "out" (a
folder for what the tests look at), "config", "cache" and "teacher".
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vskd.errors import VskdError
from vskd_training.data.experiment import Experiment
from vskd_training.loop.distributed import ALONE, VARIABLES, Processes, open_processes
from vskd_training.loop.fit import optimiser_for, train_step
from vskd_training.loop.tasks import EpochOrder
from vskd_training.loop.train import train_student
from vskd_training.runs.run import Run
from vskd_training.settings import TrainingConfig, load_config

#: Batches of 12 divide by two and by three, so that the mean of the processes' means is the mean of the rows.
ROWS, BATCH, EPOCHS = 60, 12, 3


class Rows:
    """Points and classes, shared out by rows; without batch norm or dropout, so that one process is an oracle."""

    def __init__(self, processes: Processes) -> None:
        generator = torch.Generator().manual_seed(7)
        self.points = torch.randn(ROWS, 5, generator=generator, dtype=torch.float64)
        self.classes = torch.randint(4, (ROWS,), generator=generator)
        self.order = EpochOrder(ROWS, 3, processes)

    def steps(self, batch: int) -> int:
        return self.order.steps(batch)

    def batches(self, epoch: int, batch: int) -> Iterator[Tensor]:
        return map(torch.from_numpy, self.order.batches(epoch, batch))

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return nn.functional.cross_entropy(model(self.points[batch]), self.classes[batch]), {}


def steps(processes: Processes) -> dict[str, Tensor]:
    """The weights after some epochs of a float64 network, in which rounding cannot hide a mistake."""
    torch.manual_seed(1 + processes.rank)  # the first process's weights are everyone's
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    network, task, config = processes.parallel(model), Rows(processes), TrainingConfig(batch=BATCH)
    optimiser = optimiser_for(model, config)
    for epoch in range(EPOCHS):
        for batch in task.batches(epoch, BATCH):
            train_step(network, task, batch, optimiser, config)
    return model.state_dict()


def compare_steps(task: dict[str, Any], processes: Processes) -> None:
    found = {"together": steps(processes), "alone": steps(ALONE)}
    torch.save(found, Path(task["out"]) / f"{processes.rank}-of-{processes.count}.pt")


def train(task: dict[str, Any], processes: Processes, name: str, *, kill_after: float | None = None) -> None:
    def progress(done: int, total: int, parts: dict[str, float]) -> None:
        del parts
        with (Path(task["out"]) / f"{name}-progress-{processes.rank}").open("a", encoding="utf-8") as stream:
            stream.write(f"{done}/{total}\n")
        if kill_after is not None and done > total * kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    experiment = processes.in_turn(
        lambda: Experiment.open(load_config(Path(task["config"])), root=None, cache=Path(task["cache"]), progress=None)
    )
    teachers = [Run.open(Path(task["teacher"]), role=None)]
    run = train_student(
        experiment,
        Path(task["out"]) / name,
        teachers=teachers,
        resume=True,
        progress=progress,
        processes=processes,
    )
    (Path(task["out"]) / f"{name}-card-{processes.rank}.json").write_text(json.dumps(run.card, sort_keys=True))


def fail(processes: Processes) -> None:
    """The last process finds something wrong that the others do not."""

    def look() -> None:
        if processes.rank == processes.count - 1:
            raise VskdError("the disk of this machine is empty")

    processes.in_turn(look)
    processes.in_turn(look)


def take_part(rank: int, count: int, port: int, name: str, task: dict[str, Any]) -> None:
    """One process of a round; what it says goes to a file."""
    with (Path(task["out"]) / f"{name}-{rank}.txt").open("w") as said:
        os.dup2(said.fileno(), sys.stderr.fileno())
    variables = (str(rank), str(count), str(rank), "127.0.0.1", str(port))
    os.environ.update(zip(VARIABLES, variables, strict=True))
    actions = {
        "steps": compare_steps,
        "train": lambda task, processes: train(task, processes, "whole"),
        "killed": lambda task, processes: train(task, processes, "killed", kill_after=0.5),
        "resumed": lambda task, processes: train(task, processes, "killed"),
        "fail": lambda task, processes: fail(processes),
    }
    try:
        with open_processes() as processes:
            for action in task["actions"]:
                actions[action](task, processes)
    except VskdError as error:
        sys.exit(f"error: {error}")


def play(name: str, count: int, task: dict[str, Any]) -> list[int | None]:
    """One round; the exit codes of its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    started = [fork.Process(target=take_part, args=(rank, count, port, name, task)) for rank in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(240)
        process.kill()
    return [process.exitcode for process in started]


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    task = json.loads(sys.argv[1])
    codes = {name: play(name, count, {**task, "actions": actions}) for name, count, actions in task["rounds"]}
    sys.stdout.write(json.dumps(codes))


if __name__ == "__main__":
    main()
