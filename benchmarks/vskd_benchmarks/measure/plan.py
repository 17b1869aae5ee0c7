"""What a run measures and how long: cases, their order, rounds and calls.

A user who names an engine or a recipe gets it or an error. Where nothing is named, what this machine cannot measure
becomes an empty slot with its reason. Starts no process and reads no model.
"""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vskd.bundle import CONTRACT, Bundle, ModelEntry
from vskd.engines import ENGINES, engine_kind, is_installed
from vskd.errors import BundleError, MissingExtraError
from vskd_benchmarks.device.energy import EnergySettings
from vskd_benchmarks.device.profiles import Profile
from vskd_benchmarks.measure.comparison import IMAGE_FILE, SIGNATURES_FILE, missing_packages
from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE, WarmUpRule

Mode = Literal["single-stream", "paced", "soak"]

REPORT = "report.json"

#: Recipes in which other networks are made, and in which a bundle may have its forms.
FORM_RECIPES = ("fp32", "w8a8-static-pc")

#: What an engine's library is imported as; its memory is the floor under a model's.
LIBRARY = {
    "litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "onnxruntime": "onnxruntime",
    "tensorflow": "tensorflow",
}

#: A worker with a full-width model takes 100 to 200 MB, one with torch 400; cases measured in turns are all loaded.
PROCESS_BYTES = 250_000_000

#: A round of the paced mode and of a soak lasts about so long, s: often enough to show a trend.
PACED_ROUND_S = 10.0
SOAK_ROUND_S = 1.0


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    rounds : blocks of calls per case, taken in turns
    least_calls, most_calls : per case, over all rounds
    budget_s : per case, over all rounds; ``least_calls`` are made all the same
    discard : calls at the start of each block that only bring the caches back; by rule, whatever they took
    cold_starts, imports : fresh processes per reading
    paced_s, soak_s : of each case, where the user does not say
    repeat_blocks : of the audit of a repeated input
    rule : of the warm-up
    """

    rounds: int
    least_calls: int
    most_calls: int
    budget_s: float
    discard: int
    cold_starts: int
    imports: int
    paced_s: float
    soak_s: float
    repeat_blocks: int
    rule: WarmUpRule = field(default_factory=WarmUpRule)

    def calls_per_round(self, call_s: float) -> int:
        """Calls in one round for a case that takes so long, s, back to back."""
        wanted = min(self.most_calls, max(self.least_calls, int(self.budget_s / max(call_s, 1e-9))))
        return math.ceil(wanted / self.rounds)


#: Enough for p99 everywhere.
FULL = Effort(
    rounds=8,
    least_calls=SMALLEST_SAMPLE[99.0],
    most_calls=2000,
    budget_s=20.0,
    discard=5,
    cold_starts=5,
    imports=7,
    paced_s=64.0,
    soak_s=600.0,
    repeat_blocks=20,
)

#: Enough for p95; p99 where a call is quick.
QUICK = Effort(
    rounds=4,
    least_calls=SMALLEST_SAMPLE[95.0],
    most_calls=SMALLEST_SAMPLE[99.0],
    budget_s=1.5,
    discard=3,
    cold_starts=2,
    imports=3,
    paced_s=12.0,
    soak_s=20.0,
    repeat_blocks=10,
    rule=dataclasses.replace(WarmUpRule(), ceiling_s=4.0),
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    Attributes
    ----------
    bundles : the folders
    engines, recipes : names; empty takes all
    threads : numbers of computing threads, each a case of its own
    mode : back to back, paced, or for long
    rate_hz : windows a second; None takes the profile's or 1 in mode paced, and back to back in a soak
    duration_s : of each case in modes paced and soak; None takes the effort's
    quick : a shorter run, one engine per model format
    comparison : whether other pipelines are measured beside the bundle
    seed : of the order of the cases
    command : as typed
    profile : the device that this machine is to stand for
    windows_at_once : computed at one wake-up, where there is a pace; None takes the profile's or 1
    energy : how energy is measured and used; None where it is not asked for
    """

    bundles: tuple[Path, ...]
    engines: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    mode: Mode = "single-stream"
    rate_hz: float | None = None
    duration_s: float | None = None
    quick: bool = False
    comparison: bool = True
    seed: int = 0
    command: str = ""
    profile: Profile | None = None
    windows_at_once: int | None = None
    energy: EnergySettings | None = None

    @property
    def effort(self) -> Effort:
        """How long to measure."""
        return QUICK if self.quick else FULL

    @property
    def path_only(self) -> bool:
        """Whether only sensor -> label is measured: a device does nothing else, and its idling would be disturbed."""
        return self.mode != "single-stream"

    @property
    def pace_hz(self) -> float | None:
        """Windows a second; None is back to back."""
        usual_hz = 1.0 if self.profile is None else self.profile.settings.rate_hz
        return self.rate_hz or (usual_hz if self.mode == "paced" else None)

    @property
    def batch(self) -> int:
        """Windows that are computed at one wake-up."""
        usual = 1 if self.profile is None else self.profile.settings.batch
        return 1 if self.pace_hz is None else self.windows_at_once or usual

    @property
    def lasting_s(self) -> float | None:
        """Length of each case's measurement; None where the number of calls decides."""
        if self.mode == "single-stream":
            return None
        return self.duration_s or (self.effort.paced_s if self.mode == "paced" else self.effort.soak_s)

    @property
    def period_ns(self) -> int:
        """From window to window; 0 is back to back."""
        return 0 if self.pace_hz is None else round(1e9 / self.pace_hz)

    def rounds_and_calls(self, call_s: float) -> tuple[int, int]:
        """Rounds, and calls in each, for a case whose call takes so long, s."""
        if self.lasting_s is None:
            return self.effort.rounds, self.effort.calls_per_round(call_s)
        wanted_s = PACED_ROUND_S if self.mode == "paced" else SOAK_ROUND_S
        each_s = 1 / self.pace_hz if self.pace_hz else call_s
        total = max(1, round(self.lasting_s / each_s))
        calls = math.ceil(max(1, min(total, round(wanted_s / each_s))) / self.batch) * self.batch
        return math.ceil(total / calls), calls


