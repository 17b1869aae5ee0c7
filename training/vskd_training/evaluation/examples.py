"""A wearer's own examples in an evaluation: which of a subject's recordings enrol, which are tested, and the network's
decisions on those with the rule of the runtime (``vskd.wearer.rule``).

A subject's recordings of one activity are its repetitions, in the order of their trials. What repetitions of one day
and one strap show flatters: on another day a wearer differs more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.decide import softmax
from vskd.errors import DataError, ProfileError
from vskd.wearer.features import joined
from vskd.wearer.rule import ExampleRule, example_of, rounded, spec_of
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.models.output import ModelOutput

Float64 = NDArray[np.float64]

#: Repetitions of an activity that are tested in turn, where each of them is.
MOST_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network gives for the n windows of some recordings.

    Attributes
    ----------
    samples : (n, axes, samples), g
    logits : (n, classes)
    embeddings : (n, features)
    recordings : (n,), index of each window's recording
    labels : of each recording
    subjects : of each recording
    orders : of each recording, by which its repetitions are sorted: (trial, id)
    groups : of each recording
    """

    samples: NDArray[np.float32]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    recordings: NDArray[np.int64]
    labels: dict[int, str]
    subjects: dict[int, str]
    orders: dict[int, tuple[int, str]]
    groups: dict[int, dict[str, str]]

    @classmethod
    def of(cls, experiment: Experiment, table: WindowTable, output: ModelOutput) -> Outputs:
        """Outputs for a table's windows."""
        infos = {int(row): experiment.prepared.infos[row] for row in np.unique(table.recordings)}
        return cls(
            samples=table.samples,
            logits=np.asarray(output.logits.numpy()),
            embeddings=np.asarray(output.feature.numpy()),
            recordings=table.recordings,
            labels={row: info.label for row, info in infos.items()},
            subjects={row: info.subject for row, info in infos.items()},
            orders={row: (info.trial, info.id) for row, info in infos.items()},
            groups={row: info.groups for row, info in infos.items()},
        )

    def joined(self, other: Outputs) -> Outputs:
        """These windows and those of other recordings."""
        return Outputs(
            samples=np.concatenate([self.samples, other.samples]),
            logits=np.concatenate([self.logits, other.logits]),
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
            recordings=np.concatenate([self.recordings, other.recordings]),
            labels=self.labels | other.labels,
            subjects=self.subjects | other.subjects,
            orders=self.orders | other.orders,
            groups=self.groups | other.groups,
        )

    def repetitions(self, subject: str) -> dict[str, tuple[int, ...]]:
        """Activity -> the subject's recordings of it, in order."""
        found: dict[str, list[int]] = {}
        for row in sorted(self.orders, key=self.orders.__getitem__):
            if self.subjects[row] == subject:
                found.setdefault(self.labels[row], []).append(row)
        return {label: tuple(found[label]) for label in sorted(found)}

    def rows(self, recordings: Sequence[int]) -> NDArray[np.int64]:
        """The windows of some recordings."""
        return np.flatnonzero(np.isin(self.recordings, recordings))

    def features(self, share: float) -> NDArray[Any]:
        """(n, features), of the windows, with so much of the spectrum beside the embedding."""
        return self._features(share)[0]

    def cosines(self, rule: ExampleRule, rows: NDArray[np.int64]) -> Float64:
        """(rows, examples) of some windows to the rule's examples; 0 where a window's feature says nothing."""
        integers = self._features(rule.spec.spectrum)[1][rows]
        says = integers.any(axis=1)
        found = np.zeros((len(rows), len(rule.lengths)))
        found[says] = rule.cosines(integers[says])
        return found

    def _features(self, share: float) -> tuple[NDArray[Any], Float64]:
        """The features and the same rounded, 0 where they say nothing; computed once for each share."""
        if share not in self._found:
            each = zip(self.embeddings, self.samples, strict=True)
            features = np.stack([joined(embedding, window, share) for embedding, window in each])
            values = [rounded(row) for row in features]
            nothing = np.zeros(features.shape[1])
            self._found[share] = features, np.stack([nothing if one is None else one for one in values])
        return self._found[share]

    @cached_property
    def _found(self) -> dict[float, tuple[NDArray[Any], Float64]]:
        return {}

    def example(self, recording: int, share: float) -> NDArray[np.int8] | None:
        """A recording as an example, (features,); None where the network sees nothing in it, as a device refuses it."""
        try:
            return example_of(self.features(share)[self.recordings == recording])
        except ProfileError:
            return None


@dataclass(frozen=True)
class Round:
    """One division of a subject's recordings.

    Attributes
    ----------
    enrolled, tested : recordings
    """

    enrolled: tuple[int, ...]
    tested: tuple[int, ...]


