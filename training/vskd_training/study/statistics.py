"""Paired comparison of two arms over the same test subjects.

The unit is the subject, never the window and never the seed: windows of one subject resemble each other, and another
seed is no new subject. Every function takes one number per subject, already averaged over windows and seeds.

- ``sign_flip_p``: if neither arm were better, each subject's difference could as well have had the other sign. All
  2^n sign vectors are tried, so the p-value is exact; of n subjects it is never below 2 / 2^n, which is 0.125 for four.
- ``bca_interval``: bias-corrected and accelerated bootstrap of the mean (Efron, JASA 1987), scipy's. With few subjects
  it is too narrow more often than it says.
- ``holm``: several comparisons at once (Holm, Scandinavian Journal of Statistics 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vskd.errors import DataError

#: 2^20 sign vectors are tried at once; far beyond, an exact test is out of reach.
MOST_SUBJECTS = 20
LEVEL = 0.05
_RESAMPLES = 9999
#: Sums of accuracies that are closer are equal but for rounding, and equally far from 0.
_TIE = 1e-9


@dataclass(frozen=True)
class Comparison:
    """One arm against another, over subjects.

    Attributes
    ----------
    arm, against : names
    by_subject : arm minus against, of each subject
    mean : over subjects
    low, high : of the 95 % BCa interval of the mean; None with fewer than three subjects
    p : exact two-sided sign-flip test
    p_holm : the same, adjusted for all comparisons of the study
    significant : ``p_holm`` below 0.05, and an interval without 0
    """

    arm: str
    against: str
    by_subject: dict[str, float]
    mean: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    significant: bool


def sign_flip_p(differences: NDArray[np.float64]) -> float:
    """Exact two-sided p-value of a mean difference of 0.

    Not scipy's ``permutation_test``: its tolerance for ties is finer than what rounding leaves in a sum of accuracies.

    Parameters
    ----------
    differences : (subjects,), at least 1 and at most ``MOST_SUBJECTS``; of accuracies, so within [-1, 1]

    Raises
    ------
    DataError : no subject, or too many for an exact test; a difference that is not finite
    """
    count = len(differences)
    if not 1 <= count <= MOST_SUBJECTS:
        raise DataError(f"an exact sign-flip test takes 1 to {MOST_SUBJECTS} subjects, got {count}")
    if not np.isfinite(differences).all():  # a NaN is in no order, and would give p = 0
        raise DataError(f"a difference of accuracies is not finite: {differences.tolist()}", hint="Test that arm again")
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return float((np.abs(sums) >= abs(differences.sum()) - _TIE).mean())


def bca_interval(differences: NDArray[np.float64]) -> tuple[float, float] | None:
    """The 95 % BCa interval of the mean; the resampling is seeded, so the same numbers give the same interval.

    Parameters
    ----------
    differences : (subjects,)

    Returns
    -------
    low, high; the value itself where all are equal; None with fewer than three subjects
    """
    if len(differences) < 3:
        return None
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    found = stats.bootstrap(
        (differences,), np.mean, n_resamples=_RESAMPLES, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values: the i-th smallest of m times (m - i + 1), never below a smaller one's, at most 1.

    Parameters
    ----------
    p_values : of m comparisons
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def compare(by_subject: Mapping[str, Mapping[str, float]], pairs: Sequence[tuple[str, str]]) -> tuple[Comparison, ...]:
    """Compare arms over the same subjects.

    Parameters
    ----------
    by_subject : of each arm, one number per subject
    pairs : (arm, against); Holm's adjustment is over all of them

    Raises
    ------
    DataError : two arms were tested on different subjects
    """
    differences = [_differences(by_subject, arm, against) for arm, against in pairs]
    p_values = [sign_flip_p(_values(difference)) for difference in differences]
    return tuple(
        _comparison(pair, difference, p, p_holm)
        for pair, difference, p, p_holm in zip(pairs, differences, p_values, holm(p_values), strict=True)
    )


def _differences(by_subject: Mapping[str, Mapping[str, float]], arm: str, against: str) -> dict[str, float]:
    ours, theirs = by_subject[arm], by_subject[against]
    if set(ours) != set(theirs):
        raise DataError(f"{arm} was tested on {', '.join(sorted(ours))}, {against} on {', '.join(sorted(theirs))}")
    # Accuracies are ratios of counts: what is equal must give 0, not the last bit of a sum.
    return {subject: round(ours[subject] - theirs[subject], 12) for subject in ours}


def _values(difference: Mapping[str, float]) -> NDArray[np.float64]:
    return np.array(list(difference.values()), dtype=np.float64)


def _comparison(pair: tuple[str, str], difference: dict[str, float], p: float, p_holm: float) -> Comparison:
    interval = bca_interval(_values(difference))
    low, high = interval or (None, None)
    apart = low is not None and high is not None and (low > 0 or high < 0)
    mean = float(_values(difference).mean())
    return Comparison(*pair, difference, mean, low, high, p, p_holm, significant=p_holm < LEVEL and apart)
