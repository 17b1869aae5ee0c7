"""Programs of the system that ports are compiled, emulated and replayed by."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vskd.errors import EngineError

#: For a program that never ends, s.
_TIMEOUT_S = 600.0


def missing(names: Sequence[str]) -> str:
    """The programs that are not there, in words; empty where all are."""
    absent = [name for name in names if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found" if absent else ""


def run(
    command: Sequence[str],
    folder: Path | None = None,
    *,
    purpose: str,
    codes: Sequence[int] = (0,),
    stdin: str | None = None,
    hint: str = "",
) -> str:
    """A program's standard output.

    Parameters
    ----------
    command : the program and its arguments
    folder : in which it runs
    purpose : names the step in an error
    codes : exit codes with which it may end
    stdin : what it reads
    hint : the way out where it fails

    Raises
    ------
    EngineError : it failed, or did not end
    """
    try:
        done = subprocess.run(
            command, cwd=folder, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{purpose} did not end within {_TIMEOUT_S:.0f} s", hint=hint) from error
    if done.returncode not in codes:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise EngineError(f"{purpose} failed (exit code {done.returncode}): {tail}", hint=hint)
    return done.stdout
