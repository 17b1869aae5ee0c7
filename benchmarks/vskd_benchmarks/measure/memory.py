"""Resident memory of this process, its peak and now.

Linux keeps two marks. ``ru_maxrss`` survives ``exec``: a child that a large parent starts reports at least the parent's
memory, so a worker under a 300 MB test runner would read 300 MB. ``VmHWM`` starts afresh with the program. It is used
where it exists, and ``getrusage`` elsewhere; the result records which.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory(status: Path = _STATUS) -> dict[str, int | str]:
    """Peak resident memory so far: ``bytes``, and the ``source`` of the figure."""
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return {"bytes": int(line.split()[1]) * 1024, "source": "VmHWM"}
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS and kilobytes elsewhere
    return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "source": "ru_maxrss"}


def resident_bytes(status: Path = _STATUS) -> int:
    """Resident memory of this process now (Linux).

    Raises
    ------
    OSError : the system does not report it
    """
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{status} does not report the resident memory")
