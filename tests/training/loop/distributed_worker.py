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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vskd.errors import VskdError
from vskd_training.data.experiment import Experiment
from vskd_training.loop.distributed import ALONE, VARIABLES, Processes, open_processes
from vskd_training.loop.run import Run
from vskd_training.loop.train import train_student
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import ModelOutput, Student
from vskd_training.settings import load_config

#: Rows of each batch: some do not divide by two or three, one has fewer rows than three.
BATCHES = (7, 6, 2, 8)


def steps(kind: str, processes: Processes, config: Path) -> tuple[list[float], dict[str, Tensor]]:
    """Some steps of a float64 network, in which rounding cannot hide a mistake: losses and weights."""
    contract = load_config(config).contract(tuple("abcdef"), "none")
    torch.manual_seed(1)
    student = Student(contract, width=0.125) if kind == "student" else None
    model = (student or SkeletonTeacher(20, 6, width=0.125, dropout=0.5)).double()
    shape = (3, contract.window.samples) if student else (16, 20, 3)
    network = processes.spread(model, bf16=False)
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for rows in BATCHES:
        view: ModelOutput = network(torch.randn(rows, *shape, dtype=torch.float64))
        # The distances of all pairs of rows, as DASK compares them, and the mean over rows of a cross entropy.
        loss = nn.functional.cross_entropy(view.logits, torch.arange(rows) % 6) + torch.pdist(view.feature).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses, model.state_dict()


def compare_steps(task: dict[str, Any], processes: Processes) -> None:
    for kind in ("student", "teacher"):
        found = {
            "together": steps(kind, processes, Path(task["config"])),
            "alone": steps(kind, ALONE, Path(task["config"])),
        }
        torch.save(found, Path(task["out"]) / f"{kind}-{processes.rank}-of-{processes.count}.pt")


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
        overwrite=False,
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
