"""The project's core on this machine: compiled by kotlinc, and its self-test run on a JVM."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vskd.bundle import Bundle
from vskd.checks.selftest import Check
from vskd.errors import EngineError, VskdError
from vskd_export.ports.ported import Ported, checks, counted
from vskd_export.ports.programs import missing, run
from vskd_export.ports.watch.project import KOTLIN, RESOURCES, Project, project_of

TOOLS = ("kotlinc", "java")

_NETWORK = f"{RESOURCES}/vskd/network.bin"
_LINE = re.compile(
    r"(?P<windows_equal>\d+) of (?P<windows>\d+) windows bit-equal, (?P<labels_equal>\d+) labels equal, "
    r"(?P<events_equal>\d+) of (?P<events>\d+) events equal"
)

#: The compiler runs once: to compile it itself to fast code takes longer than it saves.
QUICK = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")


def replay(bundle: Bundle) -> Iterator[Check]:
    """For ``vskd verify``, see ``ported``."""
    return checks(ported(bundle))


def ported(bundle: Bundle) -> Iterator[Ported]:
    """The port in Kotlin."""
    if reason := missing(TOOLS):
        yield Ported(port="Kotlin", not_replayed=f"not replayed, {reason}")
        return
    try:
        project = project_of(bundle)
    except VskdError as error:
        yield Ported(port="Kotlin", not_replayed=f"none, {error.message}")
        return
    name = "Kotlin on a JVM"
    try:
        first, *problems = replayed(project)
        yield counted(name, _counts(first), size=len(project.files[_NETWORK]), told="".join(problems[:1]))
    except VskdError as error:
        yield Ported(port=name, problem=str(error))


def _counts(told: str) -> dict[str, int]:
    """What the self-test's first line counts; see ``SelfTest.kt``."""
    found = _LINE.match(told)
    if found is None:
        raise EngineError(f"the self-test in Kotlin printed {told!r}, and no counts", hint="Write the project anew")
    return {name: int(text) for name, text in found.groupdict().items()}


def replayed(project: Project) -> list[str]:
    """What the self-test prints: a line, and one for each difference.

    Raises
    ------
    EngineError : it does not compile, or does not end
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in project.files.items():
            if file.startswith((f"{KOTLIN}/", f"{RESOURCES}/")):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(content)
        sources = sorted(str(path) for path in (folder / KOTLIN).glob("*.kt"))
        run(["kotlinc", *QUICK, *sources, "-include-runtime", "-d", "core.jar"], folder, purpose="compiling by kotlinc")
        path = os.pathsep.join(["core.jar", str(folder / RESOURCES)])
        text = run(["java", "-cp", path, "vskd.ModelKt"], folder, purpose="the self-test in Kotlin", codes=(0, 1))
        return text.splitlines()
