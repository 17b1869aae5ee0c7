"""The run: starts the processes, measures them in turns, audits them, and collects what they say.

Every case has a process of its own. After warm-up the cases of a group are measured in rounds, each round in an order
of its own drawn from the seed: a machine whose speed drifts treats them alike, and ratios are taken within a round.
This module collects facts and raw numbers; what follows from them is ``vskd_benchmarks.result.document``'s matter.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.checks.golden import GOLDEN_FILE, read_golden
from vskd.errors import EngineError
from vskd_benchmarks.device.confinement import Confinement
from vskd_benchmarks.device.energy import IDLE_S, MODEL, QUICK_IDLE_S, EnergyRecord, check_meter, choose_source
from vskd_benchmarks.device.environment import (
    READING_S,
    MachineWatch,
    busy_ns,
    describe_machine,
    memory_bytes,
    read_state,
)
from vskd_benchmarks.device.power_counters import PowerWatch, Probe, find_probe
from vskd_benchmarks.measure.plan import (
    LIBRARY,
    PlannedCase,
    Settings,
    Slot,
    bundle_cases,
    compared_bundles,
    comparison_cases,
    groups,
    identify,
    make_job,
)
from vskd_benchmarks.measure.processes import WorkerError, WorkerProcess, worker_command
from vskd_benchmarks.measure.startup import cold_start, import_time

#: Told of every step: what comes now, how many steps are done, and of how many.
Watch = Callable[[str, int, int], None]

#: About as many readings of the machine are kept of a run with a duration.
MOST_READINGS = 3600

#: Below this, the 10 ms steps of /proc/stat tell nothing of a case's neighbours, s.
SHORTEST_FOR_LOAD_S = 0.5

#: Calls of one block of the audit of a repeated input: so many, or as many as fit into the time, but never under three.
REPEAT_CALLS, REPEAT_BLOCK_S = 20, 0.05


@dataclass
class Subject:
    """One case under measurement: its plan, what its process said, and what was read.

    Attributes
    ----------
    plan : what it is
    group : cases measured in turns with it share the number
    said : the process's own words
    blocks : the answers of every round
    """

    plan: PlannedCase
    group: int
    said: dict[str, Any] = field(default_factory=dict)
    warm_up: dict[str, Any] = field(default_factory=dict)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    cold_start: dict[str, Any] | None = None
    repeat: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)
    machine_busy_ns: int | None = 0
    own_ns: int = 0
    asked_ns: int = 0

    def add_block(self, answer: dict[str, Any], *, machine_ns: int | None, parent_ns: int, asked_ns: int) -> None:
        """Take the answer of a round, and what the machine and this process computed meanwhile."""
        # Arrays: a soak gives thousands of numbers a second, and lists of them are five times larger.
        latency_ns = {name: np.array(values, np.int64) for name, values in answer["latency_ns"].items()}
        self.blocks.append({**answer, "latency_ns": latency_ns, "started_ns": np.array(answer["started_ns"], np.int64)})
        self.own_ns += answer["own_ns"] + parent_ns
        self.asked_ns += asked_ns
        if self.machine_busy_ns is not None:
            self.machine_busy_ns = None if machine_ns is None else self.machine_busy_ns + machine_ns


def note_load(subjects: Sequence[Subject]) -> None:
    """Say of each case of a group how many cores others kept busy during its rounds, and how that is known.

    Parameters
    ----------
    subjects : measured in turns
    """
    together = _other_cores(subjects)
    for subject in subjects:
        alone = _other_cores([subject])
        if alone is not None:
            subject.load = {"other_cores": alone, "load_source": "case"}
        elif subject.machine_busy_ns is None:
            average = read_state()["load_average"]
            others = None if average is None else max(0.0, round(average[0] - subject.plan.threads, 3))
            subject.load = {"other_cores": others, "load_source": "none" if others is None else "load-average"}
        else:
            subject.load = {"other_cores": together, "load_source": "none" if together is None else "group"}


def _other_cores(subjects: Sequence[Subject]) -> float | None:
    """Cores that others kept busy during their rounds; None where that cannot be read, or they were too short."""
    asked_ns = sum(subject.asked_ns for subject in subjects)
    if asked_ns < SHORTEST_FOR_LOAD_S * 1e9 or any(subject.machine_busy_ns is None for subject in subjects):
        return None
    others_ns = sum((subject.machine_busy_ns or 0) - subject.own_ns for subject in subjects)
    return round(max(0, others_ns) / asked_ns, 3)


@dataclass(frozen=True)
class Run:
    """Everything that was measured, and nothing that follows from it.

    Attributes
    ----------
    settings, bundles : what was asked for; bundles by their id
    subjects : the cases as planned; ``order`` : their ids as they were loaded
    slots : what was not measured
    machine, before, after, readings : the environment
    imports : of vskd, over numpy
    epoch_ns : start of the run by ``time.perf_counter_ns``
    confinement : how the profile was applied; None without one
    energy : what was recorded of it; None where nobody asked
    """

    settings: Settings
    bundles: dict[str, Bundle]
    subjects: tuple[Subject, ...]
    order: tuple[str, ...]
    slots: tuple[Slot, ...]
    machine: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    readings: list[dict[str, Any]]
    imports: dict[str, Any]
    epoch_ns: int
    confinement: Confinement | None = None
    energy: EnergyRecord | None = None


def run_bench(settings: Settings, watch: Watch) -> Run:
    """Measure bundles on this machine.

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
    bundles = identify([_checked(path) for path in settings.bundles])
    cases, slots = bundle_cases(bundles, settings)
    energy, probe = _energy_source(settings)
    epoch_ns = time.perf_counter_ns()
    before = read_state()
    every_s = max(READING_S, (settings.lasting_s or 0) * len(cases) / MOST_READINGS)
    with (
        tempfile.TemporaryDirectory(prefix="vskd-bench-") as folder,
        MachineWatch(epoch_ns, every_s) as machine,
        _confined(settings) as confinement,
        _power_watched(energy, probe, epoch_ns),
    ):
        if settings.comparison:
            watch("making the networks to compare with", 0, 1)
            beside, empty = _comparison(bundles, settings, Path(folder))
            cases, slots = [*cases, *beside], [*slots, *empty]
        measuring = _Measuring(settings, watch, cases, Path(folder), confinement)
        imports = measuring.imports()
        _idle(energy, settings, watch, epoch_ns)
        subjects = measuring.measure()
    return Run(
        settings=settings,
        bundles=bundles,
        subjects=tuple(sorted(subjects, key=lambda subject: cases.index(subject.plan))),
        order=tuple(subject.plan.id for subject in subjects),
        slots=(*slots, *measuring.failed),
        machine=describe_machine(),
        before=before,
        after=read_state(),
        readings=machine.readings,
        imports=imports,
        epoch_ns=epoch_ns,
        confinement=confinement,
        energy=energy,
    )


