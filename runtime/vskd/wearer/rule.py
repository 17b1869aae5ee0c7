"""How the wearer's examples and the network's logits become one decision.

An example is a feature e (``vskd.wearer.features``), rounded to integers: q = round(127 e / max|e|). The cosine of a
window and an example,

    cosine = (q . p) / (sqrt(q . q) sqrt(p . p)),

is made of integers, which float64 holds exactly in any order of summing, and of operations that IEEE 754 rounds alike
everywhere: every machine finds the same cosine, bit for bit. An activity l that has examples has a score s_l, which is
made of the cosines c to the examples:

    nearest   the largest cosine to an example of l
    means     the cosine to the mean of l's examples, each of unit length
    ridge     c . A_l with A = (K + ridge I)^-1 Y: ridge regression onto 1 for l's examples and 0 for the others, in its
              dual form (Saunders, Gammerman & Vovk, ICML 1998), where K holds the examples' cosines to each other

With logits g, the temperature T and the weights (a, w, neutral) for l's number of examples,

    z_l = top + a (g_l / T - top) + w (s_l - neutral),    top = max(g / T),

and z = g / T for an activity without examples. One that the network does not know has no logit, so its a is 0: it wins
where its score is beyond neutral, and beyond what the winner's own examples give. Probabilities are softmax(z).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.contract import Contract, ExamplesSpec
from vskd.errors import ContractError, ProfileError

if TYPE_CHECKING:  # slow to import
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]
    Int8 = NDArray[np.int8]

#: Of an example: the widest student's embedding has half of them.
MOST_FEATURES = 2048

#: Largest integer of a rounded embedding, which each has.
FULL = 127

#: An embedding without a larger entry says nothing.
NOTHING = 1e-30


def rounded(embedding: NDArray[np.floating[Any]]) -> Float64 | None:
    """An embedding (features,) as integers within +-127, in float64; None where it says nothing or is not finite.

    It is scaled and rounded in float32, half to even.
    """
    values = embedding.astype(np.float32, copy=False)
    largest = np.abs(values).max()
    if not NOTHING < largest < np.inf:  # also of NaN
        return None
    return np.asarray(np.rint(values * (np.float32(FULL) / largest)).astype(np.float64))


@dataclass(frozen=True, eq=False)
class ExampleRule:
    """The decision rule of one set of examples; made by ``of``.

    Attributes
    ----------
    labels : the contract's, then those that only examples know
    spec : of the contract
    weights : of each activity that has examples: its index in ``labels``, and a, w and neutral for its number of them
    examples : (features, n), rounded, in the order of their labels
    lengths : (n,), each example's sqrt(q . q)
    starts : (activities,), first example of each
    coefficients : (n, activities), from cosines to scores; empty under ``nearest``
    temperature : of the contract
    """

    labels: tuple[str, ...]
    spec: ExamplesSpec
    weights: tuple[tuple[int, float, float, float], ...]
    examples: Float64
    lengths: Float64
    starts: NDArray[np.intp]
    coefficients: Float64
    temperature: float

    @classmethod
    def of(cls, contract: Contract, labels: Sequence[str], embeddings: Int8) -> ExampleRule:
        """Prepare the decision.

        Parameters
        ----------
        contract : its labels, its temperature, and how examples count
        labels : (n,), of the examples; n at least 1
        embeddings : (n, features), rounded

        Raises
        ------
        ContractError : the contract does not say how examples count
        """
        spec = spec_of(contract)
        known = (*contract.labels, *dict.fromkeys(label for label in labels if label not in contract.labels))
        of_examples = np.array([known.index(label) for label in labels])
        order = np.argsort(of_examples, kind="stable")
        found, starts, counts = np.unique(of_examples[order], return_index=True, return_counts=True)
        examples = np.ascontiguousarray(embeddings[order].T, dtype=np.float64)
        lengths = np.sqrt(np.square(examples).sum(axis=0))
        fitted = [spec.weights[min(count, len(spec.weights)) - 1] for count in counts.tolist()]
        places = zip(found.tolist(), fitted, strict=True)
        return cls(
            labels=known,
            spec=spec,
            weights=tuple((place, one.logits, one.examples, one.neutral) for place, one in places),
            examples=examples,
            lengths=lengths,
            starts=starts,
            coefficients=_coefficients(spec, _cosines(examples.T, examples, lengths), counts),
            temperature=contract.decision.temperature,
        )

    @cached_property
    def places(self) -> frozenset[int]:
        """Indices into ``labels`` of the activities that have examples."""
        return frozenset(place for place, *_ in self.weights)

    def cosines(self, embedding: Float64) -> Float64:
        """(n,), of a rounded embedding (features,), or (windows, n) of several; in the order of the labels."""
        return _cosines(embedding, self.examples, self.lengths)

    def scores(self, cosines: Float64) -> Float64:
        """(activities,) of cosines (n,), or (windows, activities) of (windows, n)."""
        if self.spec.score == "nearest":
            return np.asarray(np.maximum.reduceat(cosines, self.starts, axis=-1))
        return np.asarray(cosines @ self.coefficients)

    def mixed(self, logits: Sequence[float], feature: NDArray[Any]) -> tuple[list[float], float] | None:
        """The z of each label of one window, and its cosine to the nearest of all examples.

        Parameters
        ----------
        logits : (classes,), of the contract's labels
        feature : (features,), of the window, as ``joined`` gives it

        Returns
        -------
        None where the feature is not finite; one that is 0 throughout is as near to each example: cosine 0

        Raises
        ------
        ContractError : the feature has another width than the examples
        """
        if feature.shape != self.examples.shape[:1]:
            raise ContractError(
                f"the window's feature has shape {feature.shape}, and the profile's examples have "
                f"{len(self.examples)} features",
                hint="Enrol the examples again, by this model",
            )
        values = rounded(feature)
        if values is not None:
            cosines = self.cosines(values)
        elif np.isfinite(feature).all():
            cosines = np.zeros(len(self.lengths))
        else:
            return None
        scaled = [value / self.temperature for value in logits]
        top, known = max(scaled), len(scaled)
        mixed = scaled + [top] * (len(self.labels) - known)
        for (place, own, weight, neutral), score in zip(self.weights, self.scores(cosines).tolist(), strict=True):
            mixed[place] = top + own * (mixed[place] - top) + weight * (score - neutral)
        return mixed, float(cosines.max())


def spec_of(contract: Contract) -> ExamplesSpec:
    """How examples count.

    Raises
    ------
    ContractError : the contract does not say it
    """
    if contract.examples is None:
        raise ContractError(
            "this model cannot use a profile: its contract does not say how much a wearer's examples count, which is "
            "fitted on validation subjects",
            hint="Train it with validation subjects by this version of vskd, and export it again",
        )
    return contract.examples


def _cosines(embedding: Float64, examples: Float64, lengths: Float64) -> Float64:
    """(n,) of a rounded embedding (features,) to examples (features, n), or (windows, n) of several."""
    if embedding.ndim == 1:
        return np.asarray(embedding @ examples / (math.sqrt(embedding @ embedding) * lengths))
    return np.asarray(embedding @ examples / (np.sqrt(np.square(embedding).sum(axis=1, keepdims=True)) * lengths))


def _coefficients(spec: ExamplesSpec, cosines: Float64, counts: NDArray[np.intp]) -> Float64:
    """(n, activities): what ``means`` and ``ridge`` multiply cosines with; ``cosines`` are those of the examples."""
    belongs = np.repeat(np.eye(len(counts)), counts, axis=0)
    if spec.score == "nearest":
        return np.empty((0, len(counts)))
    if spec.score == "ridge":
        return np.asarray(np.linalg.solve(cosines + spec.ridge * np.eye(len(belongs)), belongs))
    lengths = np.sqrt(np.einsum("il,ij,jl->l", belongs, cosines, belongs, optimize=True))
    return np.asarray(belongs / np.maximum(lengths, NOTHING))


def contradiction(labels: Sequence[str], embeddings: Int8, label: str, embedding: Int8) -> str:
    """What speaks against a further example of an activity, in a sentence; empty where nothing does.

    It is nearer to another activity's example than to any of its own; a first example can contradict nothing.

    Parameters
    ----------
    labels, embeddings : (n,) and (n, features), of the examples so far
    label, embedding : of the further one, (features,)
    """
    if label not in labels:
        return ""
    examples = embeddings.T.astype(np.float64)
    lengths = np.sqrt(np.square(examples).sum(axis=0))
    cosines = dict(enumerate(_cosines(embedding.astype(np.float64), examples, lengths).tolist()))
    nearest = max(cosines, key=cosines.__getitem__)
    own = max(cosine for row, cosine in cosines.items() if labels[row] == label)
    if cosines[nearest] <= own:
        return ""
    return (
        f"it is nearer to an example of {labels[nearest]!r} (cosine {cosines[nearest]:.3f}) than to those of "
        f"{label!r} ({own:.3f})"
    )


def left_out(contract: Contract, labels: Sequence[str], embeddings: Int8) -> tuple[str | None, ...]:
    """What each example would be taken for by the others' scores alone; None of an activity's only example.

    Raises
    ------
    ContractError : as of ``spec_of``
    """
    counts, rows = Counter(labels), np.arange(len(labels))
    found: list[str | None] = []
    for row, label in enumerate(labels):
        if counts[label] == 1:
            found.append(None)
            continue
        others = rows != row
        rule = ExampleRule.of(contract, [labels[other] for other in rows[others]], embeddings[others])
        scores = rule.scores(rule.cosines(embeddings[row].astype(np.float64)))
        found.append(rule.labels[rule.weights[int(scores.argmax())][0]])
    return tuple(found)


def example_of(embeddings: NDArray[Any]) -> Int8:
    """One example (features,) of the features of its windows (windows, features): their mean at unit length, rounded.

    So an example counts once, however many windows it has.

    Raises
    ------
    ProfileError : they say nothing, are not finite, or too wide
    """
    if embeddings.shape[1] > MOST_FEATURES:
        raise ProfileError(
            f"an example has at most {MOST_FEATURES} features, and this model's has {embeddings.shape[1]}"
        )
    lengths = np.sqrt(np.square(embeddings, dtype=np.float64).sum(axis=1))
    usable = (lengths > NOTHING) & np.isfinite(lengths)
    values = rounded((embeddings[usable] / lengths[usable, np.newaxis]).mean(axis=0)) if usable.all() else None
    if values is None:
        raise ProfileError("the model sees nothing in this recording: its embedding is 0 or not finite")
    return values.astype(np.int8)