@dataclass(frozen=True)
class Slot:
    """A case that is not measured, and why."""

    name: str
    bundle: str
    reason: str


@dataclass(frozen=True)
class PlannedCase:
    """One case to measure.

    Attributes
    ----------
    id, name, kind, engine, recipe, threads, network, weights, encoder : as in the result
    bundle : whose windows it is fed; ``bundle_id`` in the result
    job : of its process
    entry : the bundle's model; None for the others
    model : file, sha256, size_bytes, macs; None where there is no file
    required : the user named it, so that a failure is an error and no empty slot
    """

    id: str
    name: str
    kind: str
    bundle: Bundle
    bundle_id: str
    engine: str
    recipe: str
    threads: int
    job: Mapping[str, Any]
    network: str
    weights: str
    encoder: str
    entry: ModelEntry | None = None
    model: Mapping[str, Any] | None = None
    required: bool = False


def identify(bundles: Sequence[Bundle]) -> dict[str, Bundle]:
    """A short name of each bundle, after its folder; numbered where two are alike."""
    found: dict[str, Bundle] = {}
    for bundle in bundles:
        stem = bundle.path.absolute().name.removesuffix(".bundle").lower()
        name = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:40] or "bundle"
        numbered = (name, *(f"{name}-{number}" for number in range(2, len(bundles) + 2)))
        found[next(candidate for candidate in numbered if candidate not in found)] = bundle
    return found


