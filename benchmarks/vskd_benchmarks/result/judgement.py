"""The goals beside what a run measured: the worst case of each; a goal that was not put to the test has no value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vskd_benchmarks.goals import goals_of_a_result, width_of
from vskd_benchmarks.measure.latency import ratio_by_round
from vskd_benchmarks.result.folder import Raw


def judge_result(result: Mapping[str, Any], raws: Mapping[str, Raw], version: int) -> list[dict[str, Any]]:
    """Each goal of a version with the worst value of this run.

    Parameters
    ----------
    result : with cases and ratios
    raws : case id -> its arrays
    version : of the goals
    """
    measured = _measured(result, raws)
    rows = []
    for name, goal in goals_of_a_result(version).items():
        values = measured[name]
        worst = (min if goal.bound == "at least" else max)(values, default=None)
        met = None if worst is None else goal.met(worst)
        rounded = None if worst is None else round(worst, 2)
        rows.append({"goal": goal.words, "limit": goal.limit_words, "worst": rounded, "met": met})
    return rows


def _measured(result: Mapping[str, Any], raws: Mapping[str, Raw]) -> dict[str, list[float]]:
    """Every value that a goal is judged by, by the goal's name."""
    own = [case for case in result["cases"] if case["kind"] == "bundle"]
    width = {case["id"]: width_of(case["model"]["size_bytes"]) for case in own if _is_int8(case)}
    speed_ups = _speed_ups(result, set(width))
    encoders = [raws[case["id"]] for case in result["cases"] if case["kind"] == "encoder"]
    overheads = {
        case["id"]: case["overhead"]["p50_ns"] for case in own if case["overhead"] and case["overhead"]["p50_ns"]
    }
    calls = {case["id"]: case["scopes"]["bare_call"]["p50_ns"] for case in own if case["id"] in overheads}
    return {
        "speed_up": [ratio for _, ratio in speed_ups],
        "full_width_speed_up": [ratio for case, ratio in speed_ups if width[case] == "full"],
        "quarter_width_speed_up": [ratio for case, ratio in speed_ups if width[case] == "quarter"],
        "overhead": [overhead / 1e3 for overhead in overheads.values()],
        "overhead_share": [100 * overheads[case] / calls[case] for case in overheads if width.get(case) == "full"],
        "encoder_speed_up": [_encoder_ratio(raw) for raw in encoders],
        "import": [result["import_vskd"]["median_ns"] / 1e6],
        "int8_size": [shrink for bundle in result["bundles"] for shrink in _shrinks(bundle)],
    }


def _is_int8(case: Mapping[str, Any]) -> bool:
    return bool(case["recipe"].startswith("w8a8"))


def _speed_ups(result: Mapping[str, Any], int8: set[str]) -> list[tuple[str, float]]:
    """Case and ratio of every int8 model at 64 px on one thread over pyts with eager torch."""
    side = {bundle["id"]: bundle["image_shape"][1] for bundle in result["bundles"]}
    applies = {
        case["id"]
        for case in result["cases"]
        if case["id"] in int8 and case["threads"] == 1 and side[case["bundle"]] == 64
    }
    torch = {case["id"] for case in result["cases"] if case["kind"] == "usual-pipeline" and case["engine"] == "torch"}
    return [(r["case"], r["ratio"]) for r in result["ratios"] if r["case"] in applies and r["against"] in torch]


def _encoder_ratio(raw: Raw) -> float:
    return float(ratio_by_round(list(raw["pyts_encoder"]), list(raw["numpy_encoder"]))["ratio"] or 0)


def _shrinks(bundle: Mapping[str, Any]) -> Iterator[float]:
    """How many times smaller each int8 file is than the fp32 file of its format."""
    size = {(model["format"], model["recipe"]): model["size_bytes"] for model in bundle["models"]}
    for (model_format, recipe), int8_bytes in size.items():
        if recipe.startswith("w8a8") and (model_format, "fp32") in size:
            yield size[model_format, "fp32"] / int8_bytes
