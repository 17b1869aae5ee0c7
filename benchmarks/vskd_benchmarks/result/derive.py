"""What follows from the facts of a run and its raw numbers, and from nothing else.

So ``vskd bench --check`` can compute it again and compare.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from vskd.closed import from_mapping
from vskd_benchmarks.measure.latency import median_with_interval, ratio_by_round, summarise
from vskd_benchmarks.result.audits import audit
from vskd_benchmarks.result.energy import derive_energy
from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.judgement import judge
from vskd_benchmarks.result.records.case import (
    Case,
    CaseFacts,
    ColdStart,
    Cpu,
    MedianInterval,
    Memory,
    Scope,
    Soak,
    SoakFacts,
    Stage,
    Statistics,
)
from vskd_benchmarks.result.records.conditions import MeasuredBundle
from vskd_benchmarks.result.records.result import Facts, ImportTime, Ratio, Result, with_derived
from vskd_benchmarks.result.records.validity import Validity
from vskd_benchmarks.result.validity import verdicts

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
    readings_ns = facts.import_vskd.readings_ns
    imports = ImportTime(readings_ns=readings_ns, median_ns=int(np.median(readings_ns)))
    energy = None
    if facts.energy is not None:
        energy, cases = derive_energy(facts.energy, cases, raws)
    validity, each = verdicts(facts.environment, facts.profile, cases)
    cases = tuple(dataclasses.replace(case, validity=own) for case, own in zip(cases, each, strict=True))
    derived = {
        "cases": cases,
        "ratios": ratios,
        "import_vskd": imports,
        "energy": energy,
        "goals": (),
        "validity": validity,
    }
    result = with_derived(Result, facts, derived)
    return dataclasses.replace(result, goals=judge(result, raws, facts.goals_version))


def _case(case: CaseFacts, bundle: MeasuredBundle, raw: Raw) -> Case:
    cpu, memory, cold = case.cpu, case.memory, case.cold_start
    over_bytes = None if memory.library_bytes is None else memory.peak_bytes - memory.library_bytes
    derived = {
        "scopes": {name: _statistics(raw, name) for name in get_args(Scope) if name in raw},
        "stages": {name: _statistics(raw, name) if name in raw else None for name in get_args(Stage)},
        "overhead": _overhead(raw),
        "cpu": with_derived(Cpu, cpu, {"share": round(cpu.busy_ns / cpu.wall_ns, 4)}),
        "memory": with_derived(Memory, memory, {"over_library_bytes": over_bytes}),
        "cold_start": cold and with_derived(ColdStart, cold, {"median_ns": int(np.median(cold.readings_ns))}),
        "soak": case.soak and _soak(case.soak),
        "audits": audit(case, bundle, raw),
        "energy": None,
        "battery": None,
        "validity": _NOT_JUDGED_YET,
    }
    return with_derived(Case, case, derived)


def _statistics(raw: Raw, name: str) -> Statistics:
    return from_mapping(Statistics, summarise(raw[name]), where=name)


def _overhead(raw: Raw) -> MedianInterval | None:
    # Both readings of a pair lie within one call of the case, microseconds apart: their difference is the overhead.
    if "bare_call" not in raw:
        return None
    return MedianInterval(**median_with_interval((raw["sensor_to_label"] - raw["bare_call"]).ravel()))


def _soak(soak: SoakFacts) -> Soak:
    resident = soak.resident_bytes
    return with_derived(Soak, soak, {"growth_bytes": resident[-1] - resident[len(resident) // 10]})


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