def bundle_cases(bundles: Mapping[str, Bundle], settings: Settings) -> tuple[list[PlannedCase], list[Slot]]:
    """A case for every model, engine and number of threads that is to be measured, and the empty slots.

    Raises
    ------
    ConfigError : an unknown engine, or no such model in a bundle
    MissingExtraError : an engine that was named is not installed, or none is
    """
    cases: list[PlannedCase] = []
    slots: list[Slot] = []
    for bundle_id, bundle in bundles.items():
        pairs, skipped = choose(bundle, settings)
        slots += [Slot(f"{engine} {recipe}", bundle_id, reason) for engine, recipe, reason in skipped]
        cases += [
            _bundle_case(bundle_id, bundle, engine, entry, threads, settings, several=len(bundles) > 1)
            for threads in settings.threads
            for engine, entry in pairs
        ]
    return cases, slots


def _bundle_case(
    bundle_id: str, bundle: Bundle, engine: str, entry: ModelEntry, threads: int, settings: Settings, *, several: bool
) -> PlannedCase:
    name = f"{engine} {entry.recipe}"
    return PlannedCase(
        id=f"{bundle_id}.{engine}.{entry.recipe}.t{threads}",
        name=_name(name, bundle_id if several else "", threads if len(settings.threads) > 1 else 1),
        kind="bundle",
        bundle=bundle,
        bundle_id=bundle_id,
        engine=engine,
        recipe=entry.recipe,
        threads=threads,
        job={"kind": "model", "bundle": str(bundle.path), "file": entry.file, "engine": engine, "threads": threads},
        network="the bundle's",
        weights="trained",
        encoder="graph",
        entry=entry,
        model=_file_of(bundle, entry.file),
        required=engine in settings.engines,
    )


def _name(name: str, bundle_id: str, threads: int) -> str:
    prefix = f"{bundle_id}: " if bundle_id else ""
    return prefix + name + (f" ({threads} threads)" if threads > 1 else "")


def _file_of(bundle: Bundle, file: str) -> dict[str, Any]:
    said = bundle.files[file]
    return {"file": file, "sha256": said.sha256, "size_bytes": said.size_bytes, "macs": macs_of(bundle, file)}


def report_of(bundle: Bundle) -> Mapping[str, Any]:
    """The report inside a bundle; empty where there is none.

    Raises
    ------
    BundleError : it was changed, or is no report
    """
    if REPORT not in bundle.files:
        return {}
    path = bundle.checked_path(REPORT)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path} is no report: {error}", hint="Export the run again") from error
    return content if isinstance(content, dict) else {}


def macs_of(bundle: Bundle, file: str) -> int | None:
    """Multiply-accumulates of one window, as the bundle's report tells them."""
    macs = report_of(bundle).get("graphs", {}).get(file, {}).get("macs")
    return None if macs is None else int(macs)


def compared_bundles(bundles: Mapping[str, Bundle]) -> Iterator[tuple[str, Bundle]]:
    """The first bundle of each contract: others of the same contract are compared with the same pipelines."""
    seen: set[str] = set()
    for bundle_id, bundle in bundles.items():
        contract = bundle.files[CONTRACT].sha256
        if contract not in seen:
            seen.add(contract)
            yield bundle_id, bundle


