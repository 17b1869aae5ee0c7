"""How good a set of answers is: accuracy, macro-F1, each class, the confusion matrix, and a temperature.

Counts only; knows nothing of networks. Tests compare it with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


@dataclass(frozen=True)
class Metrics:
    """What is reported of one set of answers.

    Attributes
    ----------
    count : answers
    accuracy : share of right ones
    macro_f1 : mean F1 over the classes that occur in the truth
    worst_subject, worst_accuracy : the person for whom it works least
    by_subject : accuracy of each person
    """

    count: int
    accuracy: float
    macro_f1: float
    worst_subject: str
    worst_accuracy: float
    by_subject: dict[str, float]


def confusion_matrix(truth: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts; row = truth, column = answer."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (truth, answers), 1)
    return matrix


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean over the classes that occur in the truth of F1 = 2 TP / (2 TP + FP + FN)."""
    right = np.diag(matrix)
    total = matrix.sum(axis=0) + matrix.sum(axis=1)
    occurs = matrix.sum(axis=1) > 0
    return float((2 * right[occurs] / total[occurs]).mean())


def measure(truth: NDArray[np.int64], answers: NDArray[np.int64], subjects: Sequence[str], classes: int) -> Metrics:
    """Metrics of some answers; ``truth`` and ``answers`` (n,), ``subjects`` n names; n at least 1."""
    right = truth == answers
    people = np.array(subjects)
    by_person = {str(person): float(right[people == person].mean()) for person in np.unique(people)}
    worst = min(by_person, key=lambda person: by_person[person])
    return Metrics(
        count=len(truth),
        accuracy=float(right.mean()),
        macro_f1=macro_f1(confusion_matrix(truth, answers, classes)),
        worst_subject=worst,
        worst_accuracy=by_person[worst],
        by_subject=by_person,
    )


@dataclass(frozen=True)
class ClassMetrics:
    """What is reported of one activity.

    Attributes
    ----------
    label : its name
    count : how often it was true
    answered : how often it was the answer
    precision : share of its answers that are right; None if it never was the answer
    recall : share of its occurrences that were found; None if it never was true
    f1 : 2 TP / (2 TP + FP + FN); None if it was neither
    """

    label: str
    count: int
    answered: int
    precision: float | None
    recall: float | None
    f1: float | None


def by_class(matrix: NDArray[np.int64], labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Each activity of a confusion matrix (classes, classes), whose rows are the truth."""
    right, true, answered = (values.tolist() for values in (np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)))
    return tuple(
        ClassMetrics(
            label=label,
            count=true[row],
            answered=answered[row],
            precision=_share(right[row], answered[row]),
            recall=_share(right[row], true[row]),
            f1=_share(2 * right[row], true[row] + answered[row]),
        )
        for row, label in enumerate(labels)
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def mean_probabilities(
    logits: NDArray[np.floating[Any]], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Average the windows' probabilities within each group (a recording).

    Parameters
    ----------
    logits : (n, classes)
    groups : (n,)

    Returns
    -------
    the groups in ascending order, (m,), and their mean probabilities, (m, classes)
    """
    unique, inverse = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(unique), logits.shape[1]))
    np.add.at(sums, inverse, softmax(logits.astype(np.float64), axis=1))
    return unique, sums / np.bincount(inverse)[:, np.newaxis]


def log_probabilities(logits: NDArray[np.floating[Any]], *, temperature: float) -> NDArray[np.float64]:
    """Logarithms of softmax(logits / temperature), (n, classes)."""
    return np.asarray(log_softmax(logits.astype(np.float64) / temperature, axis=1))


def mean_log_probabilities(logs: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithms of the mean probabilities within each group, in the order of ``mean_probabilities``.

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


def fit_temperature(logits: NDArray[np.floating[Any]], truth: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., ICML 2017), within [0.05, 20].

    Parameters
    ----------
    logits : (n, classes), of people who were not trained on
    truth : (n,)
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))
