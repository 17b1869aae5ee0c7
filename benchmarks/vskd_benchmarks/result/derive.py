"""What follows from the facts of a run and its raw numbers, and from nothing else.

So ``vskd bench --check`` can compute it again and compare.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from vskd.closed import from_mapping
from vskd_benchmarks.measure.latency import median_with_interval, ratio_by_round, summarise
from vskd_benchmarks.result.audits import audit
from vskd_benchmarks.result.energy import derive_energy
from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.judgement import judge
from vskd_benchmarks.result.records.case import (
    Case,
    CaseFacts,
    MedianInterval,
    Scope,
    Stage,
)
from vskd_benchmarks.result.records.conditions import MeasuredBundle
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
    validity, each = verdicts(facts.environment, facts.profile, cases)
    cases = tuple(dataclasses.replace(case, validity=own) for case, own in zip(cases, each, strict=True))
    derived = {
        "cases": cases,
        "ratios": ratios,
        "energy": energy,
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


def _ratios(cases: Sequence[Case], bundles: Mapping[str, MeasuredBundle], raws: Mapping[str, Raw]) -> Iterator[Ratio]:
    """How many times faster each model of a bundle is, sensor -> label, than each other pipeline of its group."""
    for case in cases:
        for other in cases:
            if _comparable(case, other, bundles):
                fast, slow = (list(raws[each.id]["sensor_to_label"]) for each in (case, other))
                ratio = {"case": case.id, "against": other.id, "scope": "sensor_to_label", **ratio_by_round(slow, fast)}
                yield from_mapping(Ratio, ratio, where="ratio")


def _comparable(case: Case, other: Case, bundles: Mapping[str, MeasuredBundle]) -> bool:
    same_group = (case.group, case.threads, case.mode) == (other.group, other.threads, other.mode)
    same_contract = bundles[case.bundle].contract_sha256 == bundles[other.bundle].contract_sha256
    own = other.kind != "image-input" or case.bundle == other.bundle
    return case.kind == "bundle" and other.kind not in ("bundle", "encoder") and same_group and same_contract and own