def make_job(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """The job of the process that writes the networks to compare with."""
    macs = next((found for model in bundle.models if (found := macs_of(bundle, model.file)) is not None), None)
    return {"kind": "make", "bundle": str(bundle.path), "folder": str(folder), "macs": macs}


def comparison_cases(
    bundle_id: str, bundle: Bundle, made: Mapping[str, Mapping[str, Any]], settings: Settings, *, several: bool
) -> tuple[list[PlannedCase], list[Slot]]:
    """What is measured beside a bundle.

    Parameters
    ----------
    bundle_id, bundle : whose windows they are fed
    made : as ``vskd_benchmarks.measure.networks.make_networks`` gives it; empty where its process failed
    settings : the first number of threads counts
    several : whether names need the bundle's
    """
    beside = _Beside(bundle_id, bundle, settings.threads[0], bundle_id if several else "")
    cases: list[PlannedCase] = []
    slots: list[Slot] = []
    for name, needs, plan in beside.offers(made):
        missing = missing_packages(*needs)
        if missing is not None:
            slots.append(Slot(name, bundle_id, str(missing)))
        else:
            cases.append(plan)
    slots += [Slot(name, bundle_id, said["not_made"]) for name, said in made.items() if "not_made" in said]
    if made and "cnn1d.fp32" not in made and "cnn1d" not in made:
        slots.append(Slot("cnn1d", bundle_id, "the bundle's report does not tell its multiply-accumulates"))
    if not any(case.kind == "image-input" for case in cases):
        slots.append(Slot("image-input", bundle_id, "the bundle has no such form; `vskd export --forms` adds it"))
    return cases, slots


@dataclass(frozen=True)
class _Beside:
    """Plans what is measured beside one bundle."""

    bundle_id: str
    bundle: Bundle
    threads: int
    prefix: str

    def offers(self, made: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, ...], PlannedCase]]:
        """(name, packages that it needs, case)"""
        path = str(self.bundle.path)
        job: dict[str, Any] = {"kind": "encoder", "bundle": path}
        yield "encoder", ("pyts",), self._case("encoder", "encoder", "numpy", "fp32", job, "none", "none")
        job = {"kind": "torch", "bundle": path, "threads": self.threads}
        torch = self._case("pyts+torch", "usual-pipeline", "torch", "fp32", job, "pyts", "random", "resnet18")
        yield "pyts+torch", ("pyts", "torch", "torchvision"), torch
        if "file" in made.get("resnet18.fp32", {}):
            yield "pyts+onnxruntime", ("pyts", "onnxruntime"), self._network(made, "resnet18.fp32", usual=True)
        for name in ("mobilenetv2-0.35", "cnn1d"):
            for recipe in FORM_RECIPES:
                if "file" in made.get(f"{name}.{recipe}", {}):
                    yield f"{name} {recipe}", ("onnxruntime",), self._network(made, f"{name}.{recipe}")
        for recipe in FORM_RECIPES:
            yield from self._forms(recipe)

    def _forms(self, recipe: str) -> Iterator[tuple[str, tuple[str, ...], PlannedCase]]:
        """The bundle's own network without its encoder, where the bundle has it."""
        image, signatures = IMAGE_FILE.format(recipe=recipe), SIGNATURES_FILE.format(recipe=recipe)
        if image in self.bundle.files:
            job = self._network_job(str(self.bundle.path / image), "numpy") | {"trained": True}
            yield self._form("onnxruntime", recipe, image, job, "onnxruntime")
        if signatures in self.bundle.files:
            job = {"kind": "signature", "bundle": str(self.bundle.path), "file": signatures, "threads": self.threads}
            yield self._form("litert", recipe, signatures, job, "ai_edge_litert")

    def _form(
        self, engine: str, recipe: str, file: str, job: Mapping[str, Any], package: str
    ) -> tuple[str, tuple[str, ...], PlannedCase]:
        name = f"image-input {engine} {recipe}"
        case = self._case(name, "image-input", engine, recipe, job, "numpy", "trained", "the bundle's")
        return name, (package,), dataclasses.replace(case, model=_file_of(self.bundle, file))

    def _network(self, made: Mapping[str, Mapping[str, Any]], key: str, *, usual: bool = False) -> PlannedCase:
        """A case on an ONNX file that was made."""
        name, _, recipe = key.rpartition(".")
        said = made[key]
        encoder = "pyts" if usual else "none" if name == "cnn1d" else "numpy"
        job = self._network_job(said["file"], encoder) | {"usual": usual}
        label = "pyts+onnxruntime" if usual else f"{name} onnxruntime {recipe}"
        kind = "usual-pipeline" if usual else "student"
        case = self._case(label, kind, "onnxruntime", recipe, job, encoder, "random", name)
        return dataclasses.replace(case, model={**said, "file": Path(said["file"]).name})

    def _network_job(self, file: str, encoder: str) -> dict[str, Any]:
        job = {"kind": "network", "bundle": str(self.bundle.path), "file": file, "encoder": encoder}
        return job | {"threads": self.threads, "trained": False, "usual": False}

    def _case(
        self,
        name: str,
        kind: str,
        engine: str,
        recipe: str,
        job: Mapping[str, Any],
        encoder: str,
        weights: str,
        network: str = "none",
    ) -> PlannedCase:
        slug = re.sub(r"[^a-z0-9.-]+", "-", name)
        return PlannedCase(
            id=f"{self.bundle_id}.{slug}.t{self.threads}",
            name=_name(name, self.prefix, 1),
            kind=kind,
            bundle=self.bundle,
            bundle_id=self.bundle_id,
            engine=engine,
            recipe=recipe,
            threads=self.threads,
            job=job,
            network=network,
            weights=weights,
            encoder=encoder,
        )


