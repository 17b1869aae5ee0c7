"""Making the golden stream of a bundle out of held-out windows; ``vskd.checks.golden_stream`` holds its form.

The signal is real: windows of several activities, one after the other. The timestamps have each fault once, on purpose,
and the second file is the same signal as another device would send it. What must come out is computed by the runtime's
own stream and decision from the trained network's logits.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.bundle_files import GOLDEN_EVENTS
from vskd.checks.golden import gives_the_networks_logits
from vskd.checks.golden_stream import (
    GoldenEvent,
    GoldenStream,
    RecordedEngine,
    StreamCase,
    golden_events,
    play,
    windows_of,
)
from vskd.closed import to_mapping
from vskd.contract import STANDARD_GRAVITY_M_S2, Contract
from vskd.engines import ENGINES, installed_engines
from vskd_export.judge.engines import infer_files
from vskd_export.judge.evidence import Evidence, torch_logits
from vskd_export.quantize.calibrate import balanced_rows
from vskd_training.models.student import Student

Float64 = NDArray[np.float64]

#: Windows in the stream, one activity each as far as there are so many.
SPELLS = 6

#: Time of the first sample; not zero, as no sensor's is.
START_S = 1000.0

#: A timestamp is off by at most this share of the sampling period, so that their order stays.
JITTER = 0.3

#: What the second device calls the contract's axes, see ``vskd.stream.AxisMap.parse``.
TURNED_AXES = "-y,x,z"

_PLAIN, _TURNED = "golden/stream.csv", "golden/stream_turned.csv"


@dataclass(frozen=True)
class _Samples:
    """time (n,), s, and xyz (n, 3), g, in the contract's axes."""

    time_s: Float64
    xyz: Float64


def make_golden_stream(
    student: Student, contract: Contract, evidence: Evidence, files: Mapping[str, bytes], models: Sequence[ModelEntry]
) -> dict[str, bytes]:
    """The samples and the events of a bundle.

    Parameters
    ----------
    student : in evaluation mode, on the CPU; its logits decide
    contract : of the bundle
    evidence : held-out windows, of which the signal is made
    files : model file -> content
    models : which of the files are models

    Returns
    -------
    file within the bundle -> content

    Raises
    ------
    StreamError : the held-out windows cannot be acceleration in g
    EngineError : an engine cannot run one of the models
    """
    samples = _samples(contract, evidence)
    texts = {_PLAIN: _plain_csv(samples), _TURNED: _turned_csv(samples)}
    blank = (
        StreamCase("g, seconds", _PLAIN, "g", "x,y,z", {}, (), {}),
        StreamCase(f"m/s^2, nanoseconds, axes {TURNED_AXES}", _TURNED, "m/s^2", TURNED_AXES, {}, (), {}),
    )
    cases = tuple(_answered(case, texts[case.file], student, contract, files, models) for case in blank)
    events = json.dumps(to_mapping(GoldenStream(cases)), indent=1, sort_keys=True) + "\n"
    return {name: text.encode() for name, text in texts.items()} | {GOLDEN_EVENTS: events.encode()}


def _answered(
    case: StreamCase,
    text: str,
    student: Student,
    contract: Contract,
    files: Mapping[str, bytes],
    models: Sequence[ModelEntry],
) -> StreamCase:
    """The case with its events."""
    windows = np.stack(windows_of(contract, case, text))

    def played(logits: NDArray[np.float32]) -> tuple[tuple[GoldenEvent, ...], dict[str, int]]:
        events, health = play(contract, case, text, RecordedEngine(logits))
        return golden_events(events), health

    events, health = played(torch_logits(student, windows))
    recorded = {file: played(logits)[0] for file, logits in _recorded(files, models, windows).items()}
    return replace(case, events=events, health=health, model_events=recorded)


def _recorded(
    files: Mapping[str, bytes], models: Sequence[ModelEntry], windows: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Logits of the models that only resemble the network, each from the first engine here that runs it."""
    resembling = [entry for entry in models if not gives_the_networks_logits(entry)]
    found: dict[str, NDArray[np.float32]] = {}
    for engine in installed_engines():
        chosen = [e.file for e in resembling if e.format == ENGINES[engine].format and e.file not in found]
        if chosen:
            answer = infer_files(engine, {file: files[file] for file in chosen}, windows)
            found |= dict(zip(chosen, answer.logits, strict=True))
    return found


def _samples(contract: Contract, evidence: Evidence) -> _Samples:
    """The signal under irregular timestamps; for whole recordings one window, where no fault is allowed."""
    whole = contract.window.mode == "whole"
    rows = np.flatnonzero(evidence.is_recorded)
    chosen = rows[balanced_rows(evidence.labels[rows], 1 if whole else SPELLS)]
    signal = np.concatenate(list(evidence.windows[chosen]), axis=1).astype(np.float64)
    period_s = 1 / contract.window.rate_hz
    regular_s = START_S + np.arange(signal.shape[1]) * period_s
    time_s = regular_s + np.random.default_rng(0).uniform(-JITTER, JITTER, len(regular_s)) * period_s
    xyz = np.stack([np.interp(time_s, regular_s, axis) for axis in signal], axis=1)
    return _Samples(time_s, xyz) if whole else _with_faults(_Samples(time_s, xyz), contract)


def _with_faults(samples: _Samples, contract: Contract) -> _Samples:
    """A NaN, a repeated time, a step back and a gap, with values that would show if they were believed."""
    time_s, xyz, count = samples.time_s.copy(), samples.xyz.copy(), len(samples.time_s)
    gap_s = contract.resampling.max_gap_s
    time_s[2 * count // 3 :] += 2 * gap_s
    xyz[count // 5, 1] = np.nan
    repeated, backward = count // 4, count // 3
    step_s = min(0.5 / contract.window.rate_hz, gap_s / 2)
    wrong_s = [time_s[repeated - 1], time_s[backward - 1] - step_s]
    return _Samples(
        np.insert(time_s, [repeated, backward], wrong_s),
        np.insert(xyz, [repeated, backward], -xyz[[repeated, backward]], axis=0),
    )


def _plain_csv(samples: _Samples) -> str:
    text = io.StringIO()
    text.write("time_s,ax,ay,az\n")
    for time_s, row in zip(samples.time_s.tolist(), samples.xyz.tolist(), strict=True):
        text.write(f"{time_s:.6f}," + ",".join(f"{value:.7f}" for value in row) + "\n")
    return text.getvalue()


def _turned_csv(samples: _Samples) -> str:
    """The same samples as a device sends them that calls x minus y, y x, and measures in m/s^2."""
    x, y, z = (samples.xyz * STANDARD_GRAVITY_M_S2).T
    text = io.StringIO()
    text.write("time_ns,ax,ay,az\n")
    for time_s, *row in zip(samples.time_s.tolist(), y.tolist(), (-x).tolist(), z.tolist(), strict=True):
        # Whole microseconds, as in the other file.
        text.write(f"{round(time_s * 1e6) * 1000}," + ",".join(f"{value:.6f}" for value in row) + "\n")
    return text.getvalue()
