"""The run: starts the processes, measures them in turns, and collects what they say.

Every model has a process of its own, and so has the comparison. After warm-up they are measured in rounds, A B C A B C:
each round gives every case one block of calls, so that a machine whose speed drifts treats them alike, and ratios are
taken within a round. This module knows nothing of tables and files.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle, ModelEntry
from vskd.errors import EngineError
from vskd_benchmarks.comparison import COMPARISONS
from vskd_benchmarks.environment import describe_machine, read_state
from vskd_benchmarks.plan import Effort, Settings, Slot, choose
from vskd_benchmarks.processes import WorkerError, WorkerProcess, worker_command
from vskd_benchmarks.startup import cold_start, import_time

#: Told of every step: what comes now, how many steps are done, and of how many.
Watch = Callable[[str, int, int], None]

#: What an engine's library is imported as; its memory is the floor under a model's.
_LIBRARY = {
    "litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "onnxruntime": "onnxruntime",
    "tensorflow": "tensorflow",
}


@dataclass
class Subject:
    """One case under measurement.

    Attributes
    ----------
    name : for people, e.g. ``"litert fp32"`` or ``"pyts+torch"``
    process : where it lives
    case : its name there
    said : what the process said of it
    warm_up : how the warm-up went
    rounds : latencies of each round by series, each (calls,), ns
    """

    name: str
    process: WorkerProcess
    case: str
    said: dict[str, Any]
    warm_up: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, NDArray[np.int64]]] = field(default_factory=list)
    _busy_ns: int = 0
    _wall_ns: int = 0

    def warm(self, effort: Effort) -> None:
        """Warm up until steady."""
        self.warm_up = self.process.ask("warm_up", case=self.case, rule=dataclasses.asdict(effort.rule))

    def measure_round(self, effort: Effort) -> None:
        """Measure one block of calls."""
        calls = effort.calls_per_round(self.warm_up["elapsed_ns"] / 1e9 / self.warm_up["calls"])
        answer = self.process.ask("block", case=self.case, calls=calls, discard=effort.discard)
        self.rounds.append({name: np.array(values, np.int64) for name, values in answer["latency_ns"].items()})
        self._busy_ns += answer["cpu_ns"]
        self._wall_ns += answer["wall_ns"]

    @property
    def cpu_share(self) -> float:
        """Computing time of all its threads over wall time, in the blocks."""
        return self._busy_ns / self._wall_ns

    @property
    def series(self) -> tuple[str, ...]:
        """Names of what was measured; the first is the one that counts."""
        return tuple(self.rounds[0])

    def latency_ns(self, series: str) -> NDArray[np.int64]:
        """All readings of a series, in the order of the measurement."""
        return np.concatenate([measured[series] for measured in self.rounds])


@dataclass(kw_only=True)
class ModelSubject(Subject):
    """A model of the bundle in an engine.

    Attributes
    ----------
    engine, entry : which
    memory : peak of its process, and of one that holds the engine's library only
    cold_start : as ``vskd_benchmarks.startup.cold_start`` gives it
    """

    engine: str
    entry: ModelEntry
    memory: dict[str, Any] = field(default_factory=dict)
    cold_start: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Everything that was measured.

    Attributes
    ----------
    settings, bundle : of the run
    models, comparison : the cases
    slots : models that were not measured; ``missing`` : comparisons that were not, with the reason
    machine, before, after : the environment
    imports : of vskd, over numpy
    """

    settings: Settings
    bundle: Bundle
    models: tuple[ModelSubject, ...]
    comparison: tuple[Subject, ...]
    slots: tuple[Slot, ...]
    missing: dict[str, dict[str, str]]
    machine: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    imports: dict[str, Any]


def run_bench(settings: Settings, watch: Watch) -> Run:
    """Measure a bundle on this machine.

    Parameters
    ----------
    settings : what to measure
    watch : told of every step

    Raises
    ------
    BundleError : no bundle there, or changed
    ConfigError : an engine or a recipe that does not exist here
    EngineError : an engine that was named cannot run, or a process died
    """
    bundle = Bundle.open(settings.bundle)
    bundle.check()
    pairs, slots = choose(bundle, settings)
    steps = _Steps(watch, settings, len(pairs))
    steps.next("looking at the machine")
    before = read_state()
    steps.next("import vskd")
    imports = import_time(settings.effort.imports, threads=settings.threads)
    with contextlib.ExitStack() as stack:
        models, failed = _open_models(bundle, pairs, settings, stack, steps)
        comparison, missing = _open_comparison(settings, stack, steps) if settings.comparison else ([], {})
        _measure([*models, *comparison], settings.effort, steps)
        _note_memory(models, settings, steps)
    _note_cold_starts(models, settings, steps)
    steps.next("looking at the machine")
    return Run(
        settings=settings,
        bundle=bundle,
        models=tuple(models),
        comparison=tuple(comparison),
        slots=(*slots, *failed),
        missing=missing,
        machine=describe_machine(),
        before=before,
        after=read_state(),
        imports=imports,
    )


