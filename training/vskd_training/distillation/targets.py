"""What a student hears of its teachers: their views of its training windows, once, before training starts.

Several teachers are averaged: the arithmetic mean of their probabilities (Lakshminarayanan et al., NeurIPS 2017) or the
geometric one (both in Hinton et al., "Distilling the Knowledge in a Neural Network", 2015), and their features side by
side, which distance and angle can compare with a student's and the semantic term cannot. A student may teach, too:
its views of the same windows are self-distillation (Furlanello et al., "Born-Again Neural Networks", ICML 2018).

The control of every gain is a teacher whose views belong to other recordings, see ``shuffled``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment
from vskd_training.data.joints import ARMS, JointClips
from vskd_training.data.windows import Clips, WindowTable
from vskd_training.loop.run import Run
from vskd_training.loop.tasks import DistillationTargets, TeacherClips, predict_clips, predict_windows
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import Student
from vskd_training.models.trn import BnInceptionBackbone, SmallBackbone, Teacher
from vskd_training.settings import Aggregate, Config

#: Points in space and time that the temporal network sees in each view: the Kinect's joints; acceleration and turning.
_POINTS = {"joints": 20, "sensors": 2}
#: Which of them it also sees relative to another one.
_CHAINS: dict[str, tuple[tuple[int, tuple[int, ...]], ...]] = {"joints": ARMS, "sensors": ()}


def build_teacher(config: Config, classes: int) -> Teacher | SkeletonTeacher:
    """The teacher that a config describes, with initial weights."""
    how = config.teacher
    if (how.backbone == "joints") != (config.data.view in _POINTS):
        raise ConfigError(
            f"the teacher {how.backbone!r} cannot see the view {config.data.view!r}",
            hint="teacher.backbone = 'joints' is for data.view = 'joints' or 'sensors', the others are for pictures",
        )
    if how.imagenet_weights and how.backbone != "bn-inception":
        raise ConfigError(f"teacher.imagenet_weights fit the backbone bn-inception, not {how.backbone}")
    if how.backbone == "joints":
        view = config.data.view
        return SkeletonTeacher(_POINTS[view], classes, width=how.width, dropout=how.dropout, chains=_CHAINS[view])
    backbone: BnInceptionBackbone | SmallBackbone
    if how.backbone == "bn-inception":
        backbone = BnInceptionBackbone(weights=Path(how.imagenet_weights) if how.imagenet_weights else None)
    else:
        backbone = SmallBackbone(motion=how.motion, width=how.width)
    return Teacher(backbone, classes, segments=how.segments, dropout=how.dropout)


def clips_for(model: Teacher | SkeletonTeacher, experiment: Experiment, table: WindowTable) -> TeacherClips:
    """The windows of a table as a teacher sees them; ``experiment`` is that of the teacher's own config."""
    if isinstance(model, SkeletonTeacher):
        return JointClips(experiment.prepared, table, steps=experiment.config.teacher.steps)
    motion = model.backbone.frames_per_segment > 1
    return Clips(experiment.prepared, table, segments=model.segments, motion=motion)


def targets_for(teachers: Sequence[Run], experiment: Experiment, table: WindowTable) -> DistillationTargets:
    """What the teachers of a student say of its training windows, as its config's ``[distillation]`` has it.

    Parameters
    ----------
    teachers : finished runs, at least one; teachers, or students of the same windows, whatever their image
    experiment : the student's
    table : its training windows

    Raises
    ------
    ConfigError : a teacher of other data or of another split; several of them with terms that need one feature
    """
    check_features(experiment.config, len(teachers))
    views = own_targets(teachers, experiment, table)
    pairing = experiment.config.distillation.pairing
    if pairing == "own":
        return views
    within = pairing == "shuffled-within-class"
    return shuffled(views, table, within_class=within, seed=experiment.config.seed)


def own_targets(teachers: Sequence[Run], experiment: Experiment, table: WindowTable) -> DistillationTargets:
    """What the teachers say of the same recordings, whatever ``distillation.pairing`` makes of it."""
    each = [_views_of(teacher, experiment, table) for teacher in teachers]
    return aggregated(each, how=experiment.config.distillation.aggregate)


def check_features(config: Config, teachers: int) -> None:
    """Refuse what a loss cannot compare with so many teachers.

    Raises
    ------
    ConfigError : naming the terms
    """
    if teachers > 1 and config.loss.semantic:
        raise ConfigError(
            f"loss.semantic compares with one teacher's feature, and there are {teachers} teachers",
            hint="Set loss.semantic = 0, or name one teacher",
        )


