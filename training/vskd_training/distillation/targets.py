"""Distillation targets: the teachers' outputs for a student's training windows, computed once, before training.

Several teachers are aggregated: the arithmetic mean of their probabilities (Lakshminarayanan et al., NeurIPS 2017) or
the geometric one (both in Hinton et al., "Distilling the Knowledge in a Neural Network", 2015), and their features side
by side, which distance and angle can compare with a student's and the semantic term cannot. A student may teach, too:
its outputs for the same windows are self-distillation (Furlanello et al., "Born-Again Neural Networks", ICML 2018).

The control of every gain is targets that belong to other recordings, see ``shuffled``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.errors import ConfigError
from vskd_training.data.clips import clips_for
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import UNLABELLED, WindowTable
from vskd_training.models.output import FEATURE_SIZE, ModelOutput
from vskd_training.models.student import Student
from vskd_training.runs.predict import predict_clips, predict_windows
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_network
from vskd_training.settings import Aggregate, Config

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class DistillationTargets:
    """The teachers' outputs for every window of a table.

    Attributes
    ----------
    ids : (n,), of the windows
    output : n rows; the features of several teachers stand side by side
    taught : (n,), whether every teacher sees the window; zeros stand in the rows of the others. None: all are seen
    """

    ids: tuple[str, ...]
    output: ModelOutput
    taught: Tensor | None = None


def check_teachers(teachers: Sequence[Run], experiment: Experiment) -> None:
    """Refuse teachers that cannot teach this student, before anything is written; errors as ``targets_for``."""
    check_features(experiment.config, len(teachers))
    for teacher in teachers:
        _check_teacher(teacher, experiment)


#: Keys that change neither the recordings nor the split; a list of validation subjects may be the default, written out.
_NO_MATTER = ("allow_leak", "allow_missing_classes", "validation_subjects")


def check_configs(teachers: Sequence[Run], config: Config) -> None:
    """Refuse teachers of other data by their configs, before any recording is read.

    A teacher's [window] may be another one: it sees the frames or joints of a student's window, never the wrist's
    samples, so that their rate is nothing to it. A student that teaches reads the samples themselves.

    Raises
    ------
    ConfigError : a forest; a key of ``[data]`` or ``[labels]``, or of a student the ``[window]``, that differs
    """
    for teacher in teachers:
        _refuse_forest(teacher)
        sections = ("data", "labels", *(("window",) if teacher.card["role"] == "student" else ()))
        for section in sections:
            theirs, ours = to_mapping(getattr(teacher.config, section)), to_mapping(getattr(config, section))
            for key in ours:
                if key not in _NO_MATTER and theirs[key] != ours[key]:
                    raise ConfigError(
                        f"the teacher {teacher.path} has {section}.{key} = {theirs[key]!r}, this config {ours[key]!r}",
                        hint=f"Give the same [{section}] to both: --set {section}.{key}=..., or another --teacher",
                    )


def targets_for(
    teachers: Sequence[Run], experiment: Experiment, table: WindowTable, *, device: torch.device = _CPU
) -> DistillationTargets:
    """The targets of a student's training windows, as its config's ``[distillation]`` has it.

    Parameters
    ----------
    teachers : finished runs, at least one; teachers, or students of the same windows, whatever their image
    experiment : the student's
    table : its training windows
    device : where the teachers' networks run

    Raises
    ------
    ConfigError : a teacher of other data or of another split; several of them with a term that needs one feature
    """
    check_teachers(teachers, experiment)
    targets = own_targets(teachers, experiment, table, device=device)
    pairing = experiment.config.distillation.pairing
    if pairing == "own":
        return targets
    within = pairing == "shuffled-within-class"
    return shuffled(targets, table, within_class=within, seed=experiment.config.seed)


def own_targets(
    teachers: Sequence[Run], experiment: Experiment, table: WindowTable, *, device: torch.device = _CPU
) -> DistillationTargets:
    """The teachers' outputs for the same recordings, whatever ``distillation.pairing`` is."""
    by = experiment.config.distillation.aggregate
    sees_all = all(teacher.card["role"] == "student" for teacher in teachers)
    seen = np.array([sees_all or experiment.has_frames(int(recording)) for recording in table.recordings])
    rows = np.flatnonzero(seen)
    if not len(rows):
        raise ConfigError(
            f"none of {len(table)} training windows has what the teachers see", hint="Train the student alone"
        )
    part = table if seen.all() else table.take(rows)
    output = aggregated([_output(teacher, experiment, part, device) for teacher in teachers], by=by)
    if part is table:
        return DistillationTargets(table.ids, output)
    return DistillationTargets(table.ids, _spread(output, rows, len(table)), torch.from_numpy(seen))


def useful(table: WindowTable, targets: DistillationTargets | None) -> tuple[WindowTable, DistillationTargets | None]:
    """Without the windows that have neither a label nor a teacher: nothing can be learned from them."""
    if targets is None or targets.taught is None:
        return table, targets
    kept = targets.taught.numpy() | (table.labels != UNLABELLED)
    if kept.all():
        return table, targets
    rows = np.flatnonzero(kept)
    part, places = table.take(rows), torch.from_numpy(rows)
    return part, DistillationTargets(part.ids, targets.output.rows(places), targets.taught[places])


def _spread(output: ModelOutput, rows: NDArray[np.int64], count: int) -> ModelOutput:
    """So many rows, those of the output in their places and zeros in the others."""

    def placed(values: Tensor) -> Tensor:
        full = values.new_zeros((count, *values.shape[1:]))
        full[torch.from_numpy(rows)] = values
        return full

    return ModelOutput(*map(placed, output))


