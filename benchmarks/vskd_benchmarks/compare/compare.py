"""Two results, case by case: ratios with their intervals, and what a policy decides.

A latency is a regression only if the whole interval of its ratio lies above the limit; where the limit lies inside the
interval, the two runs do not decide. A baseline may be a summary, a folder without its raw files; then its readings are
taken to scatter as the candidate's do, and the comparison notes it. Where both results have a yardstick, the same is
computed of each latency in units of its own round's; ``unit`` says which of the two the policy judges. Memory is a
single reading of each run and size is exact: they have no interval. The accuracy is each model's own on its bundle's
held-out windows; where one of the two bundles does not tell it, both trained networks'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError
from vskd_benchmarks.compare.bootstrap import CONFIDENCE, LatencyRatio, Spread, borrowed_spread, latency_ratio, spread
from vskd_benchmarks.compare.comparable import yardstick_lack
from vskd_benchmarks.compare.pairing import pair
from vskd_benchmarks.compare.policy import Policy
from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE, Statistics
from vskd_benchmarks.result.folder import ResultFolder, in_yardsticks
from vskd_benchmarks.result.records.case import Case

SCHEMA_VERSION = 4

#: What the policy's limits on latency judge: plain time, or units of each round's own yardstick.
Unit = Literal["time", "yardstick"]

#: Readings are drawn as whole numbers: of millionths of a yardstick.
_MILLIONTHS = 1e6

PERCENTILES = (50.0, 90.0, 99.0)

#: The candidate's and the baseline's value of one thing; None where there is none.
Both = tuple[int | None, ...]


@dataclass(frozen=True)
class Check:
    """A limit of the policy, what was found, and whether it is kept; unclear: the interval reaches below the limit."""

    what: str
    value: float
    limit: float
    verdict: Literal["ok", "unclear", "regression"]


@dataclass(frozen=True)
class YardstickRatio:
    """A percentile of two results in yardsticks, and candidate over baseline with its interval of 95 % confidence."""

    baseline: float
    candidate: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class ComparedCase:
    """A case of both results; pairs are (baseline's, candidate's).

    Attributes
    ----------
    id, baseline_id, name : which case
    status : of validity
    latency : by percentile; None where a sample is too small for it
    yardsticks : the same in units of each round's own yardstick; of a baseline without raw files p50 alone; empty where
        a result has none
    yardstick_ratio : the yardstick itself, candidate over baseline; None where a result has none
    peak_bytes, size_bytes : peak memory, size of the model's file
    accuracy : held-out figures of both models, or of both trained networks; empty where the weights are not trained
    checks : of the policy, which judges the models of bundles; other pipelines are shown beside them
    """

    id: str
    baseline_id: str
    name: str
    status: tuple[str, ...]
    latency: dict[str, LatencyRatio | None]
    peak_bytes: Both
    size_bytes: Both
    accuracy: tuple[dict[str, float], ...]
    yardsticks: dict[str, YardstickRatio | None]
    yardstick_ratio: float | None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two results, case by case.

    Attributes
    ----------
    verdict : a regression if any check is one
    baseline, candidate : the folders
    confidence : of the intervals
    unit : which ratios of latency the policy judged
    policy : the limits
    notes : what differs although it was allowed
    cases : that both hold
    only_in_baseline, only_in_candidate : names of cases without a counterpart
    """

    kind: Literal["vskd-comparison"] = "vskd-comparison"
    schema_version: int = SCHEMA_VERSION
    verdict: Literal["ok", "regression"]
    baseline: str
    candidate: str
    confidence: float = CONFIDENCE
    unit: Unit
    policy: Policy
    notes: tuple[str, ...]
    cases: tuple[ComparedCase, ...]
    only_in_baseline: tuple[str, ...]
    only_in_candidate: tuple[str, ...]


