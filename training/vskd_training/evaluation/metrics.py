"""How good predictions are: accuracy, macro-F1, each class, the confusion matrix; and the temperature.

Scores are scikit-learn's. This module knows nothing of networks and recordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn import metrics as sklearn_metrics


@dataclass(frozen=True)
class Metrics:
    """Scores of a set of predictions.

    Attributes
    ----------
    count : predictions
    classes : how many classes occur in the truth; 0 in cards from before it was counted
    accuracy : share of right ones
    macro_f1 : mean F1 over the classes that occur in the truth
    worst_subject, worst_accuracy : the subject with the lowest accuracy
    by_subject : accuracy of each subject
    """

    count: int
    classes: int
    accuracy: float
    macro_f1: float
    worst_subject: str
    worst_accuracy: float
    by_subject: dict[str, float]


@dataclass(frozen=True)
class ClassMetrics:
    """Scores of one class.

    Attributes
    ----------
    label : its name
    count : how often it was true
    predicted : how often it was predicted
    precision : share of its predictions that are right; None if it was never predicted
    recall : share of its occurrences that were found; None if it was never true
    f1 : 2 TP / (2 TP + FP + FN); None if it was neither
    """

    label: str
    count: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


def confusion_matrix(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts; row = truth, column = prediction."""
    return np.asarray(sklearn_metrics.confusion_matrix(truth, predicted, labels=np.arange(classes)))


@dataclass(frozen=True)
class Confusion:
    """Decisions, counted.

    Attributes
    ----------
    labels : of the classes
    matrix : (classes, classes), counts, row = truth
    """

    labels: tuple[str, ...]
    matrix: NDArray[np.int64]

    def shares(self) -> list[list[tuple[int, int]]]:
        """Of each row the counts, and what percent of the row each is."""
        totals = np.maximum(self.matrix.sum(axis=1, keepdims=True), 1)
        percent = np.rint(100 * self.matrix / totals).astype(int)
        return [list(zip(*pair, strict=True)) for pair in zip(self.matrix.tolist(), percent.tolist(), strict=True)]

    def worst(self, most: int = 5) -> Iterator[tuple[str, float, int, str]]:
        """The classes of which the smallest share is found: name, share, decisions, what they are taken for most."""
        totals = self.matrix.sum(axis=1)
        found = np.diag(self.matrix) / np.maximum(totals, 1)
        for row in sorted(np.flatnonzero(totals), key=lambda one: float(found[one]))[:most]:
            others = self.matrix[row].copy()
            others[row] = 0
            taken = f"{self.labels[int(others.argmax())]} ({others.max()})" if others.any() else "nothing else"
            yield self.labels[row], float(found[row]), int(totals[row]), taken

    def pairs(self, most: int) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: truth, what it was taken for, how often, and that share of the truth."""
        totals = self.matrix.sum(axis=1)
        rows, columns = np.nonzero(self.matrix - np.diag(np.diag(self.matrix)))
        found = sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda at: (-int(self.matrix[at]), at))
        return [
            (
                self.labels[row],
                self.labels[column],
                int(self.matrix[row, column]),
                float(self.matrix[row, column] / totals[row]),
            )
            for row, column in found[:most]
        ]


def macro_f1(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur in the truth; ``truth`` and ``predicted`` (n,), n at least 1."""
    return float(sklearn_metrics.f1_score(truth, predicted, labels=np.unique(truth), average="macro"))


def measure(truth: NDArray[np.int64], predicted: NDArray[np.int64], subjects: Sequence[str]) -> Metrics:
    """Scores of some predictions; ``truth`` and ``predicted`` (n,), ``subjects`` n names; n at least 1."""
    right, names = truth == predicted, np.array(subjects)
    by_subject = {str(subject): float(right[names == subject].mean()) for subject in np.unique(names)}
    worst = min(by_subject, key=by_subject.__getitem__)
    return Metrics(
        count=len(truth),
        classes=len(np.unique(truth)),
        accuracy=float(sklearn_metrics.accuracy_score(truth, predicted)),
        macro_f1=macro_f1(truth, predicted),
        worst_subject=worst,
        worst_accuracy=by_subject[worst],
        by_subject=by_subject,
    )


def by_class(truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Scores of each of ``labels``, the names of the classes; ``truth`` and ``predicted`` (n,)."""
    classes = np.arange(len(labels))
    scores = sklearn_metrics.precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=np.nan)
    counts = np.bincount(predicted, minlength=len(labels)).tolist()
    return tuple(
        ClassMetrics(label, int(count), predictions, *(None if np.isnan(score) else float(score) for score in three))
        for label, *three, count, predictions in zip(labels, *scores, counts, strict=True)
    )


def log_probabilities(logits: NDArray[np.floating[Any]], *, temperature: float) -> NDArray[np.float64]:
    """Logarithms of softmax(logits / temperature), (n, classes)."""
    return np.asarray(log_softmax(logits.astype(np.float64) / temperature, axis=1))


def mean_log_probabilities(logs: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithms of the mean probabilities within each group (a recording), groups in ascending order.

    Parameters
    ----------
    logs : (n, classes), logarithms of probabilities
    groups : (n,)

    Returns
    -------
    (m, classes)
    """
    unique, inverse = np.unique(groups, return_inverse=True)
    sums = np.full((len(unique), logs.shape[1]), -np.inf)
    np.logaddexp.at(sums, inverse, logs)
    return sums - np.log(np.bincount(inverse))[:, np.newaxis]


#: Between which a temperature is fitted.
TEMPERATURES = (0.05, 20.0)


def is_at_bound(temperature: float) -> bool:
    """Whether a fitted temperature is where the search ended, so that the best one lies beyond."""
    low, high = TEMPERATURES
    return not low * 1.01 < temperature < high / 1.01


def fit_temperature(logits: NDArray[np.floating[Any]], truth: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., ICML 2017), within ``TEMPERATURES``.

    Parameters
    ----------
    logits : (n, classes), of validation subjects
    truth : (n,)
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    found = minimize_scalar(loss, bounds=(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1])), method="bounded")
    return float(np.exp(found.x))
