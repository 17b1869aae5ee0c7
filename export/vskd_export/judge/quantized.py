"""What a quantized model costs: labels, nearest examples, macro-F1 and the worst class, against the trained network.

Where the held-out set is so small that a single window weighs more than a limit, one window is the limit: nothing finer
can be measured there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.checks.golden import FLIP_MARGIN, margins
from vskd.contract import Contract
from vskd.decide import softmax
from vskd_export.judge.engines import EngineRun
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.limits import MAX_CLASS_F1_LOSS, MAX_FLIP_RATE, MAX_MACRO_F1_LOSS, MAX_NEAREST_CHANGED
from vskd_export.judge.violations import Violation, ViolationCode
from vskd_training.evaluation.metrics import confusion_matrix, macro_f1


@dataclass(frozen=True)
class QuantizedParity:
    """One engine on one quantized model, over the held-out windows.

    Attributes
    ----------
    engine, version, file : which
    largest_difference : of a logit from torch's
    flips : windows whose label is not the trained network's
    flip_rate, flip_rate_limit : their share, and what was allowed
    largest_flipped_margin : the trained network's margin (probability) where it was most certain of a flipped label
    nearest_changed, nearest_changed_limit : share of windows whose nearest example by cosine is another one than the
        trained network's, each among its own embeddings, median over the sets of examples, and what was allowed
    accuracy, macro_f1 : against the truth
    macro_f1_loss, macro_f1_loss_limit : the trained network's macro-F1 less this one, and what was allowed
    worst_class : the label that comes nearest to its limit, or exceeds it most
    worst_class_loss, worst_class_loss_limit : F1 that it loses, and what was allowed
    class_loss : label -> F1 that it loses, of the labels that occur; below zero where it gains
    """

    engine: str
    version: str
    file: str
    largest_difference: float
    flips: int
    flip_rate: float
    flip_rate_limit: float
    largest_flipped_margin: float
    nearest_changed: float
    nearest_changed_limit: float
    accuracy: float
    macro_f1: float
    macro_f1_loss: float
    macro_f1_loss_limit: float
    worst_class: str
    worst_class_loss: float
    worst_class_loss_limit: float
    class_loss: Mapping[str, float]


def measure_quantized(run: EngineRun, contract: Contract, evidence: Evidence) -> QuantizedParity:
    """Measure what a quantized model costs on the held-out windows; ``check_quantized`` compares with the limits.

    Parameters
    ----------
    run : with finite logits and embeddings, for the windows of ``evidence``
    """
    recorded, sets = evidence.is_recorded, evidence.example_sets
    truth, logits, expected_logits = evidence.labels[recorded], run.logits[recorded], evidence.logits[recorded]
    predicted, expected = logits.argmax(axis=1), expected_logits.argmax(axis=1)
    margin = margins(softmax(expected_logits, temperature=contract.decision.temperature))
    flipped = predicted != expected
    changed = nearest_of(run, sets) != nearest_of(evidence, sets)
    before = confusion_matrix(truth, expected, len(contract.labels))
    after = confusion_matrix(truth, predicted, len(contract.labels))
    loss = class_f1(before) - class_f1(after)
    lost, false_alarm = one_window(before)
    occurs = before.sum(axis=1) > 0
    limits = np.maximum(MAX_CLASS_F1_LOSS, lost)
    worst = int(np.where(occurs, loss - limits, -np.inf).argmax())
    return QuantizedParity(
        engine=run.engine,
        version=run.version,
        file=run.model.file,
        largest_difference=float(np.abs(logits - expected_logits).max()),
        flips=int(flipped.sum()),
        flip_rate=float(flipped.mean()),
        flip_rate_limit=max(MAX_FLIP_RATE, 1 / len(truth)),
        largest_flipped_margin=float(margin[flipped].max(initial=0.0)),
        nearest_changed=float(np.median(changed[:, recorded].mean(axis=1))),
        nearest_changed_limit=max(MAX_NEAREST_CHANGED, 1 / len(truth)),
        accuracy=float((predicted == truth).mean()),
        macro_f1=macro_f1(truth, predicted),
        macro_f1_loss=macro_f1(truth, expected) - macro_f1(truth, predicted),
        macro_f1_loss_limit=max(MAX_MACRO_F1_LOSS, float((lost.max() + false_alarm.max()) / occurs.sum())),
        worst_class=contract.labels[worst],
        worst_class_loss=float(loss[worst]),
        worst_class_loss_limit=float(limits[worst]),
        class_loss={contract.labels[row]: float(loss[row]) for row in np.flatnonzero(occurs)},
    )


def nearest_of(answers: EngineRun | Evidence, sets: int) -> NDArray[np.intp]:
    """(sets, n), of each set the example with the largest cosine to the window; 0 for an embedding of zeros."""
    windows, examples = (_unit(answers.embeddings), _unit(answers.example_embeddings))
    cosines = windows @ examples.reshape(sets, -1, examples.shape[1]).swapaxes(1, 2)
    nearest: NDArray[np.intp] = cosines.argmax(axis=2)
    return nearest


def _unit(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, features), each of length 1 or 0."""
    exact = embeddings.astype(np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.where(length > 0, length, 1.0))


def class_f1(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of every class, 2 TP / (2 TP + FP + FN), of a confusion matrix whose rows are the truth; 0 where undefined."""
    total = matrix.sum(axis=0) + matrix.sum(axis=1)
    ratio: NDArray[np.float64] = 2 * np.diag(matrix) / np.maximum(total, 1)
    return ratio


def one_window(matrix: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What one window more or less changes in the F1 of every class.

    Parameters
    ----------
    matrix : (classes, classes), counts, row = truth

    Returns
    -------
    F1 that a class loses with one of its right windows, which is the most that one window can do to it; F1 that it
    loses with one false alarm; both (classes,)
    """
    right = np.diag(matrix).astype(np.float64)
    total = np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 2).astype(np.float64)
    lost = np.where(right > 0, 2 * (total - right) / (total * (total - 1)), 0.0)
    return lost, 2 * right / (total * (total + 1))


def check_quantized(measured: QuantizedParity) -> tuple[Violation, ...]:
    """The limits that a quantized model does not keep."""
    rows: tuple[tuple[ViolationCode, str, float, float], ...] = (
        ("macro-f1", "loses {:.2%} of macro-F1", measured.macro_f1_loss, measured.macro_f1_loss_limit),
        (
            "class-f1",
            f"loses {{:.2%}} of the F1 of {measured.worst_class!r}",
            measured.worst_class_loss,
            measured.worst_class_loss_limit,
        ),
        ("flip-rate", "changes {:.2%} of the labels", measured.flip_rate, measured.flip_rate_limit),
        (
            "flip-margin",
            "changes a label that the trained network gave with a margin of {:.1%}",
            measured.largest_flipped_margin,
            FLIP_MARGIN,
        ),
        (
            "nearest-example",
            "finds another nearest example for {:.2%} of the windows",
            measured.nearest_changed,
            measured.nearest_changed_limit,
        ),
    )
    engine = f"{measured.engine} {measured.version}"
    return tuple(
        Violation(
            code=code,
            component=measured.file,
            engine=engine,
            value=value,
            limit=limit,
            message=f"{measured.file} in {engine} {what.format(value)}, the limit is {limit:.2%}",
        )
        for code, what, value, limit in rows
        # Sums of ratios; a loss that equals its limit must not break it by its last digit.
        if value > limit + 1e-12
    )
