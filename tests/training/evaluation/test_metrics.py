"""Metrics against scikit-learn and against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from vskd_training.evaluation import metrics


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_metrics_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, answers = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    found = metrics.measure(truth, answers, ["one"] * len(pairs), classes=5)
    matrix = metrics.confusion_matrix(truth, answers, 5)
    occurring = sorted(set(truth))
    np.testing.assert_array_equal(matrix, confusion_matrix(truth, answers, labels=range(5)))
    assert found.accuracy == pytest.approx(accuracy_score(truth, answers))
    assert found.macro_f1 == pytest.approx(f1_score(truth, answers, labels=occurring, average="macro", zero_division=0))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_each_class_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, answers = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    rows = metrics.by_class(metrics.confusion_matrix(truth, answers, 5), "abcde")
    expected = precision_recall_fscore_support(truth, answers, labels=range(5), zero_division=np.nan)
    for name, values in zip(("precision", "recall", "f1", "count"), expected, strict=True):
        found = [np.nan if getattr(row, name) is None else getattr(row, name) for row in rows]
        np.testing.assert_allclose(found, values, err_msg=name)
    assert [row.answered for row in rows] == np.bincount(answers, minlength=5).tolist()
    assert [row.label for row in rows] == list("abcde")


def test_the_worst_person_is_named() -> None:
    found = metrics.measure(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), ["a", "a", "b", "b"], classes=2)
    assert (found.worst_subject, found.worst_accuracy) == ("b", 0.5)


def test_probabilities_are_averaged_within_recordings() -> None:
    logits = np.log(np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
    groups, mean = metrics.mean_probabilities(logits, np.array([7, 7, 3]))
    np.testing.assert_array_equal(groups, [3, 7])
    np.testing.assert_allclose(mean, [[0.2, 0.8], [0.7, 0.3]])


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.integers(0, 3)), min_size=1, max_size=20))
def test_logarithms_of_means_are_those_of_the_mean_probabilities(rows: list[tuple[float, float, int]]) -> None:
    logits, groups = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    logs = metrics.mean_log_probabilities(metrics.log_probabilities(logits, temperature=1.0), groups)
    np.testing.assert_allclose(np.exp(logs), metrics.mean_probabilities(logits, groups)[1], rtol=1e-9)


def test_the_temperature_of_scaled_logits_is_the_scale() -> None:
    """Labels drawn from softmax(z) make 1 the right temperature of z, and 3 that of 3 z."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5)) * 2
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(5, p=row) for row in share])
    one = metrics.fit_temperature(logits, truth)
    assert one == pytest.approx(1.0, abs=0.1)
    assert metrics.fit_temperature(3 * logits, truth) == pytest.approx(3 * one, rel=1e-3)