def compare(
    baseline: Path,
    candidate: Path,
    policy: Policy,
    *,
    across_models: bool = False,
    across_machines: bool = False,
    unit: Unit = "time",
) -> Comparison:
    """Compare a result with a baseline.

    Parameters
    ----------
    baseline, candidate : result folders; the baseline's ``raw`` may be left out
    policy : what is a regression
    across_models : different models are allowed, of one task
    across_machines : different machines are allowed
    unit : which ratios of latency the policy judges

    Raises
    ------
    ConfigError : they must not be compared
    DataError : a folder is none, or was changed
    """
    sides = (ResultFolder.open(baseline), ResultFolder.open(candidate))
    pairing = pair(*sides, across_models=across_models, across_machines=across_machines)
    lack = yardstick_lack(*sides)
    if lack and unit == "yardstick":
        raise ConfigError(lack, hint="Leave out --unit yardstick, or measure both with this vskd")
    cases = [_case(sides, each, policy, unit, number) for number, each in enumerate(pairing.pairs)]
    worst = any(check.verdict == "regression" for case in cases for check in case.checks)
    return Comparison(
        verdict="regression" if worst else "ok",
        baseline=str(baseline),
        candidate=str(candidate),
        unit=unit,
        policy=policy,
        notes=(*pairing.notes, *_borrowed(sides[0]), *([f"time alone is compared: {lack}"] if lack else [])),
        cases=tuple(cases),
        only_in_baseline=pairing.only_baseline,
        only_in_candidate=pairing.only_candidate,
    )


def _borrowed(baseline: ResultFolder) -> Iterator[str]:
    if not baseline.has_raw:
        yield f"{baseline.path} has no raw files: its readings are taken to scatter as the candidate's do"


def _case(
    sides: tuple[ResultFolder, ResultFolder], cases: tuple[Case, Case], policy: Policy, unit: Unit, seed: int
) -> ComparedCase:
    latency = _latency(sides, cases, seed)
    yardsticks = {} if yardstick_lack(*sides) else _yardsticks(sides, cases, seed)
    peak_bytes = tuple(case.memory.peak_bytes for case in cases)
    size_bytes = tuple(case.model.size_bytes if case.model else None for case in cases)
    accuracy = _accuracies(sides, cases)
    checks: tuple[Check, ...] = ()
    if cases[1].kind == "bundle":  # what others' code or machine did is no regression of a bundle
        checks = (
            *_latency_checks(latency if unit == "time" else yardsticks, policy, unit),
            *_ratio_check("peak memory", peak_bytes, policy.memory.peak_max_ratio),
            *_ratio_check("file size", size_bytes, policy.size.file_max_ratio),
            *_accuracy_checks(accuracy, policy.accuracy.max_loss),
        )
    return ComparedCase(
        id=cases[1].id,
        baseline_id=cases[0].id,
        name=cases[1].name,
        status=tuple(case.validity.status for case in cases),
        latency=latency,
        peak_bytes=peak_bytes,
        size_bytes=size_bytes,
        accuracy=accuracy,
        yardsticks=yardsticks,
        yardstick_ratio=_yardstick_ratio(cases) if yardsticks else None,
        checks=checks,
    )


def _latency(
    sides: tuple[ResultFolder, ResultFolder], cases: tuple[Case, Case], seed: int
) -> dict[str, LatencyRatio | None]:
    """Percentile -> both readings, their ratio and its interval."""
    baseline, candidate = sides
    old, new = (case.scopes["sensor_to_label"] for case in cases)
    before = baseline.raw(cases[0])["sensor_to_label"] if baseline.has_raw else None
    after = candidate.raw(cases[1])["sensor_to_label"]
    found: dict[str, LatencyRatio | None] = {}
    for percent in PERCENTILES:
        found[f"p{percent:g}"] = None
        if min(old.windows, new.windows) >= SMALLEST_SAMPLE[percent]:
            above = spread(after, percent, seed=(seed, 1, int(percent)))
            below = _baseline_spread(before, old, above, percent, (seed, 0, int(percent)))
            found[f"p{percent:g}"] = latency_ratio(below, above)
    return found


