"""Train a teacher or a student, test it once, and leave a finished run.

Both go the same way: open the run's folder, build network and task, train (``fit``), fit the temperature on the
validation subjects, test, write the card.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd.writing import append_line
from vskd_training.data.clips import clips_for
from vskd_training.data.experiment import Experiment
from vskd_training.data.joints import vary_joints
from vskd_training.data.virtual_windows import VirtualWindows, virtual_windows, with_subjects
from vskd_training.data.windows import WindowTable
from vskd_training.distillation.targets import check_teachers, own_targets, targets_for, useful
from vskd_training.evaluation.classes import class_windows, refuse_missing
from vskd_training.evaluation.example_choice import choose
from vskd_training.evaluation.examples import Outputs as WindowOutputs
from vskd_training.evaluation.metrics import fit_temperature
from vskd_training.evaluation.report import Temperature, report, report_scores, report_test
from vskd_training.loop.distributed import ALONE, Processes
from vskd_training.loop.fit import Progress, Task, Training, fit, silent
from vskd_training.loop.tasks import StudentTask, Vary, multi_scale_crop, student_task, teacher_task
from vskd_training.loop.viewers import Viewer
from vskd_training.models.build import build_student, build_teacher
from vskd_training.models.cost import cost_of
from vskd_training.models.output import ModelOutput
from vskd_training.models.own import OwnStudent
from vskd_training.models.own_check import check_own
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import Student
from vskd_training.quantization.finetune import FineTuning, finetune
from vskd_training.runs.predict import predict_clips, predict_windows
from vskd_training.runs.run import LOG, Run, finish_run, start_run
from vskd_training.settings import Config, DistillationConfig, TrainingConfig

#: Logits (n, classes) of the n windows of a table.
Predict = Callable[[WindowTable], NDArray[np.float32]]
#: Logits and features of the same.
Outputs = Callable[[WindowTable], ModelOutput]


@dataclass(frozen=True)
class _Job:
    """A network on its way to a finished run.

    Attributes
    ----------
    role : what it is
    experiment : config and data
    model, task : what is trained on what
    training : how
    predict : its logits of a table's windows
    outputs : logits and features; None of a teacher
    prepare : changes the trained network for its use on the device; entries of the card about it
    more : further entries of the card, computed when it is trained
    """

    role: Literal["teacher", "student"]
    experiment: Experiment
    model: nn.Module
    task: Task
    training: TrainingConfig
    predict: Predict
    outputs: Outputs | None = None
    prepare: Callable[[], dict[str, Any]] = dict
    more: Callable[[], dict[str, Any]] = dict


def train_teacher(
    experiment: Experiment,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = silent,
    processes: Processes = ALONE,
    viewers: Sequence[Viewer] = (),
) -> Run:
    """Train the teacher of a config.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    overwrite, resume : what to do with a folder that is there
    progress : see ``fit.Training``
    processes : those that train together; the first one's run is what all return
    viewers : get the log as it comes

    Raises
    ------
    DataError, ConfigError
    """
    experiment = experiment.seen()
    config = experiment.config
    refuse_missing(experiment)
    _check_batch(config.teacher_training, processes)
    _begin(config, processes)
    model = build_teacher(config, len(experiment.contract.labels))
    table = experiment.windows("train")
    vary = clip_variation(model)
    task = teacher_task(table, config, clips_for(experiment, table), vary=vary, processes=processes)

    def predict(part: WindowTable) -> NDArray[np.float32]:
        output = predict_clips(model, clips_for(experiment, part), batch=config.teacher_training.batch)
        return np.asarray(output.logits.numpy())

    job = _Job("teacher", experiment, model, task, config.teacher_training, predict)
    processes.by_first(lambda: start_run(out, config=config, overwrite=overwrite, resume=resume))
    return _train_and_test(job, out, progress, processes, viewers)


def train_student(
    experiment: Experiment,
    out: Path,
    *,
    teachers: Sequence[Run],
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = silent,
    processes: Processes = ALONE,
    viewers: Sequence[Viewer] = (),
    study: Mapping[str, Any] | None = None,
) -> Run:
    """Train the student of a config, with or without a teacher.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    teachers : finished runs on the same data and split, aggregated; none sets the weights of distillation to 0
    overwrite, resume : what to do with a folder that is there
    progress : see ``fit.Training``
    processes : those that train together; the first one's run is what all return
    viewers : get the log as it comes
    study : of a student that is trained on everybody, see ``study.shipping``: whose accuracy it has

    Raises
    ------
    DataError, ConfigError
    """
    config = student_config(experiment.config, taught=bool(teachers))
    experiment = experiment.with_config(config)
    refuse_missing(experiment)
    _check_batch(config.student_training, processes)
    _check_gradients(config, processes)
    _check_virtual(config, teachers)
    check_teachers(teachers, experiment)
    _begin(config, processes)
    model = build_student(config.student, experiment.contract)
    _check_quantization(config, model)
    if isinstance(model, OwnStudent):
        check_own(model, experiment.contract)
    table = experiment.paired_windows() if teachers else experiment.windows("train")
    targets = targets_for(teachers, experiment, table, device=processes.device) if teachers else None
    table, targets = useful(table, targets)
    virtual = virtual_of(experiment, table)
    classes = len(experiment.contract.labels)
    task = student_task(table, config, classes, targets=targets, virtual=virtual, processes=processes)

    outputs = partial(predict_windows, model)

    def predict(part: WindowTable) -> NDArray[np.float32]:
        return np.asarray(outputs(part).logits.numpy())

    def more() -> dict[str, Any]:
        made = {} if virtual is None else {"virtual": virtual.card()}
        if isinstance(model, OwnStudent):
            made["module"] = model.card()
        known = {} if experiment.split.test else {"study": study}
        cost = {"cost": cost_of(model, experiment.contract.window_shape)}
        return {**known, **cost, **made, **_teacher_card(teachers, experiment, processes.device)}

    def prepare() -> dict[str, Any]:
        return _fine_tuned(model, task, experiment, out, progress) if config.quantization.epochs else {}

    job = _Job("student", experiment, model, task, config.student_training, predict, outputs, prepare, more)
    processes.by_first(lambda: start_run(out, config=config, overwrite=overwrite, resume=resume))
    return _train_and_test(job, out, progress, processes, viewers)


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


def _begin(config: Config, processes: Processes) -> None:
    torch.set_num_threads(config.threads)
    # CUDA has no deterministic gradient of max pooling, which every network here contains.
    torch.use_deterministic_algorithms(processes.device.type == "cpu")
    torch.manual_seed(config.seed)


def _train_and_test(job: _Job, out: Path, progress: Progress, processes: Processes, viewers: Sequence[Viewer]) -> Run:
    validation = _validation(job.experiment)

    def validate(_: nn.Module) -> dict[str, float]:
        if validation is None:
            return {}
        right = job.predict(validation).argmax(axis=1) == validation.labels
        return {"validation_accuracy": float(right.mean())}

    def log(first_epoch: int) -> Callable[[int, dict[str, float]], None]:
        for viewer in viewers:
            viewer.start(out, job.experiment.config, first_epoch)

        def epoch(number: int, row: dict[str, float]) -> None:
            for viewer in viewers:
                viewer.epoch(number, row)

        return epoch

    seed = job.experiment.config.seed
    fit(Training(job.model, job.task, job.training, seed, out, validate, progress, processes, log))

    def finish() -> Run:
        prepared = job.prepare()
        size = {"parameters": sum(value.numel() for value in job.model.parameters())}
        card = {
            **tested(job.role, job.experiment, job.predict, job.outputs),
            **size,
            **prepared,
            **job.more(),
            **processes.card(),
        }
        finish_run(out, weights=job.model.state_dict(), card=card)
        run = Run.open(out, role=job.role)
        for viewer in viewers:
            viewer.finish(out, run.card)
        return run

    return processes.by_first(finish)


def _fine_tuned(
    model: Student, task: StudentTask, experiment: Experiment, out: Path, progress: Progress
) -> dict[str, Any]:
    """Fine-tune a trained student for int8, in the first process alone; the card's entry, with its scores before."""
    config, started_s = experiment.config, time.perf_counter()
    training = config.student_training
    steps = task.steps(training.batch)
    done = training.steps // steps if training.steps else training.epochs

    def batches(epoch: int) -> Iterator[Tensor]:
        return (batch.windows for batch in task.batches(done + epoch, training.batch))

    sides = {side: experiment.windows(side) for side in ("validation", "test") if getattr(experiment.split, side)}
    before = {
        side: report_scores(experiment, table, predict_windows(model, table).logits.numpy())
        for side, table in sides.items()
    }
    losses = finetune(FineTuning(model, task.windows, batches, steps, config.quantization, progress))
    seconds = round(time.perf_counter() - started_s, 3)
    append_line(out / LOG, json.dumps({"epoch": done + len(losses), "seconds": seconds, "int8_loss": losses}))
    return {"quantization": {"loss": losses, "before": before}}


