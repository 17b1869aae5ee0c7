"""The audits, against arrays in which the fault is put by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from vskd.closed import to_mapping
from vskd_benchmarks.result.audits import audit

CASE = {"recipe": "w8a8-static-pc", "weights": "trained"}
BUNDLE = {"logit_tolerance": 1e-4, "temperature": 1.0}
LOGITS = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.1, 0.0, 0.05]], np.float32)


def raw(**changes):
    arrays = {
        "audit_varied": np.full((5, 8), 1000),
        "audit_repeated": np.full((5, 8), 1000),
        "sampled_index": np.array([2, 0, 0]),
        "sampled_logits": LOGITS[[2, 0, 0]],
        "accuracy_logits": LOGITS,
        "golden_logits": LOGITS,
        "golden_network": LOGITS,
        "golden_recorded": LOGITS,
    }
    return {name: array for name, array in {**arrays, **changes}.items() if array is not None}


def judged(name, case=CASE, **changes):
    found = audit(SimpleNamespace(**case), SimpleNamespace(**BUNDLE), raw(**changes))
    return to_mapping(found)[name]


def test_an_honest_case_passes_all_three():
    assert [judged(name)["passed"] for name in ("outputs", "repeated_input", "accuracy")] == [True] * 3
    assert (judged("outputs")["compared"], judged("outputs")["identical"]) == (3, 3)


def test_outputs_within_the_contracts_tolerance_pass_and_are_told_from_identical_ones():
    found = judged("outputs", sampled_logits=LOGITS[[2, 0, 0]] + np.float32([[0], [0], [5e-5]]))
    assert (found["passed"], found["identical"]) == (True, 2)
    assert found["largest_difference"] == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize(
    "sampled",
    [LOGITS[[2, 0, 1]], LOGITS[[2, 0, 0]] + 2e-4, np.full((3, 3), np.nan, np.float32)],
    ids=["another window's", "too far", "not a number"],
)
def test_other_outputs_fail(sampled):
    assert judged("outputs", sampled_logits=sampled)["passed"] is False


def test_no_sampled_output_is_no_proof():
    assert judged("outputs", sampled_index=np.array([], int), sampled_logits=LOGITS[:0])["passed"] is False


def test_what_gives_no_logits_has_nothing_to_compare():
    assert judged("outputs", accuracy_logits=None)["passed"] is None


@pytest.mark.parametrize(("repeated_ns", "passed"), [(900, True), (899, False), (50, False), (1500, True)])
def test_a_repeated_input_may_be_a_tenth_faster(repeated_ns, passed):
    found = judged("repeated_input", audit_repeated=np.full((5, 8), repeated_ns))
    assert found["passed"] is passed
    assert found["faster"] == pytest.approx(1 - repeated_ns / 1000)


def test_a_noisy_neighbour_is_not_taken_for_a_cache():
    varied = np.full((5, 8), 1000)
    varied[:, :5] = 9000  # more than half of the calls were interrupted
    varied[0] = 9000
    assert judged("repeated_input", audit_varied=varied)["passed"] is True


def test_a_sure_label_that_is_not_the_recorded_one_fails_and_a_doubtful_one_does_not():
    sure, doubtful = LOGITS.copy(), LOGITS.copy()
    sure[0] = [0, 4, 0]
    doubtful[2] = [0, 0.1, 0]
    assert judged("accuracy", golden_logits=sure)["passed"] is False
    found = judged("accuracy", golden_logits=doubtful)
    assert (found["passed"], found["broken_labels"]) == (True, 0)
    assert found["agreement"] == pytest.approx(2 / 3, abs=1e-4)


def test_a_float_model_is_held_to_the_contracts_tolerance():
    case = {**CASE, "recipe": "fp32"}
    assert judged("accuracy", case, golden_logits=LOGITS + np.float32(5e-5))["passed"] is True
    found = judged("accuracy", case, golden_logits=LOGITS + np.float32(2e-4))
    assert (found["passed"], found["limit"], found["agreement"]) == (False, 1e-4, 1.0)
    assert judged("accuracy", case, golden_logits=np.full_like(LOGITS, np.nan))["passed"] is False


def test_an_integer_model_of_which_nothing_was_recorded_is_held_to_nothing():
    found = judged("accuracy", golden_recorded=None, golden_logits=np.roll(LOGITS, 1, axis=0))
    assert (found["passed"], found["agreement"]) == (None, pytest.approx(1 / 3, abs=1e-4))


@pytest.mark.parametrize(("weights", "detail"), [("random", "no trained network"), ("trained", "no golden windows")])
def test_without_golden_answers_nothing_is_claimed(weights, detail):
    found = judged("accuracy", {**CASE, "weights": weights}, golden_logits=None)
    assert found["passed"] is None
    assert detail in found["detail"]
