"""The statistics of a study, each against its definition written out another way."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from vskd_training.study.statistics import SignFlip, bca_interval, compare, holm, sign_flip

#: Differences of accuracies in whole points: sums of them are compared without rounding.
POINTS = st.lists(st.integers(-20, 20), min_size=2, max_size=8)


@settings(max_examples=60)
@given(POINTS)
@example([0, 0, 0, 0, 0, -1, -2, 3])  # its mean is 0 but for rounding
def test_the_sign_flip_test_counts_every_sign_vector(points: list[int]) -> None:
    observed = abs(sum(points))
    signs = list(itertools.product((1, -1), repeat=len(points)))
    extreme = sum(abs(sum(s * x for s, x in zip(sign, points, strict=True))) >= observed for sign in signs)
    expected = extreme / len(signs)
    assert sign_flip(np.array(points, dtype=float) / 100).p == pytest.approx(expected, abs=1e-12)


#: Of each subject recordings in all, and how many each arm recognised; two seeds, whose accuracies are averaged.
COUNTS = st.sampled_from([107, 108]).flatmap(
    lambda total: st.tuples(st.just(total), *[st.integers(total - 20, total) for _ in range(4)])
)


@settings(max_examples=60)
@given(st.lists(COUNTS, min_size=2, max_size=8))
@example([(108, 107, 107, 90, 90), (107, 100, 101, 80, 81), (108, 99, 101, 70, 75), (107, 105, 107, 66, 61)])
def test_ties_are_those_of_the_counts(subjects: list[tuple[int, int, int, int, int]]) -> None:
    """Against fractions: a sum of accuracies that is equal but for rounding is as far from 0."""
    arms = {
        name: {str(row): np.mean([counts[at] / counts[0] for at in seeds]) for row, counts in enumerate(subjects)}
        for name, seeds in (("a", (1, 2)), ("b", (3, 4)))
    }
    exact = [Fraction(one + two - three - four, 2 * total) for total, one, two, three, four in subjects]
    sums = [
        sum(s * x for s, x in zip(sign, exact, strict=True)) for sign in itertools.product((1, -1), repeat=len(exact))
    ]
    expected = sum(abs(value) >= abs(sum(exact)) for value in sums) / len(sums)
    (found,) = compare(arms, [("a", "b")])
    assert found.p == pytest.approx(expected, abs=1e-12)


def test_better_in_every_subject_is_the_smallest_p_whatever_the_digits() -> None:
    """A mean that ended in a 5 at the 13th digit once gave p = 0."""
    better = [0.219626168224, 0.300925925926, 0.263888888889, 0.365740740741]
    better += [0.319444444444, 0.369158878505, 0.282407407407, 0.294392523364]
    assert sign_flip(np.array(better)) == SignFlip(2 / 256, None)


@pytest.mark.parametrize(("subjects", "smallest"), [(4, 0.125), (8, 1 / 128), (12, 2 / 4096)])
def test_the_smallest_p_is_two_of_all_sign_vectors(subjects: int, smallest: float) -> None:
    assert sign_flip(np.linspace(1, 2, subjects)).p == pytest.approx(smallest, abs=1e-12)


def test_no_difference_at_all_has_p_1() -> None:
    assert sign_flip(np.zeros(5)).p == 1.0
    assert sign_flip(np.zeros(25)).p == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_beyond_20_subjects_random_signs_give_the_exact_p_within_its_error(seed: int) -> None:
    """The exact p of 22 subjects, counted by their sums in whole points (a convolution, no sign vector is drawn)."""
    points = np.random.default_rng(seed).integers(-10, 14, size=22)
    ways = {0: 1}
    for value in points.tolist():
        grown: dict[int, int] = {}
        for total, count in ways.items():
            for step in (total + value, total - value):
                grown[step] = grown.get(step, 0) + count
        ways = grown
    exact = sum(count for total, count in ways.items() if abs(total) >= abs(points.sum())) / 2**22
    found = sign_flip(points / 100)
    assert found.standard_error is not None
    assert found.standard_error == pytest.approx(np.sqrt(exact * (1 - exact) / 100_000), rel=0.1)
    assert abs(found.p - exact) < 4 * found.standard_error
    assert found == sign_flip(points / 100)


def test_the_border_of_the_exact_test() -> None:
    assert sign_flip(np.ones(20)) == SignFlip(2 / 2**20, None)
    assert sign_flip(np.linspace(0.5, 1, 40)).p == 1 / 100_001  # (hits + 1) / (draws + 1), never 0


def test_a_p_that_is_missing_counts_as_a_comparison_in_holm() -> None:
    assert holm([0.01, None, 0.02]) == (0.03, None, 0.04)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_accuracy_that_is_not_finite_is_a_reason(value: float) -> None:
    (row,) = compare({"a": {"1": value, "2": 0.5}, "b": {"1": 0.5, "2": 0.5}}, [("a", "b")])
    assert (row.p, row.reason) == (None, "an accuracy is not finite")


def bca_by_hand(values: NDArray[np.float64], *, seed: int) -> tuple[float, float]:
    """Efron & Tibshirani, An Introduction to the Bootstrap, 14.3, with a bootstrap of its own."""
    rng = np.random.default_rng(seed)
    means = np.sort(rng.choice(values, size=(40_000, len(values))).mean(axis=1))
    bias = norm.ppf((np.sum(means < values.mean()) + np.sum(means <= values.mean())) / (2 * len(means)))
    left_out = (values.sum() - values) / (len(values) - 1)
    spread = left_out.mean() - left_out
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    bounds = []
    for z in norm.ppf([0.025, 0.975]):
        share = norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        bounds.append(float(np.quantile(means, share)))
    return bounds[0], bounds[1]


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_bias_corrected_and_accelerated(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(size=8)
    expected = bca_by_hand(values, seed=seed + 100)
    found = bca_interval(values)
    assert found is not None
    spread = expected[1] - expected[0]
    assert found == pytest.approx(expected, abs=0.05 * spread)
    assert found == bca_interval(values)


@settings(max_examples=40)
@given(st.lists(st.integers(-3, 3), min_size=3, max_size=8))
def test_the_interval_is_finite_and_within_the_values(points: list[int]) -> None:
    found = bca_interval(np.array(points, dtype=float))
    assert found is not None
    assert min(points) <= found[0] <= found[1] <= max(points)


def test_an_interval_of_equal_or_of_too_few_values() -> None:
    assert bca_interval(np.full(5, 0.25)) == (0.25, 0.25)
    assert bca_interval(np.array([0.1, 0.2])) is None


@settings(max_examples=100)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=7), st.floats(0.001, 0.9))
def test_holm_rejects_what_its_steps_reject(p_values: list[float], level: float) -> None:
    """The procedure as published: go up the p-values, stop at the first above level / (how many are left)."""
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        if p_values[index] * (len(p_values) - rank) > level:
            break
        rejected.add(index)
    assert {index for index, adjusted in enumerate(holm(p_values)) if adjusted <= level} == rejected


def test_arms_are_compared_subject_by_subject() -> None:
    names = [str(number) for number in range(8)]
    alone = {name: 0.7 + 0.01 * index for index, name in enumerate(names)}
    better = {name: value + 0.05 + 0.005 * (index % 3) for index, (name, value) in enumerate(alone.items())}
    same = dict(reversed(alone.items()))
    strong, equal = compare({"alone": alone, "better": better, "same": same}, [("better", "alone"), ("same", "alone")])
    assert strong.by_subject["4"] == pytest.approx(0.055)
    assert strong.mean == pytest.approx(np.mean([0.05 + 0.005 * (index % 3) for index in range(8)]))
    assert (strong.p, strong.p_holm) == (pytest.approx(1 / 128), pytest.approx(2 / 128))
    assert strong.low is not None
    assert strong.low > 0
    assert strong.significant
    # Equal up to the order of the subjects: not the last bit of a float, but 0.
    assert set(equal.by_subject.values()) == {0.0}
    assert (equal.p, equal.significant) == (1.0, False)


def test_an_interval_with_0_in_it_is_not_significant(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(number) for number in range(8)]
    arms = {"a": dict.fromkeys(names, 0.9), "b": dict.fromkeys(names, 0.5)}
    assert compare(arms, [("a", "b")])[0].significant
    monkeypatch.setattr("vskd_training.study.statistics.bca_interval", lambda _: (-0.01, 0.8))
    (found,) = compare(arms, [("a", "b")])
    assert (found.p_holm, found.significant) == (2 / 256, False)


def test_four_subjects_are_never_significant() -> None:
    alone = dict.fromkeys("2468", 0.5)
    (found,) = compare({"a": dict.fromkeys("2468", 0.9), "b": alone}, [("a", "b")])
    assert found.p == 0.125
    assert not found.significant


def test_different_subjects_are_a_reason() -> None:
    (row,) = compare({"a": {"1": 0.5, "2": 0.5}, "b": {"1": 0.5, "3": 0.5}}, [("a", "b")])
    assert (row.p, row.by_subject, row.reason) == (None, {}, "a was tested on 1, 2, b on 1, 3")
