"""The networks of finished runs, with their weights."""

from __future__ import annotations

from vskd.errors import DataError
from vskd_training.forest.trees import Forest
from vskd_training.models.build import build_student, build_teacher
from vskd_training.models.own import OwnStudent
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import Student
from vskd_training.models.trn import Teacher
from vskd_training.runs.run import Run


def trained_network(run: Run) -> Teacher | SkeletonTeacher | Student:
    """The network of a finished run, a teacher's or a student's, in evaluation mode.

    Raises
    ------
    DataError : the weights are missing or changed
    """
    if run.card["role"] == "student":
        return trained_student(run)
    model = build_teacher(run.config, len(run.contract.labels))
    run.load_weights(model)
    return model


def trained_student(run: Run) -> Student:
    """The network of a student's finished run, in evaluation mode.

    Raises
    ------
    DataError : the weights are missing or changed, or the code of a user's own network is
    ConfigError : a user's own network cannot be made again
    """
    model = build_student(run.config.student, run.contract)
    if isinstance(model, OwnStudent):
        _refuse_changed_source(run, model)
    run.load_weights(model)
    return model


def trained_forest(run: Run) -> Forest:
    """The forest of a finished run.

    Raises
    ------
    DataError : the trees are missing or changed
    """
    return Forest.from_tensors(run.weights())


def _refuse_changed_source(run: Run, model: OwnStudent) -> None:
    trained = run.card["module"]["source_sha256"]
    for name in sorted({*trained, *model.sources}):
        was, now = (hashes.get(name, "none") for hashes in (trained, model.sources))
        if was != now:
            raise DataError(
                f"the source of {name} ({model.module}) was changed since {run.path} was trained: its SHA-256 was "
                f"{was[:12]}, and is {now[:12]}",
                hint="Put the file back as it was, or train again",
            )