def last_tested(
    repetitions: dict[str, tuple[int, ...]], count: int, *, enrols: frozenset[int] | None = None
) -> list[Round]:
    """The last repetition of each activity is tested, so many others enrol, each of them in as many rounds as another.

    Parameters
    ----------
    repetitions : as of ``Outputs.repetitions``
    count : examples of each activity; all there are where there are fewer
    enrols : recordings that may enrol and are not tested; None: all but the last
    """
    tested, others = {}, {}
    for label, rows in repetitions.items():
        candidates = rows if enrols is None else [row for row in rows if row not in enrols]
        if not candidates:
            continue
        tested[label] = candidates[-1]
        others[label] = [row for row in rows if row != tested[label] and (enrols is None or row in enrols)]
    most = max(map(len, others.values()), default=0)
    starts = range(most) if 0 < count < most else range(1)
    return [
        Round(tuple(row for rows in others.values() for row in _cycled(rows, start, count)), tuple(tested.values()))
        for start in starts
    ]


def each_tested(repetitions: dict[str, tuple[int, ...]], count: int) -> list[Round]:
    """Each repetition is tested in turn, up to ``MOST_ROUNDS``, and so many of those after it enrol, in a circle."""
    most = max(map(len, repetitions.values()))
    made = []
    for turn in range(min(most, MOST_ROUNDS)):
        places = {label: turn % len(rows) for label, rows in repetitions.items()}
        tested = tuple(rows[places[label]] for label, rows in repetitions.items())
        enrolled = (
            row
            for label, rows in repetitions.items()
            for row in _cycled(rows[places[label] + 1 :] + rows[: places[label]], 0, count)
        )
        made.append(Round(tuple(enrolled), tested))
    return made


def _cycled(rows: Sequence[int], start: int, count: int) -> list[int]:
    return [rows[(start + index) % len(rows)] for index in range(min(count, len(rows)))]


def rule_of(contract: Contract, outputs: Outputs, enrolled: Sequence[int]) -> ExampleRule | None:
    """The device's rule with these recordings as examples; None without any."""
    share = spec_of(contract).spectrum if enrolled else 0.0
    made = [(outputs.labels[row], outputs.example(row, share)) for row in enrolled]
    found = [(label, example) for label, example in made if example is not None]
    if not found:
        return None
    labels, examples = zip(*found, strict=True)
    return ExampleRule.of(contract, labels, np.stack(examples))


@dataclass(frozen=True, eq=False)
class Decisions:
    """What is decided on the m tested windows of a round.

    Attributes
    ----------
    labels : of the columns
    scores : (m, labels), probabilities, or scores of a control
    truth : of each window
    recordings : (m,)
    cosines : (m,), to the nearest of all examples; 0 without any
    """

    labels: tuple[str, ...]
    scores: Float64
    truth: tuple[str, ...]
    recordings: NDArray[np.int64]
    cosines: Float64

    def right(self) -> dict[str, NDArray[np.bool_]]:
        """Per ``window`` and per ``recording``, whose windows' scores are averaged: whether the highest is right."""
        names, truth = np.array(self.labels), np.array(self.truth)
        unique, first, inverse = np.unique(self.recordings, return_index=True, return_inverse=True)
        sums = np.zeros((len(unique), self.scores.shape[1]))
        np.add.at(sums, inverse, self.scores)
        return {
            "window": names[self.scores.argmax(axis=1)] == truth,
            "recording": names[sums.argmax(axis=1)] == truth[first],
        }


def decide(contract: Contract, outputs: Outputs, enrolled: Sequence[int], tested: Sequence[int]) -> Decisions:
    """The network's decisions, with or without examples, before smoothing."""
    rows = outputs.rows(tested)
    truth = tuple(outputs.labels[int(row)] for row in outputs.recordings[rows])
    rule = rule_of(contract, outputs, enrolled)
    if rule is not None:
        features = outputs.features(rule.spec.spectrum)
        mixed = [rule.mixed(outputs.logits[row].tolist(), features[row]) for row in rows]
        values, cosines = map(np.array, zip(*map(_finite, mixed), strict=True))
        labels = rule.labels
    else:
        labels, values = contract.labels, outputs.logits[rows] / contract.decision.temperature
        cosines = np.zeros(len(rows))
    return Decisions(labels, softmax(values), truth, outputs.recordings[rows], cosines)


def _finite(mixed: tuple[list[float], float] | None) -> tuple[list[float], float]:
    if mixed is None:
        raise DataError("the network gives an embedding that is not finite", hint="Train it again")
    return mixed
