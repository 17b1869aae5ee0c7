"""Which models of the bundles are measured, in which engines and in which order.

A user who names an engine or a recipe gets it or an error. Where nothing is named, what this machine cannot measure
becomes a skipped case with its reason. Starts no process and reads no model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vskd.bundle import Bundle, ModelEntry
from vskd.bundle_files import CONTRACT
from vskd.engines import ENGINES, engine_kind, is_installed, missing_engine
from vskd.manifest import RECIPE_ALIASES
from vskd.report import read_report
from vskd_benchmarks.measure.settings import ORDER_SEED, Settings

#: A worker with a full-width model takes 100 to 200 MB, one with torch 400; cases measured in turns are all loaded.
PROCESS_BYTES = 250_000_000


@dataclass(frozen=True)
class SkippedCase:
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
    required : the user named its engine, so that a failure is an error and no skipped case
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


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and what is not."""

    cases: tuple[PlannedCase, ...] = ()
    skipped: tuple[SkippedCase, ...] = ()

    def __add__(self, other: Plan) -> Plan:
        return Plan((*self.cases, *other.cases), (*self.skipped, *other.skipped))


def identify(bundles: Sequence[Bundle]) -> dict[str, Bundle]:
    """A short name of each bundle, after its folder; numbered where two are alike."""
    found: dict[str, Bundle] = {}
    for bundle in bundles:
        stem = bundle.path.absolute().name.removesuffix(".bundle").lower()
        name = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:40] or "bundle"
        numbered = (name, *(f"{name}-{number}" for number in range(2, len(bundles) + 2)))
        found[next(candidate for candidate in numbered if candidate not in found)] = bundle
    return found


def plan_bundles(bundles: Mapping[str, Bundle], settings: Settings) -> Plan:
    """A case for every model and engine that is to be measured.

    Raises
    ------
    ConfigError : an unknown engine, or no such model in a bundle
    MissingExtraError : an engine that was named is not installed, or none is
    """
    plan = Plan()
    for bundle_id, bundle in bundles.items():
        pairs, skipped = choose(bundle, settings)
        prefix = bundle_id if len(bundles) > 1 else ""
        cases = [
            bundle_case(bundle_id, bundle, *pair, settings.threads, prefix=prefix, required=pair[0] in settings.engines)
            for pair in pairs
        ]
        plan += Plan(tuple(cases), tuple(SkippedCase(name, bundle_id, reason) for name, reason in skipped))
    return plan


def bundle_case(
    bundle_id: str,
    bundle: Bundle,
    engine: str,
    entry: ModelEntry,
    threads: int,
    *,
    prefix: str = "",
    required: bool = False,
) -> PlannedCase:
    """One model of a bundle in one engine; ``prefix`` of its name, where there are several bundles."""
    name = f"{prefix}: {engine} {entry.recipe}" if prefix else f"{engine} {entry.recipe}"
    return PlannedCase(
        id=f"{bundle_id}.{engine}.{entry.recipe}.t{threads}",
        name=f"{name} ({threads} threads)" if threads > 1 else name,
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
        model=describe_file(bundle, entry.file),
        required=required,
    )


def describe_file(bundle: Bundle, file: str) -> dict[str, Any]:
    """File, sha256, size_bytes and macs of a model file of a bundle."""
    entry = bundle.files[file]
    macs = read_report(bundle).macs(file)
    return {"file": file, "sha256": entry.sha256, "size_bytes": entry.size_bytes, "macs": macs}


def groups(cases: Sequence[PlannedCase], settings: Settings, available_bytes: int | None) -> list[list[PlannedCase]]:
    """Cases that are measured in turns, all loaded at once; the order is drawn from ``ORDER_SEED``.

    In modes paced and soak every case is alone, so that nothing else is loaded while it idles or grows.

    Parameters
    ----------
    cases : all of them
    settings : for its mode
    available_bytes : memory; half of it may be used
    """
    shuffled = list(cases)
    random.Random(ORDER_SEED).shuffle(shuffled)
    if settings.path_only:
        return [[case] for case in shuffled]
    at_once = len(shuffled) if available_bytes is None else max(1, available_bytes // 2 // PROCESS_BYTES)
    together = sorted(shuffled, key=lambda case: case.bundle.files[CONTRACT].sha256)
    return [together[start : start + at_once] for start in range(0, len(together), at_once)]


def choose(bundle: Bundle, settings: Settings) -> tuple[list[tuple[str, ModelEntry]], list[tuple[str, str]]]:
    """The pairs of engine and model to measure, and what is skipped: (name, reason).

    Raises
    ------
    ConfigError : an unknown engine, or no such model in the bundle
    MissingExtraError : an engine that was named is not installed, or none is
    """
    _check_named(bundle, settings)
    pairs: list[tuple[str, ModelEntry]] = []
    skipped: list[tuple[str, str]] = []
    for name in settings.engines or ENGINES:
        for entry in _entries(bundle, name, settings.recipes):
            reason = "" if settings.engines else _reason_to_skip(name, pairs, quick=settings.quick)
            if reason:
                skipped.append((f"{name} {entry.recipe}", reason))
            else:
                pairs.append((name, entry))
    if not pairs:
        raise missing_engine(None, purpose="measuring this bundle")
    return pairs, skipped


def _check_named(bundle: Bundle, settings: Settings) -> None:
    """Refuse engines and recipes that were named and are not there."""
    for name in settings.engines:
        if not is_installed(name):
            raise missing_engine(name, purpose=f"the engine {name}")
        for recipe in settings.recipes or (None,):
            bundle.select(engine=name, recipe=recipe)
    for recipe in settings.recipes:
        bundle.select(recipe=recipe)


def _entries(bundle: Bundle, engine: str, recipes: Sequence[str]) -> Iterator[ModelEntry]:
    chosen = {RECIPE_ALIASES.get(recipe, recipe) for recipe in recipes}
    for entry in bundle.models:
        if entry.format == engine_kind(engine).format and (not chosen or entry.recipe in chosen):
            yield entry


def _reason_to_skip(engine: str, pairs: Sequence[tuple[str, ModelEntry]], *, quick: bool) -> str:
    kind = engine_kind(engine)
    if not is_installed(engine):
        return f"{kind.package} is not installed; pip install 'vskd[{kind.extra}]'"
    others = {name for name, _ in pairs if name != engine and engine_kind(name).format == kind.format}
    return f"--quick measures {', '.join(others)} for .{kind.format}; name it with --engine" if quick and others else ""
