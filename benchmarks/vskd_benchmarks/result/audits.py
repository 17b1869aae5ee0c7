"""The three audits of a case: is what was timed what a user gets.

outputs
    outputs sampled during the performance run are those of a run of the same options in a fresh process (MLPerf's
    TEST01)
repeated input
    the model's call on one repeated input is not much faster than on varied ones, so that no answer is kept (MLPerf's
    TEST04)
accuracy
    the bundle's golden windows, through the same code and session options, give the answers that the bundle promises

Computed from the raw arrays and the recorded facts alone, so that ``vskd bench --check`` comes to the same verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.checks.golden import FLIP_MARGIN, margins
from vskd.decide import softmax

#: MLPerf's bound on the gain from repeated input. A hot input of a few kilobytes gains nothing like it.
REPEATED_FASTER_LIMIT = 0.10

Raw = Mapping[str, NDArray[Any]]


def audit(case: Mapping[str, Any], bundle: Mapping[str, Any], raw: Raw) -> dict[str, Any]:
    """All three.

    Parameters
    ----------
    case, bundle : as in the result
    raw : arrays of the case, see ``vskd_benchmarks.result.folder``
    """
    return {
        "outputs": _outputs(raw, bundle["logit_tolerance"]),
        "repeated_input": _repeated_input(raw),
        "accuracy": _accuracy(case, bundle, raw),
    }


def _outputs(raw: Raw, limit: float) -> dict[str, Any]:
    said: dict[str, Any] = {"compared": 0, "identical": 0, "largest_difference": None, "limit": limit}
    if "accuracy_logits" not in raw:
        return {"passed": None, "detail": "gives no logits", **said}
    sampled = raw["sampled_logits"].astype(np.float64)
    difference = np.abs(sampled - raw["accuracy_logits"][raw["sampled_index"]].astype(np.float64)).max(axis=1)
    largest = _finite(difference.max(initial=0.0))
    said |= {"compared": len(sampled), "identical": int((difference == 0).sum()), "largest_difference": largest}
    passed = len(sampled) > 0 and largest is not None and largest <= limit
    detail = f"{said['identical']} of {len(sampled)} sampled outputs are bit for bit those of a run of their own"
    return {"passed": passed, "detail": detail, **said}


def _repeated_input(raw: Raw) -> dict[str, Any]:
    varied, repeated = raw["audit_varied"], raw["audit_repeated"]
    # Neighbours on the machine only ever lengthen a call, and a kept answer shortens every one: lower quartiles tell
    # the two apart where medians of a few calls would not.
    quartiles = [np.percentile(readings, 25, axis=1) for readings in (repeated, varied)]
    faster = float(np.median(1 - quartiles[0] / quartiles[1]))
    return {
        "passed": faster <= REPEATED_FASTER_LIMIT,
        "detail": f"a repeated input is {abs(faster):.1%} {'faster' if faster > 0 else 'slower'} than varied ones",
        "varied_p50_ns": round(float(np.median(varied))),
        "repeated_p50_ns": round(float(np.median(repeated))),
        "faster": round(faster, 4),
        "limit": REPEATED_FASTER_LIMIT,
    }


def _accuracy(case: Mapping[str, Any], bundle: Mapping[str, Any], raw: Raw) -> dict[str, Any]:
    said: dict[str, Any] = {
        "windows": 0, "agreement": None, "largest_difference": None, "limit": None, "broken_labels": 0,
    }  # fmt: skip
    if "golden_logits" not in raw:
        reason = "the bundle has no golden windows" if case["weights"] == "trained" else "no trained network"
        return {"passed": None, "detail": reason, **said}
    found, network = raw["golden_logits"], raw["golden_network"]
    recorded = raw.get("golden_recorded")
    expected = network if case["recipe"] == "fp32" or recorded is None else recorded
    same = found.argmax(axis=1) == network.argmax(axis=1)
    largest = _finite(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    sure = margins(softmax(expected, temperature=bundle["temperature"])) > FLIP_MARGIN
    broken = int(((found.argmax(axis=1) != expected.argmax(axis=1)) & sure).sum())
    said |= {"windows": len(found), "agreement": round(float(same.mean()), 4), "largest_difference": largest}
    said["broken_labels"] = broken
    detail = f"{int(same.sum())} of {len(found)} golden windows get the trained network's label"
    if case["recipe"] == "fp32":
        limit = bundle["logit_tolerance"]
        return {"passed": largest is not None and largest <= limit, "detail": detail, **said, "limit": limit}
    if recorded is None:
        return {"passed": None, "detail": f"{detail}; the bundle recorded no logits of this file", **said}
    return {"passed": largest is not None and broken == 0, "detail": detail, **said}


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
