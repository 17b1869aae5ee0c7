"""A study's cells on a Ray cluster: a task each, on whatever node has cores to spare.

Ray's tasks are used as they are. joblib's backend for Ray (read in ray 2.60, joblib 1.6) gives no result before all are
there, deals cells to its workers in turn however long they take, runs a single job on the caller's own machine, and
does not start a cell again whose worker died.

Every node must have the same vskd and libraries, and must see the study's folder, the cache and the data set under the
same paths. That is checked before the first cell: a file written here must be read there, and one written there be read
here. A worker that dies is replaced ``RETRIES`` times, anywhere; its cell goes on at the last epoch that it saved. A
node that loses its network but still writes cannot be told from a dead one by this module.
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
from vskd_training.versions import versions

#: How often a worker that died is replaced.
RETRIES = 2
#: How long an address may take to answer, s.
_PATIENCE_S = 10.0


class Work(Protocol):
    """Something with a name that needs so many cores."""

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> int: ...


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
class Answer:
    """What a node says of itself: versions, folders in which it did not find the token, fingerprint of the data set."""

    host: str
    versions: dict[str, str]
    blind: tuple[str, ...]
    fingerprint: tuple[str, ...]


@contextmanager
def on_cluster(
    address: str, shared: Shared, *, at_a_time: int | None
) -> Iterator[Callable[[Callable[[Any], str], Sequence[Work]], Iterator[str]]]:
    """Connect to a cluster; yields a function that runs ``call`` on every work and gives results as they come.

    Parameters
    ----------
    address : HOST:PORT of the cluster's head
    shared : checked on every node first
    at_a_time : most works at a time; None leaves it to the cluster's cores

    Raises
    ------
    MissingExtraError : ray is not installed
    ConfigError : no such address
    DataError : no cluster there; a node that sees other files or has other versions; a work whose workers died; what a
        work raises
    """
    ray = _ray()
    _check_reachable(address)
    # Ray prints what it has to say of dead workers to stdout, where results belong.
    with redirect_stdout(sys.stderr), _connected(ray, address):
        _check_nodes(ray, shared)
        yield partial(_run, ray, at_a_time)


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
        raise MissingExtraError("ray", extra="ray", purpose="vskd study --backend ray") from error
    return ray


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes, and then ends the process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"the address of a Ray cluster is HOST:PORT, got {address!r}", hint="`ray start` prints it")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise DataError(f"there is no Ray cluster at {address}: {error.strerror or error}", hint=_START) from error


def _check_nodes(ray: Any, shared: Shared) -> None:
    """Ask every node what it sees."""
    token = uuid.uuid4().hex
    ours = Answer("this machine", versions(), (), shared.fingerprint())
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    marks = [folder / f".seen-{token}" for folder in shared.folders]
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    try:
        for folder, mark in zip(shared.folders, marks, strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            mark.write_text(token, encoding="utf-8")
        asked = {
            node["NodeID"]: ray.remote(_look)
            .options(num_cpus=0, scheduling_strategy=strategy(node["NodeID"], soft=False), max_retries=0)
            .remote(node["NodeID"], marks, token, shared.fingerprint)
            for node in nodes
        }
        for node in nodes:
            answer = _answer(ray, asked[node["NodeID"]], node["NodeManagerHostname"])
            unwritten = tuple(str(mark.parent) for mark in marks if not _written(mark, node["NodeID"]).is_file())
            refuse(ours, answer, unwritten)
    finally:
        for mark in marks:
            for path in mark.parent.glob(f"{mark.name}*"):
                path.unlink(missing_ok=True)


def _answer(ray: Any, task: Any, host: str) -> Answer:
    try:
        answer: Answer = ray.get(task)
    except ray.exceptions.RayError as error:
        raise DataError(
            f"the node {host} cannot run vskd: {_last_line(error)}", hint="Install there what is installed here"
        ) from error
    return answer


def _look(node: str, marks: Sequence[Path], token: str, fingerprint: Callable[[], tuple[str, ...]]) -> Answer:
    """Runs on a node: read what the study's machine wrote, and write beside it."""
    blind = []
    for mark in marks:
        try:
            seen = mark.read_text(encoding="utf-8") == token
            _written(mark, node).touch()
        except OSError:
            seen = False
        if not seen:
            blind.append(str(mark.parent))
    return Answer(platform.node(), versions(), tuple(blind), () if blind else fingerprint())


def _written(mark: Path, node: str) -> Path:
    return mark.with_name(f"{mark.name}-{node}")


def refuse(ours: Answer, node: Answer, unwritten: Sequence[str]) -> None:
    """Refuse a node that would not give what this machine gives.

    Parameters
    ----------
    ours, node : what this machine and the node say
    unwritten : folders in which this machine does not find what the node wrote

    Raises
    ------
    DataError : naming what differs
    """
    if hidden := [*node.blind, *unwritten]:
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


def _run(ray: Any, at_a_time: int | None, call: Callable[[Any], str], works: Sequence[Work]) -> Iterator[str]:
    _check_cores(ray, works)
    remote = ray.remote(_call)
    waiting = list(reversed(works))
    running: dict[Any, Work] = {}
    while waiting or running:
        while waiting and len(running) < (at_a_time or len(works)):
            work = waiting.pop()
            task = remote.options(num_cpus=work.threads, max_retries=RETRIES, name=work.name).remote(call, work)
            running[task] = work
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        yield _result(ray, ready, running.pop(ready))


def _call(call: Callable[[Any], str], work: Work) -> str:
    return call(work)


def _check_cores(ray: Any, works: Sequence[Work]) -> None:
    """A task that fits no node would wait forever."""
    most = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    for work in works:
        if work.threads > most:
            raise DataError(
                f"the cell {work.name} needs {work.threads} cores (threads), and no node has more than {most:g}",
                hint="Set threads = 1 in the config, or start a larger node",
            )


def _result(ray: Any, task: Any, work: Work) -> str:
    try:
        return str(ray.get(task))
    except ray.exceptions.RayTaskError as error:
        # What a user can mend arrives as it was raised; anything else is a defect, and keeps the node's traceback.
        if isinstance(error.cause, VskdError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise DataError(
            f"the cell {work.name} was lost: its worker died {1 + RETRIES} times ({type(error).__name__})",
            hint="Look at that node's memory; the same command goes on where the study was",
        ) from error


def _last_line(error: BaseException) -> str:
    return str(error).strip().rpartition("\n")[2].rstrip(".")
