"""Resident memory of this process, its peak and now, as Linux tells it.

The peak is ``VmHWM``, which starts afresh with the program. ``ru_maxrss`` survives ``exec``: a child that a large
parent starts reports at least the parent's memory, so a worker under a 300 MB test runner would read 300 MB.
"""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory(status: Path = _STATUS) -> dict[str, int | str]:
    """Peak resident memory so far: ``bytes``, and the ``source`` of the figure.

    Raises
    ------
    OSError : the system does not report it
    """
    return {"bytes": _bytes(status, "VmHWM"), "source": "VmHWM"}


def resident_bytes(status: Path = _STATUS) -> int:
    """Resident memory of this process now.

    Raises
    ------
    OSError : the system does not report it
    """
    return _bytes(status, "VmRSS")


def _bytes(status: Path, key: str) -> int:
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{status} does not hold {key}")
