"""Two results, case by case: ratios with their intervals, and what a policy says of them.

A latency is a regression only if the whole interval of its ratio lies above the limit; where the limit lies inside the
interval, the two runs do not decide. A baseline may be a summary, a folder without its raw files; then its readings are
taken to scatter as the candidate's do, and the comparison says so. Memory is a single reading of each run and size is
exact: they have no interval. The accuracy is the trained network's as the bundle's report tells it, one figure for all
recipes of a bundle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vskd_benchmarks.compare.bootstrap import CONFIDENCE, Interval, Spread, borrowed_spread, ratio_interval, spread
from vskd_benchmarks.compare.pairing import Case, Choices, Measured, Pairing, pair
from vskd_benchmarks.compare.policy import Policy
from vskd_benchmarks.measure.latency import SMALLEST_SAMPLE
from vskd_benchmarks.result.folder import read_raw

SCHEMA_VERSION = 1

PERCENTILES = (50.0, 90.0, 99.0)

Check = dict[str, Any]


def compare(baseline: Path, candidate: Path, choices: Choices, policy: Policy, *, seed: int = 0) -> dict[str, Any]:
    """Compare a result with a baseline.

    Parameters
    ----------
    baseline, candidate : result folders; the baseline's ``raw`` may be left out
    choices, policy : what may differ, and what is a regression
    seed : of the resampling

    Returns
    -------
    plain values: ``cases``, each with its ratios and checks, ``stamps``, and ``verdict``, ``"ok"`` or ``"regression"``

    Raises
    ------
    ConfigError : they must not be compared
    DataError : a folder is none, or was changed
    """
    sides = (Measured.open(baseline), Measured.open(candidate))
    pairing = pair(*sides, choices)
    cases = [_case(sides, each, choices.scope, policy, (seed, number)) for number, each in enumerate(pairing.pairs)]
    worst = any(check["verdict"] == "regression" for case in cases for check in case["checks"])
    return {
        "kind": "vskd-comparison",
        "schema_version": SCHEMA_VERSION,
        "verdict": "regression" if worst else "ok",
        "baseline": str(baseline),
        "candidate": str(candidate),
        "scope": choices.scope,
        "confidence": CONFIDENCE,
        "seed": seed,
        "policy": asdict(policy),
        "stamps": [*pairing.stamps, *_borrowed(sides[0])],
        "cases": cases,
        **_unmatched(pairing),
    }


def _borrowed(baseline: Measured) -> Iterator[str]:
    if not baseline.has_raw:
        yield f"{baseline.folder} has no raw files: its readings are taken to scatter as the candidate's do"


def _unmatched(pairing: Pairing) -> dict[str, Any]:
    return {"only_in_baseline": list(pairing.only_baseline), "only_in_candidate": list(pairing.only_candidate)}


def _case(
    sides: tuple[Measured, Measured], cases: tuple[Case, Case], scope: str, policy: Policy, seed: tuple[int, int]
) -> dict[str, Any]:
    latency = _latency(sides, cases, scope, seed)
    figures = [_figures(side, case) for side, case in zip(sides, cases, strict=True)]
    row = {
        "id": cases[1]["id"],
        "baseline_id": cases[0]["id"],
        "name": cases[1]["name"],
        "status": [case["validity"]["status"] for case in cases],
        "latency": latency,
        **{name: [side[name] for side in figures] for name in figures[0]},
    }
    return {**row, "checks": [*_latency_checks(row, policy), *_other_checks(row, policy)]}


def _latency(
    sides: tuple[Measured, Measured], cases: tuple[Case, Case], scope: str, seed: tuple[int, int]
) -> dict[str, Any]:
    """Percentile -> both readings, their ratio and its interval; None where a sample is too small for it."""
    baseline, candidate = sides
    after = _raw(candidate, cases[1], scope)
    before = _raw(baseline, cases[0], scope) if baseline.has_raw else None
    windows = min(case["scopes"][scope]["windows"] for case in cases)
    found: dict[str, Any] = {}
    for percent in PERCENTILES:
        name, key = f"p{percent:g}", int(percent)
        found[name] = None
        if windows >= SMALLEST_SAMPLE[percent]:
            above = spread(after, percent, seed=(*seed, 1, key))
            if before is not None:
                below = spread(before, percent, seed=(*seed, 0, key))
            else:
                below = borrowed_spread(cases[0]["scopes"][scope][f"{name}_ns"], above, seed=(*seed, 0, key))
            found[name] = _readings(below, above, ratio_interval(above, below))
    return found


def _raw(side: Measured, case: Case, scope: str) -> NDArray[Any]:
    side.check_file(case["raw"])
    return read_raw(side.folder, case["id"])[scope]


def _readings(below: Spread, above: Spread, interval: Interval) -> dict[str, Any]:
    rounded = {name: round(value, 4) for name, value in asdict(interval).items()}
    return {"baseline_ns": below.measured_ns, "candidate_ns": above.measured_ns, **rounded}


def _figures(side: Measured, case: Case) -> dict[str, Any]:
    accuracy = side.bundle(case)["accuracy"] if case["weights"] == "trained" else None
    return {
        "peak_bytes": case["memory"]["peak_bytes"],
        "size_bytes": case["model"]["size_bytes"] if case["model"] else None,
        "accuracy": accuracy or {},
    }


def _latency_checks(row: Mapping[str, Any], policy: Policy) -> Iterator[Check]:
    for name, reading in row["latency"].items():
        limit = getattr(policy.latency, f"{name}_max_ratio")
        if reading is None or limit is None:
            continue
        unclear = reading["ratio"] > limit
        verdict = "regression" if reading["low"] > limit else "unclear" if unclear else "ok"
        yield _check(f"latency {name}", reading["ratio"], limit, verdict)


def _other_checks(row: Mapping[str, Any], policy: Policy) -> Iterator[Check]:
    for what, key, limit in (
        ("peak memory", "peak_bytes", policy.memory.peak_max_ratio),
        ("file size", "size_bytes", policy.size.file_max_ratio),
    ):
        before, after = row[key]
        if limit is not None and before and after:
            yield _check(what, after / before, limit, "regression" if after / before > limit else "ok")
    before, after = row["accuracy"]
    limit = policy.accuracy.max_loss
    if limit is None:
        return
    for name in sorted({*before} & {*after}):
        loss = before[name] - after[name]
        # Shares of a few hundred windows: a loss of exactly the limit must not fail by the last bit of a float.
        yield _check(f"loss of {name}", loss, limit, "regression" if loss > limit + 1e-9 else "ok")


def _check(what: str, value: float, limit: float, verdict: str) -> Check:
    return {"what": what, "value": round(value, 4), "limit": limit, "verdict": verdict}
