"""Evaluate a model on continuous streams: the runtime's own classifier decides, and its decisions meet the truth.

What is measured is what ships: resampling, windows, temperature, smoothing and every other rule are the runtime's.
With a run in place of a bundle, torch computes the logits and the rest is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.classifier import Classifier
from vskd.closed import to_mapping
from vskd.contract import Contract, Unit
from vskd.decide import NO_SIGNAL, STILL, Event
from vskd.engines import Engine
from vskd.errors import ConfigError, DataError
from vskd.stream import TimeUnit, per_second
from vskd_training.datasets.recording import Span
from vskd_training.evaluation.timeline import Score, score
from vskd_training.models.student import Student
from vskd_training.runs.run import WEIGHTS, Run
from vskd_training.runs.trained import trained_student
from vskd_training.streams.events import Decision, EventCounts, check_truth, judge_events

#: Samples between two reports of progress.
_PUSHED = 4096


@dataclass(frozen=True)
class TrueStream:
    """Samples with a truth.

    Attributes
    ----------
    name : in reports: a subject, or a file
    time : (n,), in ``time_unit``, the sensor's
    xyz : (n, 3), in ``unit`` and ``axes``, see ``vskd.stream.Stream``
    truth : on the same clock, s
    """

    name: str
    time: NDArray[Any]
    xyz: NDArray[np.float64]
    truth: tuple[Span, ...]
    unit: Unit = "g"
    axes: str = "x,y,z"
    time_unit: TimeUnit = "s"

    @property
    def between_s(self) -> tuple[float, float]:
        """Time of the first and of the last sample, s; broken times, which the runtime drops, are passed over."""
        times = self.time[np.isfinite(self.time)] / per_second(self.time_unit)
        return float(times.min()), float(times.max())


@dataclass(frozen=True)
class Model:
    """What decides, and how a report names it.

    Attributes
    ----------
    name, engine, sha256 : the file, what runs it, and the hash of the bundle or of the weights
    contract : its windows and its rules, those of the bundle or others
    runner : gives logits
    """

    name: str
    engine: str
    sha256: str
    contract: Contract
    runner: Engine

    @classmethod
    def of_run(cls, run: Run, rules: Mapping[str, Any]) -> Model:
        """A student's run: its network, and its contract with other decision rules."""
        runner = NetworkEngine(trained_student(run))
        return cls(WEIGHTS, runner.name, run.card["weights_sha256"], run.contract.with_decision(**rules), runner)

    @classmethod
    def of_bundle(cls, bundle: Bundle, rules: Mapping[str, Any], *, engine: str | None, recipe: str | None) -> Model:
        """A model of a bundle, see ``Bundle.select``, and its contract with other decision rules."""
        contract = bundle.contract.with_decision(**rules)
        name, entry = bundle.select(engine=engine, recipe=recipe)
        return cls(entry.file, name, bundle.sha256(), contract, bundle.load(name, entry))