def _validation(experiment: Experiment) -> WindowTable | None:
    return experiment.windows("validation") if experiment.split.validation else None


def tested(role: str, experiment: Experiment, predict: Predict, outputs: Outputs | None) -> dict[str, Any]:
    """Fit the temperature and what a wearer's examples count on the validation subjects, test once; the run card.

    On everybody nothing is tested.

    Parameters
    ----------
    role : what was trained
    experiment : config and data
    predict, outputs : its logits of a table's windows, and with its features; None of what goes to no device
    """
    validation = _validation(experiment)
    contract = experiment.contract
    metrics: dict[str, Any] = {}
    examples: dict[str, Any] = {}
    if validation is not None:
        logits = predict(validation)
        contract = contract.with_decision(temperature=fit_temperature(logits, validation.labels))
        contract, examples = _with_examples(contract, experiment, validation, outputs)
        metrics["validation"] = report(experiment, validation, logits, Temperature.of(contract, experiment))
    if experiment.split.test:
        metrics["test"] = _test(experiment, predict, Temperature.of(contract, experiment))
    return {
        "role": role,
        "config": to_mapping(experiment.config),
        "contract": to_mapping(contract),
        "data": experiment.data_card(),
        **({"root": str(experiment.root)} if experiment.root else {}),
        "windows": {
            "train": len(experiment.windows("train")),
            "test": len(experiment.windows("test")) if experiment.split.test else 0,
            "by_class": class_windows(experiment),
        },
        "metrics": metrics,
        **examples,
    }


