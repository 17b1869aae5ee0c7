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
from collections.abc import Callable, Mapping, Sequence
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

#: Cores that something else keeps busy; above it the machine is not ours to measure on.
BUSY_CORES_LIMIT = 0.25

#: Computing time over wall time of a single-threaded measurement; below it, others were given the core.
CPU_SHARE_LIMIT = 0.95

#: How long the machine is watched for other people's work, s.
WATCH_S = 0.5


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
        "memory_bytes": _memory_bytes(root),
        "system": platform.platform(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "versions": _versions(),
    }


def read_state(root: Path = Path("/"), *, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """What changes during a run; watches the machine for ``WATCH_S``.

    Parameters
    ----------
    root : of the file system
    sleep : a test passes its own
    """
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    heat_millidegree = _text(root / "sys/class/thermal/thermal_zone0/temp")
    load = _text(root / "proc/loadavg")
    return {
        "busy_cores": _busy_cores(root / "proc/stat", sleep),
        "load_average": [float(value) for value in load.split()[:3]] if load else None,
        "governor": _text(frequency / "scaling_governor"),
        "frequency_khz": _number(_text(frequency / "scaling_cur_freq")),
        "highest_frequency_khz": _number(_text(frequency / "cpuinfo_max_freq")),
        "temperature_c": None if heat_millidegree is None else float(heat_millidegree) / 1000,
        "throttled": _throttled(),
    }


def reasons_to_doubt(
    before: Mapping[str, Any], after: Mapping[str, Any], cases: Sequence[Mapping[str, Any]], *, threads: int
) -> list[dict[str, str]]:
    """Why a result is ``degraded``: coded reasons with the value and the limit; empty for a ``valid`` one.

    Parameters
    ----------
    before, after : as ``read_state`` gives them
    cases : the result's, with ``name``, ``warm_up`` and ``cpu_share``
    threads : computing threads of each case
    """
    reasons = []
    for when, state in (("before", before), ("after", after)):
        busy = state["busy_cores"]
        if busy is not None and busy > BUSY_CORES_LIMIT:
            reasons.append(
                _reason("load", f"{busy:.2f} cores were busy with other work {when} the run, above {BUSY_CORES_LIMIT}")
            )
        if state["throttled"] not in (None, "0x0"):
            reasons.append(_reason("throttled", f"vcgencmd get_throttled said {state['throttled']} {when} the run"))
    if before["governor"] == "powersave":
        reasons.append(_reason("governor", "the frequency governor is powersave"))
    for case in cases:
        if not case["warm_up"]["steady"]:
            reasons.append(
                _reason("not-steady", f"{case['name']} was not steady after {case['warm_up']['calls']} calls")
            )
        if threads == 1 and case["cpu_share"] < CPU_SHARE_LIMIT:
            share = case["cpu_share"]
            reasons.append(
                _reason(
                    "preempted", f"{case['name']} computed for {share:.0%} of the time, below {CPU_SHARE_LIMIT:.0%}"
                )
            )
    return reasons


def _reason(code: str, detail: str) -> dict[str, str]:
    return {"code": code, "detail": detail}


def _cpu_info(root: Path) -> dict[str, str]:
    """The first value of every key of /proc/cpuinfo."""
    found: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip(), value.strip())
    return found


def _memory_bytes(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _busy_cores(stat: Path, sleep: Callable[[float], None]) -> float | None:
    """Cores that computed, on average over ``WATCH_S``, this process asleep."""
    first = _jiffies(stat)
    if first is None:
        return None
    sleep(WATCH_S)
    second = _jiffies(stat)
    if second is None or second[0] == first[0]:
        return None
    busy = 1 - (second[1] - first[1]) / (second[0] - first[0])
    return round(busy * (os.cpu_count() or 1), 3)


def _jiffies(stat: Path) -> tuple[int, int] | None:
    """(all, idle) time of all cores since the start of the machine."""
    text = _text(stat)
    if text is None:
        return None
    # user nice system idle iowait irq softirq steal; guest time is counted in user already
    counts = [int(count) for count in text.splitlines()[0].split()[1:9]]
    return sum(counts), counts[3] + counts[4]


def _throttled() -> str | None:
    """What the Raspberry Pi's firmware says of undervoltage and heat; ``0x0`` is nothing."""
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