class NetworkEngine:
    """A student of a run as an engine of the runtime."""

    name = "torch"
    version = str(torch.__version__)

    def __init__(self, network: Student) -> None:
        self._network = network.eval()

    @torch.no_grad()
    def infer(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (classes,) of one window (channels, samples), g."""
        return self.infer_both(window)[0]

    @torch.no_grad()
    def infer_both(self, window: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        output = self._network(torch.from_numpy(window[np.newaxis]))
        return output.logits[0].numpy(), output.feature[0].numpy()


class _Recorder:
    """An engine that keeps the logits which it gave."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.version = engine.name, engine.version
        self._engine = engine
        self.logits: list[NDArray[np.float32]] = []

    def infer(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = self._engine.infer(window)
        self.logits.append(logits)
        return logits

    def infer_both(self, window: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, embedding = self._engine.infer_both(window)
        self.logits.append(logits)
        return logits, embedding


@dataclass(frozen=True)
class WindowCounts:
    """Windows that lie within one activity of the truth, see ``timeline.score``.

    Attributes
    ----------
    by_network : by the highest logit of each window alone
    reported : by what the runtime reported, after smoothing and the other rules
    """

    by_network: Score
    reported: Score

    def __add__(self, other: WindowCounts) -> WindowCounts:
        """Both together."""
        return WindowCounts(_added(self.by_network, other.by_network), _added(self.reported, other.reported))

    def summary(self) -> dict[str, Any]:
        """Shares of right windows, ready for JSON; None without any."""
        return {
            "judged": self.reported.judged,
            "undecided": self.reported.undecided,
            **{
                f"accuracy_{name}": found.right / found.judged if found.judged else None
                for name, found in (("network", self.by_network), ("reported", self.reported))
            },
        }


def _added(one: Score, other: Score) -> Score:
    return Score(*(a + b for a, b in zip(one, other, strict=True)))


@dataclass(frozen=True)
class StreamResult:
    """What was found on one stream, or on several together."""

    name: str
    duration_s: float
    windows: WindowCounts
    events: EventCounts

    def to_mapping(self) -> dict[str, Any]:
        """Ready for JSON."""
        events = self.events
        return {
            "name": self.name,
            "duration_s": self.duration_s,
            "windows": self.windows.summary(),
            "events": events.summary(),
            "delays_s": [round(delay_s, 6) for delay_s in events.delays_s],
            "confusion": events.confusion,
            "false_in_pauses": events.false_in_pauses,
            "false_in_other_movements": events.false_in_others,
        }


@dataclass(frozen=True)
class StreamEvaluation:
    """An evaluation on streams.

    Attributes
    ----------
    model : what decided
    allowance_s : how long after its end an activity may still be reported
    leaky : the test subjects are also in training
    made_of : how the streams were joined, ready for JSON; None of recordings as they are
    other_movements : labels of the truth that the contract does not know
    streams : one by one
    """

    model: Model
    allowance_s: float
    leaky: bool
    made_of: dict[str, Any] | None
    other_movements: tuple[str, ...]
    streams: tuple[StreamResult, ...]

    @property
    def total(self) -> StreamResult:
        """All streams together; of several, every activity and every hour counts the same."""
        return reduce(
            lambda one, other: StreamResult(
                "all", one.duration_s + other.duration_s, one.windows + other.windows, one.events + other.events
            ),
            self.streams,
        )

    def document(self) -> dict[str, Any]:
        """The whole evaluation, ready for JSON."""
        contract = self.model.contract
        return {
            "model": self.model.name,
            "engine": self.model.engine,
            "sha256": self.model.sha256,
            "labels": list(contract.labels),
            "window_s": contract.window.duration_s,
            "decision": to_mapping(contract.decision),
            "allowance_s": self.allowance_s,
            "leaky": self.leaky,
            "joined": self.made_of,
            "other_movements": list(self.other_movements),
            "streams": [one.to_mapping() for one in self.streams],
            "total": {**self.total.to_mapping(), "name": "all"},
        }


def refuse_whole(contract: Contract, name: object) -> None:
    """Refuse a contract on whole recordings.

    Raises
    ------
    ConfigError
    """
    if contract.window.mode != "sliding":
        raise ConfigError(
            f"{name} decides on whole recordings, which a stream does not have",
            hint="Train with window.mode = 'sliding', e.g. --config utd-mhad-sliding",
        )


def evaluate_streams(
    model: Model,
    streams: Sequence[TrueStream],
    *,
    allowance_s: float,
    leaky: bool = False,
    made_of: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> StreamEvaluation:
    """Decide on every stream, and judge the decisions.

    Parameters
    ----------
    model : what decides
    streams : each begins afresh
    allowance_s, leaky, made_of : see ``StreamEvaluation``
    progress : called with (samples done, in all)

    Raises
    ------
    ConfigError : the model decides on whole recordings
    DataError : a truth that cannot be, see ``check_truth``, or a stream of one sample
    StreamError : samples that cannot be, see ``Classifier.push``
    """
    refuse_whole(model.contract, model.name)
    labels, total, done, results = model.contract.labels, sum(len(one.time) for one in streams), 0, []
    for stream in streams:  # before anything is computed
        _check(stream, labels)
    for stream in streams:
        before = done

        def report(pushed: int, before: int = before) -> None:
            progress(before + pushed, total)

        results.append(_result(model, stream, allowance_s, report))
        done += len(stream.time)
    others = dict.fromkeys(span.label for one in streams for span in one.truth if span.label not in labels)
    named = tuple(label for label in others if label not in (STILL, NO_SIGNAL))
    return StreamEvaluation(model, allowance_s, leaky, made_of, named, tuple(results))


def _check(stream: TrueStream, labels: Sequence[str]) -> tuple[Span, ...]:
    if np.isfinite(stream.time).sum() < 2:
        raise DataError(f"{stream.name} holds fewer than two samples", hint="Give a recording")
    return check_truth(stream.truth, labels, stream_s=stream.between_s, name=stream.name)


def _result(model: Model, stream: TrueStream, allowance_s: float, progress: Callable[[int], None]) -> StreamResult:
    labels = model.contract.labels
    truth = _check(stream, labels)
    decisions = decide(model, stream, progress=progress)
    activities = [span for span in truth if span.label in labels]
    windows = WindowCounts(
        score([Span(one.start_s, one.end_s, one.by_network) for one in decisions], activities),
        score([Span(one.start_s, one.end_s, one.label) for one in decisions], activities),
    )
    start_s, end_s = stream.between_s
    events = judge_events(decisions, truth, labels, allowance_s=allowance_s, stream_s=(start_s, end_s))
    return StreamResult(stream.name, end_s - start_s, windows, events)


def decide(
    model: Model, stream: TrueStream, *, progress: Callable[[int], None] = lambda pushed: None
) -> list[Decision]:
    """The runtime's decisions on a stream.

    Parameters
    ----------
    model, stream : what decides, and on what
    progress : called with the number of samples so far

    Raises
    ------
    StreamError : as ``Classifier.push``
    """
    recorder = _Recorder(model.runner)
    classifier = Classifier(model.contract, recorder, unit=stream.unit, axes=stream.axes, time_unit=stream.time_unit)
    events: list[Event] = []
    for start in range(0, len(stream.time), _PUSHED):
        part = slice(start, start + _PUSHED)
        events += classifier.push(stream.time[part], stream.xyz[part])
        progress(min(start + _PUSHED, len(stream.time)))
    events += classifier.finish()
    logits = iter(recorder.logits)
    return [_decision(event, model.contract.labels, logits) for event in events]


def _decision(event: Event, labels: tuple[str, ...], logits: Any) -> Decision:
    ran = not (event.reason and event.label in (STILL, NO_SIGNAL))  # an activity may be called so, without a reason
    by_network = labels[int(np.argmax(next(logits)))] if ran else event.label
    return Decision(event.start_s, event.end_s, event.label, by_network, is_activity=not event.reason)
