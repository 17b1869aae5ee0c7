"""Running one converter, quantizer or interpreter in a process of its own.

Converters are loud (progress on standard output, C++ logs on standard error, deprecation warnings of their own
dependencies), slow to import, and order some of what they write by Python's hash seed. In a fresh process all of that
stays out of the user's terminal and out of the caller, and the seed is fixed, so that exporting twice gives the same
bytes. Its standard error is shown when it fails. This module knows none of them.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from vskd.errors import MissingExtraError, VskdError

#: A converter that has not finished by then hangs.
TIMEOUT_S = 900.0


def run_in_subprocess(module: str, folder: Path, *, purpose: str, needs: str) -> str:
    """Run ``python -m module folder`` and wait.

    Parameters
    ----------
    module : with a ``__main__`` part that reads its input from the folder and writes its output there
    folder : of the job
    purpose : names the step in an error, e.g. ``"converting to ONNX"``
    needs : import name of the library behind it

    Returns
    -------
    its standard error

    Raises
    ------
    MissingExtraError : the library is not installed
    VskdError : the step failed, or did not end
    """
    if importlib.util.find_spec(needs) is None:
        raise MissingExtraError(needs, extra="export", purpose=purpose)
    # A child sees the folders that this process imports from, installed or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, str(folder)],
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
    return done.stderr
