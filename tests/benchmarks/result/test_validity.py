"""Each reason to doubt a result: its code, severity, value and limit."""

from __future__ import annotations

import json

import pytest

from vskd.closed import from_mapping, to_mapping
from vskd_benchmarks.result.folder import read_result
from vskd_benchmarks.result.records.result import Result
from vskd_benchmarks.result.records.validity import Validity
from vskd_benchmarks.result.validity import verdicts

CALM = {
    "load_average": [0.1, 0.1, 0.1], "governors": ["performance"], "frequency_khz": 1_500_000,
    "highest_frequency_khz": 1_500_000, "temperature_c": 45.0, "throttled": "0x0", "swap_used_bytes": 0,
    "swapped_pages": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def calm(make_result, tmp_path_factory):
    """Two cases on a calm machine of four cores, as a mapping."""
    folder = make_result(
        tmp_path_factory.mktemp("calm") / "result", edit=lambda facts: facts.update(cases=facts["cases"][:2])
    )
    mapping = to_mapping(read_result(folder))
    mapping["environment"] |= {"before": CALM, "after": CALM, "readings": mapping["environment"]["readings"][:1]}
    return mapping


@pytest.fixture
def judged(calm):
    """Verdicts with one thing changed, and maybe more: (path, value) -> the run's and each case's."""

    def judge(*path, value=None, more=()):
        mapping = json.loads(json.dumps(calm))
        for place_path, new in ((path, value), *more):
            place = mapping
            for key in place_path[:-1]:
                place = place[key]
            if place_path:
                old = place[place_path[-1]]
                place[place_path[-1]] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new
        result = from_mapping(Result, mapping, where="result")
        return verdicts(result.environment, result.profile, result.cases, result.yardstick)

    return judge


def codes(validity):
    return [(reason.code, reason.severity) for reason in validity.reasons]


def test_a_calm_machine_gives_no_reason_to_doubt(judged):
    assert judged() == (Validity("valid", ()), (Validity("valid", ()),) * 2)


READINGS = [{"at_s": 1.0, "frequency_khz": khz, "temperature_c": 46.0} for khz in (1_500_000, 1_400_000)]


@pytest.mark.parametrize(
    ("path", "value", "code", "severity", "measured", "limit"),
    [
        (("before", "governors"), ["ondemand"], "governor", "degraded", "ondemand", "performance"),
        (("after", "governors"), ["performance", "powersave"], "governor", "degraded", "powersave", "performance"),
        (("before", "throttled"), "0x50005", "throttled", "invalid", "0x50005", "0x0"),
        (("after", "throttled"), "0x50000", "throttled", "invalid", "0x50000", "0x0"),
        (("after", "temperature_c"), 80.0, "temperature", "degraded", 80.0, 80.0),
        (("before", "temperature_c"), 85.5, "temperature", "invalid", 85.5, 85.0),
        (("readings",), READINGS, "clock", "degraded", 0.0667, 0.05),
        (("after", "swapped_pages"), 357, "swap-activity", "degraded", 257, 256),
        (("after", "swap_used_bytes"), 4096, "swap-in-use", "note", 4096, 0),
        (("machine", "virtual_machine"), True, "virtual-machine", "note", "hypervisor", None),
    ],
)
def test_each_reason_of_the_machine(judged, path, value, code, severity, measured, limit):
    run, cases = judged("environment", *path, value=value)
    reason = next(reason for reason in run.reasons if reason.code == code)
    assert (reason.severity, reason.value, reason.limit) == (severity, measured, limit)
    assert reason.message
    status = "valid" if severity == "note" else severity
    assert [run.status, *(case.status for case in cases)] == [status] * 3
    assert all(case.reasons == () for case in cases)


def test_throttling_that_was_over_before_the_run_is_a_note(judged):
    earlier = {"throttled": "0x50000"}
    run, _ = judged("environment", "before", value=earlier, more=[(("environment", "after"), earlier)])
    assert codes(run) == [("throttled-earlier", "note")]


@pytest.mark.parametrize("answer", [None, "VCHI initialization failed"])
def test_a_board_that_does_not_tell_is_not_blamed(judged, answer):
    assert judged("environment", "after", "throttled", value=answer)[0].reasons == ()


FAILED = {"passed": False, "detail": "2 of 8", "largest_difference": 0.5, "limit": 0.1}
FASTER = {"passed": False, "detail": "30 % faster", "faster": 0.3, "limit": 0.1}


@pytest.mark.parametrize(
    ("path", "value", "code", "severity", "measured", "limit"),
    [
        (("cpu", "other_cores"), 0.3, "load", "degraded", 0.3, 0.25),
        (("cpu", "other_cores"), 3.1, "load", "invalid", 3.1, 3),
        (("cpu", "share"), 0.94, "preempted", "degraded", 0.94, 0.95),
        (("warm_up",), {"steady": False, "calls": 40}, "not-steady", "degraded", 40, None),
        (("scopes", "model_only"), {"windows": 10}, "too-few-samples", "invalid", 10, 11),
        (("scopes", "model_only"), {"windows": 63}, "too-few-samples", "degraded", 63, 64),
        (("scopes", "model_only"), {"windows": 661}, "no-p99", "note", 661, 662),
        (("threads",), 5, "threads-exceed-cores", "degraded", 5, 4),
        (
            ("soak",),
            {"growth_bytes": 11, "limit_bytes": 10, "resident_bytes": [0, 11], "at_s": [0.0, 1.0]},
            "memory-grew",
            "degraded",
            11,
            10,
        ),
        (("audits", "outputs"), FAILED, "audit-outputs", "invalid", 0.5, 0.1),
        (("audits", "repeated_input"), FASTER, "audit-repeated-input", "invalid", 0.3, 0.1),
        (("audits", "accuracy"), FAILED, "audit-accuracy", "invalid", 0.5, 0.1),
    ],
)
def test_each_reason_of_a_case(judged, path, value, code, severity, measured, limit):
    run, (first, second) = judged("cases", 0, *path, value=value)
    (reason,) = first.reasons
    assert (reason.code, reason.severity, reason.value, reason.limit) == (code, severity, measured, limit)
    status = "valid" if severity == "note" else severity
    assert (first.status, run.status) == (status, status)
    assert (second.status, second.reasons, run.reasons) == ("valid", (), ())


@pytest.mark.parametrize(("cores", "severity"), [(1, "invalid"), (2, "degraded")])
def test_load_that_leaves_no_core_free_is_worse(judged, cores, severity):
    less = [(("environment", "machine", "cores"), cores)]
    assert judged("cases", 0, "cpu", "other_cores", value=0.6, more=less)[1][0].status == severity


@pytest.mark.parametrize("change", [("threads", 2), ("mode", "paced")])
def test_the_share_of_a_core_says_nothing_of_several_threads_or_of_idling(judged, change):
    key, value = change
    assert judged("cases", 0, "cpu", "share", value=0.5, more=[(("cases", 0, key), value)])[1][0].reasons == ()


def test_an_unknown_load_and_an_audit_without_answer_are_no_reasons(judged):
    unknown = [(("cases", 0, "audits", "accuracy"), {**FAILED, "passed": None})]
    assert judged("cases", 0, "cpu", "other_cores", value=None, more=unknown)[0].status == "valid"


def yardstick(median_ns, variation=0.002):
    """Of a case, as an edit."""
    return {"median_ns": median_ns, "variation": variation}


@pytest.mark.parametrize(
    ("beside", "known_ns", "best_ns", "expected"),
    [
        (yardstick(300_000), 300_000, 299_000, None),
        (yardstick(300_000, 0.05), None, 300_000, None),
        (yardstick(300_000, 0.0501), None, 300_000, ("yardstick-not-steady", 0.0501, 0.05)),
        (yardstick(330_000), 300_000, 310_000, None),  # at the limit: 10 % over the best of all
        (yardstick(331_000), 300_000, 310_000, ("yardstick-slow", 0.1033, 0.1)),
        (yardstick(331_000), 320_000, 300_000, ("yardstick-slow", 0.1033, 0.1)),  # the run knew better itself
        (yardstick(331_000), None, 300_000, ("yardstick-slow", 0.1033, 0.1)),
    ],
)
def test_a_machine_that_changed_or_was_slow_shows_by_the_yardstick(judged, beside, known_ns, best_ns, expected):
    best = [(("yardstick",), {"known_best_ns": known_ns, "best_ns": best_ns})]
    run, (case, other) = judged("cases", 0, "yardstick", value=beside, more=best)
    if expected is None:
        assert (run.status, case.reasons) == ("valid", ())
        return
    (reason,) = case.reasons
    assert (reason.code, reason.value, reason.limit) == expected
    assert (reason.severity, case.status, run.status, other.status) == ("degraded", "degraded", "degraded", "valid")
    assert ("5.0% from round to round" if "steady" in reason.code else "331 us, 10% more") in reason.message


def test_a_result_without_a_yardstick_is_not_judged_by_one(judged):
    more = [(("cases", 1, "yardstick"), None), (("yardstick",), None)]
    assert judged("cases", 0, "yardstick", value=None, more=more)[0].status == "valid"
