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
from vskd_training.data.experiment import Experiment
from vskd_training.data.joints import vary_joints
from vskd_training.data.virtual_windows import VirtualWindows, virtual_windows, with_subjects
from vskd_training.data.windows import WindowTable
from vskd_training.distillation.targets import build_teacher, clips_for, own_targets, targets_for
from vskd_training.evaluation.metrics import fit_temperature
from vskd_training.evaluation.report import Temperature, report, report_scores, report_test
from vskd_training.loop.distributed import ALONE, Processes
from vskd_training.loop.fit import Task, fit
from vskd_training.loop.run import Run, finish_run, start_run
from vskd_training.loop.tasks import StudentTask, TeacherTask, multi_scale_crop, predict_clips, student_logits
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import Student
from vskd_training.settings import Config, DistillationConfig

Progress = Callable[[int, int, dict[str, float]], None]


def train_teacher(
    experiment: Experiment,
    out: Path,
    *,
    overwrite: bool,
    resume: bool,
    progress: Progress,
    processes: Processes = ALONE,
) -> Run:
    """Train the teacher of a config.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    overwrite, resume : what to do with a folder that is there
    progress : called after every step
    processes : those that train together; the first one's run is what all return

    Raises
    ------
    DataError, ConfigError
    """
    config = experiment.config
    _begin(config, out, overwrite=overwrite, resume=resume, processes=processes)
    model = build_teacher(config, len(experiment.contract.labels))
    table = experiment.windows("train")
    task = TeacherTask(
        table,
        clips_for(model, experiment, table),
        vary=vary_joints if isinstance(model, SkeletonTeacher) else multi_scale_crop,
        smoothing=config.loss.label_smoothing,
        seed=config.seed,
    )

    def predict(part: WindowTable) -> NDArray[np.float32]:
        views = predict_clips(model, clips_for(model, experiment, part), batch=config.teacher_training.batch)
        return np.asarray(views.logits.numpy())

    _fit(experiment, model, task, out, role="teacher", predict=predict, progress=progress, processes=processes)

    def finish() -> Run:
        card = _tested(experiment, model, role="teacher", predict=predict)
        finish_run(out, model=model, card={**card, **processes.card()})
        return Run.open(out, role="teacher")

    return processes.by_first(finish)


def train_student(
    experiment: Experiment,
    out: Path,
    *,
    teachers: Sequence[Run],
    overwrite: bool,
    resume: bool,
    progress: Progress,
    processes: Processes = ALONE,
) -> Run:
    """Train the student of a config, with or without a teacher.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    teachers : finished runs on the same data and split, averaged; none sets the weights of distillation to 0
    overwrite, resume : what to do with a folder that is there
    progress : called after every step
    processes : those that train together; the first one's run is what all return

    Raises
    ------
    DataError, ConfigError
    """
    config = student_config(experiment.config, taught=bool(teachers))
    experiment = dataclasses.replace(experiment, config=config)
    _check_shared_loss(config, processes)
    _check_virtual(config, teachers)
    _begin(config, out, overwrite=overwrite, resume=resume, processes=processes)
    classes = len(experiment.contract.labels)
    model = Student(experiment.contract, width=config.student.width, depth=config.student.depth)
    table = experiment.paired_windows() if teachers else experiment.windows("train")
    targets = targets_for(teachers, experiment, table) if teachers else None
    virtual = _virtual(experiment, table)
    task = StudentTask(
        table,
        classes,
        augmentation=config.augment,
        weights=config.loss,
        teacher=targets,
        seed=config.seed,
        virtual=virtual,
    )

    def predict(part: WindowTable) -> NDArray[np.float32]:
        return np.asarray(student_logits(model, part).numpy())

    _fit(experiment, model, task, out, role="student", predict=predict, progress=progress, processes=processes)

    def finish() -> Run:
        card = _tested(experiment, model, role="student", predict=predict)
        if virtual is not None:
            card["virtual"] = virtual.card()
        finish_run(out, model=model, card={**card, **_taught_by(teachers, experiment), **processes.card()})
        return Run.open(out, role="student")

    return processes.by_first(finish)


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
    if config.distillation != DistillationConfig():
        raise ConfigError(
            f"[distillation] sets {to_mapping(config.distillation)}, but there is no teacher",
            hint="Name one by --teacher",
        )
    return dataclasses.replace(config, loss=config.loss.without_teacher())


