"""Tables and sentences of `vskd train` and `vskd evaluate`, from a run card or an evaluation. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vskd.pages import Table, number_of
from vskd_training.evaluation.evaluate import Evaluation
from vskd_training.evaluation.metrics import TEMPERATURES

_SOURCES = {
    "validation subjects": "fitted on validation subjects",
    "config": "set in the config; there were no validation subjects",
    "none": 'not fitted: no validation subjects (data.train_on_validation), so there is no "after"',
}


def metrics_table(title: str, metrics: Mapping[str, Any]) -> Table:
    """Accuracy, macro-F1 and the worst subject, of each side in ``metrics``."""
    rows = []
    for part, values in metrics.items():
        for per in ("window", "recording"):
            for which, numbers in values[per].items():
                worst = f"{numbers['worst_accuracy']:.3f} ({numbers['worst_subject']})"
                scores = (f"{numbers[score]:.3f}" for score in ("accuracy", "macro_f1"))
                rows.append((part, per, _which(which, numbers), str(numbers["count"]), *scores, worst))
    headings = ("side", "per", "activities", "count", "accuracy", "macro-F1", "worst subject")
    return Table(title, "", headings, tuple(rows), names=3)


def _which(name: str, numbers: Mapping[str, Any]) -> str:
    """The activities that were tested: "all" is not said of fewer."""
    tested, known = numbers.get("classes", 0), numbers.get("of_classes", 0)
    if tested == known:
        return name
    return f"{tested} of {known}" if name == "all" else f"{name}, {tested} of {known}"


def evaluation_tables(title: str, result: Evaluation) -> Iterator[Table]:
    """Every table of an evaluation."""
    metrics = result.metrics
    yield metrics_table(title, {"test": metrics})
    several = metrics["window"]["all"]["count"] != metrics["recording"]["all"]["count"]
    for per in ("recording", "window") if several else ("recording",):
        yield _class_table(f"each activity, per {per}", metrics["by_class"][per])
    yield calibration_table(metrics["calibration"])
    if "unknown" in metrics:
        yield unknown_table(metrics["unknown"])


def evaluation_sentences(result: Evaluation) -> Iterator[str]:
    """The warnings of what was evaluated, and the threshold for unknown activities."""
    if result.leaky:
        yield "LEAKY: test subjects are also in the training; this says nothing about new subjects"
    if warning := temperature_warning(result.metrics):
        yield warning
    if without := result.metrics["recordings_too_short"]:
        yield f"without a window, and not tested: {number_of(without, 'test recording')}"
    offer = result.unknown_below
    if offer is None:
        yield (
            "unknown: no threshold is offered; it takes a student's run with validation subjects, of whose windows the "
            "network is not certain throughout"
        )
        return
    unknown = offer.unknown_coverage
    rejected = "" if unknown is None else f", {1 - unknown:.1%} of the left-out activities' windows are rejected"
    yield (
        f"unknown: decision.unknown_below = {offer.threshold} keeps {offer.validation_coverage:.1%} of the "
        f"{offer.validation_windows} validation windows it was chosen on; of the test windows "
        f"{offer.test_coverage:.1%} stay{rejected}. To use it: vskd run --set unknown_below={offer.threshold}"
    )


def temperature_warning(metrics: Mapping[str, Any]) -> str:
    """A sentence if the temperature of a side's metrics was fitted at a bound; else empty."""
    temperature = metrics["calibration"]["temperature"]
    if not temperature.get("at_bound", False):
        return ""
    low, high = TEMPERATURES
    why = (
        "hardly a validation window is wrong, so nearly every probability is 1, and how far that can be trusted is not "
        "known"
        if temperature["value"] < 1
        else "validation windows are recognised no better than by chance, so all probabilities are nearly equal"
    )
    return (
        f"warning: the temperature {temperature['value']:.3g} is at a bound of its fit, {low:g} to {high:g}: {why}. "
        "Validate on more subjects, or set data.validation_subjects to others"
    )


def _class_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    found = []
    for row in rows:
        scores = ("n/a" if row[key] is None else f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
        found.append((row["label"], str(row["count"]), str(row["predicted"]), *scores))
    return Table(title, "", ("activity", "count", "predicted", "precision", "recall", "F1"), tuple(found))


def calibration_table(calibration: Mapping[str, Any]) -> Table:
    temperature = calibration["temperature"]
    title = f"calibration; temperature {temperature['value']:.3f}, {_SOURCES[temperature['source']]}"
    rows = []
    for per in ("window", "recording"):
        for name, value in (("before", 1.0), ("after", temperature["value"])):
            if calibration[name] is not None:
                found = calibration[name][per]
                scores = (found[key] for key in ("accuracy", "confidence", "ece", "nll", "brier"))
                rows.append((per, f"{name}: {value:.3f}", *(f"{score:.3f}" for score in scores)))
    headings = ("per", "temperature", "accuracy", "mean confidence", "ECE", "NLL", "Brier")
    return Table(title, "", headings, tuple(rows), names=2)


def unknown_table(unknown: Mapping[str, Any]) -> Table:
    title = f"left-out activities: {', '.join(unknown['labels'])}"
    rows = []
    names = {"max_probability": f"probability, temperature {unknown['temperature']['value']:.3f}", "energy": "energy"}
    for per in ("window", "recording"):
        found = unknown[per]
        for score, name in names.items():
            values = (f"{found[score][key]:.3f}" for key in ("auroc", "fpr95"))
            rows.append((per, str(found["known"]), str(found["unknown"]), name, *values))
    headings = ("per", "known", "unknown", "score", "AUROC", "FPR at 95 % coverage")
    return Table(title, "", headings, tuple(rows), names=4)
