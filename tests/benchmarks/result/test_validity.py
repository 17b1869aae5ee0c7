"""Each reason to doubt a result: its code, severity, value and limit."""

from __future__ import annotations

import json

import pytest

from vskd_benchmarks.result.validity import load_reasons, verdicts

CALM = {
    "load_average": [0.1, 0.1, 0.1], "governors": ["performance"], "temperature_c": 45.0, "throttled": "0x0",
    "swap_used_bytes": 0, "swapped_pages": 100,
}  # fmt: skip
PASSED = {"passed": True, "detail": "fine", "limit": 0.1, "largest_difference": 0.0, "faster": 0.0}
CASE = {
    "mode": "single-stream", "threads": 1, "warm_up": {"steady": True, "calls": 60}, "soak": None,
    "cpu": {"share": 0.999, "other_cores": 0.02, "load_source": "case"},
    "scopes": {"sensor_to_label": {"windows": 700}, "model_only": {"windows": 700}},
    "audits": {"outputs": PASSED, "repeated_input": PASSED, "accuracy": PASSED},
}  # fmt: skip
RESULT = {
    "environment": {
        "machine": {"cores": 4, "virtual_machine": False}, "before": CALM, "after": CALM,
        "readings": [{"frequency_khz": 1_500_000, "temperature_c": 46.0}],
    },
    "cases": [CASE, CASE],
}  # fmt: skip


def changed(*path, value):
    """The calm result with one thing changed; ``cases`` means its first case."""
    result = json.loads(json.dumps(RESULT))  # unlike deepcopy, it parts what is shared
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


def test_a_calm_machine_gives_no_reason_to_doubt():
    assert verdicts(RESULT) == ({"status": "valid", "reasons": []}, [{"status": "valid", "reasons": []}] * 2)


READINGS = [{"frequency_khz": khz, "temperature_c": 46.0} for khz in (1_500_000, 1_400_000)]


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
def test_each_reason_of_the_machine(path, value, code, severity, measured, limit):
    run, cases = verdicts(changed("environment", *path, value=value))
    reason = next(reason for reason in run["reasons"] if reason["code"] == code)
    assert (reason["severity"], reason["value"], reason["limit"]) == (severity, measured, limit)
    assert reason["message"]
    status = "valid" if severity == "note" else severity
    assert [run["status"], *(case["status"] for case in cases)] == [status] * 3
    assert all(case["reasons"] == [] for case in cases)


def test_throttling_that_was_over_before_the_run_is_a_note():
    result = changed("environment", "before", value={**CALM, "throttled": "0x50000"})
    result["environment"]["after"]["throttled"] = "0x50000"
    run, _ = verdicts(result)
    assert [(reason["code"], reason["severity"]) for reason in run["reasons"]] == [("throttled-earlier", "note")]


@pytest.mark.parametrize("said", [None, "VCHI initialization failed"])
def test_a_board_that_does_not_tell_is_not_blamed(said):
    assert verdicts(changed("environment", "after", value={**CALM, "throttled": said}))[0]["reasons"] == []


FAILED = {**PASSED, "passed": False, "detail": "2 of 8", "largest_difference": 0.5, "faster": 0.3}


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
        (("soak",), {"growth_bytes": 11, "limit_bytes": 10}, "memory-grew", "degraded", 11, 10),
        (("audits", "outputs"), FAILED, "audit-outputs", "invalid", 0.5, 0.1),
        (("audits", "repeated_input"), FAILED, "audit-repeated-input", "invalid", 0.3, 0.1),
        (("audits", "accuracy"), FAILED, "audit-accuracy", "invalid", 0.5, 0.1),
    ],
)
def test_each_reason_of_a_case(path, value, code, severity, measured, limit):
    run, (first, second) = verdicts(changed("cases", 0, *path, value=value))
    (reason,) = first["reasons"]
    assert (reason["code"], reason["severity"], reason["value"], reason["limit"]) == (code, severity, measured, limit)
    status = "valid" if severity == "note" else severity
    assert (first["status"], run["status"]) == (status, status)
    assert (second["status"], second["reasons"], run["reasons"]) == ("valid", [], [])


@pytest.mark.parametrize(("cores", "severity"), [(1, "invalid"), (2, "degraded")])
def test_load_that_leaves_no_core_free_is_worse(cores, severity):
    result = changed("cases", 0, "cpu", "other_cores", value=0.6)
    result["environment"]["machine"]["cores"] = cores
    assert verdicts(result)[1][0]["status"] == severity


@pytest.mark.parametrize("change", [{"threads": 2}, {"mode": "paced"}])
def test_the_share_of_a_core_says_nothing_of_several_threads_or_of_idling(change):
    result = changed("cases", 0, "cpu", "share", value=0.5)
    result["cases"][0] |= change
    assert verdicts(result)[1][0]["reasons"] == []


def test_an_unknown_load_and_an_audit_without_answer_are_no_reasons():
    result = changed("cases", 0, "cpu", "other_cores", value=None)
    result["cases"][0]["audits"]["accuracy"] = {**FAILED, "passed": None}
    assert verdicts(result)[0]["status"] == "valid"


def test_load_before_and_after_is_told_where_nothing_more_is_known():
    assert list(load_reasons(None, 0.25)) == []
    (reason,) = load_reasons(1.5, 0.1)
    assert (reason["code"], reason["severity"], reason["value"], reason["limit"]) == ("load", "degraded", 1.5, 0.25)
    assert reason["message"] == "1.50 cores were busy with other work before the run, above 0.25"
