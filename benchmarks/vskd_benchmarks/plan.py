"""What a run measures and how long: models and engines, rounds and calls.

A user who names an engine or a recipe gets it or an error. Where nothing is named, what this machine cannot measure
becomes an empty slot with its reason.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vskd.bundle import Bundle, ModelEntry
from vskd.engines import ENGINES, engine_kind, is_installed
from vskd.errors import MissingExtraError
from vskd_benchmarks.measure import SMALLEST_SAMPLE, WarmUpRule


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
    rule : of the warm-up
    """

    rounds: int
    least_calls: int
    most_calls: int
    budget_s: float
    discard: int
    cold_starts: int
    imports: int
    rule: WarmUpRule = field(default_factory=WarmUpRule)

    def calls_per_round(self, call_s: float) -> int:
        """Calls in one round for a case that takes so long, s."""
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
    rule=dataclasses.replace(WarmUpRule(), ceiling_s=1.5),
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    Attributes
    ----------
    bundle : the folder
    engines, recipes : names; empty takes all
    threads : computing threads
    quick : a shorter run, one engine per model format
    comparison : whether the usual pipeline is measured beside the bundle
    """

    bundle: Path
    engines: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    threads: int = 1
    quick: bool = False
    comparison: bool = True

    @property
    def effort(self) -> Effort:
        """How long to measure."""
        return QUICK if self.quick else FULL


@dataclass(frozen=True)
class Slot:
    """A model and an engine that are not measured, and why."""

    engine: str
    recipe: str
    reason: str


def choose(bundle: Bundle, settings: Settings) -> tuple[list[tuple[str, ModelEntry]], list[Slot]]:
    """The pairs of engine and model to measure, and the empty slots.

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
    slots: list[Slot] = []
    for name in settings.engines or ENGINES:
        for entry in _entries(bundle, name, settings.recipes):
            reason = "" if settings.engines else _reason_to_skip(name, pairs, quick=settings.quick)
            slots += [Slot(name, entry.recipe, reason)] if reason else []
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
