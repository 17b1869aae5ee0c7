"""How much a wearer's examples count: chosen on validation subjects, by number of examples.

Each repetition of a validation subject is tested in turn, with one, two or three others as examples, in three
situations: all activities have examples; every other one has; and all have, but every fourth is unknown to the network,
whose logit for it is struck out. The last two fit ``neutral``, which changes nothing where every activity has examples.

Of every score, share of the spectrum and set of weights on a grid, those with the lowest mean negative log-likelihood
win, subjects and situations counting alike. It is no accuracy: with one or two subjects many candidates decide alike,
and what a device reports are probabilities.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, ExampleScore, ExamplesSpec, ExampleWeights
from vskd_training.evaluation.examples import Outputs, Round, each_tested, rule_of

Float64 = NDArray[np.float64]

#: Numbers of examples that weights are fitted for.
COUNTS = (1, 2, 3)

#: What is chosen among: scores, with the ridge regression's penalty; and shares of the spectrum in a cosine.
SCORES: tuple[tuple[ExampleScore, float], ...] = (("nearest", 1.0), ("means", 1.0), ("ridge", 0.1))
SPECTRA = (0.0, 0.5, 0.7)
LOGITS = (0.0, 0.25, 0.5, 1.0)
EXAMPLES = (8.0, 16.0, 32.0, 64.0, 128.0)
NEUTRALS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    spec : for the contract
    nll : of each score and share of the spectrum, mean negative log-likelihood with each number of examples at its
        best weights, nat
    subjects : validation subjects on whom it was chosen
    """

    spec: ExamplesSpec
    nll: dict[str, tuple[float, ...]]
    subjects: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Cases:
    """m decisions to be made; every array has one column per class.

    Attributes
    ----------
    logits : (m, classes), over the temperature; the largest where the network is not asked
    top : (m, 1), the largest of those that are asked
    scores : (m, classes), 0 without examples
    enrolled, asked : (m, classes), whether there are examples, and whether the network knows the class
    truth : (m,), class indices
    weight : (m,), of each decision
    """

    logits: Float64
    top: Float64
    scores: Float64
    enrolled: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    truth: NDArray[np.int64]
    weight: Float64

    def loss(self, weights: ExampleWeights) -> float:
        """Weighted negative log-likelihood: the z of ``vskd.wearer.rule``, for all decisions at once."""
        own = np.where(self.asked, np.where(self.enrolled, weights.logits, 1.0), 0.0)
        mixed = self.top + own * (self.logits - self.top)
        mixed += self.enrolled * weights.examples * (self.scores - weights.neutral)
        mixed -= mixed.max(axis=1, keepdims=True)  # by hand: scipy's logsumexp takes five times as long
        likely = mixed[np.arange(len(self.truth)), self.truth] - np.log(np.exp(mixed).sum(axis=1))
        return -float(self.weight @ likely)


def choose(parts: Sequence[tuple[Contract, Outputs]]) -> Choice | None:
    """The best way to let examples decide along.

    Parameters
    ----------
    parts : of one network or several, each with its contract (labels and temperature) and its outputs for windows of
        validation subjects; at least one

    Returns
    -------
    None where no subject repeats an activity
    """
    subjects = {(part, subject) for part, (_, outputs) in enumerate(parts) for subject in outputs.subjects.values()}
    most = max(len(rows) for part, one in subjects for rows in parts[part][1].repetitions(one).values())
    counts = [count for count in COUNTS if count < most]
    if not counts:
        return None
    found: list[tuple[float, ExamplesSpec, tuple[float, ...]]] = []
    for (score, ridge), share in product(SCORES, SPECTRA):
        trial = ExamplesSpec(score, (ExampleWeights(0, 1, 0),), ridge, share)
        trying = [(dataclasses.replace(contract, examples=trial), outputs) for contract, outputs in parts]
        fitted = [
            _fit([case for part, one in sorted(subjects) for case in _cases(*trying[part], one, n)]) for n in counts
        ]
        losses, weights = zip(*fitted, strict=True)
        found.append((sum(losses) / len(counts), dataclasses.replace(trial, weights=weights), losses))
    _, best, _ = min(found, key=lambda one: one[0])
    names = (f"{spec.score}, spectrum {spec.spectrum:g}" for _, spec, _ in found)
    nll = dict(zip(names, (losses for *_, losses in found), strict=True))
    return Choice(best, nll, tuple(sorted({subject for _, subject in subjects})))


def _fit(parts: list[_Cases]) -> tuple[float, ExampleWeights]:
    """The lowest mean loss on the grid, and its weights."""
    columns = (np.concatenate([getattr(part, one.name) for part in parts]) for one in dataclasses.fields(_Cases))
    cases = _Cases(*columns)
    grid = (ExampleWeights(*values) for values in product(LOGITS, EXAMPLES, NEUTRALS))
    losses = ((cases.loss(weights) / float(cases.weight.sum()), weights) for weights in grid)
    return min(losses, key=lambda one: one[0])


def _cases(contract: Contract, outputs: Outputs, subject: str, count: int) -> Iterator[_Cases]:
    """The decisions on one subject, who weighs 1 in each situation."""
    rounds = each_tested(outputs.repetitions(subject), count)
    places = {label: place for place, label in enumerate(contract.labels)}
    for turn, one in enumerate(rounds):
        half = tuple(row for row in one.enrolled if (places[outputs.labels[row]] + turn) % 2 == 0)
        unknown = (np.arange(len(places)) + turn) % 4 == 0
        nobody = np.zeros(len(places), dtype=bool)
        for enrolled, new in ((one.enrolled, nobody), (half, nobody), (one.enrolled, unknown)):
            if enrolled and not new.all():
                yield _case(contract, outputs, Round(enrolled, one.tested), new, rounds=len(rounds))


def _case(contract: Contract, outputs: Outputs, one: Round, new: NDArray[np.bool_], *, rounds: int) -> _Cases:
    rows = outputs.rows(one.tested)
    shape = len(rows), len(contract.labels)
    scores, enrolled = np.zeros(shape), np.zeros(shape, dtype=bool)
    if (rule := rule_of(contract, outputs, one.enrolled)) is not None:
        with_examples = sorted(rule.places)
        scores[:, with_examples] = rule.scores(outputs.cosines(rule, rows))
        enrolled[:, with_examples] = True
    logits = outputs.logits[rows].astype(np.float64) / contract.decision.temperature
    asked = ~(new & enrolled)
    top = np.where(asked, logits, -np.inf).max(axis=1, keepdims=True)
    truth = np.array([contract.labels.index(outputs.labels[int(row)]) for row in outputs.recordings[rows]])
    weight = np.full(len(rows), 1 / (rounds * len(rows)))
    return _Cases(np.where(asked, logits, top), top, scores, enrolled, asked, truth, weight)
