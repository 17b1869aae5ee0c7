"""The journal of a search: Optuna's studies, one for each budget, in one file that several processes append to.

A trial that was killed is found here as still running, and its candidate is tried again first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from vskd.closed import from_mapping, to_mapping
from vskd.errors import DataError
from vskd.writing import cut_half_line
from vskd_export.search.budget import Budget, Costs
from vskd_export.search.space import Choice

JOURNAL = "journal.log"
_LOCK = JOURNAL + ".lock"

#: Trials that are drawn at random before the sampler learns from them, and before the pruner compares.
STARTUP_TRIALS = 10
_PRUNER_STARTUP_TRIALS = 5
#: Folds that every trial is trained on before it may be pruned.
PRUNE_FROM_FOLD = 2

#: What a study keeps: the search's signature, and the limits. What a trial keeps: who drew what, and the candidate.
#: Every attribute is a synchronised write, so a trial has two.
_SPACE, _BUDGET, _EXHAUSTED = "space", "budget", "exhausted"
_DRAWN, _CANDIDATE = "drawn", "candidate"


@dataclass(frozen=True)
class Scores:
    """What a candidate reached on the subjects who were left out.

    Attributes
    ----------
    accuracy : mean over these subjects
    macro_f1 : mean over folds and seeds
    by_subject : accuracy of each, mean over seeds
    seconds : of all its trainings
    """

    accuracy: float
    macro_f1: float
    by_subject: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Tried:
    """A candidate in the journal.

    Attributes
    ----------
    number : of the trial
    state : ``finished``, ``pruned`` (worse than the median after some folds), ``diverged``, or ``over`` (the budget;
        never trained)
    key, choice : of the candidate
    costs : measured, or bounds where these were over the budget already
    measured : whether they are measured
    scores : None of one that is not finished
    seconds : that the trial took
    """

    number: int
    state: str
    key: str
    choice: Choice
    costs: Costs
    measured: bool
    scores: Scores | None
    seconds: float

    @property
    def trained(self) -> bool:
        """Whether it counts as one of the trials that were asked for."""
        return self.state != "over"


def open_journal(out: Path, budget: Budget, *, seed: int = 0, startup: int = STARTUP_TRIALS) -> optuna.Study:
    """The study of a budget in the journal, which ``take_up`` made. Writes nothing.

    Parameters
    ----------
    out : folder of the search
    budget : names the study
    seed : of the sampler
    startup : trials before the sampler learns
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _readable(out):
        return optuna.load_study(
            study_name=budget.name,
            storage=_storage(out),
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup),
            pruner=optuna.pruners.MedianPruner(_PRUNER_STARTUP_TRIALS, n_warmup_steps=PRUNE_FROM_FOLD),
        )


def take_up(out: Path, budget: Budget, signature: str) -> None:
    """Make a journal ready for a new session, or refuse it. Only for the one process that holds the folder's lock.

    Raises
    ------
    DataError : it is the journal of another search, or cannot be read
    """
    path = out / JOURNAL
    if path.is_file():
        # A killed process leaves half a line, and its lock.
        cut_half_line(path)
        (out / _LOCK).unlink(missing_ok=True)
    _refuse_other(out, signature)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _readable(out):
        study = optuna.create_study(
            study_name=budget.name, storage=_storage(out), direction="maximize", load_if_exists=True
        )
    study.set_user_attr(_SPACE, signature)
    study.set_user_attr(_BUDGET, to_mapping(budget))
    study.set_user_attr(_EXHAUSTED, False)
    repeat(study, slot=None)


def repeat(study: optuna.Study, *, slot: str | None) -> None:
    """Try the candidates of a slot again whose process is gone, or of all; their finished folds are kept."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        drawn = trial.user_attrs.get(_DRAWN)
        if slot is None or (drawn and drawn["slot"] == slot):
            study.tell(trial.number, state=TrialState.FAIL)
            if drawn:
                study.enqueue_trial(trial.params)


def claim(study: optuna.Study, trial: Trial, *, slot: str, key: str) -> bool:
    """Note what a trial has drawn; False where an earlier trial, finished or running, has the same candidate."""
    trial.set_user_attr(_DRAWN, {"slot": slot, "key": key})
    others = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING))
    return not any(one.number < trial.number and one.user_attrs.get(_DRAWN, {}).get("key") == key for one in others)


def is_exhausted(study: optuna.Study) -> bool:
    """Whether a trial of this session has found no further candidate."""
    return bool(study.user_attrs.get(_EXHAUSTED))


def set_exhausted(study: optuna.Study) -> None:
    """Let the other trials of the session not look for what is not there."""
    study.set_user_attr(_EXHAUSTED, True)


def tried(study: optuna.Study) -> tuple[Tried, ...]:
    """Every candidate of a budget, in the order of the trials."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return tuple(_tried(trial.number, trial.user_attrs[_CANDIDATE]) for trial in trials)


def budgets(out: Path) -> dict[str, Budget]:
    """Every budget that was searched for in a folder, by name; empty where there is no journal."""
    if not (out / JOURNAL).is_file():
        return {}
    with _readable(out):
        found = optuna.get_all_study_summaries(_storage(out), include_best_trial=False)
        return {
            one.study_name: from_mapping(Budget, one.user_attrs[_BUDGET], where=JOURNAL)
            for one in found
            if _BUDGET in one.user_attrs
        }


def keep(trial: Trial, one: Tried) -> None:
    """Note a trial's candidate."""
    made = to_mapping(one)
    del made["number"]
    trial.set_user_attr(_CANDIDATE, made)


def _tried(number: int, kept: Mapping[str, Any]) -> Tried:
    plain = {**kept, "number": number}
    plain["costs"] = from_mapping(Costs, kept["costs"], where=JOURNAL)
    plain["scores"] = None if kept["scores"] is None else from_mapping(Scores, kept["scores"], where=JOURNAL)
    return Tried(**{name: plain[name] for name in Tried.__dataclass_fields__})


def _refuse_other(out: Path, signature: str) -> None:
    if not (out / JOURNAL).is_file():
        return
    with _readable(out):
        found = optuna.get_all_study_summaries(_storage(out), include_best_trial=False)
    for one in found:
        if one.user_attrs.get(_SPACE, signature) != signature:
            raise DataError(
                f"{out} holds a search of another space, config or choice of subjects",
                hint="Give another --out, or the search file as it was",
            )


def _storage(out: Path) -> JournalStorage:
    # The lock is a symbolic link to the journal, so its path must not depend on the working folder.
    return JournalStorage(JournalFileBackend(str(out.resolve() / JOURNAL)))


@contextmanager
def _readable(out: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, AttributeError, AssertionError) as error:
        raise DataError(
            f"{out / JOURNAL} was changed, or is no journal of a search: {error}", hint="Give another --out"
        ) from error
