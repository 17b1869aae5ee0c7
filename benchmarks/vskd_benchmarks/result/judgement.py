"""The goals compared with what a run measured: the worst case of each; a goal that was not tested has no value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from vskd_benchmarks.goals import FIRST_WITH_STATUS, goals_of_a_result, is_watch, width_of
from vskd_benchmarks.measure.latency import ratio_by_round
from vskd_benchmarks.result.folder import Raw
from vskd_benchmarks.result.records.case import Case
from vskd_benchmarks.result.records.conditions import MeasuredBundle
from vskd_benchmarks.result.records.result import JudgedGoal, Result


def judge(result: Result, raws: Mapping[str, Raw], version: int) -> tuple[JudgedGoal, ...]:
    """Each goal of a version with the worst value of this run.

    Parameters
    ----------
    result : its own goals are not read; a goal of today carries the status of its validity
    raws : case id -> its arrays
    version : of the goals

    Raises
    ------
    ConfigError : no such version
    """
    judged = []
    measured = _measured(result, raws)
    for name, goal in goals_of_a_result(version).items():
        worst = (min if goal.bound == "at least" else max)(measured[name], default=None)
        met = None if worst is None else goal.met(worst)
        status = result.validity.status if version >= FIRST_WITH_STATUS else None
        judged.append(JudgedGoal(goal.words, goal.limit_words, None if worst is None else round(worst, 2), met, status))
    return tuple(judged)


def _measured(result: Result, raws: Mapping[str, Raw]) -> dict[str, list[float]]:
    """Every value that a goal is judged by, by the goal's name."""
    own = [case for case in result.cases if case.kind == "bundle"]
    int8 = [case for case in own if case.recipe.startswith("w8a8")]
    width = {case.id: width_of(case.model.size_bytes) for case in int8 if case.model is not None}
    speed_ups = _speed_ups(result, int8)
    overhead_ns = {case.id: case.overhead.p50_ns for case in own if case.overhead and case.overhead.p50_ns}
    return {
        "speed_up": [ratio for _, ratio in speed_ups],
        "full_width_speed_up": [ratio for case, ratio in speed_ups if width[case] == "full"],
        "quarter_width_speed_up": [ratio for case, ratio in speed_ups if width[case] == "quarter"],
        "overhead": [median_ns / 1e3 for median_ns in overhead_ns.values()],
        "overhead_share": [
            100 * overhead_ns[case.id] / call_ns
            for case in int8
            if width[case.id] == "full" and case.id in overhead_ns and (call_ns := case.scopes["bare_call"].p50_ns)
        ],
        "encoder_speed_up": [_encoder_ratio(raws[case.id]) for case in result.cases if case.kind == "encoder"],
        **_of_the_watch(result, int8, width),
        "import": [result.import_vskd.median_ns / 1e6],
        "int8_size": [shrink for bundle in result.bundles for shrink in _shrinks(bundle)],
    }


def _speed_ups(result: Result, int8: list[Case]) -> list[tuple[str, float]]:
    """Case and ratio of every int8 model at 64 px on one thread over pyts with eager torch."""
    applies = {
        case.id for case in int8 if case.threads == 1 and result.bundle(case.bundle).encoded_shape[1:] == (64, 64)
    }
    torch = {case.id for case in result.cases if case.kind == "usual-pipeline" and case.engine == "torch"}
    return [(each.case, each.ratio) for each in result.ratios if each.case in applies and each.against in torch]


def _of_the_watch(result: Result, int8: list[Case], width: Mapping[str, str]) -> dict[str, list[float]]:
    """What the goals of the watch student are judged by: of each such bundle its quicker engine."""
    torch = [case.id for case in result.cases if case.kind == "usual-pipeline" and case.engine == "torch"]
    ratios = {(each.case, each.against): each.ratio for each in result.ratios}
    raw = {bundle.id for bundle in result.bundles if bundle.is_raw}
    quickest = [(case, case.model.macs) for case in _quickest(result, int8) if case.model is not None]
    watches = [case for case, macs in quickest if case.bundle in raw and is_watch(macs)]
    images = [case.id for case, _ in quickest if case.bundle not in raw and width[case.id] == "full"]

    def over(others: list[str]) -> list[float]:
        return [ratios[case.id, other] for case in watches for other in others if (case.id, other) in ratios]

    return {
        "watch_latency": [p50_ns / 1e3 for case in watches if (p50_ns := case.scopes["sensor_to_label"].p50_ns)],
        "watch_over_image": over(images),
        "watch_over_pyts": over(torch),
    }


def _quickest(result: Result, int8: list[Case]) -> list[Case]:
    """Of each bundle its int8 case on one thread with the least median, where there is one."""
    found: dict[str, tuple[int, Case]] = {}
    for case in int8:
        p50_ns = case.scopes["sensor_to_label"].p50_ns
        if case.threads == 1 and p50_ns is not None and p50_ns < found.get(case.bundle, (math.inf, case))[0]:
            found[case.bundle] = (p50_ns, case)
    return [case for _, case in found.values()]


def _encoder_ratio(raw: Raw) -> float:
    return float(ratio_by_round(list(raw["pyts_encoder"]), list(raw["numpy_encoder"]))["ratio"] or 0)


def _shrinks(bundle: MeasuredBundle) -> Iterator[float]:
    """How many times smaller each int8 file is than the fp32 file of its format."""
    size = {(model.format, model.recipe): model.size_bytes for model in bundle.models}
    for (model_format, recipe), int8_bytes in size.items():
        if recipe.startswith("w8a8") and (model_format, "fp32") in size:
            yield size[model_format, "fp32"] / int8_bytes