def _taught_by(teachers: Sequence[Run], experiment: Experiment) -> dict[str, Any]:
    """The part of a student's card that is about its teachers: who, and how often they are right together."""
    if not teachers:
        return {"teacher": None}
    known = [{"run": teacher.path.name, "sha256": teacher.card["weights_sha256"]} for teacher in teachers]
    test = experiment.windows("test")
    said = own_targets(teachers, experiment, test).logits.numpy()
    return {"teacher": known, "teacher_metrics": {"test": report_scores(experiment, test, said)}}


def _virtual(experiment: Experiment, table: WindowTable) -> VirtualWindows | None:
    if not experiment.config.virtual.per_real:
        return None
    return virtual_windows(experiment.prepared, table, with_subjects(experiment.config, table))


def _check_virtual(config: Config, teachers: Sequence[Run]) -> None:
    """A student that teaches has seen real readings only, and would be shown those of people who wore no sensor."""
    if config.virtual.per_real and any(teacher.card["role"] == "student" for teacher in teachers):
        raise ConfigError(
            "a student cannot teach of virtual windows: it would be shown the real ones of the same recordings",
            hint="Name a teacher of joints, or set virtual.per_real = 0",
        )


def _check_shared_loss(config: Config, processes: Processes) -> None:
    """What one process can do and several cannot."""
    loss = config.loss
    # DDP waits for a gradient of every layer, and the classifier gets one from the logits alone.
    if processes.count > 1 and not any((loss.ce, loss.kd, loss.decoupled, loss.dist)):
        raise ConfigError(
            "several processes cannot train on the terms of the feature alone: no gradient reaches the classifier",
            hint="Set loss.ce or loss.kd, or train in one process",
        )


def _begin(config: Config, out: Path, *, overwrite: bool, resume: bool, processes: Processes) -> None:
    torch.set_num_threads(config.threads)
    # CUDA has no deterministic gradient of max pooling, which every network here contains.
    torch.use_deterministic_algorithms(processes.device.type == "cpu")
    torch.manual_seed(config.seed)
    processes.by_first(lambda: start_run(out, config=config, overwrite=overwrite, resume=resume))


def _fit(
    experiment: Experiment,
    model: nn.Module,
    task: Task,
    out: Path,
    *,
    role: str,
    predict: Callable[[WindowTable], NDArray[np.float32]],
    progress: Progress,
    processes: Processes,
) -> None:
    config = experiment.config
    validation = _validation(experiment)

    def validate(_: nn.Module) -> dict[str, float]:
        if validation is None:
            return {}
        return {"validation_accuracy": float((predict(validation).argmax(axis=1) == validation.labels).mean())}

    training = config.teacher_training if role == "teacher" else config.student_training
    fit(
        model,
        task,
        training,
        seed=config.seed,
        run=out,
        validate=validate,
        progress=progress,
        processes=processes,
    )


def _validation(experiment: Experiment) -> WindowTable | None:
    return experiment.windows("validation") if experiment.split.validation else None


def _tested(
    experiment: Experiment,
    model: nn.Module,
    *,
    role: str,
    predict: Callable[[WindowTable], NDArray[np.float32]],
) -> dict[str, Any]:
    """Fit the temperature on the validation people, test once; the run card."""
    config, contract, validation = experiment.config, experiment.contract, _validation(experiment)
    metrics: dict[str, Any] = {}
    if validation is not None:
        logits = predict(validation)
        contract = contract.with_decision(temperature=fit_temperature(logits, validation.labels))
        metrics["validation"] = report(experiment, validation, logits, Temperature.of(contract, experiment))
    test = experiment.windows("test")
    unknown = experiment.windows("unknown") if experiment.sides.unknown else None
    metrics["test"] = report_test(
        experiment,
        (test, predict(test)),
        None if unknown is None else (unknown, predict(unknown)),
        Temperature.of(contract, experiment),
    )
    return {
        "role": role,
        "config": to_mapping(config),
        "contract": to_mapping(contract),
        "data": experiment.data_card(),
        "windows": {"train": len(experiment.windows("train")), "test": len(test)},
        "parameters": sum(value.numel() for value in model.parameters()),
        "metrics": metrics,
    }
