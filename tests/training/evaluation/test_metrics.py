"""Scores against their definitions in exact fractions, and against figures that were committed before."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from vskd_training.evaluation import metrics

RESULTS = Path(__file__).parents[3] / "training" / "results" / "utd-mhad"
#: True and predicted classes of five.
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)
Pairs = list[tuple[int, int]]


def arrays(pairs: Pairs) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    truth, predicted = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    return truth, predicted


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@given(PAIRS)
def test_scores_are_those_of_the_definitions(pairs: Pairs) -> None:
    found = metrics.measure(*arrays(pairs), ["one"] * len(pairs))
    matrix = metrics.confusion_matrix(*arrays(pairs), 5)
    assert matrix.tolist() == [[pairs.count((row, column)) for column in range(5)] for row in range(5)]
    assert found.accuracy == share(sum(one == other for one, other in pairs), len(pairs))
    true, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    f1 = [
        Fraction(2 * pairs.count((name, name)), true.count(name) + predicted.count(name)) for name in sorted(set(true))
    ]
    assert found.macro_f1 == pytest.approx(float(sum(f1) / len(f1)), rel=1e-12)


@given(PAIRS)
def test_each_class_is_that_of_the_definitions(pairs: Pairs) -> None:
    for number, row in enumerate(metrics.by_class(*arrays(pairs), "abcde")):
        right = pairs.count((number, number))
        true, predicted = (sum(pair[side] == number for pair in pairs) for side in (0, 1))
        assert (row.label, row.count, row.predicted) == ("abcde"[number], true, predicted)
        expected = (share(right, predicted), share(right, true), share(2 * right, true + predicted))
        for score, value in zip((row.precision, row.recall, row.f1), expected, strict=True):
            assert score == (None if value is None else pytest.approx(value, rel=1e-12))


@pytest.mark.parametrize(
    "path", sorted({*RESULTS.glob("*.run.json"), *RESULTS.glob("int8-*.json")}), ids=lambda path: path.stem
)
def test_committed_figures_are_found_again(path: Path) -> None:
    """Of every committed run and bundle the confusion matrix gives the accuracy and the macro-F1 written beside it."""
    metrics_of = json.loads(path.read_text())["metrics"]
    committed = metrics_of.get("test", metrics_of)
    matrix = np.array(committed["confusion"])
    truth, predicted = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices(matrix.shape))
    found = metrics.measure(truth, predicted, ["of all"] * len(truth))
    expected = committed["recording"]["all"]
    assert found.count == expected["count"]
    assert (found.accuracy, found.macro_f1) == pytest.approx((expected["accuracy"], expected["macro_f1"]), rel=1e-14)


def test_the_worst_subject_is_named() -> None:
    found = metrics.measure(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), ["a", "a", "b", "b"])
    assert (found.worst_subject, found.worst_accuracy) == ("b", 0.5)
    assert found.by_subject == {"a": 1.0, "b": 0.5}


def test_probabilities_are_averaged_within_recordings_in_ascending_order() -> None:
    logs = np.log(np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
    found = metrics.mean_log_probabilities(logs, np.array([7, 7, 3]))
    np.testing.assert_allclose(np.exp(found), [[0.2, 0.8], [0.7, 0.3]])


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.integers(0, 3)), min_size=1, max_size=20))
def test_logarithms_of_means_are_those_of_the_mean_probabilities(rows: list[tuple[float, float, int]]) -> None:
    logits, groups = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    logs = metrics.mean_log_probabilities(metrics.log_probabilities(logits, temperature=1.0), groups)
    expected = [softmax(logits[groups == group], axis=1).mean(axis=0) for group in np.unique(groups)]
    np.testing.assert_allclose(np.exp(logs), expected, rtol=1e-9)


def test_the_temperature_of_scaled_logits_is_the_scale() -> None:
    """Labels drawn from softmax(z) make 1 the right temperature of z, and 3 that of 3 z."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5)) * 2
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(5, p=row) for row in share])
    one = metrics.fit_temperature(logits, truth)
    assert one == pytest.approx(1.0, abs=0.1)
    assert metrics.fit_temperature(3 * logits, truth) == pytest.approx(3 * one, rel=1e-3)


def test_a_temperature_that_ends_at_a_bound_says_so() -> None:
    truth = np.array([0, 1] * 50)
    right = np.where(np.eye(2)[truth] > 0, 1.0, 0.0)
    assert metrics.is_at_bound(metrics.fit_temperature(right, truth))  # always right: the surer the better
    assert metrics.is_at_bound(metrics.fit_temperature(right[::-1], truth))  # always wrong
    mixed = truth.copy()
    mixed[:20] = 1 - mixed[:20]
    assert not metrics.is_at_bound(metrics.fit_temperature(right, mixed))