def _energy_source(settings: Settings) -> tuple[EnergyRecord | None, Probe | None]:
    """Where energy will come from, and the probe where the machine measures itself."""
    asked = settings.energy
    if asked is None:
        return None, None
    check_meter(asked)
    probe, lacks = (None, ()) if asked.meter is not None or asked.meter_later else find_probe()
    source, detail = choose_source(asked, settings.profile, probe, lacks)
    return EnergyRecord(asked, settings.profile, source, detail, lacks, 0, 0), probe


@contextlib.contextmanager
def _power_watched(energy: EnergyRecord | None, probe: Probe | None, epoch_ns: int) -> Iterator[None]:
    """Read the machine's own counters while measuring."""
    if energy is None:
        yield
        return
    since_ns = time.perf_counter_ns() - epoch_ns
    energy.unix_ns, energy.monotonic_ns = time.time_ns() - since_ns, time.monotonic_ns() - since_ns
    if probe is None:
        yield
        return
    with PowerWatch(probe, epoch_ns) as power:
        yield
    energy.problem = power.problem
    if power.problem is None:
        energy.trace = power.trace()


def _idle(energy: EnergyRecord | None, settings: Settings, watch: Watch, epoch_ns: int) -> None:
    """Leave the machine alone for a while, so that its power at rest is known."""
    if energy is None or energy.source == MODEL:
        return
    watch("measuring the idle machine", 0, 1)
    start_ns = time.perf_counter_ns()
    time.sleep(QUICK_IDLE_S if settings.quick else IDLE_S)
    energy.idle_ns = (start_ns - epoch_ns, time.perf_counter_ns() - epoch_ns)


@contextlib.contextmanager
def _confined(settings: Settings) -> Iterator[Confinement | None]:
    """The limits of the profile while measuring, and what the user asked for in its stead."""
    if settings.profile is None:
        yield None
        return
    wanted = settings.profile.settings
    with Confinement(wanted) as confinement:
        if settings.pace_hz is None:
            confinement.deviate("rate_hz", wanted.rate_hz, f"mode {settings.mode} computes back to back")
        elif settings.pace_hz != wanted.rate_hz:
            confinement.deviate("rate_hz", wanted.rate_hz, f"--rate-hz {settings.pace_hz:g}")
        else:
            confinement.hold("rate_hz", wanted.rate_hz, settings.pace_hz, f"mode {settings.mode}")
        if settings.pace_hz is not None and settings.batch == wanted.batch:
            confinement.hold("batch", wanted.batch, settings.batch, f"mode {settings.mode}")
        elif settings.pace_hz is not None:
            confinement.deviate("batch", wanted.batch, f"--batch {settings.batch}")
        if settings.threads == (wanted.threads,):
            confinement.hold("threads", wanted.threads, wanted.threads, "the engine's option")
        else:
            confinement.deviate("threads", wanted.threads, f"--threads {','.join(map(str, settings.threads))}")
        yield confinement


