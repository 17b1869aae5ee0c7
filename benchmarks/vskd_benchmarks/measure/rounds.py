"""Measures the planned cases: a process each, warm-up, rounds in turns, audits and cold starts.

After warm-up the cases of a group are measured in rounds, each round in an order of its own drawn from the seed: a
machine whose speed drifts treats them alike, and ratios are taken within a round.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vskd.engines import ENGINES
from vskd.errors import EngineError
from vskd_benchmarks.device.environment import busy_ns, memory_bytes
from vskd_benchmarks.measure.measured_case import MeasuredCase, note_load
from vskd_benchmarks.measure.plan import PlannedCase, SkippedCase, groups
from vskd_benchmarks.measure.processes import OnStart, WorkerError, WorkerProcess, worker_command
from vskd_benchmarks.measure.settings import ORDER_SEED, Settings
from vskd_benchmarks.measure.startup import cold_start, import_time

#: Called at every step with what comes now, how many steps are done, and of how many.
Progress = Callable[[str, int, int], None]

#: Calls of a block of the audit of a repeated input: this many, or as many as fit into the time, at least three.
REPEAT_CALLS, REPEAT_BLOCK_S = 20, 0.05

STOPPED = "the measurement was stopped before its turn"


@dataclass
class Measurement:
    """One run's measurements, step by step.

    Attributes
    ----------
    settings, cases : what to measure
    progress : called at every step
    variables : environment variables of every case's process
    on_start : called with the id of each process that starts; None where no profile holds it to limits
    is_stopped : whether to end after the round that is under way
    skipped : cases that turned out not to load, or whose turn never came
    """

    settings: Settings
    cases: Sequence[PlannedCase]
    progress: Progress
    variables: Mapping[str, str] = field(default_factory=dict)
    on_start: OnStart | None = None
    is_stopped: Callable[[], bool] = lambda: False
    skipped: list[SkippedCase] = field(default_factory=list)
    _library_bytes: dict[str, int] = field(default_factory=dict)
    _steps_done: int = 0
    _last_error: EngineError | None = None

    def imports(self) -> dict[str, Any]:
        """Time to import vskd over numpy."""
        self._step("import vskd")
        return import_time(self.settings.effort.imports, threads=self.settings.threads, on_start=self.on_start)

    def measure(self) -> list[MeasuredCase]:
        """Every case, group by group; one whose engine was not named and that cannot be loaded is skipped.

        Raises
        ------
        EngineError : an engine that was named cannot run, a model ended its process, or no model of a bundle ran
        """
        measured: list[MeasuredCase] = []
        draw = random.Random(ORDER_SEED)
        for number, plans in enumerate(groups(self.cases, self.settings, memory_bytes("MemAvailable"))):
            if measured and self.is_stopped():
                self.skipped += [SkippedCase(plan.name, plan.bundle_id, STOPPED) for plan in plans]
                continue
            with contextlib.ExitStack() as stack:
                opened = [pair for plan in plans if (pair := self._open(plan, number, stack)) is not None]
                self._measure_group(opened, draw)
            for case, _ in opened:
                self._audit(case)
                self._start_cold(case)
            measured += [case for case, _ in opened]
        if not any(case.plan.kind == "bundle" for case in measured) and self._last_error is not None:
            raise self._last_error
        return measured

    def _step(self, what: str) -> None:
        # The number of rounds is not known before the warm-up; a call of 1 ms is near enough for a progress bar.
        total = 1 + len(self.cases) * (4 + self.settings.rounds_and_calls(1e-3)[0])
        self.progress(what, min(self._steps_done, total - 1), total)
        self._steps_done += 1

    def _process(self, plan: PlannedCase) -> WorkerProcess:
        command = worker_command(plan.job)
        return WorkerProcess(plan.name, command, threads=plan.threads, variables=self.variables, on_start=self.on_start)

    def _open(
        self, plan: PlannedCase, group: int, stack: contextlib.ExitStack
    ) -> tuple[MeasuredCase, WorkerProcess] | None:
        self._step(f"loading {plan.name}")
        try:
            process = stack.enter_context(self._process(plan))
        except EngineError as error:
            # A bundle's model that kills its process is news, and not a lack of this machine; under a profile it may be
            # the lack of memory that the profile imposes.
            died = plan.kind == "bundle" and isinstance(error, WorkerError) and self.on_start is None
            if plan.required or died:
                raise
            self._last_error = error
            self.skipped.append(SkippedCase(plan.name, plan.bundle_id, str(error)))
            return None
        return MeasuredCase(plan, group, reply=process.ready), process

    def _measure_group(self, opened: Sequence[tuple[MeasuredCase, WorkerProcess]], draw: random.Random) -> None:
        settings = self.settings
        rule = dataclasses.asdict(settings.effort.rule)
        for case, process in opened:
            self._step(f"warming up {case.plan.name}")
            case.warm_up = process.ask("warm_up", path_only=settings.path_only, rule=rule)
        started = time.perf_counter()
        lengths = [settings.rounds_and_calls(case.call_s) for case, _ in opened]
        for number in range(max((rounds for rounds, _ in lengths), default=0)):
            turns = list(zip(opened, lengths, strict=True))
            draw.shuffle(turns)
            for (case, process), (rounds, calls) in turns:
                self._step(f"round {number + 1} of {rounds}: {case.plan.name}")
                self._round(case, process, calls)
            lasted = settings.mode == "soak" and time.perf_counter() - started >= (settings.lasting_s or 0)
            if lasted or self.is_stopped():
                break
        note_load([case for case, _ in opened])
        for case, process in opened:
            self._note_memory(case, process)
            calls = max(3, min(REPEAT_CALLS, int(REPEAT_BLOCK_S / case.call_s)))
            case.repeat = process.ask("repeat", blocks=settings.effort.repeat_blocks, calls=calls)

    def _round(self, case: MeasuredCase, process: WorkerProcess, calls: int) -> None:
        settings = self.settings
        machine_ns, parent_ns, start_ns = busy_ns(), time.process_time_ns(), time.perf_counter_ns()
        reply = process.ask(
            "block",
            path_only=settings.path_only,
            calls=calls,
            discard=settings.discard,
            period_ns=settings.period_ns,
        )
        elapsed_ns, parent_ns = time.perf_counter_ns() - start_ns, time.process_time_ns() - parent_ns
        later_ns = busy_ns()
        meanwhile_ns = None if machine_ns is None or later_ns is None else later_ns - machine_ns
        case.add_block(reply, machine_ns=meanwhile_ns, parent_ns=parent_ns, elapsed_ns=elapsed_ns)

    def _note_memory(self, case: MeasuredCase, process: WorkerProcess) -> None:
        """Peak memory of the process, and how much of it an interpreter with the engine's library alone takes."""
        peak = process.ask("memory")["memory"]
        engine = case.plan.engine
        library_bytes = self._memory_of_library(engine) if engine in ENGINES else None
        case.memory = {"peak_bytes": peak["bytes"], "library_bytes": library_bytes, "source": peak["source"]}

    def _memory_of_library(self, engine: str) -> int:
        if engine not in self._library_bytes:
            command = worker_command({"kind": "library", "package": ENGINES[engine].module})
            with WorkerProcess(f"import {engine}", command, threads=1, on_start=self.on_start) as process:
                self._library_bytes[engine] = process.ask("memory")["memory"]["bytes"]
        return self._library_bytes[engine]

    def _audit(self, case: MeasuredCase) -> None:
        """In a fresh process, the outputs that the audit compares with."""
        self._step(f"auditing {case.plan.name}")
        with self._process(case.plan) as process:
            case.outputs = process.ask("outputs")

    def _start_cold(self, case: MeasuredCase) -> None:
        plan = case.plan
        self._step(f"cold start of {plan.name}")
        if plan.entry is not None and not self.is_stopped():
            case.cold_start = cold_start(
                plan.bundle.path,
                engine=plan.engine,
                recipe=plan.recipe,
                threads=plan.threads,
                repeats=self.settings.effort.cold_starts,
                on_start=self.on_start,
            )