def groups(cases: Sequence[PlannedCase], settings: Settings, available_bytes: int | None) -> list[list[PlannedCase]]:
    """Cases that are measured in turns, all loaded at once; the order is drawn from the seed.

    In modes paced and soak every case is alone, so that nothing else is loaded while it idles or grows.

    Parameters
    ----------
    cases : all of them
    settings : mode and seed
    available_bytes : memory; half of it may be used
    """
    draw = random.Random(settings.seed)
    shuffled = list(cases)
    draw.shuffle(shuffled)
    if settings.path_only:
        return [[case] for case in shuffled]
    at_once = len(shuffled) if available_bytes is None else max(1, available_bytes // 2 // PROCESS_BYTES)
    together = sorted(shuffled, key=lambda case: (case.bundle.files[CONTRACT].sha256, case.threads))
    return [together[start : start + at_once] for start in range(0, len(together), at_once)]


def choose(bundle: Bundle, settings: Settings) -> tuple[list[tuple[str, ModelEntry]], list[tuple[str, str, str]]]:
    """The pairs of engine and model to measure, and what is left out: (engine, recipe, reason).

    Raises
    ------
    ConfigError : an unknown engine, or no such model in the bundle
    MissingExtraError : an engine that was named is not installed, or none is
    """
    for name in settings.engines:
        kind = engine_kind(name)
        if not is_installed(name):
            raise MissingExtraError(kind.package, extra=kind.extra, purpose=f"the engine {name}")
        for recipe in settings.recipes or (None,):
            bundle.select(engine=name, recipe=recipe)
    for recipe in settings.recipes:
        bundle.select(recipe=recipe)
    pairs: list[tuple[str, ModelEntry]] = []
    slots: list[tuple[str, str, str]] = []
    for name in settings.engines or ENGINES:
        for entry in _entries(bundle, name, settings.recipes):
            reason = "" if settings.engines else _reason_to_skip(name, pairs, quick=settings.quick)
            slots += [(name, entry.recipe, reason)] if reason else []
            pairs += [] if reason else [(name, entry)]
    if not pairs:
        raise MissingExtraError("no engine", extra="litert", purpose="measuring this bundle")
    return pairs, slots


def _entries(bundle: Bundle, engine: str, recipes: Sequence[str]) -> list[ModelEntry]:
    model_format = engine_kind(engine).format
    return [
        entry for entry in bundle.models if entry.format == model_format and (not recipes or entry.recipe in recipes)
    ]


def _reason_to_skip(engine: str, pairs: Sequence[tuple[str, ModelEntry]], *, quick: bool) -> str:
    kind = engine_kind(engine)
    if not is_installed(engine):
        return f"{kind.package} is not installed; pip install 'vskd[{kind.extra}]'"
    others = {name for name, _ in pairs if name != engine and engine_kind(name).format == kind.format}
    return f"--quick measures {', '.join(others)} for .{kind.format}; name it with --engine" if quick and others else ""
