"""Train a teacher or a student, test it once, and leave a finished run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vskd.closed import to_mapping
from vskd.errors import ConfigError
from vskd_training.config import Config, TeachingConfig
from vskd_training.experiment import Experiment
from vskd_training.fit import Task, fit
from vskd_training.joints import vary_joints
from vskd_training.metrics import confusion_matrix, fit_temperature, mean_probabilities, measure
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import Student
from vskd_training.run import Run, finish_run, start_run
from vskd_training.tasks import StudentTask, TeacherTask, multi_scale_crop, student_logits, teacher_views
from vskd_training.teaching import build_teacher, clips_for, views_for
from vskd_training.virtual_windows import virtual_windows, with_people
from vskd_training.windows import WindowTable

Progress = Callable[[int, int, dict[str, float]], None]


def train_teacher(experiment: Experiment, out: Path, *, overwrite: bool, resume: bool, progress: Progress) -> Run:
    """Train the teacher of a config.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    overwrite, resume : what to do with a folder that is there
    progress : called after every step

    Raises
    ------
    DataError, ConfigError
    """
    config = experiment.config
    _begin(config, out, overwrite=overwrite, resume=resume)
    model = build_teacher(config, len(experiment.contract.labels))
    table = experiment.windows("train")
    task = TeacherTask(
        table,
        clips_for(model, experiment, table),
        vary=vary_joints if isinstance(model, SkeletonTeacher) else multi_scale_crop,
        smoothing=config.loss.label_smoothing,
        seed=config.seed,
    )

    def answer(part: WindowTable) -> NDArray[np.float32]:
        views = teacher_views(model, clips_for(model, experiment, part), batch=config.teacher_training.batch)
        return np.asarray(views.logits.numpy())

    card = _fit_and_test(experiment, model, task, out, role="teacher", answer=answer, progress=progress)
    finish_run(out, model=model, card=card)
    return Run.open(out, role="teacher")


def train_student(
    experiment: Experiment,
    out: Path,
    *,
    teachers: Sequence[Run],
    overwrite: bool,
    resume: bool,
    progress: Progress,
) -> Run:
    """Train the student of a config, with or without a teacher.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    teachers : finished runs on the same data and split, averaged; none sets the weights of distillation to 0
    overwrite, resume : what to do with a folder that is there
    progress : called after every step

    Raises
    ------
    DataError, ConfigError
    """
    config = student_config(experiment.config, taught=bool(teachers))
    experiment = dataclasses.replace(experiment, config=config)
    _begin(config, out, overwrite=overwrite, resume=resume)
    classes = len(experiment.contract.labels)
    model = Student(experiment.contract, width=config.student.width)
    table = experiment.paired_windows() if teachers else experiment.windows("train")
    views = views_for(teachers, experiment, table) if teachers else None
    virtual = None
    if config.virtual.per_real:
        virtual = virtual_windows(experiment.prepared, table, with_people(config, table))
    task = StudentTask(
        table, classes, how=config.augment, weights=config.loss, teacher=views, seed=config.seed, virtual=virtual
    )

    def answer(part: WindowTable) -> NDArray[np.float32]:
        return np.asarray(student_logits(model, part).numpy())

    card = _fit_and_test(experiment, model, task, out, role="student", answer=answer, progress=progress)
    known = [{"run": teacher.path.name, "sha256": teacher.card["weights_sha256"]} for teacher in teachers]
    card["teacher"] = known or None
    if virtual is not None:
        card["virtual"] = virtual.card()
    finish_run(out, model=model, card=card)
    return Run.open(out, role="student")


def student_config(config: Config, *, taught: bool) -> Config:
    """The config of a student with or without a teacher: without one, the weights of distillation are 0.

    Raises
    ------
    ConfigError : a teacher without weights in the loss, or a pairing with a teacher who is not there
    """
    if taught:
        if not config.loss.needs_teacher:
            raise ConfigError("a teacher was given, but its weights in [loss] are all 0", hint="Set loss.kd or another")
        return config
    if config.teaching != TeachingConfig():
        raise ConfigError(
            f"[teaching] sets {to_mapping(config.teaching)}, but there is no teacher", hint="Name one by --teacher"
        )
    return dataclasses.replace(config, loss=config.loss.without_teacher())


def report(experiment: Experiment, table: WindowTable, logits: NDArray[Any]) -> dict[str, Any]:
    """Metrics per window and per recording, over all activities and over those of the wrist.

    Parameters
    ----------
    table : the windows, n of them
    logits : (n, classes)

    Returns
    -------
    plain values, ready for JSON
    """
    labels = experiment.contract.labels
    recordings, probabilities = mean_probabilities(logits, table.recordings)
    infos = [experiment.prepared.infos[index] for index in recordings]
    truth = np.array([labels.index(info.label) for info in infos], dtype=np.int64)
    by_window = _both(experiment, table.labels, logits.argmax(axis=1), table.subjects)
    by_recording = _both(experiment, truth, probabilities.argmax(axis=1), [info.subject for info in infos])
    return {
        "window": by_window,
        "recording": by_recording,
        "recordings_too_short": table.too_short,
        "confusion": confusion_matrix(truth, probabilities.argmax(axis=1), len(labels)).tolist(),
    }


def _both(experiment: Experiment, truth: NDArray[Any], answers: NDArray[Any], subjects: Any) -> dict[str, Any]:
    classes = len(experiment.contract.labels)
    result = {"all": to_mapping(measure(truth, answers, subjects, classes))}
    wrist = np.array([experiment.contract.labels.index(name) for name in experiment.wrist_labels])
    if len(wrist) < classes:
        kept = np.isin(truth, wrist)
        people = [subject for subject, keep in zip(subjects, kept, strict=True) if keep]
        result["wrist"] = to_mapping(measure(truth[kept], answers[kept], people, classes))
    return result


def _begin(config: Config, out: Path, *, overwrite: bool, resume: bool) -> None:
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(config.seed)
    start_run(out, config=config, overwrite=overwrite, resume=resume)


def _fit_and_test(
    experiment: Experiment,
    model: nn.Module,
    task: Task,
    out: Path,
    *,
    role: str,
    answer: Callable[[WindowTable], NDArray[np.float32]],
    progress: Progress,
) -> dict[str, Any]:
    """Train, fit the temperature on the validation people, test once; the run card."""
    config, contract = experiment.config, experiment.contract
    validation = experiment.windows("validation") if experiment.split.validation else None

    def validate(_: nn.Module) -> dict[str, float]:
        if validation is None:
            return {}
        return {"validation_accuracy": float((answer(validation).argmax(axis=1) == validation.labels).mean())}

    how = config.teacher_training if role == "teacher" else config.student_training
    fit(model, task, how, seed=config.seed, run=out, validate=validate, progress=progress)
    metrics: dict[str, Any] = {}
    if validation is not None:
        logits = answer(validation)
        metrics["validation"] = report(experiment, validation, logits)
        contract = contract.with_decision(temperature=fit_temperature(logits, validation.labels))
    test = experiment.windows("test")
    metrics["test"] = report(experiment, test, answer(test))
    return {
        "role": role,
        "config": to_mapping(config),
        "contract": to_mapping(contract),
        "data": experiment.data_card(),
        "windows": {"train": len(experiment.windows("train")), "test": len(test)},
        "parameters": sum(value.numel() for value in model.parameters()),
        "metrics": metrics,
    }
