"""Test a run on its test subjects, and choose a threshold for ``decision.unknown_below`` on validation subjects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.decide import Decider
from vskd.errors import ConfigError
from vskd.stream import Window
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.evaluation.predictors import Predictor
from vskd_training.evaluation.report import Temperature, report_test
from vskd_training.evaluation.unknown import rounded_down, threshold_that_keeps
from vskd_training.runs.run import Run


@dataclass(frozen=True)
class Threshold:
    """A value for ``decision.unknown_below``: what a device is surer of stays, the rest is called unknown.

    Attributes
    ----------
    coverage : share of the validation windows that had to stay
    threshold : a probability
    validation_windows : on how many it was chosen
    validation_coverage, test_coverage : share of these subjects' windows that stay
    unknown_coverage : share of the left-out activities' windows that stay, None without any
    """

    coverage: float
    threshold: float
    validation_windows: int
    validation_coverage: float
    test_coverage: float
    unknown_coverage: float | None


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    engine, model, sha256 : what was tested, see ``Predictor``
    labels : of the classes
    leaky : the test subjects are also in training
    metrics : as ``report_test`` gives them, plain values
    unknown_below : None of a teacher, and without validation subjects
    """

    engine: str
    model: str
    sha256: str
    labels: tuple[str, ...]
    leaky: bool
    metrics: dict[str, Any]
    unknown_below: Threshold | None

    def __repr__(self) -> str:
        rows = [(per, self.metrics[per]["all"]) for per in ("window", "recording")]
        scores = "; ".join(
            f"{row['count']} {per}s: accuracy {row['accuracy']:.3f}, macro-F1 {row['macro_f1']:.3f}"
            for per, row in rows
        )
        return f"<Evaluation of {self.model} on {self.engine}{' LEAKY' if self.leaky else ''}: {scores}>"


def refuse_trained_on(run: Run, experiment: Experiment) -> None:
    """Refuse recordings of other activities, or whose test or validation subjects the run was trained on.

    Raises
    ------
    ConfigError : naming them; a split that was leaky when the run was trained is taken as it was
    """
    ours, theirs = run.contract.labels, experiment.contract.labels
    if ours != theirs:
        raise ConfigError(
            f"{run.path} knows the activities {', '.join(ours)}; these recordings have {', '.join(theirs)}",
            hint="Give --root the recordings that the run was trained on",
        )
    trained = run.card["data"]["split"]
    if trained["leaky"]:
        return
    split = experiment.split
    seen = {*trained["train"], *trained.get("unlabelled", ())}
    for subject in (*split.test_subjects, *split.validation_subjects):
        if subject in seen:
            raise ConfigError(
                f"{run.path} was trained on the subject {subject}, a test or validation subject of these recordings",
                hint="Give --root the recordings that the run was trained on",
            )


def _tested_on(run: Run, experiment: Experiment) -> Experiment:
    """A teacher is tested on what it sees."""
    return experiment.seen() if run.card["role"] == "teacher" else experiment


def windows_to_test(run: Run, experiment: Experiment) -> int:
    """How many windows ``evaluate`` predicts."""
    experiment = _tested_on(run, experiment)
    return sum(len(experiment.windows(part)) for part in _parts(run, experiment))


def _parts(run: Run, experiment: Experiment) -> tuple[Any, ...]:
    # Only a student goes to a device, and only validation subjects may choose.
    with_threshold = run.card["role"] == "student" and experiment.split.validation
    validation = ("validation",) if with_threshold else ()
    return ("test", *validation, *(("unknown",) if experiment.sides.unknown else ()))


def evaluate(run: Run, experiment: Experiment, predictor: Predictor, *, coverage: float) -> Evaluation:
    """Metrics on the run's test subjects, and a threshold for unknown activities.

    Parameters
    ----------
    run, experiment : what is tested, and its data
    predictor : the run's network or exported model
    coverage : share of the validation windows that the threshold keeps, in (0, 1]
    """
    experiment = _tested_on(run, experiment)
    tables = {part: experiment.windows(part) for part in _parts(run, experiment)}
    predicted = {part: (table, predictor.predict(table)) for part, table in tables.items()}
    temperature = Temperature.of(run.contract, experiment)
    return Evaluation(
        engine=predictor.engine,
        model=predictor.model,
        sha256=predictor.sha256,
        labels=run.contract.labels,
        leaky=experiment.split.leaky,
        metrics=report_test(experiment, predicted["test"], predicted.get("unknown"), temperature),
        unknown_below=_threshold(
            {part: device_probabilities(run.contract, *predicted[part]) for part in predicted}, coverage
        ),
    )


def device_probabilities(contract: Contract, table: WindowTable, logits: NDArray[Any]) -> NDArray[np.float64]:
    """(n,): the probability that a device compares with ``decision.unknown_below``, after smoothing and the rest.

    Parameters
    ----------
    contract : its decision rules
    table : n windows, those of a recording one after the other; each recording starts afresh
    logits : (n, classes)
    """
    decider = Decider(contract)
    found = []
    for row, (start_s, end_s) in enumerate(table.spans_s.tolist()):
        first = row == 0 or table.recordings[row] != table.recordings[row - 1]
        event = decider.decide(logits[row], Window(table.samples[row], start_s, end_s, after_gap=first))
        found.append(event.probability)
    return np.array(found)


def _threshold(probabilities: dict[str, NDArray[np.float64]], coverage: float) -> Threshold | None:
    """Chosen on the validation windows; None without any, or where the network is certain of all of them."""
    if "validation" not in probabilities:
        return None
    threshold = rounded_down(threshold_that_keeps(probabilities["validation"], coverage))
    if threshold >= 1:  # by which all others would be unknown
        return None
    stay = {part: float((values >= threshold).mean()) for part, values in probabilities.items()}
    return Threshold(
        coverage=coverage,
        threshold=threshold,
        validation_windows=len(probabilities["validation"]),
        validation_coverage=stay["validation"],
        test_coverage=stay["test"],
        unknown_coverage=stay.get("unknown"),
    )
