"""The networks of finished runs, with their weights."""

from __future__ import annotations

from vskd_training.models.build import build_student, build_teacher
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
    DataError : the weights are missing or changed
    """
    model = build_student(run.config.student, run.contract)
    run.load_weights(model)
    return model
