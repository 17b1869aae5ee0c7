"""Streams that a sensor may send and a test wants: irregular, broken, in the wrong unit, and cut anywhere.

Each is drawn as a few words and one seed, so that a failing one is short to read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from vskd.contract import Unit
from vskd.stream import TimeUnit

Floats = NDArray[np.float64]

AXES = ("x,y,z", "-y,x,z", "z,-x,-y", "-x,-y,-z")
MOTIONS = ("rest", "moves", "noise", "circles", "zeros", "frozen", "saturated", "clipped", "copied", "dead", "coarse")
MOTIONS += ("huge", "weak", "doubled", "light")
TROUBLES = ("gap", "reset", "swap", "late", "wild", "repeat", "loss", "packets", "not finite", "stuck")
TROUBLES += ("small step back",)
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Recipe:
    """A stream in words."""

    seed: int
    rate_hz: float
    jitter: float
    time_unit: TimeUnit
    epoch_s: int
    unit: Unit
    is_right_unit: bool
    axes: str
    motions: tuple[str, ...]
    troubles: tuple[str, ...]
    longest_push: int


recipes = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    rate_hz=st.sampled_from([8.0, 25.0, 40.0, 50.0, 52.0, 57.5, 62.5, 100.0, 200.0]),
    jitter=st.sampled_from([0.0, 0.0, 0.1, 0.45, 1.5]),
    time_unit=st.sampled_from(["s", "ms", "us", "ns"]),
    epoch_s=st.sampled_from([0, -3, 1_700_000_000]),
    unit=st.sampled_from(["g", "m/s^2"]),
    is_right_unit=st.sampled_from([True, True, True, False]),
    axes=st.sampled_from(AXES),
    motions=st.lists(st.sampled_from(MOTIONS), min_size=1, max_size=5).map(tuple),
    troubles=st.lists(st.sampled_from(TROUBLES), max_size=6).map(tuple),
    longest_push=st.sampled_from([1, 7, 60, 1000]),
)


@dataclass
class Stream:
    """Samples as they arrive: times (n,) in the recipe's unit, and readings (n, 3) in its unit."""

    times: NDArray[Any]
    xyz: NDArray[np.float32]
    pushes: list[slice] = field(default_factory=list)


def _moved(kind: str, count: int, rate_hz: float, generator: np.random.Generator) -> Floats:
    """Readings of one motion (count, 3), g."""
    phase = np.arange(count)[:, None] / rate_hz * 2 * np.pi * generator.uniform(0.5, 4) + generator.uniform(0, 6, 3)
    down = generator.normal(size=3)
    trembles = generator.normal(0, generator.choice([0.004, 0.02, 0.06, 0.3]), (count, 3))
    rest = np.broadcast_to(down / np.linalg.norm(down), (count, 3)) + trembles
    moves = rest + np.sin(phase) * generator.uniform(0.1, 2.0, 3)
    if kind in ("zeros", "huge", "weak", "doubled", "light"):
        return rest * {"zeros": 0.0, "huge": 1e30, "weak": 0.08, "doubled": 2.0, "light": 0.5}[kind]
    if kind == "frozen":
        return np.repeat(moves[:1], count, axis=0)
    if kind == "copied":
        return moves[:, [0, 0, 2]] if generator.random() < 0.5 else moves[:, [0, 1, 1]]
    return {
        "rest": rest,
        "moves": moves,
        "noise": generator.normal(0, 1.5, (count, 3)),
        "circles": np.sin(phase) * 1.2,
        "saturated": np.clip(moves * 5, -8, 8),
        "clipped": np.clip(moves * 2, -1.9, 1.9),
        "dead": moves * [1, 0, 1] + [0, 0.25, 0],
        "coarse": np.round(rest * 16) / 16,
    }[kind]


def _troubled(kind: str, times: Floats, xyz: Floats, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """One trouble somewhere in the stream."""
    count = len(times)
    at, some = int(generator.integers(1, count)), int(generator.integers(1, 30))
    far_s = float(generator.choice([0.25, 0.26, 0.4, 1.5, 40.0]))
    order = np.arange(count)
    if kind in ("gap", "reset"):
        times = times + np.where(order >= at, far_s if kind == "gap" else -far_s, 0.0)
    elif kind == "small step back":
        times = times - np.where(order >= at, 0.1, 0.0)
    elif kind == "wild":
        times = times.copy()
        times[at : at + int(generator.integers(1, 7))] += generator.choice([-1, 1]) * far_s * generator.uniform(1, 50)
    elif kind in ("repeat", "stuck"):  # stuck: the clock, for more samples than are held
        again = order[at : at + some] if kind == "repeat" else np.full(300, at)
        order = np.sort(np.concatenate([order, again]))
    elif kind == "loss":
        order = np.delete(order, slice(at, at + some // 4 + 1))
    elif kind == "swap":
        order[at - 1 : at + 1] = order[at - 1 : at + 1][::-1]
    elif kind == "late":
        order = np.insert(np.delete(order, at), min(at + some, count - 1), at)
    elif kind == "packets":
        size, end = int(generator.integers(2, 12)), at + 10 * some
        times = np.where((order >= at) & (order < end), times[np.maximum(order // size * size - 1, 0)], times)
    elif kind == "not finite":
        xyz = xyz.copy()
        xyz[at : at + some, generator.integers(3)] = generator.choice([np.nan, np.inf, -np.inf])
    return times[order], xyz[order]


def made(recipe: Recipe) -> Stream:
    """The samples of a recipe."""
    generator = np.random.default_rng(recipe.seed)
    parts = [_moved(kind, int(generator.integers(20, 160)), recipe.rate_hz, generator) for kind in recipe.motions]
    xyz = np.concatenate(parts)
    times = np.arange(len(xyz)) / recipe.rate_hz
    times += generator.uniform(-0.5, 0.5, len(xyz)) * recipe.jitter / recipe.rate_hz
    for kind in recipe.troubles:
        times, xyz = _troubled(kind, times, xyz, generator)
    if (recipe.unit == "m/s^2") == recipe.is_right_unit:
        xyz = xyz * 9.80665
    stream = Stream(_in_unit(times, recipe), np.ascontiguousarray(xyz, dtype=np.float32))
    start = 0
    while start < len(times):
        end = start + int(generator.integers(1, recipe.longest_push + 1))
        stream.pushes.append(slice(start, end))
        start = end
    return stream


def _in_unit(times: Floats, recipe: Recipe) -> NDArray[Any]:
    if recipe.time_unit == "s":
        return times + recipe.epoch_s
    per_second = PER_SECOND[recipe.time_unit]
    return np.round(times * per_second).astype(np.int64) + recipe.epoch_s * per_second
