"""The machine, as far as it bears on a latency: processor, clock, heat, load, versions.

Everything is read from files that Linux offers and is None where they are not there; nothing is guessed. ``root``
stands for ``/``, so that a test can bring a machine of its own.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Instructions that decide how fast int8 and fp32 run. ``asimddp`` is SDOT: without it int8 gains little on ARM.
FEATURES = (
    "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve",
    "sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8",
)  # fmt: skip

_PACKAGES = (
    "vskd", "numpy", "click", "rich", "onnxruntime", "ai-edge-litert", "tflite-runtime", "tensorflow-cpu", "tensorflow",
    "torch", "torchvision", "pyts", "numba", "onnx",
)  # fmt: skip

#: How long ``busy_cores`` observes the machine, s.
OBSERVED_S = 0.5

#: Between two readings of the machine during a run, s, unless it lasts hours.
READING_S = 1.0


def describe_machine(root: Path = Path("/")) -> dict[str, Any]:
    """What does not change during a run."""
    info = _cpu_info(root)
    flags = (info.get("flags") or info.get("Features") or "").split()
    return {
        "board": _text(root / "proc/device-tree/model"),
        "cpu": info.get("model name") or info.get("Hardware") or platform.processor() or None,
        "cpu_part": info.get("CPU part"),
        "features": [name for name in FEATURES if name in flags],
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": memory_bytes("MemTotal", root),
        "virtual_machine": "hypervisor" in flags if flags else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "versions": _versions(),
    }


def read_state(root: Path = Path("/")) -> dict[str, Any]:
    """What changes during a run.

    Parameters
    ----------
    root : of the file system
    """
    load = _text(root / "proc/loadavg")
    return {
        "load_average": [float(value) for value in load.split()[:3]] if load else None,
        "governors": sorted({text for path in _frequencies(root, "scaling_governor") if (text := _text(path))}),
        "frequency_khz": _highest(root, "scaling_cur_freq"),
        "highest_frequency_khz": _highest(root, "cpuinfo_max_freq"),
        "temperature_c": temperature_c(root),
        "throttled": _throttled(),
        "swap_used_bytes": _swap_used_bytes(root),
        "swapped_pages": _swapped_pages(root),
    }


def temperature_c(root: Path = Path("/")) -> float | None:
    """The hottest thermal zone, degrees Celsius."""
    texts = [_text(path) for path in root.glob("sys/class/thermal/thermal_zone*/temp")]
    heats = [int(text) / 1000 for text in texts if text and text.lstrip("-").isdigit()]
    return max(heats, default=None)


def read_clock_and_heat(root: Path = Path("/")) -> dict[str, Any]:
    """What is followed while the run lasts."""
    return {"frequency_khz": _highest(root, "scaling_cur_freq"), "temperature_c": temperature_c(root)}


def busy_cores(root: Path = Path("/"), *, sleep: Callable[[float], None] = time.sleep) -> float | None:
    """Cores that computed, on average over ``OBSERVED_S``, this process asleep; None where that cannot be read.

    Parameters
    ----------
    root : of the file system
    sleep : s; a test passes its own
    """
    before = busy_ns(root)
    sleep(OBSERVED_S)
    after = busy_ns(root)
    return None if before is None or after is None else round((after - before) / 1e9 / OBSERVED_S, 3)


def busy_ns(root: Path = Path("/")) -> int | None:
    """Time that all cores together computed since the machine started; stolen time counts, waiting does not."""
    text = _text(root / "proc/stat")
    if not text:
        return None
    # user nice system idle iowait irq softirq steal; guest time is counted in user already
    counts = [int(count) for count in text.splitlines()[0].split()[1:9]]
    jiffies = sum(counts) - counts[3] - counts[4]
    return jiffies * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _cpu_info(root: Path) -> dict[str, str]:
    """The first value of every key of /proc/cpuinfo."""
    found: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def memory_bytes(name: str, root: Path = Path("/")) -> int | None:
    """A line of /proc/meminfo, e.g. ``"MemAvailable"``."""
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _swap_used_bytes(root: Path) -> int | None:
    total, free = memory_bytes("SwapTotal", root), memory_bytes("SwapFree", root)
    return None if total is None or free is None else total - free


def _swapped_pages(root: Path) -> int | None:
    """Pages swapped in and out since the machine started."""
    counts = [
        int(line.split()[1])
        for line in (_text(root / "proc/vmstat") or "").splitlines()
        if line.startswith(("pswpin ", "pswpout "))
    ]
    return sum(counts) if counts else None


def _frequencies(root: Path, name: str) -> list[Path]:
    return sorted(root.glob(f"sys/devices/system/cpu/cpu[0-9]*/cpufreq/{name}"))


def _highest(root: Path, name: str) -> int | None:
    """The highest of all processors: a core that computes is the fastest, the others may idle."""
    values = [number for path in _frequencies(root, name) if (number := _number(_text(path))) is not None]
    return max(values, default=None)


def _throttled() -> str | None:
    """The Raspberry Pi's firmware on undervoltage and heat; ``0x0`` is nothing."""
    tool = shutil.which("vcgencmd")
    if tool is None:
        return None
    answer = subprocess.run([tool, "get_throttled"], capture_output=True, text=True, timeout=10, check=False)
    return answer.stdout.strip().partition("=")[2] or answer.stderr.strip() or None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _text(path: Path) -> str | None:
    """Content of a small file of the system, without the end's white space and zeros; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None
