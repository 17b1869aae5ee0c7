"""Fetches the wheels of a kit with pip, and checks that they are enough.

The project's own wheel is built from the clone that this vskd runs from, and the clone's ``constraints.txt`` pins the
version of each direct dependency goes into the kit. pip judges conditions such as ``python_version < "3.12"`` for the
Python that it runs in, not for the board's; what it brought is therefore checked once more, for the board.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

import vskd
from vskd.errors import MissingExtraError, VskdError
from vskd_benchmarks.pi_kit.boards import Board

if TYPE_CHECKING:
    from packaging.requirements import Requirement

CONSTRAINTS = "constraints.txt"

#: pip itself goes into the kit: a board's Python may have been installed without it.
INSTALLER = "pip"

#: How often pip tries again where nothing answers, and how long it waits for an answer.
_PATIENCE = ("--retries", "1", "--timeout", "30")


class KitError(VskdError):
    """A kit that cannot be made."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file: where it lies, and its metadata."""

    path: Path
    name: str
    version: str
    requires: tuple[Requirement, ...]


def clone_of() -> Path:
    """The clone that this vskd runs from.

    Raises
    ------
    KitError : it does not run from one
    """
    folder = Path(vskd.__file__).resolve().parents[2]
    if not (folder / CONSTRAINTS).is_file():
        raise KitError(
            "this vskd does not run from a clone, and the kit's own wheel is built from one",
            hint="In a clone: pip install --editable . and again",
        )
    return folder


def check_tools() -> None:
    """Check that what builds and fetches wheels is installed.

    Raises
    ------
    MissingExtraError
    """
    for package in ("pip", "packaging", "hatchling"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra="kit", purpose="vskd pi-kit")


def fetch_wheels(board: Board, python: str, *, clone: Path, folder: Path) -> tuple[Wheel, ...]:
    """Build the project's wheel and fetch the others.

    Parameters
    ----------
    board, python : what they are for, e.g. ``"3.11"``
    clone : of the project
    folder : empty; the wheels come to lie there

    Returns
    -------
    all of them, by file name

    Raises
    ------
    KitError : no network, no such wheel, or wheels that do not suffice
    """
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(clone)]
    _pip(build, "building the wheel of vskd")
    foreign = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    foreign += [f"--platform={tag}" for tag in board.tags]
    shared = ["download", *_PATIENCE, "--dest", str(folder), "--constraint", str(clone / CONSTRAINTS), *foreign]
    purpose = f"Python {python} on {board.machine}"
    _pip([*shared, *board.whole], purpose)
    _pip([*shared, "--no-deps", INSTALLER, *board.bare], purpose)
    wheels = tuple(read_wheel(path) for path in sorted(folder.glob("*.whl")))
    lacks = list(missing(wheels, board, python))
    if lacks:
        raise KitError(
            f"the wheels do not suffice for {purpose}: {'; '.join(lacks)}",
            hint=f"Run vskd pi-kit with Python {python}, so that pip judges what each of them needs there",
        )
    return wheels


def read_wheel(path: Path) -> Wheel:
    """Name, version and requirements of a wheel file."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        message = HeaderParser().parsestr(archive.read(name).decode("utf-8"))
    requires = tuple(Requirement(text) for text in message.get_all("Requires-Dist", []))
    return Wheel(path, canonicalize_name(message["Name"]), message["Version"], requires)


def missing(wheels: Sequence[Wheel], board: Board, python: str) -> Iterator[str]:
    """What the wheels need on the board that is not among them: a phrase for each."""
    from packaging.utils import canonicalize_name

    versions = {wheel.name: wheel.version for wheel in wheels}
    target = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": board.machine,
        "extra": "",
    }
    for wheel in wheels:
        for requirement in wheel.requires:
            name = canonicalize_name(requirement.name)
            needed = requirement.marker is None or requirement.marker.evaluate(target)
            if not needed or name in board.from_system:
                continue
            if name not in versions or not requirement.specifier.contains(versions[name], prereleases=True):
                yield f"{wheel.name} needs {requirement}, and {versions.get(name, 'no such wheel')} is there"


def _pip(words: Sequence[str], purpose: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise KitError(
            f"pip failed ({purpose}): {errors[0] if errors else done.stderr.strip()}",
            hint="Most often there is no network, or no wheel of this package for that machine and Python. "
            "Check --python and the versions in constraints.txt; nothing was written",
        )