def aggregated(outputs: Sequence[ModelOutput], *, by: Aggregate) -> ModelOutput:
    """Several teachers as one: the logarithm of their mean probability, and their features side by side.

    Parameters
    ----------
    outputs : at least one, of the same windows in the same order
    by : see ``DistillationConfig``; the geometric mean is left unnormalised, as logits are

    Returns
    -------
    logits (n, classes), features (n, teachers times their width)
    """
    if len(outputs) == 1:
        return outputs[0]
    logs = torch.stack([F.log_softmax(output.logits, dim=1) for output in outputs])
    together = logs.mean(dim=0) if by == "geometric" else torch.logsumexp(logs, dim=0) - math.log(len(outputs))
    return ModelOutput(together, torch.cat([output.feature for output in outputs], dim=1))


def shuffled(targets: DistillationTargets, table: WindowTable, *, within_class: bool, seed: int) -> DistillationTargets:
    """The control: every recording gets the teachers' output for another one.

    Windows follow their recording; of a recording with more windows the ones at the same relative place are taken. No
    recording keeps its own, unless it is the only one of its class.

    Parameters
    ----------
    targets, table : of the same windows
    within_class : the other recording is of the same class, so that only what the teacher knows beyond the class is
        lost; for an unlabelled recording the class is the teachers' prediction, since its label must not be read
    seed : of the exchange

    Returns
    -------
    outputs that carry the ids of the windows they are given to, on purpose
    """
    rng = np.random.default_rng([seed, 2])
    taught = np.ones(len(table), dtype=bool) if targets.taught is None else targets.taught.numpy()
    recordings = np.unique(table.recordings[taught])
    classes = _classes(targets.output, table, recordings) if within_class else np.zeros(len(recordings), np.int64)
    rows_of = {int(recording): np.flatnonzero(table.recordings == recording) for recording in recordings}
    source = np.arange(len(table))
    for value in np.unique(classes):
        circle = rng.permutation(recordings[classes == value])
        for taker, giver in zip(circle, np.roll(circle, 1), strict=True):
            own, other = rows_of[int(taker)], rows_of[int(giver)]
            source[own] = other[np.arange(len(own)) * len(other) // len(own)]
    return DistillationTargets(targets.ids, targets.output.rows(torch.from_numpy(source)), targets.taught)


def _classes(output: ModelOutput, table: WindowTable, recordings: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of each recording: its label, or where it has none the teachers' prediction."""
    probabilities = torch.softmax(output.logits.double(), dim=1).numpy()
    classes = []
    for recording in recordings:
        rows = table.recordings == recording
        known = int(table.labels[rows][0])
        classes.append(known if known >= 0 else int(probabilities[rows].mean(axis=0).argmax()))
    return np.array(classes, dtype=np.int64)


def check_features(config: Config, teachers: int) -> None:
    """Refuse what a term of the loss cannot compare: several teachers' features, or features of two widths."""
    if teachers > 1 and config.loss.semantic:
        raise ConfigError(
            f"loss.semantic compares with one teacher's feature, and there are {teachers} teachers",
            hint="Set loss.semantic = 0, or name one teacher",
        )
    width = config.student.features // config.student.branches
    if config.loss.semantic and width != FEATURE_SIZE:
        raise ConfigError(
            f"loss.semantic compares a teacher's feature of {FEATURE_SIZE} with one of {width}: student.features = "
            f"{config.student.features}, student.branches = {config.student.branches}",
            hint=f"Set loss.semantic = 0, or student.features = {FEATURE_SIZE} and student.branches = 1",
        )


def _output(teacher: Run, experiment: Experiment, table: WindowTable, device: torch.device) -> ModelOutput:
    """One teacher's output."""
    _check_teacher(teacher, experiment)
    model = trained_network(teacher).to(device)
    if isinstance(model, Student):
        return predict_windows(model, table)
    theirs = Experiment(teacher.config, experiment.prepared, experiment.sides, teacher.contract)
    return predict_clips(model, clips_for(theirs, table), batch=teacher.config.teacher_training.batch)


def _check_teacher(teacher: Run, experiment: Experiment) -> None:
    """Refuse a teacher of other windows, and one that may have seen the validation or test subjects."""
    _refuse_forest(teacher)
    _check_same_split(teacher, experiment)
    if teacher.card["role"] == "student" and _window_of(experiment.contract) != _window_of(teacher.contract):
        raise ConfigError(
            f"the student {teacher.path} reads other windows than this one, so it cannot teach it",
            hint="Give both the same [window] and [sensor]; [gaf] may differ",
        )


def _refuse_forest(teacher: Run) -> None:
    if teacher.card["role"] == "forest":
        raise ConfigError(
            f"{teacher.path} holds a forest, which has no feature to teach by", hint="Name a teacher or a student"
        )


def _window_of(contract: Contract) -> tuple[Any, ...]:
    return contract.labels, contract.window, contract.sensor


def _check_same_split(teacher: Run, experiment: Experiment) -> None:
    """Refuse a teacher of other recordings or of another split."""
    ours, theirs = experiment.data_card(), teacher.card["data"]
    hint = "Train the teacher with the sections data and labels of this config, on the same files"
    for key in ("dataset", "view", "key"):
        if theirs[key] != ours[key]:
            what = "recordings (their files or their description were changed since)" if key == "key" else key
            raise ConfigError(
                f"the teacher {teacher.path} knows another {what}: {theirs[key]}, not {ours[key]}", hint=hint
            )
    for key in {**ours["split"], **theirs["split"]}:
        there, here = theirs["split"].get(key), ours["split"].get(key)
        if there != here:
            raise ConfigError(
                f"the teacher {teacher.path} knows another split: its {key} is {there}, not {here}", hint=hint
            )
