"""What tells one state of a data set from another: settings, and the content of files. Names of caches come from it.

A change to what these functions return makes every cache unknown. This module does not know any data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: Hashing waits for the disk as long as for the processor.
_THREADS = 2


def fingerprint(settings: Mapping[str, Any], content: str = "", *, sort_keys: bool = True) -> str:
    """SHA-256 (hex) over settings, as JSON, and what stands for the content of files.

    Parameters
    ----------
    settings : plain values
    content : of ``by_content`` and the like, or ``content_lines`` joined
    sort_keys : equal settings in another order give the same; UTD-MHAD's caches are older than this rule
    """
    return _sha256(json.dumps(settings, sort_keys=sort_keys) + content)


def by_content(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 (hex) over names and bytes of files."""
    return _sha256("".join(content_lines(paths, root)))


def by_size_and_time(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 (hex) over names, sizes and times of change: for hundreds of gigabytes of images, which take hours."""
    states = ((path, path.stat()) for path in paths)
    return _sha256("".join(f"{_name(path, root)} {state.st_size} {state.st_mtime_ns}\n" for path, state in states))


def content_lines(paths: Iterable[Path], root: Path) -> Iterator[str]:
    """A line for each file: its name below ``root``, and the SHA-256 (hex) of its bytes."""
    files = list(paths)
    with ThreadPoolExecutor(max_workers=_THREADS) as threads:
        for path, digest in zip(files, threads.map(_digest, files), strict=True):
            yield f"{_name(path, root)} {digest}\n"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
