"""What the answers of a network are worth, as plain values for a run card or a JSON file.

Per window and per recording, whose windows' probabilities are averaged. Accuracies are those of temperature 1, as they
always were; calibration is told before and after the contract's temperature. This module runs no network.
"""

from __future__ import annotations

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
    log_probabilities,
    mean_log_probabilities,
    mean_probabilities,
    measure,
)
from vskd_training.evaluation.unknown import negative_energy, separate

Logits = NDArray[np.floating[Any]]
#: Windows (n), and their logits (n, classes).
Answered = tuple[WindowTable, Logits]


@dataclass(frozen=True)
class Temperature:
    """What a device divides the logits by, and where it comes from.

    Attributes
    ----------
    value : without unit
    source : ``validation people``: fitted on them. ``config``: set there, when nobody decided. ``nobody``: it is 1
    """

    value: float
    source: Literal["validation people", "config", "nobody"]

    @classmethod
    def of(cls, contract: Contract, experiment: Experiment) -> Temperature:
        """That of a run; ``contract`` is the run's own, as training left it."""
        value = contract.decision.temperature
        if experiment.split.validation:
            return cls(value, "validation people")
        return cls(value, "nobody" if value == 1 else "config")


def report(experiment: Experiment, table: WindowTable, logits: Logits, temperature: Temperature) -> dict[str, Any]:
    """Metrics per window and per recording, over all activities and over those of the wrist.

    On the validation people the calibration after the temperature is of those whom it was fitted on.

    Parameters
    ----------
    table : the windows, n of them
    logits : (n, classes)
    temperature : of the contract

    Returns
    -------
    plain values, ready for JSON
    """
    labels = experiment.contract.labels
    decided = _decided(experiment, table, logits)
    matrices = {per: confusion_matrix(truth, answers, len(labels)) for per, (truth, answers, _) in decided.items()}
    truth = decided["recording"][0]
    return {
        **{per: _both(experiment, *those) for per, those in decided.items()},
        "recordings_too_short": table.too_short,
        "confusion": matrices["recording"].tolist(),
        "confusion_window": matrices["window"].tolist(),
        "by_class": {
            per: [to_mapping(row) for row in by_class(truth, answers, labels)]
            for per, (truth, answers, _) in decided.items()
        },
        "calibration": _calibration(table, logits, truth, temperature),
    }


def report_scores(experiment: Experiment, table: WindowTable, logits: Logits) -> dict[str, Any]:
    """The part of ``report`` that is about right and wrong answers: ``window`` and ``recording``."""
    return {per: _both(experiment, *those) for per, those in _decided(experiment, table, logits).items()}


def _decided(experiment: Experiment, table: WindowTable, logits: Logits) -> dict[str, tuple[Any, Any, Any]]:
    """Per window and per recording: the true classes, the answers, and whose they are."""
    recordings, probabilities = mean_probabilities(logits, table.recordings)
    infos = [experiment.prepared.infos[index] for index in recordings]
    truth = np.array([experiment.contract.labels.index(info.label) for info in infos], dtype=np.int64)
    return {
        "window": (table.labels, logits.argmax(axis=1), table.subjects),
        "recording": (truth, probabilities.argmax(axis=1), [info.subject for info in infos]),
    }


def report_test(
    experiment: Experiment, test: Answered, unknown: Answered | None, temperature: Temperature
) -> dict[str, Any]:
    """``report`` of the test people and, where there are recordings of unknown activities, ``report_unknown``."""
    metrics = report(experiment, *test, temperature)
    if unknown is not None:
        metrics["unknown"] = report_unknown(test, unknown, experiment.config.data.unknown_labels, temperature)
    return metrics


def report_unknown(
    known: Answered, unknown: Answered, labels: tuple[str, ...], temperature: Temperature
) -> dict[str, Any]:
    """How well activities that the network does not know are told from those that it does.

    Parameters
    ----------
    known : the test people's windows (n) of known activities, and their logits (n, classes)
    unknown : the same people's windows of the others
    labels : the others
    temperature : of the contract; the energy is taken at 1

    Returns
    -------
    plain values, ready for JSON
    """
    sides = [_scores(*known, temperature), _scores(*unknown, temperature)]
    levels = {
        per: {
            "known": len(sides[0][per]["max_probability"]),
            "unknown": len(sides[1][per]["max_probability"]),
            **{score: to_mapping(separate(sides[0][per][score], sides[1][per][score])) for score in _SCORES},
        }
        for per in ("window", "recording")
    }
    return {"labels": list(labels), "temperature": to_mapping(temperature), **levels}


_SCORES = ("max_probability", "energy")


def _scores(table: WindowTable, logits: Logits, temperature: Temperature) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Both scores of every window and of every recording."""
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

    after = None if temperature.source == "nobody" else at(temperature.value)
    return {"temperature": to_mapping(temperature), "before": at(1.0), "after": after}


def _both(experiment: Experiment, truth: NDArray[Any], answers: NDArray[Any], subjects: Any) -> dict[str, Any]:
    classes = len(experiment.contract.labels)
    result = {"all": to_mapping(measure(truth, answers, subjects))}
    wrist = np.array([experiment.contract.labels.index(name) for name in experiment.wrist_labels])
    if 0 < len(wrist) < classes:
        kept = np.isin(truth, wrist)
        people = [subject for subject, keep in zip(subjects, kept, strict=True) if keep]
        result["wrist"] = to_mapping(measure(truth[kept], answers[kept], people))
    return result
