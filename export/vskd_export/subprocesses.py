"""Running one converter, quantizer or interpreter in a process of its own.

Converters are loud (progress on standard output, C++ logs on standard error, deprecation warnings of their own
dependencies), slow to import, and order some of what they write by Python's hash seed. In a fresh process all of that
stays out of the user's terminal and out of the caller, and the seed is fixed, so that exporting twice gives the same
bytes. Its standard error is shown when it fails. This module knows none of them.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from vskd.errors import MissingExtraError, VskdError

T = TypeVar("T")

#: A converter that has not finished by then hangs.
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a call in a subprocess returned, and what the process wrote to its standard error."""

    value: T
    log: str


def call_in_subprocess(function: Callable[..., T], *arguments: Any, purpose: str, needs: str) -> Done[T]:
    """Call a function in a new Python process and wait.

    Parameters
    ----------
    function : of a module, so that the process can import it
    arguments : of the function; they and the result are pickled
    purpose : names the step in an error, e.g. ``"converting to ONNX"``
    needs : import name of the library behind it

    Raises
    ------
    MissingExtraError : the library is not installed
    VskdError : the step failed, or did not end; one that the function raises is raised here
    """
    if importlib.util.find_spec(needs) is None:
        raise MissingExtraError(needs, extra="export", purpose=purpose)
    # A child sees the folders that this process imports from, installed or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        call, result = Path(folder, "call"), Path(folder, "result")
        call.write_bytes(pickle.dumps((function, arguments)))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "vskd_export.subprocesses", str(call), str(result)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise VskdError(f"{purpose} did not end within {TIMEOUT_S:.0f} s") from error
        if done.returncode != 0:
            tail = "\n".join(done.stderr.strip().splitlines()[-12:])
            raise VskdError(f"{purpose} failed (exit code {done.returncode}); the end of its standard error:\n{tail}\n")
        value, refused = pickle.loads(result.read_bytes())
        if refused is not None:
            raise refused
        return Done(value, done.stderr)


def _main(call: Path, result: Path) -> None:
    # Both files are of this process's parent, which is why they may be pickles.
    function, arguments = pickle.loads(call.read_bytes())
    done: tuple[Any, VskdError | None]
    try:
        done = function(*arguments), None
    except VskdError as error:  # made for the user, so it goes to the parent as it is
        done = None, error
    result.write_bytes(pickle.dumps(done))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
