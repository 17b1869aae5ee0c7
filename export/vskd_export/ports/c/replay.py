"""The port in C on this machine: compiled, and replayed with the bundle's golden windows and streams."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vskd.bundle import Bundle
from vskd.checks.selftest import Check
from vskd.errors import VskdError
from vskd_export.ports.c.measure import run, write_sources
from vskd_export.ports.c.port import CORE_SOURCES, SELFTEST_SOURCES, Port, port_of

#: C compilers, the first one found is taken.
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off")


def replay(bundle: Bundle) -> Iterator[Check]:
    """One line for ``vskd verify``: a bundle without a port, or a machine without a compiler, is no fault."""
    compiler = next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        yield Check("port", f"C: not replayed, there is no compiler ({', '.join(COMPILERS)})")
        return
    try:
        port = port_of(bundle)
    except VskdError as error:
        yield Check("port", f"C: none, {error.message}")
        return
    try:
        found = replayed(port, compiler)
    except VskdError as error:
        yield Check("port", f"C by {compiler}", str(error))
        return
    windows = f"{found['windows_equal']} of {found['windows']} windows bit-equal"
    events = f"{found['events_equal']} of {found['events']} events equal"
    text = f"C by {compiler}: {windows}, {events}, state {found['state_bytes']} bytes"
    is_equal = (found["windows_equal"], found["events_equal"]) == (found["windows"], found["events"])
    yield Check("port", text, "" if is_equal else "the port in C is not the bundle's model; report it")


def replayed(port: Port, compiler: str, *flags: str, emulator: Sequence[str] = ()) -> dict[str, float]:
    """What the self-test counts, by a compiler of this machine.

    Parameters
    ----------
    port : made
    compiler : its command
    flags : of it, beside ``FLAGS``
    emulator : that runs the program, if this machine cannot

    Raises
    ------
    EngineError : it does not compile, or does not end
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sources(port, folder)
        sources = (*CORE_SOURCES, *SELFTEST_SOURCES)
        run([compiler, *FLAGS, *flags, *sources, "-o", "selftest"], folder, purpose=f"compiling by {compiler}")
        text = run([*emulator, "./selftest"], folder, purpose="the self-test in C", codes=(0, 1))
        found: dict[str, float] = json.loads(text)
        return found
