"""What a search found: finished candidates of all budgets, which of them no other beats, and each budget's winner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vskd_export.search.budget import Budget, Costs
from vskd_export.search.costs import TFLITE, folder_of, onnx_file, untrained
from vskd_export.search.journal import Scores, Tried, budgets, open_journal, tried
from vskd_export.search.latency import TIMED, time_models
from vskd_export.search.plan import Search
from vskd_export.search.trial import Place
from vskd_training.data.experiment import Experiment


@dataclass(frozen=True)
class Candidate:
    """A finished candidate.

    Attributes
    ----------
    key, set : its name, and what it changes in the config
    scores, costs : as found
    pareto : whether no other is as accurate at no higher cost
    latency_us : engine -> median time of a call on this machine; of the Pareto set only
    """

    key: str
    set: dict[str, Any]
    scores: Scores
    costs: Costs
    pareto: bool = False
    latency_us: Mapping[str, float] | None = None


@dataclass(frozen=True)
class BudgetResult:
    """What was found for a budget.

    Attributes
    ----------
    budget : its limits
    trials : state -> how many
    winner : key of the most accurate candidate that fits, at equal accuracy the one with the fewest
        multiply-accumulates; empty where none was finished
    """

    budget: Budget
    trials: dict[str, int]
    winner: str


@dataclass(frozen=True)
class SearchResult:
    """All of a search's folder.

    Attributes
    ----------
    name : of the search
    dataset : name of the data set
    subjects, left_out : who chose, and the test subjects, who did not
    folds, seeds : of every candidate
    decisions : what accuracy counts
    budgets : name -> what was found
    candidates : by multiply-accumulates
    """

    name: str
    dataset: str
    subjects: tuple[str, ...]
    left_out: tuple[str, ...]
    folds: int
    seeds: tuple[int, ...]
    decisions: str
    budgets: dict[str, BudgetResult]
    candidates: tuple[Candidate, ...]

    def candidate(self, key: str) -> Candidate:
        """The one of this name."""
        return next(one for one in self.candidates if one.key == key)


def summarise(search: Search, place: Place) -> SearchResult:
    """Read a search's journal, find what no candidate beats, and time it.

    Parameters
    ----------
    search : the search
    place : its folder, not in use by another process
    """
    known = budgets(place.out)
    by_budget = {name: tried(open_journal(place.out, budget)) for name, budget in known.items()}
    finished = [one for found in by_budget.values() for one in found if one.scores is not None]
    candidates = pareto({one.key: _candidate(one) for one in finished}.values())
    return SearchResult(
        name=search.spec.name,
        dataset=search.config({}).data.dataset,
        subjects=search.subjects,
        left_out=search.left_out,
        folds=len(search.folds),
        seeds=search.spec.seeds,
        decisions=search.spec.decisions,
        budgets={name: _budget_result(budget, by_budget[name], candidates) for name, budget in known.items()},
        candidates=_timed(candidates, search, place),
    )


def _candidate(one: Tried) -> Candidate:
    if one.scores is None:
        raise ValueError(f"the candidate {one.key} is not finished")
    return Candidate(one.key, one.choice, one.scores, one.costs)


def pareto(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The candidates by multiply-accumulates, with those marked that no other one beats.

    One beats another that is no more accurate and costs no less in any way; of equal ones the first.
    """
    ordered = sorted(candidates, key=lambda one: (one.costs.macs, one.key))

    def beaten(place: int) -> bool:
        merits = _merits(ordered[place])
        others = enumerate(map(_merits, ordered))
        return any(
            all(more >= less for more, less in zip(theirs, merits, strict=True)) and (theirs != merits or other < place)
            for other, theirs in others
        )

    return tuple(replace(one, pareto=not beaten(place)) for place, one in enumerate(ordered))


def _merits(one: Candidate) -> tuple[float, ...]:
    """More is better."""
    arena = -(one.costs.arena_bytes or 0) if not one.costs.refused else float("-inf")
    return (one.scores.accuracy, -one.costs.macs, -one.costs.flash_bytes, arena)


def _budget_result(budget: Budget, found: Sequence[Tried], candidates: Sequence[Candidate]) -> BudgetResult:
    states = [one.state for one in found]
    within = [one for one in candidates if budget.fits(one.costs)]
    best = max(within, key=lambda one: (one.scores.accuracy, -one.costs.macs), default=None)
    return BudgetResult(budget, {state: states.count(state) for state in sorted(set(states))}, best.key if best else "")


def _timed(candidates: Sequence[Candidate], search: Search, place: Place) -> tuple[Candidate, ...]:
    """The candidates, those of the Pareto set with their latency."""
    chosen = [one for one in candidates if one.pareto]
    if not chosen:
        return tuple(candidates)
    cell = search.cells({}, search.folds[0])[0]
    like = Experiment.open(cell.config, root=place.root, cache=place.cache, progress=None).contract
    files: dict[str, list[Path]] = {engine: [] for engine in TIMED}
    for one in chosen:
        config = search.config(one.set)
        contract = replace(config, sensor=like.sensor).contract(like.labels, like.trained_on)
        folder = folder_of(place.out, config, contract)
        files["litert"].append(folder / TFLITE)
        files["onnxruntime"].append(onnx_file(untrained(config, contract), contract, folder))
    times = {engine: time_models(engine, paths, like.window_shape) for engine, paths in files.items()}
    latency = {one.key: {engine: times[engine][row] for engine in TIMED} for row, one in enumerate(chosen)}
    return tuple(replace(one, latency_us=latency.get(one.key)) for one in candidates)
