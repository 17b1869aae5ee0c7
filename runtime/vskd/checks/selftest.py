"""Whether a bundle works on this machine as it did at export, one check after another.

integrity -> contract inside each model -> encoder -> each engine and model: golden windows, golden stream -> source, if
one is given. After a failed check the later ones are still tried. ``vskd verify`` and ``vskd selftest`` print them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points

import numpy as np

from vskd.bundle import Bundle, ModelEntry
from vskd.checks.golden import Golden, compare_embeddings, compare_images, compare_logits, read_golden
from vskd.checks.golden_stream import StreamSamples, compare_events, read_samples
from vskd.contract import Contract, Unit
from vskd.engines import OWN_ENGINE, is_installed, missing_engine
from vskd.engines.plan import read_plan
from vskd.engines.process import infer_in_subprocess
from vskd.errors import BundleError, ContractError, EngineError, VskdError
from vskd.model_contract import contract_inside
from vskd.pages import number_of
from vskd.sources.feed import Source
from vskd.stream import Health, Stream, to_g, whole_window
from vskd.stream.window import Defect

#: Part of a source that is checked, s on the sensor's clock.
SOURCE_S = 10.0


@dataclass(frozen=True)
class Check:
    """One check: of which stage, what was found, and one sentence if it failed (empty if it passed)."""

    stage: str
    detail: str
    problem: str = ""


#: Entry points of ports: each is called with a bundle that has an int8 model, and gives its checks.
PORTS = "vskd.ports"


def selftest(
    bundle: Bundle,
    *,
    engine: str | None = None,
    source: Source | None = None,
    unit: Unit = "g",
    axes: str = "x,y,z",
) -> Iterator[Check]:
    """Check a bundle on this machine.

    Parameters
    ----------
    bundle : opened
    engine : as in ``vskd.engines.ENGINE_NAMES``; None takes every one installed
    source : samples to check the rate and the unit of; about ten seconds of it are read
    unit, axes : of the source

    Raises
    ------
    BundleError : a file of the bundle is missing or was changed
    """
    bundle.check()
    degraded = f"; DEGRADED: {number_of(len(bundle.degraded), 'limit')} broken at export" if bundle.degraded else ""
    yield Check("integrity", f"{len(bundle.files)} files, sha256 {bundle.sha256()[:16]}{degraded}")
    for entry in bundle.models:
        yield Check("contract", f"inside {entry.file}", bundle.model_problem(entry))
    yield from _golden(bundle, engine)
    if engine is None and bundle.integer_models():
        for port in entry_points(group=PORTS):
            yield from port.load()(bundle)
    if source is not None:
        try:
            yield _check_source(bundle.contract, source, unit, axes)
        except VskdError as error:
            yield Check("source", "cannot be tried", str(error))


def _golden(bundle: Bundle, engine: str | None) -> Iterator[Check]:
    """The encoder, and the models of every engine, against the golden vectors and the golden stream."""
    try:
        golden, samples = read_golden(bundle), read_samples(bundle)
    except VskdError as error:
        yield Check("golden", "cannot be read", str(error))
        return
    yield Check("encoder", *compare_images(golden, bundle.contract))
    pairs = [(name, entry) for name, entry in bundle.runnable() if engine in (None, name)]
    for entry in bundle.integer_models() if engine in (None, OWN_ENGINE) else ():
        reason = "" if engine else _unplanned(bundle, entry)
        if reason:
            yield Check("engine", f"{entry.file} not on {OWN_ENGINE}'s own: {reason}")
        else:
            pairs.append((OWN_ENGINE, entry))
    if pairs:
        yield from _replay(bundle, golden, samples, [pair for pair in pairs if _is_complete(bundle, pair[1])])
    else:
        yield Check("engine", "nothing to replay", _no_engine(bundle, engine))


def _unplanned(bundle: Bundle, entry: ModelEntry) -> str:
    """Why vskd's own engine cannot run a model; empty where it can. A network of another kind is no fault."""
    try:
        read_plan(bundle.read(entry.file), name=entry.file)
    except VskdError as error:
        return error.message
    return ""