def _checked(path: Path) -> Bundle:
    bundle = Bundle.open(path)
    bundle.check()
    return bundle


def _comparison(bundles: dict[str, Bundle], settings: Settings, folder: Path) -> tuple[list[PlannedCase], list[Slot]]:
    cases: list[PlannedCase] = []
    slots: list[Slot] = []
    for bundle_id, bundle in compared_bundles(bundles):
        place = folder / bundle_id
        place.mkdir()
        made, failed = _made_networks(bundle, place)
        slots += [Slot("other networks", bundle_id, failed)] if failed else []
        found, empty = comparison_cases(bundle_id, bundle, made, settings, several=len(bundles) > 1)
        cases, slots = [*cases, *found], [*slots, *empty]
    return cases, slots


def _made_networks(bundle: Bundle, folder: Path) -> tuple[dict[str, Any], str]:
    """What could be made, and why nothing could: a torch that crashes is no reason not to measure the bundle."""
    command = worker_command(make_job(bundle, folder))
    try:
        with WorkerProcess("making the networks to compare with", command, threads=1) as process:
            return process.ready, ""
    except WorkerError as error:
        return {}, str(error)


class _Measuring:
    """One run's measurements, step by step."""

    def __init__(
        self,
        settings: Settings,
        watch: Watch,
        cases: Sequence[PlannedCase],
        folder: Path,
        confinement: Confinement | None = None,
    ) -> None:
        self._settings = settings
        self._on_start = None if confinement is None else confinement.on_process
        self._effort = settings.effort
        self._watch = watch
        self._cases = cases
        self._variables = {"NUMBA_CACHE_DIR": str(folder / "numba")}
        self._draw = random.Random(settings.seed)
        self._floors: dict[str, int] = {}
        rounds = settings.rounds_and_calls(1e-3)[0]
        self._total = 1 + len(cases) * (4 + rounds)
        self._done = 0
        self._last_error: EngineError | None = None
        self.failed: list[Slot] = []

    def _step(self, what: str) -> None:
        self._done = min(self._done + 1, self._total)
        self._watch(what, self._done - 1, self._total)

    def imports(self) -> dict[str, Any]:
        self._step("import vskd")
        return import_time(self._effort.imports, threads=self._settings.threads[0], on_start=self._on_start)

    def measure(self) -> list[Subject]:
        """Every case, group by group; what the user did not ask for by name and cannot be loaded is an empty slot."""
        measured: list[Subject] = []
        for number, plans in enumerate(groups(self._cases, self._settings, memory_bytes("MemAvailable"))):
            with contextlib.ExitStack() as stack:
                opened = [pair for plan in plans if (pair := self._open(plan, number, stack)) is not None]
                self._measure_group(opened)
            for subject, _ in opened:
                self._apart(subject)
            measured += [subject for subject, _ in opened]
        if not any(subject.plan.kind == "bundle" for subject in measured) and self._last_error is not None:
            raise self._last_error
        return measured

    def _process(self, plan: PlannedCase) -> WorkerProcess:
        return WorkerProcess(
            plan.name,
            worker_command(plan.job),
            threads=plan.threads,
            variables=self._variables,
            on_start=self._on_start,
        )

    def _open(self, plan: PlannedCase, group: int, stack: contextlib.ExitStack) -> tuple[Subject, WorkerProcess] | None:
        self._step(f"loading {plan.name}")
        try:
            process = stack.enter_context(self._process(plan))
        except EngineError as error:
            # A bundle's model that kills its process is news, and not a lack of this machine; under a profile it may be
            # the lack of memory that was asked for.
            died = plan.kind == "bundle" and isinstance(error, WorkerError) and self._on_start is None
            if plan.required or died:
                raise
            self._last_error = error
            self.failed.append(Slot(plan.name, plan.bundle_id, str(error)))
            return None
        return Subject(plan, group, said=process.ready), process

    def _measure_group(self, opened: Sequence[tuple[Subject, WorkerProcess]]) -> None:
        settings = self._settings
        rule = dataclasses.asdict(self._effort.rule)
        for subject, process in opened:
            self._step(f"warming up {subject.plan.name}")
            subject.warm_up = process.ask("warm_up", path_only=settings.path_only, rule=rule)
        started = time.perf_counter()
        plans = [settings.rounds_and_calls(call_s(subject)) for subject, _ in opened]
        for number in range(max((rounds for rounds, _ in plans), default=0)):
            turns = list(zip(opened, plans, strict=True))
            self._draw.shuffle(turns)
            for (subject, process), (rounds, calls) in turns:
                self._step(f"round {number + 1} of {rounds}: {subject.plan.name}")
                self._round(subject, process, calls)
            if settings.mode == "soak" and time.perf_counter() - started >= (settings.lasting_s or 0):
                break
        note_load([subject for subject, _ in opened])
        for subject, process in opened:
            self._note_memory(subject, process)
            calls = max(3, min(REPEAT_CALLS, int(REPEAT_BLOCK_S / call_s(subject))))
            subject.repeat = process.ask("repeat", blocks=self._effort.repeat_blocks, calls=calls)

    def _round(self, subject: Subject, process: WorkerProcess, calls: int) -> None:
        settings = self._settings
        discard = 0 if settings.path_only else self._effort.discard
        machine_ns, parent_ns, start_ns = busy_ns(), time.process_time_ns(), time.perf_counter_ns()
        answer = process.ask(
            "block",
            path_only=settings.path_only,
            calls=calls,
            discard=discard,
            period_ns=settings.period_ns,
            batch=settings.batch,
        )
        asked_ns, parent_ns = time.perf_counter_ns() - start_ns, time.process_time_ns() - parent_ns
        later_ns = busy_ns()
        meanwhile = None if machine_ns is None or later_ns is None else later_ns - machine_ns
        subject.add_block(answer, machine_ns=meanwhile, parent_ns=parent_ns, asked_ns=asked_ns)

    def _note_memory(self, subject: Subject, process: WorkerProcess) -> None:
        """Peak memory of the process, and how much of it an interpreter with the engine's library alone takes."""
        peak = process.ask("memory")["memory"]
        engine = subject.plan.engine
        floor = self._floor(engine) if engine in LIBRARY else None
        subject.memory = {"peak_bytes": peak["bytes"], "library_bytes": floor, "source": peak["source"]}

    def _floor(self, engine: str) -> int:
        if engine not in self._floors:
            command = worker_command({"kind": "baseline", "package": LIBRARY[engine]})
            with WorkerProcess(f"import {engine}", command, threads=1, on_start=self._on_start) as process:
                self._floors[engine] = process.ask("memory")["memory"]["bytes"]
        return self._floors[engine]

    def _apart(self, subject: Subject) -> None:
        """What takes fresh processes: the run whose outputs the audit compares with, and the cold starts."""
        plan = subject.plan
        self._step(f"auditing {plan.name}")
        if plan.kind != "encoder":
            with self._process(plan) as process:
                subject.outputs = process.ask("outputs")
        self._step(f"cold start of {plan.name}")
        if plan.entry is not None:
            subject.cold_start = cold_start(
                plan.bundle.path,
                engine=plan.engine,
                recipe=plan.recipe,
                threads=plan.threads,
                repeats=self._effort.cold_starts,
                on_start=self._on_start,
            )


