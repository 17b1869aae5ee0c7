"""Test a finished run: its network in torch, or an exported model as it ships, in the engine that runs it.

Beside the metrics of the test people there is a threshold for ``decision.unknown_below``, chosen on validation people.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd import writing
from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.decide import Decider
from vskd.engines import open_engine
from vskd.errors import ConfigError, ContractError, DataError
from vskd.stream import Window
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.distillation.targets import clips_for, trained_network
from vskd_training.evaluation.plots import draw_confusion, draw_reliability
from vskd_training.evaluation.report import Temperature, report_test
from vskd_training.evaluation.unknown import rounded_down, threshold_that_keeps
from vskd_training.loop.run import WEIGHTS, Run
from vskd_training.loop.tasks import student_logits, teacher_views
from vskd_training.models.student import Student

Progress = Callable[[int, int], None]
#: Logits (n, classes) of the windows of a table.
Answer = Callable[[WindowTable], NDArray[np.float32]]

DOCUMENT, CONFUSION = "evaluation.json", "confusion.png"


@dataclass(frozen=True)
class Tested:
    """Something that answers, and how a report names it.

    Attributes
    ----------
    about : ``engine`` and ``model``, and what they are known by; plain values
    answer : logits of a table
    """

    about: dict[str, Any]
    answer: Answer


def own_network(run: Run, experiment: Experiment) -> Tested:
    """The run's own network, in torch.

    Raises
    ------
    DataError : its weights are missing or changed
    """
    about = {"engine": "torch", "model": WEIGHTS, "weights_sha256": run.card["weights_sha256"]}
    network, batch = trained_network(run), run.config.teacher_training.batch

    def answer(table: WindowTable) -> NDArray[np.float32]:
        if isinstance(network, Student):
            return np.asarray(student_logits(network, table).numpy())
        return np.asarray(teacher_views(network, clips_for(network, experiment, table), batch=batch).logits.numpy())

    return Tested(about, answer)


def model_of(
    run: Run, bundle: Path, *, engine: str | None, recipe: str | None, progress: Callable[[int], None]
) -> Tested:
    """A bundle's model, window by window.

    Parameters
    ----------
    run : what the bundle was exported from
    bundle : the folder
    engine, recipe : see ``Bundle.select``
    progress : called after every window with how many there were

    Raises
    ------
    ContractError : the bundle was not exported from this run
    """
    opened = Bundle.open(bundle)
    if opened.contract != run.contract:
        raise ContractError(f"{bundle} keeps another contract than {run.path}", hint="Export this run")
    name, entry = opened.select(engine=engine, recipe=recipe)
    loaded = open_engine(name, opened.model_path(entry))
    done = 0

    def answer(table: WindowTable) -> NDArray[np.float32]:
        nonlocal done
        logits = []
        for window in table.samples:
            logits.append(loaded.infer(window))
            done += 1
            progress(done)
        return np.stack(logits)

    return Tested({"engine": name, "model": entry.file, "bundle_sha256": opened.sha256()}, answer)


def refuse_trained_on(run: Run, experiment: Experiment) -> None:
    """Refuse recordings of other activities, or whose split tests, or lets decide, people whom the run was trained on.

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
    known = run.card["data"]["split"]
    if known["leaky"]:
        return
    split = experiment.split
    heard = {*known["train"], *known.get("unlabelled", ())}
    for person in (*split.test_subjects, *split.validation_subjects):
        if person in heard:
            raise ConfigError(
                f"{run.path} was trained on person {person}, who would be tested or decide in these recordings",
                hint="Give --root the recordings that the run was trained on",
            )


def windows_to_test(run: Run, experiment: Experiment) -> int:
    """How many windows ``evaluate`` asks about."""
    return sum(len(experiment.windows(part)) for part in _parts(run, experiment))


def _parts(run: Run, experiment: Experiment) -> tuple[Any, ...]:
    validation = ("validation",) if _offers_threshold(run, experiment) else ()
    return ("test", *validation, *(("unknown",) if experiment.sides.unknown else ()))


def _offers_threshold(run: Run, experiment: Experiment) -> bool:
    """Only a student goes to a device, and only validation people may choose."""
    return bool(run.card["role"] == "student" and experiment.split.validation)


def evaluate(run: Run, experiment: Experiment, tested: Tested, *, keep: float) -> dict[str, Any]:
    """Metrics on the run's test people, and a threshold for unknown activities.

    Parameters
    ----------
    run, experiment : what is tested, and its data
    tested : who answers
    keep : share of the validation windows that the threshold keeps, in (0, 1]

    Returns
    -------
    plain values, ready for JSON; ``unknown_below`` is None without validation people, and of a teacher
    """
    tables = {part: experiment.windows(part) for part in _parts(run, experiment)}
    answered = {part: (table, tested.answer(table)) for part, table in tables.items()}
    temperature = Temperature.of(run.contract, experiment)
    metrics = report_test(experiment, answered["test"], answered.get("unknown"), temperature)
    reported = {part: reported_probabilities(run.contract, *answered[part]) for part in answered}
    return {
        **tested.about,
        "labels": list(run.contract.labels),
        "leaky": experiment.split.leaky,
        "metrics": metrics,
        "unknown_below": _threshold(reported, keep) if "validation" in answered else None,
    }


def reported_probabilities(contract: Contract, table: WindowTable, logits: NDArray[Any]) -> NDArray[np.float64]:
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


def _threshold(reported: dict[str, NDArray[np.float64]], keep: float) -> dict[str, Any]:
    threshold = rounded_down(threshold_that_keeps(reported["validation"], keep))
    kept = {f"{part}_kept": float((values >= threshold).mean()) for part, values in reported.items()}
    return {"keep": keep, "threshold": threshold, "validation_windows": len(reported["validation"]), **kept}


def write_evaluation(result: dict[str, Any], out: Path, *, title: str) -> list[Path]:
    """Write what ``evaluate`` found: the document, confusion matrices and reliability diagrams.

    The windows' confusion matrix is drawn where a recording holds more than one of them.

    Parameters
    ----------
    result : as returned
    out : folder; made if needed, other files in it stay
    title : of the plots

    Returns
    -------
    what was written

    Raises
    ------
    DataError : it cannot be written
    """
    metrics, labels = result["metrics"], result["labels"]
    document = (json.dumps(result, indent=1, sort_keys=True) + "\n").encode()
    written = [write_file(out / DOCUMENT, document)]
    several = metrics["window"]["all"]["count"] != metrics["recording"]["all"]["count"]
    drawn = draw_confusion(metrics["confusion"], labels, title=f"{title}: recordings")
    written.append(write_file(out / CONFUSION, drawn))
    levels = ("window", "recording") if several else ("recording",)
    drawn = draw_reliability(metrics["calibration"], levels, title=title)
    written.append(write_file(out / "reliability.png", drawn))
    if several:
        drawn = draw_confusion(metrics["confusion_window"], labels, title=f"{title}: windows")
        written.append(write_file(out / "confusion-windows.png", drawn))
    return written


def draw_card(run: Path, card: dict[str, Any], *, title: str) -> Path:
    """Draw the confusion matrix of a run card's test recordings beside it.

    Raises
    ------
    DataError : it cannot be written
    """
    drawn = draw_confusion(card["metrics"]["test"]["confusion"], card["contract"]["labels"], title=title)
    return write_file(run / CONFUSION, drawn)


def write_file(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all, and its folder if needed.

    Raises
    ------
    DataError : it cannot be written
    """
    with writing.disk_errors(path, DataError, hint="Give another --out, or make room"):
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.write_file(path, content)
    return path