class _Steps:
    """Counts the steps of a run, known beforehand."""

    def __init__(self, watch: Watch, settings: Settings, models: int) -> None:
        cases = models + (len(COMPARISONS) if settings.comparison else 0)
        self._total = 4 + cases * (1 + settings.effort.rounds) + 2 * models + int(settings.comparison)
        self._watch = watch
        self._done = 0

    def next(self, what: str) -> None:
        self._watch(what, self._done, self._total)
        self._done += 1


def _open_models(
    bundle: Bundle,
    pairs: Sequence[tuple[str, ModelEntry]],
    settings: Settings,
    stack: contextlib.ExitStack,
    steps: _Steps,
) -> tuple[list[ModelSubject], list[Slot]]:
    """A process for each pair; an engine that the user did not name and that refuses is an empty slot."""
    subjects: list[ModelSubject] = []
    failed: list[Slot] = []
    for engine, entry in pairs:
        name = f"{engine} {entry.recipe}"
        steps.next(f"loading {name}")
        job = {"kind": "model", "bundle": str(bundle.path), "file": entry.file, "engine": engine}
        command = worker_command({**job, "threads": settings.threads})
        try:
            process = stack.enter_context(WorkerProcess(name, command, threads=settings.threads))
        except WorkerError:
            raise
        except EngineError as error:
            if settings.engines or (len(failed) + 1 == len(pairs)):
                raise
            failed.append(Slot(engine, entry.recipe, str(error)))
            continue
        said = process.ready["model"]
        subjects.append(ModelSubject(name, process, "model", said, engine=engine, entry=entry))
    return subjects, failed


def _open_comparison(
    settings: Settings, stack: contextlib.ExitStack, steps: _Steps
) -> tuple[list[Subject], dict[str, dict[str, str]]]:
    steps.next("loading the usual pipeline (pyts compiles)")
    job = {"kind": "comparison", "bundle": str(settings.bundle), "threads": settings.threads}
    process = stack.enter_context(WorkerProcess("the comparison", worker_command(job), threads=settings.threads))
    present = {name: said for name, said in process.ready.items() if "not_installed" not in said}
    missing = {name: said for name, said in process.ready.items() if "not_installed" in said}
    return [Subject(name, process, name, said) for name, said in present.items()], missing


def _measure(subjects: Sequence[Subject], effort: Effort, steps: _Steps) -> None:
    for subject in subjects:
        steps.next(f"warming up {subject.name}")
        subject.warm(effort)
    for number in range(effort.rounds):
        for subject in subjects:
            steps.next(f"round {number + 1} of {effort.rounds}: {subject.name}")
            subject.measure_round(effort)


def _note_memory(models: Sequence[ModelSubject], settings: Settings, steps: _Steps) -> None:
    """Peak memory of each model's process, and how much of it an interpreter with the library alone takes."""
    steps.next("memory")
    floors: dict[str, int] = {}
    for subject in models:
        engine = subject.engine
        if engine not in floors:
            command = worker_command({"kind": "baseline", "package": _LIBRARY[engine]})
            with WorkerProcess(f"import {engine}", command, threads=settings.threads) as process:
                floors[engine] = process.ask("memory")["memory"]["bytes"]
        peak = subject.process.ask("memory")["memory"]
        subject.memory = {
            "peak_bytes": peak["bytes"],
            "library_bytes": floors[engine],
            "over_library_bytes": peak["bytes"] - floors[engine],
            "source": peak["source"],
        }


def _note_cold_starts(models: Sequence[ModelSubject], settings: Settings, steps: _Steps) -> None:
    for subject in models:
        steps.next(f"cold start of {subject.name}")
        subject.cold_start = cold_start(
            settings.bundle,
            engine=subject.engine,
            recipe=subject.entry.recipe,
            threads=settings.threads,
            repeats=settings.effort.cold_starts,
        )
