"""The parent's side of the worker processes: start, ask, and a clear error when one dies.

Every process gets one thread for numerical libraries that read the environment, and finds this very vskd even where
it is not installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import vskd
import vskd_benchmarks
from vskd import errors
from vskd.errors import EngineError, VskdError

#: A worker that has not answered by then hangs. pyts alone compiles for a minute on a slow machine.
TIMEOUT_S = 600.0

#: Lines of a dead worker's standard error that are shown.
LAST_LINES = 5


#: Gets the id of a process that has just started; returns the limits it put on it, in words.
OnStart = Callable[[int], str]


class WorkerError(EngineError):
    """A process of the benchmark died, or did not answer."""


def worker_command(job: Mapping[str, Any]) -> list[str]:
    """The command line of a worker with this job."""
    return [sys.executable, "-m", "vskd_benchmarks.measure.worker", json.dumps(job)]


def environment(threads: int) -> dict[str, str]:
    """The environment of every measured process."""
    roots = [str(Path(package).resolve().parent.parent) for package in (vskd_benchmarks.__file__, vskd.__file__)]
    inherited = os.environ.get("PYTHONPATH")
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    # Where a shell forbids compiled files, every start would compile vskd again, which no installed device does.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **limits, "PYTHONPATH": os.pathsep.join([*roots, *([inherited] if inherited else [])])}


class WorkerProcess:
    """A worker, running while it is entered.

    Parameters
    ----------
    name : for messages, e.g. ``"litert on model.fp32.tflite"``
    command : as ``worker_command`` gives it
    threads : computing threads
    timeout_s : how long an answer may take
    variables : of its environment, beside those that every measured process gets
    on_start : gets the process's id as soon as it runs, to hold it to limits; names them, for the message of its death

    Attributes
    ----------
    ready : its first reply: what it has loaded
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        threads: int,
        timeout_s: float = TIMEOUT_S,
        variables: Mapping[str, str] | None = None,
        on_start: OnStart | None = None,
    ) -> None:
        self.name = name
        self.ready: dict[str, Any] = {}
        self._command = command
        self._environment = {**environment(threads), **(variables or {})}
        self._timeout_s = timeout_s
        self._on_start = on_start
        self._limits = ""

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises
        ------
        VskdError : what the worker could not load, as it reported it
        WorkerError : the worker died or did not answer
        """
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # closed in close()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=self._environment,
            process_group=0,  # a terminal's Ctrl-C is the parent's to answer
        )
        try:
            if self._on_start is not None:
                self._limits = self._on_start(self._process.pid)
            self.ready = self._read()["ready"]
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, do: str, **settings: Any) -> dict[str, Any]:
        """Send a command and wait for the reply.

        Raises
        ------
        WorkerError : the worker died or did not answer
        """
        stdin = self._process.stdin
        try:
            if stdin is not None:
                stdin.write(json.dumps({"do": do, **settings}) + "\n")
                stdin.flush()
        except BrokenPipeError as error:
            raise self._died() from error
        return self._read()

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close_quietly(pipe)
        self._process.wait()
        self._stderr.close()

    def _read(self) -> dict[str, Any]:
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._timeout_s, stop)
        timer.start()
        try:
            line = self._process.stdout.readline() if self._process.stdout is not None else ""
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            raise self._late() if late.is_set() else self._died()
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise _rebuilt(reply["error"])
        return reply

    def _late(self) -> WorkerError:
        return WorkerError(
            f"{self.name} did not answer within {self._timeout_s:g} s", hint="Leave it out with --engine"
        )

    def _died(self) -> WorkerError:
        code = self._process.wait()
        self._stderr.seek(0)
        lines = [line.rstrip() for line in self._stderr.readlines() if line.strip()][-LAST_LINES:]
        output = "; its last lines:\n  " + "\n  ".join(lines) if lines else "; it printed nothing"
        return WorkerError(f"the process of {self.name} ended with exit code {code}{self._limits}{output}")


def _close_quietly(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        # What was still to be written had no reader left; the process is gone, which is what closing wants.
        return


def _rebuilt(reply: Mapping[str, str]) -> VskdError:
    """The error that a worker reported, of the same kind where it takes no more than message and hint."""
    kind = getattr(errors, reply["kind"], VskdError)
    if kind is errors.MissingExtraError:
        kind = EngineError
    error: VskdError = kind(reply["message"], hint=reply["hint"])
    return error