def _is_complete(bundle: Bundle, entry: ModelEntry) -> bool:
    """Whether an engine may have the file: one that names others, or is of another format, has failed its check.

    One with another contract inside has failed, too, and is replayed all the same.
    """
    with suppress(ContractError):
        try:
            contract_inside(bundle.read(entry.file), entry.format, name=entry.file)
        except BundleError:
            return False
    return True


def _no_engine(bundle: Bundle, engine: str | None) -> str:
    if engine is None or not is_installed(engine):
        return str(missing_engine(engine, purpose=f"running {bundle.path.name}"))
    return f"the bundle has no model for {engine}. It holds: {', '.join(entry.file for entry in bundle.models)}"


def _replay(
    bundle: Bundle, golden: Golden, samples: Sequence[StreamSamples], pairs: Sequence[tuple[str, ModelEntry]]
) -> Iterator[Check]:
    """Golden windows and golden stream through engines and models, one process for each engine."""
    contract = bundle.contract
    windows = np.stack([*golden.windows, *(window for each in samples for window in each.windows)])
    for engine, both in dict.fromkeys((name, entry.embedding_size > 0) for name, entry in pairs):
        entries = [entry for name, entry in pairs if name == engine and (entry.embedding_size > 0) == both]
        try:
            paths = [bundle.checked_path(entry.file) for entry in entries]
            answer = infer_in_subprocess(engine, paths, windows, embeddings=both)
        except EngineError as error:
            yield from (Check("engine", f"{entry.file} on {engine}", str(error)) for entry in entries)
            continue
        embeddings = answer.embeddings or (None,) * len(entries)
        for entry, logits, given in zip(entries, answer.logits, embeddings, strict=True):
            title, of_windows, of_stream = (
                f"{entry.file} on {engine} {answer.version}",
                *np.split(logits, [len(golden)]),
            )
            found, problem = compare_logits(golden, contract, entry, of_windows)
            yield Check("engine", f"{title}: {found}", problem)
            if given is not None:
                found, problem = compare_embeddings(golden, contract, entry, given[: len(golden)])
                yield Check("embedding", f"{title}: {found}", problem)
            if of_windows.shape[1:] == golden.logits.shape[1:]:
                found, problem = compare_events(contract, entry, samples, of_stream)
                yield Check("stream", f"{title}: {found}", problem)


def _check_source(contract: Contract, source: Source, unit: Unit, axes: str) -> Check:
    if contract.window.mode == "whole":
        chunks = list(source.chunks(rows=1024))
        time_, xyz = np.concatenate([one.time for one in chunks]), np.concatenate([one.xyz for one in chunks])
        window = whole_window(contract, time_, xyz, unit=unit, axes=axes, time_unit=source.time_unit)
        detail = f"{len(time_)} samples in {window.end_s - window.start_s:.2f} s, one recording"
        return Check("source", detail, window.obstacle.text if window.obstacle else "")
    stream = Stream(contract, unit=unit, axes=axes, time_unit=source.time_unit)
    first_s: float | None = None
    readings: list[np.ndarray] = []
    obstacles: list[Defect] = []
    for chunk in source.chunks(rows=1):
        obstacles += [window.obstacle for window in stream.push(chunk.time, chunk.xyz) if window.obstacle]
        readings.append(to_g(chunk.xyz, unit=unit, axes=axes))
        now_s = stream.last_sample_s
        first_s = now_s if first_s is None else first_s
        if now_s is not None and first_s is not None and now_s - first_s >= SOURCE_S:
            break
    found = np.concatenate(readings)
    usable = found[np.isfinite(found).all(axis=1)]
    median_g = np.median(usable, axis=0) if len(usable) else np.full(3, np.nan)
    check = _judge_source(contract, stream.health, median_g)
    if obstacles and not check.problem:
        return Check(check.stage, check.detail, f"{len(obstacles)} windows get no activity: {obstacles[0].text}")
    return check


def _judge_source(contract: Contract, health: Health, median_g: np.ndarray) -> Check:
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
        return Check("source", counted, "too short: two seconds without a gap are needed to measure the rate")
    detail = f"{health.rate_hz:.2f} Hz, {counted}"
    if health.is_rate_off(contract):
        trained_hz = contract.window.rate_hz
        problem = f"the sensor runs at {health.rate_hz:.1f} Hz; the model was trained at {trained_hz:g} Hz"
        return Check("source", detail, problem)
    return Check("source", detail)
