"""Two results side by side: which bundle and which case of one is which of the other.

``vskd_benchmarks.compare.comparable`` refuses what must not be compared, ``vskd_benchmarks.compare.compare`` computes
ratios; nothing here reads a latency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vskd.errors import ConfigError
from vskd_benchmarks.compare.comparable import check_conditions, check_pairs
from vskd_benchmarks.result.folder import ResultFolder
from vskd_benchmarks.result.records.case import Case


@dataclass(frozen=True)
class Pairing:
    """Cases that are to be compared, and what a reader must know of them.

    Attributes
    ----------
    pairs : (baseline's case, candidate's case)
    only_baseline, only_candidate : names of cases without a counterpart
    notes : sentences on what differs although it was allowed
    """

    pairs: tuple[tuple[Case, Case], ...]
    only_baseline: tuple[str, ...]
    only_candidate: tuple[str, ...]
    notes: tuple[str, ...]


def pair(
    baseline: ResultFolder, candidate: ResultFolder, *, across_models: bool = False, across_machines: bool = False
) -> Pairing:
    """Match the cases of two results, or refuse.

    Raises
    ------
    ConfigError : they must not be compared, or nothing in them can be
    """
    notes = check_conditions(baseline, candidate, across_machines=across_machines)
    same = {bundle.id: bundle.id for bundle in candidate.result.bundles}
    ours, theirs = _by_key(baseline, _partners(baseline, candidate)), _by_key(candidate, same)
    pairs = tuple((ours[key], case) for key, case in theirs.items() if key in ours)
    if not pairs:
        raise _nothing_in_common(baseline, candidate)
    notes += check_pairs(baseline, candidate, pairs, across_models=across_models)
    return Pairing(
        pairs,
        tuple(case.name for key, case in ours.items() if key not in theirs),
        tuple(case.name for key, case in theirs.items() if key not in ours),
        tuple(notes),
    )


def _partners(baseline: ResultFolder, candidate: ResultFolder) -> dict[str, str]:
    """Bundle of the baseline -> bundle of the candidate: the same one, or of the same name, or the only one left."""
    ours, theirs = list(baseline.result.bundles), list(candidate.result.bundles)
    found: dict[str, str] = {}
    for same in (("sha256", "id"), ("sha256",), ("id",)):
        for one in list(ours):
            other = next(
                (each for each in theirs if all(getattr(one, key) == getattr(each, key) for key in same)), None
            )
            if other is not None:
                found[one.id] = other.id
                ours.remove(one)
                theirs.remove(other)
    if len(ours) == len(theirs) == 1:
        found[ours[0].id] = theirs[0].id
    return found


def _by_key(side: ResultFolder, partners: Mapping[str, str]) -> dict[tuple[Any, ...], Case]:
    """Cases that go from the sensor to the label, by what must be equal; the bundle by its name in the candidate."""
    cases = [case for case in side.result.cases if case.sensor_to_label is not None]
    # A bundle without a partner must not pass for the candidate's bundle of that name.
    return {(partners.get(case.bundle, ("alone", case.bundle)), *_identity(case)): case for case in cases}


def _identity(case: Case) -> tuple[Any, ...]:
    network = () if case.kind == "bundle" else (case.network, case.model and case.model.file)
    return (case.kind, case.engine, case.recipe, case.threads, case.encoder, *network)


def _nothing_in_common(baseline: ResultFolder, candidate: ResultFolder) -> ConfigError:
    """Why no case of one is a case of the other, in one sentence."""
    sides = (baseline, candidate)
    threads = [sorted({case.threads for case in side.result.cases}) for side in sides]
    if not set(threads[0]) & set(threads[1]):
        counts = [", ".join(map(str, each)) for each in threads]
        message = f"the threads differ: {baseline.path} has {counts[0]}, {candidate.path} {counts[1]}"
        return ConfigError(message, hint="Measure both with the same --threads")
    names = ["; ".join(case.name for case in side.result.cases) for side in sides]
    message = f"no case of {baseline.path} ({names[0]}) is one of {candidate.path} ({names[1]})"
    return ConfigError(message, hint="A case is the same where bundle, engine, recipe, threads and encoder are")
