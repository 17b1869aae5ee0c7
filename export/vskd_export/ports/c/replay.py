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
from vskd_export.ports.c.measure import write_sources
from vskd_export.ports.c.port import CORE_SOURCES, SELFTEST_SOURCES, Port, port_of
from vskd_export.ports.ported import Ported, checks, counted
from vskd_export.ports.programs import run

#: C compilers, the first one found is taken.
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off")


def replay(bundle: Bundle) -> Iterator[Check]:
    """For ``vskd verify``, see ``ported``."""
    return checks(ported(bundle))


def ported(bundle: Bundle) -> Iterator[Ported]:
    """The port in C, by the first compiler of this machine."""
    compiler = next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        yield Ported(port="C", not_replayed=f"not replayed, there is no compiler ({', '.join(COMPILERS)})")
        return
    try:
        port = port_of(bundle)
    except VskdError as error:
        yield Ported(port="C", not_replayed=f"none, {error.message}")
        return
    name = f"C by {compiler}"
    try:
        found = replayed(port, compiler)
    except VskdError as error:
        yield Ported(port=name, problem=str(error))
        return
    yield counted(name, found, ram_bytes=int(found["state_bytes"]))


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
