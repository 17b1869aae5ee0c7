"""Calibration of probabilities: expected calibration error, negative log-likelihood and Brier score.

Everything takes the logarithms of probabilities, so that a certain mistake is a large number and never an infinite one.
So the scores are not scikit-learn's, which clips probabilities near 0 and refuses those that rounding puts above 1.
This module knows no networks, no windows and no temperatures.

The calibration error is biased upwards with few predictions: most of the 15 bins hold a handful then. The other two
scores have no bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Bins of equal width (Guo et al., ICML 2017).
BINS = 15


@dataclass(frozen=True)
class Bin:
    """Predictions whose highest probability lies in (low, high].

    Attributes
    ----------
    low, high : the bin
    count : predictions in it
    confidence : their mean highest probability, None of an empty bin
    accuracy : share of right ones, None of an empty bin
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Calibration of one set of probabilities.

    Attributes
    ----------
    count : predictions
    accuracy, confidence : share of right ones, and the mean highest probability
    ece : expected calibration error, the mean distance between the two over the bins, weighted by their counts
    nll : mean negative log-likelihood, nat
    brier : mean squared distance between probabilities and truth, summed over the classes: 0 to 2 (Brier 1950)
    bins : of a reliability diagram
    """

    count: int
    accuracy: float
    confidence: float
    ece: float
    nll: float
    brier: float
    bins: tuple[Bin, ...]


def calibrate(log_probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> Calibration:
    """Compare probabilities with the true classes.

    Parameters
    ----------
    log_probabilities : (n, classes); n at least 1
    truth : (n,)
    """
    probabilities = np.exp(log_probabilities)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = _bins(confidence, right)
    rows = np.arange(len(truth))
    hit = np.zeros_like(probabilities)
    hit[rows, truth] = 1
    gaps = [
        found.count * abs(found.accuracy - found.confidence)
        for found in bins
        if found.accuracy is not None and found.confidence is not None
    ]
    return Calibration(
        count=len(truth),
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        ece=float(sum(gaps) / len(truth)),
        nll=float((-log_probabilities[rows, truth] + 0.0).mean()),  # 0 of certain ones, and not -0
        brier=float(((probabilities - hit) ** 2).sum(axis=1).mean()),
        bins=bins,
    )


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    edges = np.linspace(0, 1, BINS + 1)
    # A probability is at most 1 but for rounding, so the last edge is left out of the search.
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    found = []
    for index in range(BINS):
        inside = place == index
        some = bool(inside.any())
        found.append(
            Bin(
                low=float(edges[index]),
                high=float(edges[index + 1]),
                count=int(inside.sum()),
                confidence=float(confidence[inside].mean()) if some else None,
                accuracy=float(right[inside].mean()) if some else None,
            )
        )
    return tuple(found)
