"""Known against unknown activities: separation against a count of pairs, thresholds against their promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd_training.evaluation.unknown import negative_energy, rounded_down, separate, threshold_that_keeps

#: Few values, so that ties are frequent.
SCORES = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.5000001, 0.9, 1.0]), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_the_area_is_the_share_of_pairs_that_are_told_apart(known: list[float], unknown: list[float]) -> None:
    won = sum((one > other) + (one == other) / 2 for one in known for other in unknown)
    found = separate(np.array(known), np.array(unknown)).auroc
    assert found == pytest.approx(won / (len(known) * len(unknown)), rel=1e-12)


@given(SCORES, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 1.0]))
def test_a_threshold_keeps_its_share_and_is_the_highest_that_does(values: list[float], share: float) -> None:
    scores = np.array(values)
    found = threshold_that_keeps(scores, share)
    assert found in values
    assert (scores >= found).mean() >= share
    for higher in (value for value in values if value > found):
        assert (scores >= higher).mean() < share


def test_of_twenty_one_may_fall() -> None:
    assert threshold_that_keeps(np.arange(20.0), 0.95) == 1.0


@given(st.floats(0, 1))
def test_a_rounded_threshold_is_never_higher(threshold: float) -> None:
    assert threshold - 1e-4 < rounded_down(threshold) <= threshold


def test_unknown_activities_above_the_threshold_are_counted() -> None:
    known = np.arange(1, 101) / 100
    found = separate(known, np.array([0.01, 0.05, 0.06, 0.9]))
    assert found.fpr95 == 0.5
    assert separate(known + 1, known).auroc == 1.0


def test_the_energy_is_high_where_one_logit_is() -> None:
    np.testing.assert_allclose(negative_energy(np.array([[0.0, 0.0], [9.0, -9.0]])), [np.log(2), 9.0], rtol=1e-6)
    assert negative_energy(np.array([[800.0, 800.0]], dtype=np.float32)) == pytest.approx(800 + np.log(2))
