"""One trial of a search: draw a candidate within the budget, train it fold by fold, and stop where it falls behind."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_export.search.budget import Budget
from vskd_export.search.costs import folder_of, least_costs, measure_costs, untrained
from vskd_export.search.journal import (
    STARTUP_TRIALS,
    Scores,
    Tried,
    claim,
    is_exhausted,
    keep,
    open_journal,
    repeat,
    set_exhausted,
    tried,
)
from vskd_export.search.plan import Search, key_of
from vskd_training.data.experiment import Experiment
from vskd_training.loop.fit import NotFiniteLossError
from vskd_training.runs.run import WEIGHTS
from vskd_training.settings import Config
from vskd_training.study.cells import folder_of as folder_of_cell
from vskd_training.study.cells import open_cell, train_cell

#: How many candidates a trial draws before it gives up, and how many of them it converts to measure their costs.
DRAWS, MEASUREMENTS = 100, 12


@dataclass(frozen=True)
class Slot:
    """One of the trials that were asked for.

    Attributes
    ----------
    name : unique in a session
    threads : cores that its trainings keep busy
    number : of it, from 0
    """

    name: str
    threads: int
    number: int


@dataclass(frozen=True)
class Place:
    """Where a search works: its folder, the data set's, and that of prepared recordings."""

    out: Path
    root: Path | None
    cache: Path


def run_slot(slot: Slot, *, search: Search, budget: Budget, place: Place) -> str:
    """Draw a candidate that fits the budget and train it; its result is in the journal.

    Runs in a process of its own, several at a time. Returns the slot's name.
    """
    before = tried(open_journal(place.out, budget))
    # What is over the budget teaches the sampler where the budget is, and is no random start for accuracy.
    startup = STARTUP_TRIALS + sum(not one.trained for one in before)
    seed = int(np.random.SeedSequence([search.spec.seed, slot.number]).generate_state(1)[0])
    study = open_journal(place.out, budget, seed=seed, startup=startup)
    # A cluster starts a slot again whose worker died.
    repeat(study, slot=slot.name)
    if is_exhausted(study):
        return slot.name
    started_s = time.perf_counter()
    drawn = _draw(study, slot, search, budget, place)
    if drawn is None:
        set_exhausted(study)
        return slot.name
    trial, candidate = drawn
    state, finished = _train(trial, candidate, search, place)
    keep(trial, replace(finished, seconds=round(time.perf_counter() - started_s, 1)))
    study.tell(trial, finished.scores.accuracy if finished.scores else None, state=state)
    return slot.name


def _draw(study: optuna.Study, slot: Slot, search: Search, budget: Budget, place: Place) -> tuple[Trial, Tried] | None:
    """A candidate within the budget that no other trial has; those over it are kept as such."""
    labels = _contract_of(search, place)
    measurements = 0
    for _ in range(DRAWS):
        if measurements == MEASUREMENTS:
            break
        trial = study.ask()
        choice = search.space.draw(trial)
        if not claim(study, trial, slot=slot.name, key=key_of(choice)):
            study.tell(trial, state=TrialState.FAIL)
            continue
        try:
            candidate = _costed(trial.number, choice, search.config(choice), labels, budget, place)
        except ConfigError:  # values that the config takes one by one, and not together
            study.tell(trial, state=TrialState.FAIL)
            continue
        keep(trial, candidate)
        for name, excess in budget.excess(candidate.costs).items():
            trial.set_constraint(name, excess)
        if candidate.trained:
            return trial, candidate
        measurements += candidate.measured
        study.tell(trial, state=TrialState.PRUNED)
    return None


def _contract_of(search: Search, place: Place) -> Contract:
    """The contract of a training of the search, for its labels and its sensor."""
    config = search.cells({}, search.folds[0])[0].config
    return Experiment.open(config, root=place.root, cache=place.cache, progress=None).contract


def _costed(number: int, choice: Any, config: Config, like: Contract, budget: Budget, place: Place) -> Tried:
    """A candidate with its costs: bounds where these are over the budget already, or measured."""
    contract = replace(config, sensor=like.sensor).contract(like.labels, like.trained_on)
    student = untrained(config, contract)
    costs, measured = least_costs(student, contract), False
    if budget.fits(costs):
        costs, measured = measure_costs(student, contract, folder_of(place.out, config, contract)), True
    state = "running" if budget.fits(costs) else "over"
    return Tried(number, state, key_of(choice), choice, costs, measured, None, 0.0)


def _train(trial: Trial, candidate: Tried, search: Search, place: Place) -> tuple[TrialState, Tried]:
    """Train a candidate on fold after fold."""
    by_subject: dict[str, list[float]] = defaultdict(list)
    macro_f1: list[float] = []
    started_s = time.perf_counter()
    for done, fold in enumerate(search.folds, start=1):
        for cell in search.cells(candidate.choice, fold):
            try:
                train_cell(cell, place.out, root=place.root, cache=place.cache)
            except NotFiniteLossError:
                return TrialState.PRUNED, replace(candidate, state="diverged")
            (folder_of_cell(place.out, cell.name) / WEIGHTS).unlink(missing_ok=True)
            test = open_cell(place.out, cell).card["metrics"]["test"][search.spec.decisions]["all"]
            macro_f1.append(test["macro_f1"])
            for subject, accuracy in test["by_subject"].items():
                by_subject[subject].append(accuracy)
        means = {subject: float(np.mean(values)) for subject, values in by_subject.items()}
        trial.report(float(np.mean(list(means.values()))), done)
        if done < len(search.folds) and trial.should_prune():
            return TrialState.PRUNED, replace(candidate, state="pruned")
    seconds = round(time.perf_counter() - started_s, 1)
    scores = Scores(float(np.mean(list(means.values()))), float(np.mean(macro_f1)), means, seconds)
    return TrialState.COMPLETE, replace(candidate, state="finished", scores=scores)
