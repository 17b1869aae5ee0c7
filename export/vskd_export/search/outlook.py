"""What a search would do, without doing it: the sizes of its space, its trainings, and hours where some are known."""

from __future__ import annotations

from collections.abc import Iterator

from vskd_export.search.budget import Budget
from vskd_export.search.journal import budgets, open_journal, tried
from vskd_export.search.plan import Search
from vskd_export.search.running import Effort, remaining
from vskd_export.search.trial import Place


def outlook(search: Search, budget: Budget, effort: Effort, place: Place) -> Iterator[str]:
    """Lines to print. Nothing is trained, converted or written."""
    seeds = "1 seed" if len(search.spec.seeds) == 1 else f"{len(search.spec.seeds)} seeds"
    yield f"search {search.spec.name}, budget {budget.name}"
    yield f"subjects who choose: {', '.join(search.subjects)}; left out: {', '.join(search.left_out)}"
    for one in search.space.dimensions:
        size = "an interval" if one.size is None else f"{one.size} values"
        yield f"  {one.key}: {size}"
    for family, (combinations, intervals) in search.space.sizes().items():
        further = f" times {intervals} interval{'s' if intervals > 1 else ''}" if intervals else ""
        yield f"{family}: {combinations:,} combinations{further}"
    yield (
        f"trainings: {effort.trials} trials x {len(search.folds)} folds x {seeds} = "
        f"{effort.trials * search.trainings} at most; the pruner stops trials below the median"
    )
    yield _hours(budget, effort, place)


def _hours(budget: Budget, effort: Effort, place: Place) -> str:
    known = budgets(place.out)
    done = [one for one in tried(open_journal(place.out, budget)) if one.trained] if budget.name in known else []
    left = remaining(done, effort)
    if done and not left:
        return f"hours: none, {len(done)} trials are done"
    return f"hours: {left}" if left else "hours: said after the first trial (run with --trials 1 to hear them)"
