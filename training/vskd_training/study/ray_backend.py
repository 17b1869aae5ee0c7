"""A study's cells on a Ray cluster: one task per cell, on any node with free cores.

Ray's tasks are used directly. joblib's backend for Ray (read in ray 2.60, joblib 1.6) gives no result before all are
there, assigns cells to its workers in turn however long they take, runs a single job on the caller's own machine, and
does not restart a cell whose worker died.

Every node must have the same vskd and libraries, and must see the study's folder, the cache and the data set under the
same paths. That is checked before the first cell: a file written here must be readable there, and one written there
readable here. A worker that dies is replaced ``RETRIES`` times, on any node; its cell resumes at its last saved epoch.
This module cannot tell a node that lost its network but still writes from a dead one.
"""

from __future__ import annotations

import logging
import platform
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from vskd.errors import ConfigError, DataError, MissingExtraError, VskdError
from vskd_training.runs.versions import versions

#: How often a dead worker is replaced.
RETRIES = 2
#: How long a connection may take, s.
_CONNECT_TIMEOUT_S = 10.0


class Task(Protocol):
    """A name, and the cores that it needs: a study's cell."""

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> int: ...


#: Runs a call on each of some tasks, and gives what it returns as it comes.
Run = Callable[[Callable[[Any], Any], Sequence[Task]], Iterator[Any]]
#: What stands for the result of a task, by name, whose workers died.
Lost = Callable[[str, DataError], Any]


@dataclass(frozen=True)
class Shared:
    """What every node must see as this machine does.

    Attributes
    ----------
    folders : written to by the nodes; absolute
    fingerprint : called on each node, gives what must be equal everywhere: the data set's
    """

    folders: tuple[Path, ...]
    fingerprint: Callable[[], tuple[str, ...]]


@dataclass(frozen=True)
class NodeReport:
    """A node's versions, the folders in which it did not find the token, and the data set's fingerprint there."""

    host: str
    versions: dict[str, str]
    unseen: tuple[str, ...]
    fingerprint: tuple[str, ...]


@contextmanager
def on_cluster(address: str, shared: Shared, *, at_a_time: int | None, lost: Lost | None = None) -> Iterator[Run]:
    """Connect to a cluster; yields a function that runs ``call`` on every task and gives results as they come.

    Parameters
    ----------
    address : HOST:PORT of the cluster's head
    shared : checked on every node first
    at_a_time : most tasks at a time; None leaves it to the cluster's cores
    lost : gives the result of a task whose workers died; None raises

    Raises
    ------
    MissingExtraError : ray is not installed
    ConfigError : no such address
    DataError : no cluster there; a node that sees other files or has other versions; a task whose workers died; what a
        task raises
    """
    ray = _ray()
    _check_reachable(address)
    # Ray prints messages about dead workers to stdout, where results belong.
    with redirect_stdout(sys.stderr), _connected(ray, address):
        _check_nodes(ray, shared)
        yield partial(_run, ray, at_a_time, lost)


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise DataError(f"no Ray cluster takes this process at {address}: {_last_line(error)}", hint=_START) from error
    try:
        yield
    finally:
        ray.shutdown()


_START = "Start one with `ray start --head`, and `ray start --address=HOST:PORT` on every other machine"


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", extra="ray", purpose="--backend ray") from error
    return ray