def call_s(subject: Subject) -> float:
    """Length of one call of a warm case, s."""
    seconds: float = subject.warm_up["elapsed_ns"] / 1e9 / subject.warm_up["calls"]
    return seconds


def raw_arrays(subject: Subject, epoch_ns: int) -> dict[str, NDArray[Any]]:
    """The arrays of a case's raw file, see ``vskd_benchmarks.result.folder``."""
    series = subject.blocks[0]["latency_ns"]
    arrays: dict[str, NDArray[Any]] = {
        name: np.stack([block["latency_ns"][name] for block in subject.blocks]) for name in series
    }
    arrays["started"] = np.stack([block["started_ns"] for block in subject.blocks]) - epoch_ns
    arrays["interval"] = np.array([block["interval_ns"] for block in subject.blocks], np.int64) - epoch_ns
    arrays["audit_varied"] = np.array(subject.repeat["varied_ns"], np.int64)
    arrays["audit_repeated"] = np.array(subject.repeat["repeated_ns"], np.int64)
    if subject.outputs.get("outputs") is None:
        return arrays
    sampled = [sample for block in subject.blocks for sample in block["sampled"]]
    arrays["sampled_index"] = np.array([row for row, _ in sampled], np.int64)
    arrays["sampled_logits"] = np.array([logits for _, logits in sampled], np.float32)
    arrays["accuracy_logits"] = np.array(subject.outputs["outputs"], np.float32)
    return arrays | _golden_arrays(subject)


def _golden_arrays(subject: Subject) -> dict[str, NDArray[Any]]:
    bundle = subject.plan.bundle
    if subject.outputs.get("golden") is None or GOLDEN_FILE not in bundle.files:
        return {}
    golden = read_golden(bundle)
    arrays = {
        "golden_logits": np.array(subject.outputs["golden"], np.float32),
        "golden_network": golden.logits,
    }
    model = subject.plan.model
    recorded = None if model is None else golden.model_logits.get(model["file"])
    return arrays if recorded is None else {**arrays, "golden_recorded": recorded}
