"""The three audits of a case: is what was timed what a user gets.

outputs
    outputs sampled during the performance run are those of a run of the same options in a fresh process (MLPerf's
    TEST01)
repeated input
    the model's call on one repeated input is not much faster than on varied ones, so that no answer is kept (MLPerf's
    TEST04)
accuracy
    the bundle's golden windows, through the same code and session options, give the answers that the bundle promises

Computed from the raw arrays and the recorded facts alone, so that ``vskd bench check`` comes to the same verdict.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vskd.checks.golden import FLIP_MARGIN, margins
from vskd.decide import softmax
from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.records.case import CaseFacts
from vskd_benchmarks.result.records.conditions import MeasuredBundle
from vskd_benchmarks.result.records.validity import AccuracyAudit, Audits, OutputsAudit, RepeatedInputAudit

#: MLPerf's bound on the gain from repeated input. A hot input of a few kilobytes gains nothing like it.
REPEATED_FASTER_LIMIT = 0.10


def audit(case: CaseFacts, bundle: MeasuredBundle, raw: Raw) -> Audits:
    """All three.

    Parameters
    ----------
    case, bundle : as recorded
    raw : arrays of the case, see ``vskd_benchmarks.result.folder``
    """
    return Audits(_outputs(raw, bundle.logit_tolerance), _repeated_input(raw), _accuracy(case, bundle, raw))


def _outputs(raw: Raw, limit: float) -> OutputsAudit:
    if "accuracy_logits" not in raw:
        return OutputsAudit(passed=None, detail="gives no logits", limit=limit)
    sampled = raw["sampled_logits"].astype(np.float64)
    difference = np.abs(sampled - raw["accuracy_logits"][raw["sampled_index"]].astype(np.float64)).max(axis=1)
    largest, identical = _finite(difference.max(initial=0.0)), int((difference == 0).sum())
    return OutputsAudit(
        passed=len(sampled) > 0 and largest is not None and largest <= limit,
        detail=f"{identical} of {len(sampled)} sampled outputs are bit for bit those of a run of their own",
        compared=len(sampled),
        identical=identical,
        largest_difference=largest,
        limit=limit,
    )


def _repeated_input(raw: Raw) -> RepeatedInputAudit:
    varied, repeated = raw["audit_varied"], raw["audit_repeated"]
    # Neighbours on the machine only ever lengthen a call, and a kept answer shortens every one: lower quartiles
    # distinguish the two where medians of a few calls would not.
    quartiles = [np.percentile(readings, 25, axis=1) for readings in (repeated, varied)]
    faster = float(np.median(1 - quartiles[0] / quartiles[1]))
    return RepeatedInputAudit(
        passed=faster <= REPEATED_FASTER_LIMIT,
        detail=f"a repeated input is {abs(faster):.1%} {'faster' if faster > 0 else 'slower'} than varied ones",
        varied_p50_ns=round(float(np.median(varied))),
        repeated_p50_ns=round(float(np.median(repeated))),
        faster=round(faster, 4),
        limit=REPEATED_FASTER_LIMIT,
    )


def _accuracy(case: CaseFacts, bundle: MeasuredBundle, raw: Raw) -> AccuracyAudit:
    if "golden_logits" not in raw:
        reason = "the bundle has no golden windows" if case.weights == "trained" else "no trained network"
        return AccuracyAudit(passed=None, detail=reason)
    found, network = raw["golden_logits"], raw["golden_network"]
    recorded = raw.get("golden_recorded")
    is_fp32 = case.recipe == "fp32"
    expected = network if is_fp32 or recorded is None else recorded
    same = found.argmax(axis=1) == network.argmax(axis=1)
    largest = _finite(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    sure = margins(softmax(expected, temperature=bundle.temperature)) > FLIP_MARGIN
    broken = int(((found.argmax(axis=1) != expected.argmax(axis=1)) & sure).sum())
    detail = f"{int(same.sum())} of {len(found)} golden windows get the trained network's label"
    passed: bool | None = largest is not None and (largest <= bundle.logit_tolerance if is_fp32 else broken == 0)
    if not is_fp32 and recorded is None:
        passed, detail = None, f"{detail}; the bundle recorded no logits of this file"
    return AccuracyAudit(
        passed=passed,
        detail=detail,
        windows=len(found),
        agreement=round(float(same.mean()), 4),
        largest_difference=largest,
        limit=bundle.logit_tolerance if is_fp32 else None,
        broken_labels=broken,
    )


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
