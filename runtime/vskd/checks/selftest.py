"""The self-test: whether a bundle works on this machine as it did at export, stage by stage.

integrity -> clock -> stream -> encoder -> each engine and model -> decision -> source, if one is given.

After a failed stage the later ones are still tried, as long as the bundle can be read. Services call ``selftest`` at
their start; ``vskd selftest`` prints the same. The golden vectors are those of ``vskd.checks.golden``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vskd.bundle import Bundle
from vskd.checks.golden import Golden, read_golden, replay, replay_images
from vskd.contract import Contract, Unit
from vskd.decide import softmax
from vskd.engines import installed_engines
from vskd.errors import VskdError
from vskd.sources.feed import Source
from vskd.stream import PLAUSIBLE_G, Health, Stream, Window, stretch, to_g, whole_window

#: A window that went through the stream at the contract's own rate is the same window, but for the last bit of its
#: times, which moves a value by so much of the window's largest.
STREAM_TOLERANCE = 1e-5

#: Golden probabilities are float32.
PROBABILITY_TOLERANCE = 1e-5

#: A timestamp must be finer than a sample at 1 kHz.
COARSEST_CLOCK_NS = 1_000_000
CLOCK_READINGS = 2000
#: Equal readings after which a clock counts as stopped: at 50 ns each about 0.1 s.
STOPPED_CLOCK_READINGS = 2_000_000

#: Part of a source that is checked, s on the sensor's clock.
SOURCE_S = 10.0


@dataclass(frozen=True)
class StageResult:
    """One stage: its name, what was found, and one sentence if it failed (empty if it passed)."""

    stage: str
    detail: str
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the stage gives what it gave at export."""
        return not self.problem


