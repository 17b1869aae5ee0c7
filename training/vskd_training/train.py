"""Train a teacher or a student, test it once, and leave a finished run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vskd.closed import to_mapping
from vskd.errors import ConfigError
from vskd_training.config import Config
from vskd_training.experiment import Experiment
from vskd_training.fit import Task, fit
from vskd_training.metrics import confusion_matrix, fit_temperature, mean_probabilities, measure
from vskd_training.models.student import Student
from vskd_training.models.trn import BnInceptionBackbone, SmallBackbone, Teacher
from vskd_training.run import Run, finish_run, start_run
from vskd_training.tasks import StudentTask, TeacherTask, TeacherViews, student_logits, teacher_views
from vskd_training.windows import Clips, WindowTable

Progress = Callable[[int, int, dict[str, float]], None]


def build_teacher(config: Config, classes: int) -> Teacher:
    """The teacher that a config describes, with initial weights."""
    how = config.teacher
    backbone: BnInceptionBackbone | SmallBackbone
    if how.backbone == "bn-inception":
        backbone = BnInceptionBackbone(weights=Path(how.imagenet_weights) if how.imagenet_weights else None)
    else:
        if how.imagenet_weights:
            raise ConfigError("teacher.imagenet_weights fit the backbone bn-inception, not small")
        backbone = SmallBackbone(motion=how.motion, width=how.width)
    return Teacher(backbone, classes, segments=how.segments, dropout=how.dropout)


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
    task = TeacherTask(table, _clips(experiment, model, table), smoothing=config.loss.label_smoothing, seed=config.seed)

    def answer(part: WindowTable) -> NDArray[np.float32]:
        views = teacher_views(model, _clips(experiment, model, part), batch=config.teacher_training.batch)
        return np.asarray(views.logits.numpy())

    card = _fit_and_test(experiment, model, task, out, role="teacher", answer=answer, progress=progress)
    finish_run(out, model=model, card=card)
    return Run.open(out, role="teacher")


def train_student(
    experiment: Experiment,
    out: Path,
    *,
    teacher: Run | None,
    overwrite: bool,
    resume: bool,
    progress: Progress,
) -> Run:
    """Train the student of a config, with or without a teacher.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    teacher : a finished run on the same data and split; None sets the weights of distillation to 0
    overwrite, resume : what to do with a folder that is there
    progress : called after every step

    Raises
    ------
    DataError, ConfigError
    """
    config = experiment.config
    if teacher is None:
        config = dataclasses.replace(
            config, loss=dataclasses.replace(config.loss, kd=0.0, distance=0.0, angle=0.0, semantic=0.0)
        )
        experiment = dataclasses.replace(experiment, config=config)
    elif not config.loss.needs_teacher:
        raise ConfigError("a teacher was given, but its weights in [loss] are all 0", hint="Set loss.kd or another")
    _begin(config, out, overwrite=overwrite, resume=resume)
    classes = len(experiment.contract.labels)
    model = Student(experiment.contract, width=config.student.width)
    table = experiment.windows("train")
    views = None if teacher is None else _views_of(teacher, experiment, table)
    task = StudentTask(table, classes, how=config.augment, weights=config.loss, teacher=views, seed=config.seed)

    def answer(part: WindowTable) -> NDArray[np.float32]:
        return np.asarray(student_logits(model, part).numpy())

    card = _fit_and_test(experiment, model, task, out, role="student", answer=answer, progress=progress)
    card["teacher"] = None if teacher is None else {"run": teacher.path.name, "sha256": teacher.card["weights_sha256"]}
    finish_run(out, model=model, card=card)
    return Run.open(out, role="student")


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


def _clips(experiment: Experiment, model: Teacher, table: WindowTable) -> Clips:
    motion = model.backbone.frames_per_segment > 1
    return Clips(experiment.prepared, table, segments=model.segments, motion=motion)


def _views_of(teacher: Run, experiment: Experiment, table: WindowTable) -> TeacherViews:
    """The teacher's view of the training windows. It must never have seen the people who decide or are tested."""
    _check_same_split(teacher, experiment)
    model = build_teacher(teacher.config, len(experiment.contract.labels))
    teacher.load_weights(model)
    return teacher_views(model, _clips(experiment, model, table), batch=teacher.config.teacher_training.batch)


def _check_same_split(teacher: Run, experiment: Experiment) -> None:
    ours = _data_card(experiment)
    for key in ("dataset", "key", "split"):
        if teacher.card["data"][key] != ours[key]:
            raise ConfigError(
                f"the teacher {teacher.path} knows another {key}: {teacher.card['data'][key]}, not {ours[key]}",
                hint="Train the teacher with the data section of this config",
            )


def _data_card(experiment: Experiment) -> dict[str, Any]:
    split = experiment.split
    return {
        "dataset": experiment.prepared.name,
        "view": experiment.prepared.view,
        "key": experiment.prepared.key,
        "defects": len(experiment.prepared.defects),
        "split": {
            "protocol": split.protocol,
            "fold": split.fold,
            "leaky": split.leaky,
            "train": list(split.train_subjects),
            "validation": list(split.validation_subjects),
            "test": list(split.test_subjects),
            "recordings": [len(split.train), len(split.validation), len(split.test)],
        },
    }


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
        "data": _data_card(experiment),
        "windows": {"train": len(experiment.windows("train")), "test": len(test)},
        "parameters": sum(value.numel() for value in model.parameters()),
        "metrics": metrics,
    }
