"""Detection of unknown activities, those that a network was not trained on: scores, their separation, a threshold.

A score is high where the network knows the activity:

- the highest probability (Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
  Examples", ICLR 2017), after the temperature: what a device compares with ``decision.unknown_below``;
- the energy, here with its sign turned, log(sum(exp(logits))) at temperature 1 (Liu et al., "Energy-based
  Out-of-distribution Detection", NeurIPS 2020), which the softmax loses. No device uses it.

This module knows numbers only: no recordings, no networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

#: The share of known activities that FPR95 keeps.
COVERAGE = 0.95
#: A threshold has four digits: users copy it by hand.
_STEPS = 10_000


@dataclass(frozen=True)
class Separation:
    """How well a score tells known activities from unknown ones.

    Attributes
    ----------
    auroc : chance that a known one scores higher than an unknown one; 0.5 is guessing
    fpr95 : share of the unknown ones that pass where 95 % of the known ones do
    """

    auroc: float
    fpr95: float


def separate(known: NDArray[np.float64], unknown: NDArray[np.float64]) -> Separation:
    """How well scores (n,) of known activities are told from scores (m,) of unknown ones; n and m at least 1."""
    is_known = np.repeat([1, 0], [len(known), len(unknown)])
    auroc = float(roc_auc_score(is_known, np.concatenate([known, unknown])))
    return Separation(auroc, float((unknown >= threshold_that_keeps(known, COVERAGE)).mean()))


def threshold_that_keeps(scores: NDArray[np.float64], share: float) -> float:
    """The highest of some scores such that at least ``share`` of them are not below it.

    Parameters
    ----------
    scores : (n,), n at least 1
    share : in (0, 1]
    """
    # 0.05 * 20 is not quite 1 in a computer.
    may_fall = math.floor((1 - share) * len(scores) + 1e-9)
    return float(np.sort(scores)[min(may_fall, len(scores) - 1)])


def rounded_down(threshold: float) -> float:
    """A probability with few digits that keeps no fewer than the exact one."""
    return math.floor(threshold * _STEPS) / _STEPS


def negative_energy(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(n,) of logits (n, classes): high where the network knows the activity."""
    return np.asarray(logsumexp(logits.astype(np.float64), axis=1))
