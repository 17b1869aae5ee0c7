"""The document of a measuring script: a verdict is of the measured value, a busy machine is a reason to doubt."""

from __future__ import annotations

from research.document import judge, load_reasons, make_document


def test_a_verdict_is_of_the_measured_value_and_not_of_the_rounded_one():
    verdict = judge("overhead", 20.0004, where="wrist.bundle, litert")
    assert (verdict.what, verdict.goal, verdict.measured, verdict.unit, verdict.met) == (
        "wrist.bundle, litert: own overhead at most 20 us a window", 20, 20.0, "us", False,
    )  # fmt: skip


def test_load_before_and_after_is_told_where_nothing_more_is_known():
    assert list(load_reasons(None, 0.25)) == []
    (reason,) = load_reasons(1.5, 0.1)
    assert (reason.code, reason.severity, reason.value, reason.limit) == ("load", "degraded", 1.5, 0.25)
    assert reason.message == "1.50 cores were busy with other work before the run, above 0.25"


def test_the_machine_is_described_before_and_after_the_figures(monkeypatch):
    cores = iter([1.5, 0.1])
    monkeypatch.setattr("research.document.busy_cores", lambda: next(cores))
    made = make_document("x", lambda: {"ms": 31.0}, lambda figures: [judge("overhead", figures["ms"])])
    assert (made["benchmark"], made["ms"]) == ("x", 31.0)
    assert (made["before"]["busy_cores"], made["after"]["busy_cores"]) == (1.5, 0.1)
    assert made["reasons_to_doubt"][0]["message"].startswith("1.50 cores were busy with other work before the run")
    assert [goal["met"] for goal in made["goals"]] == [False]
