"""Calibration against the definitions, written down a second time as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from vskd_training.evaluation.calibration import BINS, calibrate

Answers = tuple[list[list[float]], list[int]]


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    classes = draw(st.integers(2, 6))
    row = st.lists(st.floats(-30, 30), min_size=classes, max_size=classes)
    logits = draw(st.lists(row, min_size=1, max_size=40))
    truth = draw(st.lists(st.integers(0, classes - 1), min_size=len(logits), max_size=len(logits)))
    return logits, truth


def expected_calibration_error(probabilities: list[list[float]], truth: list[int]) -> float:
    error = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = [
            (max(row), row.index(max(row)) == true)
            for row, true in zip(probabilities, truth, strict=True)
            if low < max(row) <= high or (number == BINS - 1 and max(row) > 1)
        ]
        if inside:
            confidence = sum(sure for sure, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / len(truth) * abs(accuracy - confidence)
    return error


@given(answers())
def test_scores_are_those_of_the_definitions(case: Answers) -> None:
    logits, truth = case
    logs = log_softmax(np.array(logits), axis=1)
    found = calibrate(logs, np.array(truth))
    probabilities = np.exp(logs)
    brier = [
        sum((value - (place == true)) ** 2 for place, value in enumerate(row))
        for row, true in zip(probabilities.tolist(), truth, strict=True)
    ]
    assert found.brier == pytest.approx(sum(brier) / len(brier))
    surprise = [math.log(sum(math.exp(z - row[true]) for z in row)) for row, true in zip(logits, truth, strict=True)]
    assert found.nll == pytest.approx(sum(surprise) / len(surprise), abs=1e-12)
    # A probability that lies on an edge but for rounding may fall to either side.
    if not np.isclose(probabilities.max(axis=1) * BINS % 1, [[0], [1]], atol=1e-9).any():
        assert found.ece == pytest.approx(expected_calibration_error(probabilities.tolist(), truth))
    assert found.accuracy == np.mean(probabilities.argmax(axis=1) == truth)
    assert sum(one.count for one in found.bins) == found.count == len(truth)


def test_what_is_said_with_70_percent_and_right_in_70_percent_is_calibrated() -> None:
    logs = np.log(np.tile([0.7, 0.3], (10, 1)))
    found = calibrate(logs, np.array([0] * 7 + [1] * 3))
    assert found.ece == pytest.approx(0)
    assert (found.accuracy, found.confidence) == pytest.approx((0.7, 0.7))
    (only,) = (one for one in found.bins if one.count)
    assert only.low < 0.7 <= only.high
    assert (only.count, only.accuracy) == (10, 0.7)


def test_a_certain_mistake_stays_finite() -> None:
    found = calibrate(log_softmax(np.array([[2000.0, 0.0]]), axis=1), np.array([1]))
    assert (found.nll, found.brier, found.ece) == (2000.0, 2.0, 1.0)
    assert found.bins[-1].count == 1
