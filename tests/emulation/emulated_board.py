"""A Raspberry Pi without a Raspberry Pi: Debian's packages for its processor in a folder, run by qemu's user mode.

``python tests/emulation/emulated_board.py FOLDER`` fills the cache folder that the tests marked ``emulation`` use. It
needs apt-get and dpkg (Debian 12 and what descends from it), no root, no binfmt. Only Python and what it loads is
emulated: ``python3`` of the folder is a shell script that starts the emulator, so that the kit's installer, virtual
environments and processes started by ``sys.executable`` work as on a board. Answers count there; times do not.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class NoEmulationError(Exception):
    """This machine cannot emulate a board; the message says why."""


@dataclass(frozen=True)
class Guest:
    """A kind of board.

    Attributes
    ----------
    machine : as a kit names it
    debian : Debian's name of the architecture
    emulator, cpu : program, and the processor that it plays
    architecture, part, features : what the processor says of itself
    packages : beyond the C and C++ libraries
    links : what Debian's packages would link when installed: name -> target
    """

    machine: str
    debian: str
    emulator: str
    cpu: str
    architecture: int
    part: str
    features: str
    packages: tuple[str, ...]
    links: Mapping[str, str] = field(default_factory=dict)


_PYTHON = ("python3.11-minimal", "libpython3.11-stdlib", "libc6", "libstdc++6", "libgcc-s1")
_BLAS = "usr/lib/arm-linux-gnueabihf"

GUESTS = {
    guest.machine: guest
    for guest in (
        Guest(
            machine="aarch64",
            debian="arm64",
            emulator="qemu-aarch64-static",
            cpu="cortex-a72",
            architecture=8,
            part="0xd08",
            features="fp asimd evtstrm crc32 cpuid",
            packages=_PYTHON,
        ),
        Guest(
            machine="armv7l",
            debian="armhf",
            emulator="qemu-arm-static",
            cpu="cortex-a7",
            architecture=7,
            part="0xc07",
            features="half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt",
            packages=(*_PYTHON, "python3-numpy"),
            links={
                f"{_BLAS}/libblas.so.3": "blas/libblas.so.3",
                f"{_BLAS}/liblapack.so.3": "lapack/liblapack.so.3",
            },
        ),
    )
}


@dataclass(frozen=True)
class EmulatedBoard:
    """A board that is ready.

    Attributes
    ----------
    guest : its kind
    root : the folder that stands for its ``/``
    emulator : the program that plays it
    """

    guest: Guest
    root: Path
    emulator: Path

    @property
    def python(self) -> Path:
        """Its ``python3``."""
        return self.root / "usr" / "bin" / "python3"

    def run(
        self, words: Sequence[str | Path], *, folder: Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the board, or a script that finds the board's Python in PYTHON."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHON": str(self.python),
            "PIP_NO_COMPILE": "1",  # compiling all that is installed takes minutes here, and changes no answer
            "OMP_NUM_THREADS": "1",
        }
        command = [str(word) for word in words]
        return subprocess.run(command, cwd=folder, env=environment, input=stdin, capture_output=True, check=False)

    def show_as_binary(self, python: Path) -> None:
        """Let the guest see an ARM program where the host finds the script that starts the emulator.

        pip on a 32-bit ARM reads the header of ``sys.executable`` before it takes a wheel for that machine; on others
        there is nothing to show.
        """
        if self.guest.machine != "armv7l":
            return
        seen = self.root / python.relative_to("/")
        seen.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.root / "usr" / "bin" / "python3.11", seen)

    def forget(self, python: Path) -> None:
        """Undo ``show_as_binary``."""
        (self.root / python.relative_to("/")).unlink(missing_ok=True)


def prepare(guest: Guest, cache: Path) -> EmulatedBoard:
    """Make the board ready; downloads what the cache folder lacks.

    Raises
    ------
    NoEmulationError : no apt-get, or it does not bring the packages
    """
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    board = EmulatedBoard(guest, cache / f"root-{guest.machine}", _emulator(guest, cache))
    if not board.root.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            partial = Path(work) / "root"
            _fetch(guest.debian, guest.packages, partial)
            for name, target in guest.links.items():
                (partial / name).symlink_to(target)
            _describe_processor(guest, partial)
            partial.rename(board.root)
    _write_python(board)
    return board


def _emulator(guest: Guest, cache: Path) -> Path:
    installed = shutil.which(guest.emulator)
    if installed:
        return Path(installed)
    folder = cache / "qemu"
    if not folder.is_dir():
        host = _run("dpkg", "--print-architecture").strip()
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _fetch(host, ["qemu-user-static"], Path(work) / "all")
            kept = Path(work) / "kept"
            kept.mkdir()
            for each in GUESTS.values():  # of some forty processors
                (Path(work) / "all" / "usr" / "bin" / each.emulator).rename(kept / each.emulator)
            kept.rename(folder)
    return folder / guest.emulator


def _fetch(architecture: str, packages: Sequence[str], folder: Path) -> None:
    """Unpack the packages and all that they need into a folder, by apt-get with a state of its own."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        for needed in ("lists/partial", "archives/partial"):
            (state / needed).mkdir(parents=True)
        settings = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "root",
            "Dir::State::Lists": state / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": state,
            "Debug::NoLocking": "1",
        }
        apt = ["apt-get", "--quiet", "--yes", *(f"-o{name}={value}" for name, value in settings.items())]
        # A list that cannot be had may not matter; whether the packages can be had decides.
        _run(*apt, "update", needed=False)
        _run(*apt, "install", "--download-only", "--no-install-recommends", *packages)
        for package in sorted((state / "archives").glob("*.deb")):
            _run("dpkg", "-x", str(package), str(folder))


def _run(*command: str, needed: bool = True) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoEmulationError(f"{command[0]} is not installed; emulation needs Debian's tools") from error
    if needed and done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        raise NoEmulationError(f"{command[0]} failed: {words[0] if words else 'it printed nothing'}")
    return done.stdout


def _describe_processor(guest: Guest, root: Path) -> None:
    """What Linux says of the processor. ONNX Runtime and LiteRT read it at start, and the host's would crash them."""
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text(
        f"processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: {guest.features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: {guest.architecture}\nCPU variant\t: 0x0\nCPU part\t: {guest.part}\nCPU revision\t: 3\n\n"
    )
    processors = root / "sys" / "devices" / "system" / "cpu"
    for name in ("cpu0/cache/index0", "cpu0/topology", *(f"cpu1/cache/index{index}" for index in range(9))):
        (processors / name).mkdir(parents=True)
    for name in ("possible", "present", "online", "kernel_max"):
        (processors / name).write_text("0\n")


def _write_python(board: EmulatedBoard) -> None:
    """The board's ``python3``. Under the name that it was called by, it finds its virtual environment."""
    root, emulator = shlex.quote(str(board.root)), shlex.quote(str(board.emulator))
    start = f'exec {emulator} -cpu {board.guest.cpu} -L {root} -0 "$0" {root}/usr/bin/python3.11 "$@"'
    new = board.python.with_name(f".python3.{os.getpid()}")
    new.write_text(f"#!/bin/sh\n{start}\n")
    new.chmod(0o755)
    new.replace(board.python)


if __name__ == "__main__":
    for each in GUESTS.values():
        sys.stdout.write(f"{prepare(each, Path(sys.argv[1])).python}\n")
