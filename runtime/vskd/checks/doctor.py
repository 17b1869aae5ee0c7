"""The doctor: what this machine has for running a bundle, what is missing, and the remedy for each.

Facts about the machine are read from files that Linux offers; what is missing is reported as unknown. ``root``
stands for ``/``, so that a test can describe another machine. Nothing is changed.
"""

from __future__ import annotations

import importlib.util
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.engines import ENGINES, OWN_ENGINE, installed_engines
from vskd.engines.process import infer_in_subprocess
from vskd.errors import BundleError, EngineError, VskdError

State = Literal["ok", "note", "lack"]

#: Instructions that make int8 several times faster than float, by kind of processor.
INT8_FEATURES = {"aarch64": ("asimddp", "i8mm"), "x86_64": ("avx512_vnni", "avx_vnni")}


@dataclass(frozen=True)
class Finding:
    """One thing that was examined.

    Attributes
    ----------
    topic : what
    state : ``ok``, ``note`` (works, could be better, or unknown) or ``lack`` (does not work)
    text : what was found
    remedy : what to do about it; empty where nothing is to be done
    """

    topic: str
    state: State
    text: str
    remedy: str = ""


def examine(bundle: str | Path | None = None, *, root: Path = Path("/")) -> tuple[Finding, ...]:
    """Examine this machine.

    Parameters
    ----------
    bundle : also run each of its models in each installed engine
    root : of the file system that describes the machine
    """
    return (
        *_python(),
        *_engines(),
        *(_models(Path(bundle)) if bundle is not None else ()),
        _features(root),
        _sensors(root),
    )


def _python() -> Iterator[Finding]:
    bits = 8 * struct.calcsize("P")
    text = f"{platform.python_version()} on {platform.machine()}, {bits} bit"
    if bits < 64:
        remedy = "Install a 64-bit system: LiteRT and ONNX Runtime have no wheels for this one, only tflite-runtime has"
        yield Finding("python", "note", text, remedy)
    else:
        yield Finding("python", "ok", text)
    yield Finding("numpy", "ok", np.__version__)


def _engines() -> Iterator[Finding]:
    installed = installed_engines()
    for name, kind in ENGINES.items():
        if name in installed:
            yield Finding(f"engine {name}", "ok", f"installed, runs .{kind.format}")
        else:
            yield Finding(f"engine {name}", "note", "not installed", f"pip install 'vskd[{kind.extra}]'")
    yield Finding(f"engine {OWN_ENGINE}", "ok", "always there, with numpy alone: int8 models for .tflite, slowly")


def _models(path: Path) -> Iterator[Finding]:
    """Each model in each engine: one golden window, in a process of its own."""
    try:
        bundle = Bundle.open(path)
        windows = read_golden(bundle).windows[:1]
        told = False
        for name, entry in (*bundle.runnable(), *((OWN_ENGINE, own) for own in bundle.integer_models())):
            try:
                answer = infer_in_subprocess(name, [bundle.model_path(entry)], windows)
            except EngineError as error:
                yield Finding(entry.file, "note", f"does not run on {name}: {error.message}", error.hint)
            except BundleError as error:
                told = True
                yield Finding(entry.file, "lack", error.message, error.hint)
            else:
                told = True
                yield Finding(entry.file, "ok", f"runs on {name} {answer.version}")
    except VskdError as error:
        yield Finding(str(path), "lack", error.message, error.hint)
        return
    if not told:
        extras = {kind.extra for kind in ENGINES.values() if kind.format in {entry.format for entry in bundle.models}}
        ways = " or ".join(f"pip install 'vskd[{extra}]'" for extra in sorted(extras))
        yield Finding(path.name, "lack", "no engine here runs a model of this bundle", ways)


def _features(root: Path) -> Finding:
    useful = INT8_FEATURES.get(platform.machine(), ())
    flags = _cpu_flags(root)
    if not flags or not useful:
        return Finding("cpu", "note", f"the features of {platform.machine()} are unknown")
    found = [name for name in useful if name in flags]
    if found:
        return Finding("cpu", "ok", f"{', '.join(found)}: int8 is several times faster than float")
    return Finding(
        "cpu", "note", f"none of {', '.join(useful)}: int8 gains little over float",
        "Nothing to install; compare the models with `vskd bench`",
    )  # fmt: skip


def _cpu_flags(root: Path) -> frozenset[str]:
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _sensors(root: Path) -> Finding:
    """Buses for ``vskd run --input i2c:SENSOR``."""
    buses = ", ".join(sorted(path.name for path in (root / "dev").glob("i2c-*")))
    has_drivers = importlib.util.find_spec("adafruit_blinka") is not None
    if not buses:
        remedy = "Switch I2C on (raspi-config)" if has_drivers else ""
        return Finding("i2c", "note", "no bus in /dev; samples come out of files and pipes", remedy)
    if not has_drivers:
        return Finding("i2c", "note", f"{buses}, without drivers for a sensor", "pip install 'vskd[i2c]'")
    return Finding("i2c", "ok", f"{buses}, drivers installed")


def _text(path: Path) -> str | None:
    """Content of a small file of the system; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None
