"""What the runtime costs beside the engine: measured in one process, in turns with the library's own call.

``python -m research.overhead JOB`` does one job and prints its result as one line of JSON; ``research.runtime_cost``
starts it. A job is a JSON object:

- ``{"kind": "overhead", "bundle", "engine", "rounds"}``: samples -> event, split, against the bare call of its model
- ``{"kind": "paced", "bundle", "engine", "seconds"}``: one push a second: share of a core, memory
- ``{"kind": "encoder", "bundle", "rounds"}``: the numpy encoder against pyts
- ``{"kind": "examples", "rounds"}``: a decision with a wearer's examples, of made-up embeddings

Samples of one hop come in one push, as a sensor's FIFO hands them over; slicing them out is the caller's and not timed.
Knows nothing of goals and tables.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from vskd import Classifier
from vskd.bundle import Bundle
from vskd.contract import Contract, ExamplesSpec, ExampleWeights
from vskd.decide import Decider
from vskd.encoders.gaf import GafEncoder
from vskd.errors import ConfigError, VskdError
from vskd.stream import Window
from vskd.wearer.features import joined
from vskd.wearer.profile import Example, Profile
from vskd.wearer.rule import ExampleRule, example_of
from vskd_benchmarks.measure.latency import median_with_interval
from vskd_benchmarks.measure.memory import peak_memory, resident_bytes
from vskd_benchmarks.pipelines.cases import Clock, PipelineCase, SensorPath, open_model
from vskd_benchmarks.pipelines.wrist_signal import synthetic_wrist, wrist_signal

#: Rounds before the ones that count.
WARM_UP_ROUNDS = 50

#: Windows of a batch, for the encoder.
BATCH = 256

#: Calls in a row, where an encoder is not disturbed by the other.
RUN = 20

#: Activities of a profile, and its examples of each.
ACTIVITIES, EXAMPLES_EACH = 27, 3

#: Width of the embedding: the ``watch`` student's, and the paper's.
FEATURES = (96, 300)

Readings = dict[str, list[int]]
Call = Callable[[int], object]


def overhead(
    bundle: Path, *, engine: str, rounds: int, clock: Clock = time.perf_counter_ns, warm_up: int = WARM_UP_ROUNDS
) -> dict[str, Any]:
    """The split of a decision, and what it takes beyond the library's own call.

    Parameters
    ----------
    bundle : the folder, of sliding windows
    engine : runs the most compact model that it has there
    rounds : decisions that count
    clock : nanoseconds
    warm_up : decisions before them

    Returns
    -------
    medians with their intervals, ns: ``push``, ``infer``, ``decide``, ``bare_call``, ``overhead`` (the three less the
    bare call of the same round), ``signal_checks`` and ``ordering`` (parts of the push, see ``_rules``),
    ``push_without_model`` and ``decide_without_model`` (the same work where no model runs, so with the caches left to
    it); ``share``, the overhead over the bare call; ``recipe``, ``size_bytes``
    """
    opened = Bundle.open(bundle)
    if opened.contract.window.mode != "sliding":
        raise ConfigError(
            f"{bundle.name} decides on whole recordings; the runtime's cost is that of a stream",
            hint="Give a bundle of sliding windows, or use vskd bench",
        )
    name, entry = opened.select(engine=engine)
    case = open_model(opened, entry, engine=name, threads=1)
    readings = _with_model(case, rounds + warm_up, clock) | _without_model(opened, rounds + warm_up, clock)
    readings |= _rules(opened, case.call, rounds + warm_up, clock)
    counted = {key: values[warm_up:] for key, values in readings.items()}
    bare_ns = float(np.median(counted["bare_call"]))
    return {
        **{key: median_with_interval(values) for key, values in counted.items()},
        "share": round(float(np.median(counted["overhead"])) / bare_ns, 4),
        "recipe": entry.recipe,
        "size_bytes": opened.files[entry.file].size_bytes,
        "rounds": rounds,
    }


def _with_model(case: PipelineCase, rounds: int, clock: Clock) -> Readings:
    """The path and the bare call in turns, as ``vskd bench`` measures them."""
    rows = [dict(zip(case.series, case.run_once(clock), strict=True)) for _ in range(rounds)]
    parts = {"push": "resample", "infer": "infer", "decide": "decide", "bare_call": "bare_call"}
    readings = {name: [row[series] for row in rows] for name, series in parts.items()}
    return {**readings, "overhead": [row["sensor_to_label"] - row["bare_call"] for row in rows]}


def _rules(bundle: Bundle, infer: Callable[[NDArray[np.float32]], object], rounds: int, clock: Clock) -> Readings:
    """What rules of the contract add to a push, ns: ``signal_checks`` those of ``signal``, ``ordering`` those of
    ``resampling.reorder_s`` and ``low_pass``.

    Three streams, with all rules, without the first and without both, take the same samples in turns, each followed by
    the model's call; a reading is the difference between two of one round.
    """
    contract, signal = bundle.contract, wrist_signal(bundle)
    unchecked = dataclasses.replace(contract, signal=None)
    as_they_come = dataclasses.replace(contract.resampling, reorder_s=0.0, low_pass=None)
    contracts = (contract, unchecked, dataclasses.replace(unchecked, resampling=as_they_come))
    paths = [SensorPath(each, signal) for each in contracts]
    readings: Readings = {"signal_checks": [], "ordering": []}
    for turn in range(rounds):
        pushed_ns = [0] * len(paths)
        for which in sorted(range(len(paths)), key=lambda index: (index + turn) % len(paths)):
            delivery = paths[which].next_delivery()
            start = clock()
            window = paths[which].window(delivery)
            pushed_ns[which] = clock() - start
            infer(window.samples)
        readings["signal_checks"].append(pushed_ns[0] - pushed_ns[1])
        readings["ordering"].append(pushed_ns[1] - pushed_ns[2])
    return readings


def _without_model(bundle: Bundle, rounds: int, clock: Clock) -> Readings:
    """The same pushes and decisions on one answer, where no model runs between them."""
    path, decider = SensorPath(bundle.contract, wrist_signal(bundle)), Decider(bundle.contract)
    logits = np.zeros(len(bundle.contract.labels), dtype=np.float32)
    readings: Readings = {"push_without_model": [], "decide_without_model": []}
    for _ in range(rounds):
        delivery = path.next_delivery()
        start = clock()
        window = path.window(delivery)
        pushed = clock()
        decider.decide(logits, window)
        readings["push_without_model"].append(pushed - start)
        readings["decide_without_model"].append(clock() - pushed)
    return readings


def paced(
    bundle: Path,
    *,
    engine: str,
    seconds: int,
    sleep: Callable[[float], None] = time.sleep,
    resident: Callable[[], int] = resident_bytes,
) -> dict[str, Any]:
    """A second of samples once a second, as a watch does it: share of one core, memory.

    Parameters
    ----------
    bundle : the folder, of sliding windows
    engine : runs the most compact model that it has there
    seconds : how long
    sleep : a test passes its own
    resident : reads this process's resident memory, bytes

    Returns
    -------
    ``cpu_share`` of one core, ``windows``, ``growth_bytes`` from half of the time to its end, ``peak`` memory
    """
    classifier = Classifier.open(bundle, engine=engine)
    rate_hz = classifier.contract.window.rate_hz
    xyz = synthetic_wrist(seconds + 1, rate_hz)
    time_s = np.arange(len(xyz)) / rate_hz
    edges = [round(second * rate_hz) for second in range(seconds + 1)]
    first_bytes, busy_ns, due = 0, time.process_time_ns(), time.perf_counter()
    for second in range(seconds):
        classifier.push(time_s[edges[second] : edges[second + 1]], xyz[edges[second] : edges[second + 1]])
        if second == seconds // 2:
            first_bytes = resident()
        due += 1.0
        sleep(max(0.0, due - time.perf_counter()))
    busy_ns = time.process_time_ns() - busy_ns
    return {
        "seconds": seconds,
        "windows": classifier.health.windows,
        "cpu_share": round(busy_ns / (seconds * 1e9), 6),
        "growth_bytes": resident() - first_bytes,
        "peak": peak_memory(),
    }


def encoder(bundle: Path, *, rounds: int, clock: Clock = time.perf_counter_ns) -> dict[str, Any]:
    """The numpy encoder and pyts in turns, one window at a time and in batches.

    Parameters
    ----------
    bundle : whose encoder it is
    rounds : single windows; a twentieth of it batches, at least 11
    clock : nanoseconds

    Returns
    -------
    ``single`` in turns window by window, so that each finds the caches as the other left them; ``single_in_runs`` in
    turns of twenty; ``batches`` in turns

    Raises
    ------
    MissingExtraError : pyts is not installed
    """
    from vskd_benchmarks.pipelines.baselines import pyts_encoder  # here, so that the other jobs do not carry it

    contract = Bundle.open(bundle).contract
    ours, pyts = GafEncoder(contract.image_spec, contract.window.samples), pyts_encoder(contract)
    rng = np.random.default_rng(0)
    batch: NDArray[np.float32] = rng.normal(size=(BATCH, *contract.window_shape)).astype(np.float32)
    series = batch.reshape(-1, contract.window.samples)
    one = (lambda i: ours(batch[i % BATCH]), lambda i: pyts(batch[i % BATCH]))
    many = (lambda i: ours(batch), lambda i: pyts(series))
    return {
        "window": list(contract.window_shape),
        "image": list(contract.image_shape),
        "batch": BATCH,
        "scaling": contract.image_spec.scaling,
        "single": _turns(one, rounds, 1, clock),
        "single_in_runs": _turns(one, rounds // RUN + 1, RUN, clock),
        "batches": _turns(many, max(11, rounds // 20), 1, clock),
    }


def _turns(calls: tuple[Call, Call], rounds: int, run: int, clock: Clock) -> dict[str, Any]:
    """Ours and the other in turns, in runs of ``run`` calls, each first in every other round; the first round is extra.

    Returns
    -------
    medians with their intervals, and how many times faster ours is
    """
    readings: tuple[list[int], list[int]] = ([], [])
    for turn in range(rounds + 1):
        for which in (0, 1) if turn % 2 else (1, 0):
            readings[which].extend(_timed(calls[which], (turn * run + index,), clock) for index in range(run))
    ours, other = (values[run:] for values in readings)
    ratio = round(float(np.median(other) / np.median(ours)), 2)
    return {"vskd": median_with_interval(ours), "pyts": median_with_interval(other), "ratio": ratio}


def examples(*, rounds: int, clock: Clock = time.perf_counter_ns, warm_up: int = WARM_UP_ROUNDS) -> dict[str, Any]:
    """Decisions with ``EXAMPLES_EACH`` examples of each of ``ACTIVITIES`` and without any, in turns; no model runs.

    Parameters
    ----------
    rounds : decisions that count, of each kind
    clock : nanoseconds
    warm_up : decisions before them

    Returns
    -------
    ``profiles``: for each width of the embedding, without and with the spectrum beside it, ``features``, ``spectrum``,
    ``plain`` and ``with_examples`` (medians with their intervals, ns) and ``profile_bytes``. The score is a ``ridge``,
    which costs most
    """
    each = [(features, share) for features in FEATURES for share in (0.0, 0.5)]
    return {"profiles": [_with_examples(*one, rounds=rounds, warm_up=warm_up, clock=clock) for one in each]}


def _with_examples(features: int, share: float, *, rounds: int, warm_up: int, clock: Clock) -> dict[str, Any]:
    count, rng = ACTIVITIES * EXAMPLES_EACH, np.random.default_rng(0)
    labels = tuple(f"activity {number}" for number in range(ACTIVITIES))
    spec = ExamplesSpec("ridge", (ExampleWeights(0.5, 10, 0.8),), spectrum=share)
    contract = Contract(labels=labels, examples=spec)
    samples = rng.normal(size=(count, *contract.window_shape)).astype(np.float32)
    embeddings = rng.exponential(size=(count, features)).astype(np.float32)
    found = [example_of(joined(*both, share)[np.newaxis]) for both in zip(embeddings, samples, strict=True)]
    profile = Profile(
        "ab" * 32, "ab" * 32,
        tuple(Example(labels[row % ACTIVITIES], 1_700_000_000 + row, one.tobytes()) for row, one in enumerate(found)),
    )  # fmt: skip
    logits = rng.normal(size=(count, ACTIVITIES)).astype(np.float32)
    plain, helped = Decider(contract), Decider(contract, ExampleRule.of(contract, profile.labels, profile.embeddings))
    readings: tuple[list[int], list[int]] = ([], [])
    for turn in range(rounds + warm_up):
        row = turn % count
        window = Window(samples[row], float(turn), turn + 1.0, False)
        given = (logits[row], window)
        calls: tuple[tuple[Decider, tuple[Any, ...]], ...] = ((plain, given), (helped, (*given, embeddings[row])))
        for which in (0, 1) if turn % 2 else (1, 0):
            decider, arguments = calls[which]
            readings[which].append(_timed(decider.decide, arguments, clock))
    without_ns, with_ns = (median_with_interval(values[warm_up:]) for values in readings)
    return {
        "features": features, "spectrum": share, "plain": without_ns, "with_examples": with_ns,
        "profile_bytes": len(profile.to_bytes()),
    }  # fmt: skip


def _timed(call: Callable[..., object], arguments: tuple[Any, ...], clock: Clock) -> int:
    start = clock()
    call(*arguments)
    return clock() - start


def do_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a job, as above.

    Raises
    ------
    VskdError : a bundle, an engine or a library that it needs is not there
    """
    if job["kind"] == "encoder":
        return encoder(Path(job["bundle"]), rounds=job["rounds"])
    if job["kind"] == "examples":
        return examples(rounds=job["rounds"])
    if job["kind"] == "paced":
        return paced(Path(job["bundle"]), engine=job["engine"], seconds=job["seconds"])
    return overhead(Path(job["bundle"]), engine=job["engine"], rounds=job["rounds"])


@click.command(
    epilog="""Example: python -m research.overhead '{"kind": "encoder", "bundle": "x.bundle", "rounds": 100}'"""
)
@click.argument("job", type=json.loads)
def main(job: dict[str, Any]) -> None:
    """Do one measurement of research.runtime_cost, a JSON object, and print its result as JSON."""
    # Engines write on standard output as they like; the answer gets a channel of its own.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        answer: dict[str, Any] = {"ready": do_job(job)}
    except VskdError as error:
        answer = {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
    channel.write(json.dumps(answer) + "\n")
    channel.flush()
    sys.exit(0 if "ready" in answer else 1)


if __name__ == "__main__":
    main()