def _with_examples(
    contract: Contract, experiment: Experiment, validation: WindowTable, outputs: Outputs | None
) -> tuple[Contract, dict[str, Any]]:
    """The contract with how much a wearer's examples count, and the card's entry about the choice."""
    if outputs is None:
        return contract, {}
    choice = choose([(contract, WindowOutputs.of(experiment, validation, outputs(validation)))])
    if choice is None:
        return contract, {}
    return dataclasses.replace(contract, examples=choice.spec), {"examples": to_mapping(choice)}


def _test(experiment: Experiment, predict: Predict, temperature: Temperature) -> dict[str, Any]:
    test = experiment.windows("test")
    unknown = experiment.windows("unknown") if experiment.sides.unknown else None
    found = None if unknown is None else (unknown, predict(unknown))
    return report_test(experiment, (test, predict(test)), found, temperature)


def _teacher_card(teachers: Sequence[Run], experiment: Experiment, device: torch.device) -> dict[str, Any]:
    """The part of a student's card about its teachers: which, and their aggregate's scores on the test subjects."""
    if not teachers:
        return {"teacher": None}
    known = [{"run": teacher.path.name, "sha256": teacher.card["weights_sha256"]} for teacher in teachers]
    if any(teacher.card["role"] == "teacher" for teacher in teachers):
        experiment = experiment.seen()
    if not experiment.split.test:
        return {"teacher": known}
    test = experiment.windows("test")
    logits = own_targets(teachers, experiment, test, device=device).output.logits.numpy()
    return {"teacher": known, "teacher_metrics": {"test": report_scores(experiment, test, logits)}}


def clip_variation(teacher: nn.Module) -> Vary:
    """How a teacher's clips are varied in training."""
    return vary_joints if isinstance(teacher, SkeletonTeacher) else multi_scale_crop


def virtual_of(experiment: Experiment, table: WindowTable) -> VirtualWindows | None:
    """The virtual windows beside a student's real ones, None where its config has none."""
    if not experiment.config.virtual.per_real:
        return None
    return virtual_windows(experiment.prepared, table, with_subjects(experiment.config, table))


def _check_virtual(config: Config, teachers: Sequence[Run]) -> None:
    """A student teaches by real readings, and there must be none of subjects without a sensor."""
    if config.virtual.per_real and any(teacher.card["role"] == "student" for teacher in teachers):
        raise ConfigError(
            "a student cannot teach with virtual windows: its targets would be of the real windows of the same "
            "recordings",
            hint="Name a teacher of joints, or set virtual.per_real = 0",
        )


def _check_quantization(config: Config, model: Student) -> None:
    """The fine-tuning rounds the layers that it knows."""
    if config.quantization.epochs and isinstance(model, OwnStudent):
        raise ConfigError(
            f"quantization.epochs is {config.quantization.epochs}, and the fine-tuning for int8 knows the layers of "
            "vskd's own students, not those of student.module",
            hint="Set quantization.epochs = 0, or fine-tune in your own network",
        )


def _check_batch(training: TrainingConfig, processes: Processes) -> None:
    if training.batch < 2 * processes.count:
        raise ConfigError(
            f"a batch of {training.batch} windows leaves {processes.count} processes fewer than two each, which a "
            "batch norm needs",
            hint=f"Set the batch to {2 * processes.count} at least, or use fewer processes",
        )


def _check_gradients(config: Config, processes: Processes) -> None:
    """DDP waits for a gradient of every layer, and the classifier gets one from the logits alone."""
    loss = config.loss
    if processes.count > 1 and not any((loss.ce, loss.kd, loss.decoupled, loss.dist)):
        raise ConfigError(
            "several processes cannot train on the terms of the feature alone: no gradient reaches the classifier",
            hint="Set loss.ce or loss.kd, or train in one process",
        )
