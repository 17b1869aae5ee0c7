"""The project's core on this machine: compiled by kotlinc, and its self-test run on a JVM."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vskd.bundle import Bundle
from vskd.checks.selftest import Check
from vskd.errors import VskdError
from vskd_export.ports.programs import missing, run
from vskd_export.ports.watch.project import KOTLIN, RESOURCES, Project, project_of

TOOLS = ("kotlinc", "java")

#: The compiler runs once: to compile it itself to fast code takes longer than it saves.
QUICK = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")


def replay(bundle: Bundle) -> Iterator[Check]:
    """One line for ``vskd verify``: a bundle without a project, or a machine without Kotlin, is no fault."""
    if reason := missing(TOOLS):
        yield Check("port", f"Kotlin: not replayed, {reason}")
        return
    try:
        project = project_of(bundle)
    except VskdError as error:
        yield Check("port", f"Kotlin: none, {error.message}")
        return
    try:
        first, *problems = replayed(project)
    except VskdError as error:
        yield Check("port", "Kotlin on a JVM", str(error))
        return
    problem = f"the port in Kotlin is not the bundle's model; report it: {problems[0]}" if problems else ""
    yield Check("port", f"Kotlin on a JVM: {first}", problem)


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
