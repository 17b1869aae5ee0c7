"""What tells one state of a data set from another: settings, and the content of files. Names of caches come from it.

A change to what these functions return makes every cache unknown. This module does not know any data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: Hashing waits for the disk as long as for the processor.
_THREADS = 2


def fingerprint(settings: Mapping[str, Any], content: str = "") -> str:
    """SHA-256 (hex) over settings, plain values in any order, and what stands for files: see ``by_content``."""
    return _sha256(json.dumps(settings, sort_keys=True) + content)


def by_content(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 (hex) over names and bytes of files."""
    files = list(paths)
    with ThreadPoolExecutor(max_workers=_THREADS) as threads:
        digests = zip(files, threads.map(_digest, files), strict=True)
        return _sha256("".join(f"{_name(path, root)} {digest}\n" for path, digest in digests))


def by_size_and_time(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 (hex) over names, sizes and times of change: for hundreds of gigabytes of images, which take hours."""
    states = ((path, path.stat()) for path in paths)
    return _sha256("".join(f"{_name(path, root)} {state.st_size} {state.st_mtime_ns}\n" for path, state in states))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