def _yardsticks(
    sides: tuple[ResultFolder, ResultFolder], cases: tuple[Case, Case], seed: int
) -> dict[str, YardstickRatio | None]:
    """As ``_latency``, of each latency in units of its own round's yardstick."""
    baseline, candidate = sides
    before = _millionths(baseline, cases[0]) if baseline.has_raw else None
    after = _millionths(candidate, cases[1])
    windows = min(case.scopes["sensor_to_label"].windows for case in cases)
    recorded = cases[0].yardstick and cases[0].yardstick.sensor_to_label
    found: dict[str, YardstickRatio | None] = {f"p{percent:g}": None for percent in PERCENTILES}
    for percent in PERCENTILES:
        seeds = [(seed, side, int(percent)) for side in (2, 3)]
        if windows < SMALLEST_SAMPLE[percent] or (before is None and (percent != 50 or recorded is None)):
            continue
        above = spread(after, percent, seed=seeds[1])
        if before is not None:
            below = spread(before, percent, seed=seeds[0])
        else:
            below = borrowed_spread(round((recorded or 0) * _MILLIONTHS), above, seed=seeds[0])
        both = latency_ratio(below, above)
        units = (both.baseline_ns / _MILLIONTHS, both.candidate_ns / _MILLIONTHS)
        found[f"p{percent:g}"] = YardstickRatio(*units, both.ratio, both.low, both.high)
    return found


def _millionths(side: ResultFolder, case: Case) -> NDArray[np.float64]:
    """Every latency of a case (rounds, calls), in millionths of its own round's yardstick.

    Raises
    ------
    DataError : its raw file has no yardstick, or was changed
    """
    units = in_yardsticks(side.raw(case))
    if units is None:
        raise DataError(f"the raw file of {case.name} in {side.path} has no yardstick", hint="Copy the folder again")
    return np.rint(units * _MILLIONTHS)


def _yardstick_ratio(cases: tuple[Case, Case]) -> float | None:
    before, after = (case.yardstick for case in cases)
    return None if before is None or after is None else round(after.median_ns / before.median_ns, 4)


def _baseline_spread(
    before: NDArray[Any] | None, old: Statistics, above: Spread, percent: float, seed: tuple[int, ...]
) -> Spread:
    if before is not None:
        return spread(before, percent, seed=seed)
    recorded_ns = {50.0: old.p50_ns, 90.0: old.p90_ns, 99.0: old.p99_ns}[percent]
    return borrowed_spread(recorded_ns or 0, above, seed=seed)


def _accuracies(sides: tuple[ResultFolder, ResultFolder], cases: tuple[Case, Case]) -> tuple[dict[str, float], ...]:
    """Of both models, or of both trained networks; empty where neither is known, or the weights are not trained."""
    bundles = [side.result.bundle(case.bundle) for side, case in zip(sides, cases, strict=True)]
    own = tuple(
        bundle.accuracy_of(case.model.file, case.engine) if case.kind == "bundle" and case.model else {}
        for bundle, case in zip(bundles, cases, strict=True)
    )
    if all(own):
        return own
    return tuple(
        (bundle.accuracy if case.weights == "trained" else None) or {}
        for bundle, case in zip(bundles, cases, strict=True)
    )


def _latency_checks(
    latency: Mapping[str, LatencyRatio | None] | Mapping[str, YardstickRatio | None], policy: Policy, unit: Unit
) -> Iterator[Check]:
    limits = policy.latency
    for name, limit in (("p50", limits.p50_max_ratio), ("p90", limits.p90_max_ratio), ("p99", limits.p99_max_ratio)):
        found = latency[name]
        if found is None or limit is None:
            continue
        verdict: Literal["ok", "unclear", "regression"] = "ok"
        if found.ratio > limit:
            verdict = "regression" if found.low > limit else "unclear"
        yield Check(f"latency {name}{' in yardsticks' if unit == 'yardstick' else ''}", found.ratio, limit, verdict)


def _ratio_check(what: str, both: Both, limit: float | None) -> Iterator[Check]:
    before, after = both
    if limit is not None and before and after:
        ratio = after / before
        yield Check(what, round(ratio, 4), limit, "regression" if ratio > limit else "ok")


def _accuracy_checks(accuracy: tuple[dict[str, float], ...], limit: float | None) -> Iterator[Check]:
    before, after = accuracy
    if limit is None:
        return
    for name in sorted({*before} & {*after}):
        loss = before[name] - after[name]
        # Shares of a few hundred windows: a loss of exactly the limit must not fail by the last bit of a float.
        yield Check(f"loss of {name}", round(loss, 4), limit, "regression" if loss > limit + 1e-9 else "ok")