def selftest(
    bundle: str | Path,
    *,
    source: Source | None = None,
    unit: Unit = "g",
    axes: str = "x,y,z",
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> tuple[StageResult, ...]:
    """Try every stage of a bundle on this machine.

    Parameters
    ----------
    bundle : the folder
    source : samples to check the rate and the unit of; about ten seconds of it are read
    unit, axes : of the source
    clock_ns : the clock to check, ns

    Returns
    -------
    one result per stage, in the order of the path; a stage that cannot be tried is a result with a problem
    """
    return tuple(_stages(Path(bundle), source, unit, axes, clock_ns))


def _stages(
    path: Path, source: Source | None, unit: Unit, axes: str, clock_ns: Callable[[], int]
) -> Iterator[StageResult]:
    try:
        bundle = Bundle.open(path)
        bundle.check()
        golden = read_golden(bundle)
    except VskdError as error:
        yield StageResult("integrity", str(path), str(error))
        return
    broken = f"; DEGRADED: {len(bundle.degraded)} limits broken at export" if bundle.degraded else ""
    yield StageResult("integrity", f"{len(bundle.files)} files, sha256 {bundle.sha256()[:16]}{broken}")
    yield check_clock(clock_ns)
    yield _tried("stream", lambda: _check_stream(bundle.contract, golden))
    yield _tried("encoder", lambda: _check_encoder(bundle))
    yield from _check_engines(bundle)
    yield _check_decision(bundle.contract, golden)
    if source is not None:
        yield _tried("source", lambda: _check_source(bundle.contract, source, unit, axes))


def _tried(stage: str, check: Callable[[], StageResult]) -> StageResult:
    try:
        return check()
    except VskdError as error:
        return StageResult(stage, "cannot be tried", str(error))


def check_clock(clock_ns: Callable[[], int]) -> StageResult:
    """Whether a clock only goes forward, in steps shorter than the time between samples.

    Parameters
    ----------
    clock_ns : gives ns
    """
    steps: list[int] = []
    before = clock_ns()
    for _ in range(STOPPED_CLOCK_READINGS):
        now = clock_ns()
        if now != before:
            steps.append(now - before)
        before = now
        if len(steps) == CLOCK_READINGS or (steps and steps[-1] < 0):
            break
    if not steps:
        return StageResult("clock", "", "the clock does not advance")
    if min(steps) < 0:
        return StageResult("clock", "", f"the clock went back by {-min(steps)} ns")
    problem = f"it is coarser than {COARSEST_CLOCK_NS} ns" if min(steps) > COARSEST_CLOCK_NS else ""
    return StageResult("clock", f"monotonic, smallest step {min(steps)} ns", problem)


def _check_stream(contract: Contract, golden: Golden) -> StageResult:
    """Golden windows as samples at the contract's rate, pushed in small pieces: the same windows must come out."""
    low, high = PLAUSIBLE_G
    medians = np.median(np.linalg.norm(golden.windows.astype(np.float64), axis=1), axis=1)
    chosen = np.flatnonzero((medians >= low) & (medians <= high))
    largest, worst = 0.0, ""
    for index in chosen.tolist():
        window = golden.windows[index]
        difference = float(np.abs(_through_stream(contract, window) - window).max() / np.abs(window).max())
        if not difference <= largest:
            largest, worst = difference, golden.names[index]
    detail = f"{len(chosen)} windows in pieces of 7 samples, largest relative difference {largest:.1e} {worst}".rstrip()
    if not len(chosen):
        return StageResult("stream", detail, "no golden window looks like a wrist, so nothing was tried")
    problem = "" if largest <= STREAM_TOLERANCE else f"a window changed on its way, above {STREAM_TOLERANCE:.0e}"
    return StageResult("stream", detail, problem)


def _through_stream(contract: Contract, window: np.ndarray) -> np.ndarray:
    time_s, xyz = np.arange(window.shape[1]) / contract.window.rate_hz, window.T.astype(np.float64)
    if contract.window.mode == "whole":
        return stretch(time_s, xyz, contract.window.samples)
    stream = Stream(contract)
    windows: list[Window] = []
    for start in range(0, len(time_s), 7):
        windows += stream.push(time_s[start : start + 7], xyz[start : start + 7])
    return windows[0].samples if windows else np.full_like(window, np.nan)


def _check_encoder(bundle: Bundle) -> StageResult:
    images = replay_images(bundle)
    detail = f"{images.windows} images in numpy, largest difference {images.largest_difference:.1e}"
    return StageResult("encoder", detail, images.problem)


def _check_engines(bundle: Bundle) -> Iterator[StageResult]:
    if not bundle.runnable():
        held = ", ".join(entry.file for entry in bundle.models)
        installed = ", ".join(installed_engines()) or "none"
        yield StageResult("engine", "", f"no engine here runs {held}; installed: {installed}. See `vskd doctor`")
        return
    for result in replay(bundle):
        detail = (
            f"{result.entry.file} on {result.engine} {result.version}".rstrip()
            + f": {result.windows} windows, largest difference {result.largest_difference:.1e}, {result.flips} flips"
        )
        yield StageResult("engine", detail, result.problem)


def _check_decision(contract: Contract, golden: Golden) -> StageResult:
    probabilities = softmax(golden.logits, temperature=contract.decision.temperature)
    difference = float(np.abs(probabilities - golden.probabilities).max())
    wrong = int((probabilities.argmax(axis=1) != golden.labels).sum())
    detail = f"{len(golden)} windows, largest difference of a probability {difference:.1e}, {wrong} other labels"
    passed = difference <= PROBABILITY_TOLERANCE and wrong == 0
    return StageResult("decision", detail, "" if passed else "the probabilities are not the golden ones")


def _check_source(contract: Contract, source: Source, unit: Unit, axes: str) -> StageResult:
    if contract.window.mode == "whole":
        chunks = list(source.chunks(rows=1024))
        time_, xyz = np.concatenate([one.time for one in chunks]), np.concatenate([one.xyz for one in chunks])
        window = whole_window(contract, time_, xyz, unit=unit, axes=axes, time_unit=source.time_unit)
        return StageResult("source", f"{len(time_)} samples in {window.end_s - window.start_s:.2f} s, one recording")
    stream = Stream(contract, unit=unit, axes=axes, time_unit=source.time_unit)
    first_s: float | None = None
    readings: list[np.ndarray] = []
    for chunk in source.chunks(rows=1):
        stream.push(chunk.time, chunk.xyz)
        readings.append(to_g(chunk.xyz, unit=unit, axes=axes))
        now_s = stream.last_sample_s
        first_s = now_s if first_s is None else first_s
        if now_s is not None and first_s is not None and now_s - first_s >= SOURCE_S:
            break
    found = np.concatenate(readings)
    usable = found[np.isfinite(found).all(axis=1)]
    median_g = np.median(usable, axis=0) if len(usable) else np.full(3, np.nan)
    return _judge_source(contract, stream.health, median_g)


def _judge_source(contract: Contract, health: Health, median_g: np.ndarray) -> StageResult:
    """Rate and counts; swapped axes look like a rotated wrist, so the median of each axis is shown."""
    counted = (
        f"{health.samples} samples, dropped: {health.out_of_order} out of order, {health.not_finite} not finite; "
        f"{health.gaps} gaps; median "
        + ", ".join(f"{name} {value:+.2f} g" for name, value in zip(contract.sensor.axes, median_g, strict=True))
        + "".join(
            f"; axis {name} never changed in {flat} windows"
            for name, flat in zip(contract.sensor.axes, health.flat, strict=True)
            if flat
        )
    )
    if health.rate_hz is None:
        return StageResult("source", counted, "too short: two seconds without a gap are needed to measure the rate")
    detail = f"{health.rate_hz:.2f} Hz, {counted}"
    if health.is_rate_off(contract):
        trained_hz = contract.window.rate_hz
        problem = f"the sensor runs at {health.rate_hz:.1f} Hz; the model was trained at {trained_hz:g} Hz"
        return StageResult("source", detail, problem)
    return StageResult("source", detail)
