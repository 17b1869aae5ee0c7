"""Several evaluations with a wearer's examples, summarised: the subject is the unit, seeds are averaged first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vskd.errors import ConfigError, did_you_mean
from vskd_training.study.statistics import Comparison, bca_interval, compare
from vskd_training.wearers.evaluate import NETWORK, OfRun

Level = Literal["window", "recording"]
BySubject = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    arm : configuration
    by : ``network`` or a control
    examples : of each activity
    mean, worst : accuracy over subjects
    low, high : of the 95 % BCa interval of the mean; None with fewer than three subjects
    by_subject : accuracy of each
    """

    arm: str
    by: str
    examples: int
    mean: float
    worst: float
    low: float | None
    high: float | None
    by_subject: BySubject


@dataclass(frozen=True)
class Summary:
    """Accuracies and comparisons over the same subjects.

    Attributes
    ----------
    level : per ``window`` or per ``recording``
    rows : arm by arm
    comparisons : each arm's network against its best control, and against itself without examples; or against
        another arm's, where one is named
    new : arm -> mean over runs and subjects of each number of ``wearers.evaluate.OfSubject.new``; empty without any
    """

    level: Level
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    new: dict[str, dict[str, float]]


def summarise(results: Sequence[OfRun], *, level: Level, against: str | None = None) -> Summary:
    """Summarise evaluations of runs.

    Parameters
    ----------
    results : of any arms, folds and seeds
    level : of the accuracies
    against : the arm that every other one is compared with, in place of controls

    Raises
    ------
    ConfigError : there is no such arm
    """
    arms = {result.arm for result in results}
    if against is not None and against not in arms:
        raise ConfigError(f"there is no run of an arm {against!r}", hint=did_you_mean(against, sorted(arms)))
    found: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    for result in results:
        for one in result.subjects:
            for by, counts in one.accuracy.items():
                for count, levels in counts.items():
                    subjects = found.setdefault((result.arm, by, int(count)), {})
                    subjects.setdefault(one.subject, []).append(levels[level])
    rows = tuple(_row(key, subjects) for key, subjects in sorted(found.items()))
    named = {_name(row): row.by_subject for row in rows}
    pairs = _pairs(rows) if against is None else _pairs_with(rows, against)
    return Summary(level, rows, compare(named, pairs), _new(results, level))


def _row(key: tuple[str, str, int], subjects: Mapping[str, Sequence[float]]) -> Row:
    by_subject = {subject: float(np.mean(values)) for subject, values in sorted(subjects.items())}
    values = np.array(list(by_subject.values()))
    low, high = bca_interval(values) or (None, None)
    return Row(*key, float(values.mean()), float(values.min()), low, high, by_subject)


def _name(row: Row) -> str:
    return f"{row.arm}, {row.by}, {row.examples}"


def _pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Of each arm and number of examples: the network against the best control, and against none."""
    made = []
    for row in rows:
        if row.by != NETWORK or not row.examples:
            continue
        same = [one for one in rows if (one.arm, one.examples) == (row.arm, row.examples) and one.by != NETWORK]
        made += [(_name(row), _name(max(same, key=lambda one: one.mean)))] if same else []
        made.append((_name(row), f"{row.arm}, {NETWORK}, 0"))
    return made


def _pairs_with(rows: Sequence[Row], against: str) -> list[tuple[str, str]]:
    """The network of each other arm against that of this one with as many examples."""
    networks = [row for row in rows if row.by == NETWORK]
    theirs = {row.examples: _name(row) for row in networks if row.arm == against}
    others = [row for row in networks if row.arm != against and row.examples in theirs]
    return [(_name(row), theirs[row.examples]) for row in others]


def _new(results: Sequence[OfRun], level: Level) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        for one in result.subjects:
            for enrolled, numbers in one.new.items():
                for name, levels in numbers.items():
                    found.setdefault(result.arm, {}).setdefault(f"{enrolled}: {name}", []).append(levels[level])
    return {arm: {name: float(np.mean(values)) for name, values in one.items()} for arm, one in found.items()}