def _check_reachable(address: str) -> None:
    """Refuse an address without a server at once: Ray itself tries for minutes, and then ends the process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"the address of a Ray cluster is HOST:PORT, got {address!r}", hint="`ray start` prints it")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise DataError(f"there is no Ray cluster at {address}: {error.strerror or error}", hint=_START) from error


def _check_nodes(ray: Any, shared: Shared) -> None:
    """Inspect every node from the inside, and refuse the first that differs."""
    token = uuid.uuid4().hex
    ours = NodeReport("this machine", versions(), (), shared.fingerprint())
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    marks = [folder / f".seen-{token}" for folder in shared.folders]
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    try:
        for folder, mark in zip(shared.folders, marks, strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            mark.write_text(token, encoding="utf-8")
        tasks = {
            node["NodeID"]: ray.remote(_inspect)
            .options(num_cpus=0, scheduling_strategy=strategy(node["NodeID"], soft=False), max_retries=0)
            .remote(node["NodeID"], marks, token, shared.fingerprint)
            for node in nodes
        }
        for node in nodes:
            report = _report_of(ray, tasks[node["NodeID"]], node["NodeManagerHostname"])
            unwritten = tuple(str(mark.parent) for mark in marks if not _written(mark, node["NodeID"]).is_file())
            refuse(ours, report, unwritten)
    finally:
        for mark in marks:
            for path in mark.parent.glob(f"{mark.name}*"):
                path.unlink(missing_ok=True)


def _report_of(ray: Any, task: Any, host: str) -> NodeReport:
    try:
        report: NodeReport = ray.get(task)
    except ray.exceptions.RayError as error:
        raise DataError(
            f"the node {host} cannot run vskd: {_last_line(error)}", hint="Install there what is installed here"
        ) from error
    return report


def _inspect(node: str, marks: Sequence[Path], token: str, fingerprint: Callable[[], tuple[str, ...]]) -> NodeReport:
    """Runs on a node: read what the study's machine wrote, and write beside it."""
    unseen = []
    for mark in marks:
        try:
            found = mark.read_text(encoding="utf-8") == token
            _written(mark, node).touch()
        except OSError:
            found = False
        if not found:
            unseen.append(str(mark.parent))
    return NodeReport(platform.node(), versions(), tuple(unseen), () if unseen else fingerprint())


def _written(mark: Path, node: str) -> Path:
    return mark.with_name(f"{mark.name}-{node}")


def refuse(ours: NodeReport, node: NodeReport, unwritten: Sequence[str]) -> None:
    """Refuse a node that would not compute what this machine computes.

    Parameters
    ----------
    ours, node : the reports of this machine and of the node
    unwritten : folders in which this machine does not find the node's file

    Raises
    ------
    DataError : naming what differs
    """
    if hidden := [*node.unseen, *unwritten]:
        raise DataError(
            f"the node {node.host} does not share the folder {hidden[0]} with this machine",
            hint="Give --out and --cache on storage that every node sees under the same path, and may write",
        )
    for name, version in ours.versions.items():
        if node.versions.get(name) != version:
            raise DataError(
                f"the node {node.host} has {name} {node.versions.get(name)}, this machine {version}",
                hint="Install the same versions everywhere, or arms would differ by machine",
            )
    if node.fingerprint != ours.fingerprint:
        raise DataError(
            f"the node {node.host} sees other recordings than this machine",
            hint="Give --root under which every node sees the same files",
        )


def _run(
    ray: Any, at_a_time: int | None, lost: Lost | None, call: Callable[[Any], Any], tasks: Sequence[Task]
) -> Iterator[Any]:
    _check_cores(ray, tasks)
    remote = ray.remote(_call)
    waiting = list(reversed(tasks))
    running: dict[Any, Task] = {}
    while waiting or running:
        while waiting and len(running) < (at_a_time or len(tasks)):
            task = waiting.pop()
            started = remote.options(num_cpus=task.threads, max_retries=RETRIES, name=task.name).remote(call, task)
            running[started] = task
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        yield _result(ray, ready, running.pop(ready), lost)


def _call(call: Callable[[Any], Any], task: Task) -> Any:
    return call(task)


def _check_cores(ray: Any, tasks: Sequence[Task]) -> None:
    """A task that fits no node would wait forever."""
    most = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    for task in tasks:
        if task.threads > most:
            raise DataError(
                f"the cell {task.name} needs {task.threads} cores (threads), and no node has more than {most:g}",
                hint="Set threads = 1 in the config, or start a larger node",
            )


def _result(ray: Any, started: Any, task: Task, lost: Lost | None) -> Any:
    try:
        return ray.get(started)
    except ray.exceptions.RayTaskError as error:
        # A user's mistake arrives as it was raised; anything else is a defect, and keeps the node's traceback.
        if isinstance(error.cause, VskdError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        told = DataError(
            f"the cell {task.name} was lost: its worker died {1 + RETRIES} times ({type(error).__name__})",
            hint="Look at that node's memory; the same command resumes the study",
        )
        if lost is None:
            raise told from error
        return lost(task.name, told)


def _last_line(error: BaseException) -> str:
    return str(error).strip().rpartition("\n")[2].rstrip(".")
