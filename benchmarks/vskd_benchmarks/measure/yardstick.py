"""The yardstick: a fixed kernel of integer and float parts, timed beside every case, and this machine's best of it.

A latency says how quick a model is *and* how quick the machine was just then. On a shared machine the latter changes by
a factor of two within a minute, and no reading of the load or the clock shows it. So every round of a case times this
kernel in the same process, right before its calls and right after them, outside of their time. What it does never
changes with the model: products of integers and of floats, as in a network's layers, and an elementwise part of both,
some 300 us together. Its arrays are made once and lie in the cache; no array is made while it runs.

The best round that a machine ever had is kept in ``yardstick.json`` in the user's cache folder, by what makes a machine
another one (``fingerprint``). Delete the file to forget it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vskd.writing import user_cache, write_file
from vskd_benchmarks.pipelines.cases import Clock

#: Of the kernel: figures in units of another one cannot be compared.
VERSION = 1

#: Readings right before the calls of a round, and as many right after them; a few more bring the caches back.
READINGS, DISCARDED = 8, 2

#: Side of the products. 64 x 64 x 64 is the largest that OpenBLAS gives to one thread whatever it was allowed.
_SIDE = 64

#: Float products: so many that floats and integers take about as long.
_FLOAT_PRODUCTS = 20

FILE = "yardstick.json"


@dataclass(frozen=True)
class KnownYardstick:
    """What this machine's best round was before a run.

    Attributes
    ----------
    machine : its fingerprint
    best_ns : None where none was kept
    """

    machine: str
    best_ns: int | None


class Yardstick:
    """The kernel with its arrays."""

    def __init__(self) -> None:
        # Not drawn: to import a random generator takes memory that is not the case's.
        pattern = np.arange(_SIDE * _SIDE, dtype=np.int32) * 37 % 255 - 127
        self._integers = pattern.reshape(_SIDE, _SIDE)
        self._sums = np.empty((_SIDE, _SIDE), np.int32)
        self._bytes = np.empty((_SIDE, _SIDE), np.int8)
        self._shift, self._low, self._high = (np.int32(value) for value in (7, -128, 127))
        self._matrix = (self._integers / 1024).astype(np.float32)
        self._product, self._curve = np.empty_like(self._matrix), np.empty_like(self._matrix)
        self._zero = np.float32(0)

    def run(self) -> None:
        """Once."""
        np.matmul(self._integers, self._integers, out=self._sums)
        np.right_shift(self._sums, self._shift, out=self._sums)
        np.maximum(self._sums, self._low, out=self._sums)
        np.minimum(self._sums, self._high, out=self._sums)
        np.copyto(self._bytes, self._sums, casting="unsafe")
        for _ in range(_FLOAT_PRODUCTS):
            np.matmul(self._matrix, self._matrix, out=self._product)
        np.tanh(self._product, out=self._curve)
        np.multiply(self._curve, self._product, out=self._curve)
        np.maximum(self._curve, self._zero, out=self._curve)

    def readings(self, clock: Clock = time.perf_counter_ns) -> list[int]:
        """Nanoseconds of ``READINGS`` runs, after some that are not counted."""
        for _ in range(DISCARDED):
            self.run()
        found = []
        for _ in range(READINGS):
            start = clock()
            self.run()
            found.append(clock() - start)
        return found


def best_round_ns(rounds: Sequence[Sequence[int]]) -> int:
    """The least median of a round's readings."""
    return min(round(float(np.median(readings))) for readings in rounds)


def fingerprint(machine: Mapping[str, Any], *, profile: str = "") -> str:
    """What a best round belongs to: the processor, what computes the kernel, and the limits that hold it.

    Parameters
    ----------
    machine : as ``vskd_benchmarks.device.environment.describe_machine`` gives it
    profile : SHA-256 of the device profile; empty without one
    """
    keys = ("board", "cpu", "cpu_part", "architecture", "features", "cores", "virtual_machine", "python")
    seen = [*(machine[key] for key in keys), machine["versions"].get("numpy"), profile, VERSION]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


def cache_file() -> Path:
    """Where the best rounds are kept."""
    return (user_cache() or Path(os.devnull)) / FILE


def known_best_ns(machine: str, *, path: Path | None = None) -> int | None:
    """The best round of a machine, by its fingerprint; None where none is kept."""
    found = _kept(path or cache_file()).get(machine)
    return found if isinstance(found, int) and found > 0 else None


def keep_best(machine: str, best_ns: int, *, path: Path | None = None) -> None:
    """Keep a round that is better than the kept one; where nothing can be written, nothing is kept.

    Parameters
    ----------
    machine : its fingerprint
    best_ns : of a run
    path : of the file; None takes ``cache_file``
    """
    place = path or cache_file()
    known_ns = known_best_ns(machine, path=place)
    if known_ns is not None and known_ns <= best_ns:
        return
    content = json.dumps({**_kept(place), machine: best_ns}, indent=1) + "\n"
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_file(place, content.encode())


def _kept(path: Path) -> dict[str, Any]:
    """Every fingerprint with its best round; empty where the file is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
