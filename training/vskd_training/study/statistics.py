"""Paired comparison of two arms over the same test subjects.

The unit is the subject, never the window and never the seed: windows of one subject resemble each other, and another
seed is no new subject. Every function takes one number per subject, already averaged over windows and seeds.

- ``sign_flip``: if neither arm were better, each subject's difference could as well have had the other sign. Up to 20
  subjects all 2^n sign vectors are tried, so the p-value is exact; of n subjects it is never below 2 / 2^n, which is
  0.125 for four. Of more subjects 100,000 vectors are drawn by a fixed seed, and p = (hits + 1) / (draws + 1), which is
  a valid p-value itself (Phipson & Smyth, 2010); the standard error of the draw is reported beside it.
- ``bca_interval``: bias-corrected and accelerated bootstrap of the mean (Efron, JASA 1987), scipy's. With few subjects
  it is too narrow more often than it says.
- ``holm``: several comparisons at once (Holm, Scandinavian Journal of Statistics 1979).

A pair that cannot be tested (one subject, other subjects, an unfinished arm) is a ``Comparison`` with its reason, never
an error: what was trained is always reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: 2^20 sign vectors are tried at once; far beyond, an exact test is out of reach.
EXACT_SUBJECTS = 20
#: Sign vectors drawn for more subjects, and how many of them at a time.
DRAWS = 100_000
_DRAWS_AT_ONCE = 10_000
LEVEL = 0.05
_RESAMPLES = 9999
#: Sums of accuracies that are closer are equal but for rounding, and equally far from 0.
_TIE = 1e-9


@dataclass(frozen=True)
class SignFlip:
    """The result of a sign-flip test.

    Attributes
    ----------
    p : two-sided p-value of a mean difference of 0
    standard_error : of p, where it was estimated from random sign vectors; None where all of them were tried
    """

    p: float
    standard_error: float | None


@dataclass(frozen=True)
class Comparison:
    """One arm against another, over subjects.

    Attributes
    ----------
    arm, against : names
    by_subject : arm minus against, of each subject; empty where the arms have no common subjects
    mean : over subjects, None without any
    low, high : of the 95 % BCa interval of the mean; None with fewer than three subjects
    p : two-sided sign-flip test, None where there is none
    p_standard_error : of ``p``, where random sign vectors were drawn; None where p is exact
    p_holm : the same as ``p``, adjusted for all comparisons of the study
    significant : ``p_holm`` below 0.05, and an interval without 0
    reason : why there is no p; empty where there is one
    """

    arm: str
    against: str
    by_subject: dict[str, float]
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    p_standard_error: float | None
    p_holm: float | None
    significant: bool
    reason: str = ""

    @property
    def better(self) -> int:
        """In how many subjects the arm is better."""
        return sum(value > 0 for value in self.by_subject.values())


def sign_flip(differences: NDArray[np.float64]) -> SignFlip:
    """Two-sided test of a mean difference of 0: exact up to ``EXACT_SUBJECTS``, by random sign vectors beyond.

    Not scipy's ``permutation_test``: its tolerance for ties is finer than what rounding leaves in a sum of accuracies.

    Parameters
    ----------
    differences : (subjects,), at least 1, finite; of accuracies, so within [-1, 1]
    """
    least = abs(differences.sum()) - _TIE
    if len(differences) > EXACT_SUBJECTS:
        return _drawn(differences, least)
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return SignFlip(float((np.abs(sums) >= least).mean()), None)


def _drawn(differences: NDArray[np.float64], least: float) -> SignFlip:
    """By ``DRAWS`` sign vectors of a fixed seed, so that the same differences give the same p."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(DRAWS // _DRAWS_AT_ONCE):
        signs = rng.integers(0, 2, size=(_DRAWS_AT_ONCE, len(differences)), dtype=np.int8) * 2.0 - 1.0
        hits += int((np.abs(signs @ differences) >= least).sum())
    p = (hits + 1) / (DRAWS + 1)
    return SignFlip(p, float(np.sqrt(p * (1 - p) / DRAWS)))


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


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjusted p-values: the i-th smallest of m times (m - i + 1), never below a smaller one's, at most 1.

    Parameters
    ----------
    p_values : of m comparisons; one that is None counts among them as the largest, and stays None
    """
    found = [(p, index) for index, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(sorted(found)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        adjusted[index] = largest
    return tuple(adjusted)


def compare(
    by_subject: Mapping[str, Mapping[str, float]],
    pairs: Sequence[tuple[str, str]],
    *,
    unfinished: Mapping[str, str] | None = None,
) -> tuple[Comparison, ...]:
    """Compare arms over the same subjects.

    Parameters
    ----------
    by_subject : of each finished arm, one number per subject
    pairs : (arm, against); Holm's adjustment is over all of them
    unfinished : of each other arm, why it has no numbers
    """
    compared = [_compared(by_subject, pair, unfinished or {}) for pair in pairs]
    adjusted = holm([row.p for row in compared])
    return tuple(
        replace(row, p_holm=p_holm, significant=p_holm is not None and p_holm < LEVEL and _is_apart(row))
        for row, p_holm in zip(compared, adjusted, strict=True)
    )


def _compared(
    by_subject: Mapping[str, Mapping[str, float]], pair: tuple[str, str], unfinished: Mapping[str, str]
) -> Comparison:
    """One pair, not yet adjusted."""
    nothing = Comparison(*pair, {}, None, None, None, None, None, None, significant=False)
    for arm in pair:
        if arm in unfinished:
            return replace(nothing, reason=f"{arm} is not finished: {unfinished[arm]}")
    ours, theirs = (by_subject[arm] for arm in pair)
    if set(ours) != set(theirs):
        return replace(nothing, reason=other_subjects(pair, ours, theirs))
    # Accuracies are ratios of counts: what is equal must give 0, not the last bit of a sum.
    difference = {subject: round(ours[subject] - theirs[subject], 12) for subject in ours}
    values = np.array(list(difference.values()), dtype=np.float64)
    if not np.isfinite(values).all():  # a NaN is in no order, and would give p = 0
        return replace(nothing, reason="an accuracy is not finite")
    low, high = bca_interval(values) or (None, None)
    made = replace(nothing, by_subject=difference, mean=float(values.mean()), low=low, high=high)
    if len(values) < 2:
        return replace(made, reason="one subject: no test can tell a difference from chance")
    tested = sign_flip(values)
    return replace(made, p=tested.p, p_standard_error=tested.standard_error)


def other_subjects(pair: tuple[str, str], ours: Iterable[str], theirs: Iterable[str]) -> str:
    """That two arms were tested on different subjects."""
    arm, against = pair
    return f"{arm} was tested on {', '.join(sorted(ours))}, {against} on {', '.join(sorted(theirs))}"


def _is_apart(row: Comparison) -> bool:
    """Whether 0 is outside of the interval."""
    return row.low is not None and row.high is not None and (row.low > 0 or row.high < 0)
