"""Scores of a network's logits as plain values, for a run card or a JSON file.

Per window and per recording, whose windows' probabilities are averaged. Accuracies are those at temperature 1;
calibration is reported before and after the contract's temperature. This module runs no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.evaluation.calibration import calibrate
from vskd_training.evaluation.metrics import (
    by_class,
    confusion_matrix,
    is_at_bound,
    log_probabilities,
    mean_log_probabilities,
    measure,
)
from vskd_training.evaluation.unknown import negative_energy, separate

Logits = NDArray[np.floating[Any]]
#: Windows (n), and their logits (n, classes).
Predicted = tuple[WindowTable, Logits]


@dataclass(frozen=True)
class Temperature:
    """What a device divides the logits by, and where it comes from.

    Attributes
    ----------
    value : without unit
    source : ``validation subjects``: fitted on them. ``config``: set there, without any. ``none``: it is 1
    at_bound : it was fitted, and is where the search ended, see ``tables.temperature_warning``
    """

    value: float
    source: Literal["validation subjects", "config", "none"]
    at_bound: bool = False

    @classmethod
    def of(cls, contract: Contract, experiment: Experiment) -> Temperature:
        """That of a run; ``contract`` is the run's own, as training left it."""
        value = contract.decision.temperature
        if experiment.split.validation:
            return cls(value, "validation subjects", is_at_bound(value))
        return cls(value, "none" if value == 1 else "config")


@dataclass(frozen=True)
class _Decisions:
    """True and predicted classes, (n,), and the subject of each."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    subjects: Sequence[str]


def report(experiment: Experiment, table: WindowTable, logits: Logits, temperature: Temperature) -> dict[str, Any]:
    """Metrics per window and per recording, over all activities and over those of the wrist.

    On the validation subjects the temperature of the calibration "after" was fitted on these very windows.

    Parameters
    ----------
    table : the windows, n of them
    logits : (n, classes)
    temperature : of the contract

    Returns
    -------
    plain values, ready for JSON: ``window`` and ``recording`` (see ``report_scores``), ``recordings_too_short``,
    ``confusion`` of recordings and ``confusion_window``, ``by_class`` (``metrics.ClassMetrics`` per window and per
    recording), and ``calibration``: ``temperature``, ``before`` and ``after``, ``calibration.Calibration`` of both
    """
    labels = experiment.contract.labels
    decisions = _decisions(experiment, table, logits)
    matrices = {
        per: confusion_matrix(made.truth, made.predicted, len(labels)).tolist() for per, made in decisions.items()
    }
    return {
        **_scores(experiment, decisions),
        "recordings_too_short": table.too_short,
        "confusion": matrices["recording"],
        "confusion_window": matrices["window"],
        "by_class": {
            per: [to_mapping(row) for row in by_class(made.truth, made.predicted, labels)]
            for per, made in decisions.items()
        },
        "calibration": _calibration(table, logits, decisions["recording"].truth, temperature),
    }


def report_scores(experiment: Experiment, table: WindowTable, logits: Logits) -> dict[str, Any]:
    """``metrics.Metrics`` per ``window`` and ``recording``, of ``all`` activities and of those of the ``wrist``."""
    return _scores(experiment, _decisions(experiment, table, logits))


def _decisions(experiment: Experiment, table: WindowTable, logits: Logits) -> dict[str, _Decisions]:
    """Per window and per recording."""
    of_recordings = mean_log_probabilities(log_probabilities(logits, temperature=1.0), table.recordings)
    infos = [experiment.prepared.infos[index] for index in np.unique(table.recordings)]
    truth = np.array([experiment.contract.labels.index(info.label) for info in infos], dtype=np.int64)
    return {
        "window": _Decisions(table.labels, logits.argmax(axis=1), table.subjects),
        "recording": _Decisions(truth, of_recordings.argmax(axis=1), [info.subject for info in infos]),
    }


def _scores(experiment: Experiment, decisions: dict[str, _Decisions]) -> dict[str, Any]:
    labels = experiment.contract.labels
    wrist = [labels.index(name) for name in experiment.wrist_labels]
    found: dict[str, Any] = {}
    for per, made in decisions.items():
        found[per] = {
            "all": to_mapping(measure(made.truth, made.predicted, made.subjects)) | {"of_classes": len(labels)}
        }
        if 0 < len(wrist) < len(labels):
            kept = np.isin(made.truth, wrist)
            subjects = np.array(made.subjects)[kept].tolist()
            scores = to_mapping(measure(made.truth[kept], made.predicted[kept], subjects))
            found[per]["wrist"] = scores | {"of_classes": len(wrist)}
    return found


def report_test(
    experiment: Experiment, test: Predicted, unknown: Predicted | None, temperature: Temperature
) -> dict[str, Any]:
    """``report`` of the test subjects and, where there are recordings of unknown activities, ``report_unknown``."""
    metrics = report(experiment, *test, temperature)
    if unknown is not None:
        metrics["unknown"] = report_unknown(test, unknown, experiment.config.data.unknown_labels, temperature)
    return metrics


def report_unknown(
    known: Predicted, unknown: Predicted, labels: tuple[str, ...], temperature: Temperature
) -> dict[str, Any]:
    """How well activities that the network does not know are told from those that it does.

    Parameters
    ----------
    known : the test subjects' windows (n) of known activities, and their logits (n, classes)
    unknown : the same subjects' windows of the others
    labels : the others
    temperature : of the contract; the energy is taken at 1

    Returns
    -------
    plain values, ready for JSON
    """
    ours, theirs = _known_scores(*known, temperature), _known_scores(*unknown, temperature)
    levels = {
        per: {
            "known": len(ours[per]["max_probability"]),
            "unknown": len(theirs[per]["max_probability"]),
            **{score: to_mapping(separate(values, theirs[per][score])) for score, values in ours[per].items()},
        }
        for per in ours
    }
    return {"labels": list(labels), "temperature": to_mapping(temperature), **levels}


def _known_scores(
    table: WindowTable, logits: Logits, temperature: Temperature
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Both scores of every window and of every recording, high where the activity looks known."""
    logs = log_probabilities(logits, temperature=temperature.value)
    energy = negative_energy(logits)
    _, inverse, counts = np.unique(table.recordings, return_inverse=True, return_counts=True)
    of_recordings = mean_log_probabilities(logs, table.recordings)
    return {
        "window": {"max_probability": np.exp(logs.max(axis=1)), "energy": energy},
        "recording": {
            "max_probability": np.exp(of_recordings.max(axis=1)),
            "energy": np.bincount(inverse, weights=energy) / counts,
        },
    }


def _calibration(
    table: WindowTable, logits: Logits, truth: NDArray[np.int64], temperature: Temperature
) -> dict[str, Any]:
    """Before and after the temperature; no "after" where there is none."""

    def at(value: float) -> dict[str, Any]:
        logs = log_probabilities(logits, temperature=value)
        return {
            "window": to_mapping(calibrate(logs, table.labels)),
            "recording": to_mapping(calibrate(mean_log_probabilities(logs, table.recordings), truth)),
        }

    after = None if temperature.source == "none" else at(temperature.value)
    return {"temperature": to_mapping(temperature), "before": at(1.0), "after": after}
