"""Kotlin's compiler and a JVM, and the core's answers to cases: what these tests need beside Python.

``VSKD_KOTLINC`` names the compiler, else ``kotlinc`` is looked for in PATH; npm's ``kotlin-compiler`` holds it
(``bin/kotlinc``). Java 17 or later must be in PATH.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vskd.contract import Contract
from vskd_export.ports.rules import rules_of
from vskd_export.ports.watch.kotlin import rules_kt, wrist_kt
from vskd_export.ports.watch.project import CORE
from vskd_export.ports.watch.replay import QUICK

HERE = Path(__file__).parent
UNITS, TIME_UNITS = ("g", "m/s^2"), ("s", "ms", "us", "ns")

#: Examples that the contracts of these tests hold.
EXAMPLES = 8


def compiler() -> str:
    """The Kotlin compiler; skips the test where it or Java is missing."""
    found = os.environ.get("VSKD_KOTLINC") or shutil.which("kotlinc")
    if not found:
        pytest.skip("no kotlinc: npm install kotlin-compiler@2.4.20, and name its bin/kotlinc in VSKD_KOTLINC")
    if not shutil.which("java"):
        pytest.skip("no java in PATH: install a JDK, 17 or later")
    return found


def compiled(sources: Sequence[Path], out: Path, *, classpath: str = "", flags: Sequence[str] = ()) -> None:
    """Compile to a folder of classes, every warning an error; ``flags`` of the compiler come last."""
    places = ["-d", str(out), *(["-cp", classpath] if classpath else [])]
    command = [compiler(), *QUICK, "-Werror", "-jvm-target", "17", *places, *flags]
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def standard_library() -> Path:
    """Kotlin's own classes, which lie beside the compiler."""
    return Path(compiler()).resolve().parent.parent / "lib" / "kotlin-stdlib.jar"


@dataclass(frozen=True)
class Jvm:
    """The compiled core with the harness ``Replay.kt``."""

    classes: Path

    @classmethod
    def of(cls, contracts: Mapping[str, Contract], folder: Path) -> Jvm:
        """Compile the core for these contracts, each an object of its name."""
        names = ", ".join(f'"{name}" to {name}' for name in contracts)
        examples = {name: EXAMPLES if one.examples else 0 for name, one in contracts.items()}
        written = {
            "Rules.kt": rules_kt(),
            "Contracts.kt": f"import vskd.*\n\nval CONTRACTS: Map<String, Rules> = mapOf({names})\n",
            **{
                f"{name}.kt": wrist_kt(rules_of(one, examples=examples[name]), name=name)
                for name, one in contracts.items()
            },
        }
        for name, text in written.items():
            (folder / name).write_text(text, encoding="utf-8")
        sources = [*sorted(CORE.glob("*.kt")), *(folder / name for name in written), HERE / "Replay.kt"]
        compiled(sources, folder / "classes")
        return cls(folder / "classes")

    def play(self, cases: Sequence[bytes], folder: Path) -> list[list[str]]:
        """What comes out of each case, line by line."""
        (folder / "cases.bin").write_bytes(b"".join(cases))
        path = f"{self.classes}{os.pathsep}{standard_library()}"
        command = ["java", "-XX:+UseSerialGC", "-cp", path, "ReplayKt", str(folder / "cases.bin")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [part.splitlines() for part in done.stdout.split("\n\n")[: len(cases)]]


@dataclass(frozen=True, eq=False)
class StreamCase:
    """Samples as they come, and what else happens meanwhile.

    Attributes
    ----------
    contract : its name
    times : (n,), int64, or float64
    readings : (n, 3), float32
    unit, axes, time_unit : of the samples
    clock : before which sample the wall's clock shows this, ``("clock", s)``, or the source waits: ``("silence", s)``
    examples : label, and int8 feature
    network : path of a network's file; empty takes the stand-in
    """

    contract: str
    times: Any
    readings: Any
    unit: str = "g"
    axes: str = "x,y,z"
    time_unit: str = "s"
    clock: Mapping[int, Sequence[tuple[str, float]]] = field(default_factory=dict)
    examples: Sequence[tuple[str, Any]] = ()
    network: str = ""

    def to_bytes(self, *, enrols: bool = False) -> bytes:
        """The case for ``Replay.kt``: its events, or the samples as one example."""
        head = [
            b"\2" if enrols else b"\0",
            _text(self.contract),
            struct.pack(">i", UNITS.index(self.unit)),
            _text(self.axes),
        ]
        head += [struct.pack(">ii", TIME_UNITS.index(self.time_unit), len(self.examples))]
        for label, feature in self.examples:
            head += [_text(label), struct.pack(">i", len(feature)), np.asarray(feature, np.int8).tobytes()]
        operations, clock_s = [], 0.0
        is_integer = np.asarray(self.times).dtype.kind == "i"
        for row, (time, reading) in enumerate(zip(self.times.tolist(), self.readings.tolist(), strict=True)):
            for what, value in self.clock.get(row, ()):
                clock_s = value if what == "clock" else clock_s
                operations += [struct.pack(">bd", 2, value)] if what == "silence" else []
            sample = struct.pack(">bq" if is_integer else ">bd", not is_integer, time)
            operations.append(sample + struct.pack(">fffd", *reading, clock_s))
        operations.append(b"\4")
        return b"".join([*head, _text(self.network), struct.pack(">i", len(operations)), *operations])


def windows_case(contract: str, network: Path, windows: Any) -> bytes:
    """Windows (n, 3, samples) for ``Replay.kt``: three lines each, and the time that one takes, ms."""
    head = [b"\1", _text(contract), _text(str(network)), struct.pack(">i", len(windows))]
    return b"".join([*head, np.asarray(windows, ">f4").tobytes()])


def _text(text: str) -> bytes:
    """As Java's ``writeUTF``, of text in the Basic Multilingual Plane."""
    content = text.encode()
    return struct.pack(">H", len(content)) + content