def aggregated(views: Sequence[DistillationTargets], *, how: Aggregate) -> DistillationTargets:
    """Several teachers as one: the logarithm of their mean probability, and their features side by side.

    Parameters
    ----------
    views : at least one, of the same windows in the same order
    how : see ``DistillationConfig``; the geometric one is left unnormalised, as logits are

    Returns
    -------
    the same windows; logits (n, classes), features (n, teachers times their width)
    """
    if len(views) == 1:
        return views[0]
    logs = torch.stack([F.log_softmax(view.logits, dim=1) for view in views])
    together = logs.mean(dim=0) if how == "geometric" else torch.logsumexp(logs, dim=0) - math.log(len(views))
    return DistillationTargets(views[0].ids, together, torch.cat([view.features for view in views], dim=1))


def shuffled(views: DistillationTargets, table: WindowTable, *, within_class: bool, seed: int) -> DistillationTargets:
    """The control: every recording gets what the teacher said of another one.

    Windows follow their recording; of a recording with more windows the ones at the same relative place are taken. No
    recording keeps its own, unless it is the only one of its class.

    Parameters
    ----------
    views, table : of the same windows
    within_class : the other recording is of the same class, so that only what the teacher knows beyond the class is
        lost; for an unlabelled recording the class is the teacher's own answer, since nobody may read its label
    seed : of the exchange

    Returns
    -------
    views that carry the ids of the windows they are given to, knowingly
    """
    return views.exchanged(exchange(views if within_class else None, table, seed=seed))


def exchange(views: DistillationTargets | None, table: WindowTable, *, seed: int) -> NDArray[np.int64]:
    """(n,): the window whose views each window is given under ``shuffled``; with views, one of the same class."""
    rng = np.random.default_rng([seed, 2])
    recordings = np.unique(table.recordings)
    classes = np.zeros(len(recordings), dtype=np.int64) if views is None else _classes(views, table, recordings)
    rows_of = {int(recording): np.flatnonzero(table.recordings == recording) for recording in recordings}
    source = np.empty(len(table), dtype=np.int64)
    for value in np.unique(classes):
        circle = rng.permutation(recordings[classes == value])
        for taker, giver in zip(circle, np.roll(circle, 1), strict=True):
            own, other = rows_of[int(taker)], rows_of[int(giver)]
            source[own] = other[np.arange(len(own)) * len(other) // len(own)]
    return source


def _classes(views: DistillationTargets, table: WindowTable, recordings: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of each recording: its label, or where it has none the teacher's answer."""
    probabilities = torch.softmax(views.logits.double(), dim=1).numpy()
    classes = []
    for recording in recordings:
        rows = table.recordings == recording
        known = int(table.labels[rows][0])
        classes.append(known if known >= 0 else int(probabilities[rows].mean(axis=0).argmax()))
    return np.array(classes, dtype=np.int64)


def _views_of(teacher: Run, experiment: Experiment, table: WindowTable) -> DistillationTargets:
    """One teacher's views."""
    model = network_of(teacher, experiment)
    if isinstance(model, Student):
        return predict_windows(model, table)
    theirs = Experiment(teacher.config, experiment.prepared, experiment.sides, teacher.contract)
    return predict_clips(model, clips_for(model, theirs, table), batch=teacher.config.teacher_training.batch)


def network_of(teacher: Run, experiment: Experiment) -> Teacher | SkeletonTeacher | Student:
    """A teacher's network, in evaluation mode. It must never have seen the people who decide or are tested.

    Parameters
    ----------
    teacher : a finished run, of a teacher or of a student
    experiment : the student's

    Raises
    ------
    ConfigError : of other data or of another split; a student of other windows
    """
    check_same_split(teacher, experiment)
    if teacher.card["role"] == "student" and _as_seen(experiment.contract) != _as_seen(teacher.contract):
        raise ConfigError(
            f"the student {teacher.path} reads other windows than this one, so it cannot teach it",
            hint="Give both the same [window] and [sensor]; [gaf] may differ",
        )
    return trained_network(teacher)


def trained_network(run: Run) -> Teacher | SkeletonTeacher | Student:
    """The network of a finished run, a teacher's or a student's, with its weights.

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
    """The network of a student's finished run, with its weights.

    Raises
    ------
    DataError : the weights are missing or changed
    """
    how = run.config.student
    model = Student(run.contract, width=how.width, depth=how.depth)
    run.load_weights(model)
    return model


def _as_seen(contract: Contract) -> tuple[Any, ...]:
    return contract.labels, contract.window, contract.sensor


def check_same_split(teacher: Run, experiment: Experiment) -> None:
    """Refuse a teacher of other recordings or of another split.

    Raises
    ------
    ConfigError : naming what differs
    """
    ours, theirs = experiment.data_card(), teacher.card["data"]
    for key in ("dataset", "key", "split"):
        if theirs[key] != ours[key]:
            raise ConfigError(
                f"the teacher {teacher.path} knows another {key}: {theirs[key]}, not {ours[key]}",
                hint="Train the teacher with the sections data and labels of this config",
            )
