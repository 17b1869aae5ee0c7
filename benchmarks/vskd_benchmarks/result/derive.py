"""What follows from the facts of a run and its raw numbers, and from nothing else.

So ``vskd bench check`` can compute it again and compare.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from vskd.closed import from_mapping
from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE, median_with_interval, ratio_by_round, summarise
from vskd_benchmarks.result.audits import audit
from vskd_benchmarks.result.energy import derive_energy
from vskd_benchmarks.result.folder import YARDSTICK, Raw, in_yardsticks
from vskd_benchmarks.result.judgement import judge
from vskd_benchmarks.result.records.case import (
    Case,
    CaseFacts,
    CaseYardstick,
    MedianInterval,
    Scope,
    Stage,
)
from vskd_benchmarks.result.records.conditions import MeasuredBundle, Yardstick
from vskd_benchmarks.result.records.result import Facts, Ratio, Result
from vskd_benchmarks.result.records.validity import Validity
from vskd_benchmarks.result.validity import verdicts

Derived = TypeVar("Derived")

_NOT_JUDGED_YET = Validity("valid", ())


def derive(facts: Facts, raws: Mapping[str, Raw]) -> Result:
    """The whole document: the facts, and what follows from them.

    Parameters
    ----------
    facts : anything derived that they hold already is replaced
    raws : case id -> its arrays
    """
    bundles = {bundle.id: bundle for bundle in facts.bundles}
    cases = tuple(_case(case, bundles[case.bundle], raws[case.id]) for case in facts.cases)
    ratios = tuple(_ratios(cases, bundles, raws))
    energy = None
    if facts.energy is not None:
        energy, cases = derive_energy(facts.energy, cases, raws)
    yardstick = _yardstick(facts.yardstick, cases)
    validity, each = verdicts(facts.environment, facts.profile, cases, yardstick)
    cases = tuple(dataclasses.replace(case, validity=own) for case, own in zip(cases, each, strict=True))
    derived = {
        "cases": cases,
        "ratios": ratios,
        "energy": energy,
        "yardstick": yardstick,
        "goals": (),
        "validity": validity,
    }
    result = _with_derived(Result, facts, derived)
    return dataclasses.replace(result, goals=judge(result, raws, facts.goals_version))


def _case(case: CaseFacts, bundle: MeasuredBundle, raw: Raw) -> Case:
    derived = {
        "scopes": {name: summarise(raw[name]) for name in get_args(Scope) if name in raw},
        "stages": {name: summarise(raw[name]) if name in raw else None for name in get_args(Stage)},
        "overhead": _overhead(raw),
        "audits": audit(case, bundle, raw),
        "energy": None,
        "battery": None,
        "yardstick": _case_yardstick(raw),
        "validity": _NOT_JUDGED_YET,
    }
    return _with_derived(Case, case, derived)


def _with_derived(kind: type[Derived], facts: Any, derived: Mapping[str, Any]) -> Derived:
    """A record of facts and of what follows from them; what it holds of the latter already is replaced."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: derived[name] if name in derived else getattr(facts, name) for name in names})


def _overhead(raw: Raw) -> MedianInterval | None:
    # Both readings of a pair lie within one call of the case, microseconds apart: their difference is the overhead.
    if "bare_call" not in raw:
        return None
    return MedianInterval(**median_with_interval((raw["sensor_to_label"] - raw["bare_call"]).ravel()))


def _case_yardstick(raw: Raw) -> CaseYardstick | None:
    if YARDSTICK not in raw:
        return None
    rounds_ns = np.median(raw[YARDSTICK], axis=1)
    variation = float(rounds_ns.std(ddof=1) / rounds_ns.mean()) if len(rounds_ns) > 1 else 0.0
    path = in_yardsticks(raw)
    return CaseYardstick(
        round_p50_ns=tuple(round(median_ns) for median_ns in rounds_ns.tolist()),
        median_ns=round(float(np.median(rounds_ns))),
        variation=round(variation, 4),
        sensor_to_label=None if path is None else _median(path),
    )


def _median(yardsticks: NDArray[np.float64]) -> float | None:
    """By nearest rank, as that of the nanoseconds; None where the sample is too small."""
    if yardsticks.size < SMALLEST_SAMPLE[50.0]:
        return None
    return float(f"{np.percentile(yardsticks, 50, method='inverted_cdf'):.6g}")


def _yardstick(recorded: Yardstick | None, cases: Sequence[Case]) -> Yardstick | None:
    if recorded is None:
        return None
    rounds_ns = [median_ns for case in cases if case.yardstick for median_ns in case.yardstick.round_p50_ns]
    return dataclasses.replace(recorded, best_ns=min(rounds_ns, default=None))


def _ratios(cases: Sequence[Case], bundles: Mapping[str, MeasuredBundle], raws: Mapping[str, Raw]) -> Iterator[Ratio]:
    """How many times faster each model of a bundle is, sensor -> label, than each other pipeline of its group.

    A raw network is also compared with the image networks of the same task and recipe, and with their usual pipelines.
    """
    for case in cases:
        for other in cases:
            if _comparable(case, other, bundles):
                fast, slow = (list(raws[each.id]["sensor_to_label"]) for each in (case, other))
                units = in_yardsticks(raws[other.id]), in_yardsticks(raws[case.id])
                ratio = {"case": case.id, "against": other.id, "scope": "sensor_to_label", **ratio_by_round(slow, fast)}
                if units[0] is not None and units[1] is not None:
                    ratio["in_yardsticks"] = ratio_by_round(list(units[0]), list(units[1]))["ratio"]
                yield from_mapping(Ratio, ratio, where="ratio")


def _comparable(case: Case, other: Case, bundles: Mapping[str, MeasuredBundle]) -> bool:
    same_group = (case.group, case.threads, case.mode) == (other.group, other.threads, other.mode)
    if case.kind != "bundle" or other.kind == "encoder" or not same_group:
        return False
    ours, theirs = bundles[case.bundle], bundles[other.bundle]
    if ours.is_raw and not theirs.is_raw and ours.task == theirs.task:
        return other.kind == "usual-pipeline" or (other.kind == "bundle" and case.recipe == other.recipe)
    own = other.kind != "image-input" or case.bundle == other.bundle
    return other.kind != "bundle" and ours.contract_sha256 == theirs.contract_sha256 and own
