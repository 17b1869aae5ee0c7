"""Run a search: as many trials as were asked for, on this machine or on a Ray cluster, by the backends of studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vskd.errors import ConfigError, MissingExtraError
from vskd.writing import remove_folder
from vskd_export.judge.micro import PACKAGE, is_installed
from vskd_export.search.budget import Budget
from vskd_export.search.costs import folder_of as folder_of_costs
from vskd_export.search.costs import measure_costs, untrained
from vskd_export.search.journal import Tried, open_journal, take_up, tried
from vskd_export.search.plan import Search
from vskd_export.search.trial import Place, Slot, run_slot
from vskd_training.data.experiment import Experiment
from vskd_training.data.sources import open_source
from vskd_training.datasets.prepared import prepare
from vskd_training.study.cells import UNFINISHED
from vskd_training.study.ray_backend import Shared, on_cluster
from vskd_training.study.running import fingerprints, locked, on_cores

#: Called with (trials trained, asked for, what is to be said).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Effort:
    """How much is run, and where.

    Attributes
    ----------
    trials : candidates to train in all, those of earlier sessions among them
    jobs : at a time, each with the config's ``threads``; None is one, or on a cluster what its cores allow
    ray_address : HOST:PORT of a Ray cluster; empty for this machine's cores
    """

    trials: int
    jobs: int | None = None
    ray_address: str = ""


def run_search(search: Search, budget: Budget, effort: Effort, place: Place, *, progress: Progress) -> None:
    """Train candidates within a budget until there are as many as asked for.

    Raises
    ------
    ConfigError : nothing that was drawn fits the budget; names the nearest
    DataError : another process searches in the folder; its journal is of another search; what a training raises
    MissingExtraError : a budget of the arena without tflite-micro
    """
    if budget.arena_bytes is not None and not is_installed():
        raise MissingExtraError(PACKAGE, extra="micro", purpose="a budget of the arena")
    with locked(place.out, "search"):
        take_up(place.out, budget, search.signature)
        _run_slots(search, budget, effort, _absolute(place), progress)
        if (place.out / UNFINISHED).is_dir():
            remove_folder(place.out / UNFINISHED)
        found = tried(open_journal(place.out, budget))
        if not any(one.trained for one in found):
            raise _nothing_fits(found, search, budget, place)


def _run_slots(search: Search, budget: Budget, effort: Effort, place: Place, progress: Progress) -> None:
    def trained() -> list[Tried]:
        return [one for one in tried(open_journal(place.out, budget)) if one.trained]

    before = len(trained())
    progress(before, effort.trials, "")
    if before >= effort.trials:
        return
    config = search.config({})
    slots = [Slot(f"trial-{number}", config.threads, number) for number in range(before, effort.trials)]
    call = partial(run_slot, search=search, budget=budget, place=place)
    data = (config.data.reading(),)
    shared = Shared((place.out, place.cache), partial(fingerprints, data, place.root))
    on_ray = bool(effort.ray_address)
    backend = on_cluster(effort.ray_address, shared, at_a_time=effort.jobs) if on_ray else on_cores(effort.jobs or 1)
    with backend as run:
        prepare(open_source(data[0], place.root), place.cache)
        for _ in run(call, slots):
            done = trained()
            progress(len(done), effort.trials, remaining(done, effort))


def remaining(done: Sequence[Tried], effort: Effort) -> str:
    """How long the trials that are left will take by those that are done, in words; empty where that is not known."""
    if not done or len(done) >= effort.trials:
        return ""
    each_s = sum(one.seconds for one in done) / len(done)
    left_s = each_s * (effort.trials - len(done))
    shared = f", {_duration(left_s / effort.jobs)} with {effort.jobs} at a time" if effort.jobs else ""
    return f"{_duration(each_s)} a trial, {_duration(left_s)} left one after the other{shared}"


def _duration(seconds: float) -> str:
    for unit, length_s in (("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.0f} s"


def _absolute(place: Place) -> Place:
    """Workers have working folders of their own."""
    return Place(place.out.resolve(), place.root and place.root.resolve(), place.cache.resolve())


def _nothing_fits(found: tuple[Tried, ...], search: Search, budget: Budget, place: Place) -> ConfigError:
    """The nearest of what was drawn, measured."""
    if not found:
        return ConfigError(
            "not one candidate could be drawn: the config takes no combination of the space's values",
            hint="Change the values in [space]",
        )
    nearest = min(found, key=lambda one: max(budget.excess(one.costs).values()))
    config = search.config(nearest.choice)
    first = search.cells(nearest.choice, search.folds[0])[0].config
    contract = Experiment.open(first, root=place.root, cache=place.cache, progress=None).contract
    folder = folder_of_costs(place.out, config, contract)
    nearest = replace(nearest, costs=measure_costs(untrained(config, contract), contract, folder), measured=True)
    drawn = (
        "the one candidate that was drawn does not fit" if len(found) == 1 else f"none of {len(found)} candidates fits"
    )
    return ConfigError(
        f"{drawn} the budget {budget.name}; the nearest has {nearest.costs}: {describe(nearest)}",
        hint="Raise the budget, or add smaller students to [space]",
    )


def describe(one: Tried) -> str:
    """A candidate's choice in a line."""
    values = {key: "+".join(value) if isinstance(value, list) else value for key, value in one.choice.items()}
    return ", ".join(f"{key}={value}" for key, value in values.items())
