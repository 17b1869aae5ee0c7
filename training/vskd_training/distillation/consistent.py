"""Consistent teaching: the same augmented recording reaches both networks, in every step.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent" (CVPR 2022), find that a student should
be told what the teacher says of the very input that it sees, not of the input as it was before augmentation. Here the
two look at different things, so only that part of a ``Change`` reaches the teacher which exists in its view:

===================  =================================================================================================
the teacher sees     what reaches it
===================  =================================================================================================
windows (a student)  everything: it sees the changed window itself
sensors              acceleration: the changed window, read at the teacher's steps. Turning: the same times, the same
                     mirror and the same turn of the strap
joints               the same times: crop, warp and clock
pictures             the same times, by choosing frames
===================  =================================================================================================

How a strap was turned, noise, lost samples and strength are nothing that a camera sees. Nor are joints and pictures
mirrored: a teacher of them was never shown a body with left and right exchanged, and speaks of the recording as it was.

The teacher's network runs in evaluation mode and without gradient, once per step: training takes longer by that. This
module does not know losses or the training loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vskd_training.data.augment import Change
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.distillation.targets import (
    averaged,
    check_features,
    clips_of,
    exchange,
    network_of,
    own_views,
    people_seen,
    said_by,
    speakers,
)
from vskd_training.loop.run import Run
from vskd_training.loop.tasks import TeacherClips, TeacherViews, asked
from vskd_training.models.student import Student, View
from vskd_training.settings import Mean

#: Rows of a table and their change, to what a network takes.
Input = Callable[[list[int], Change], Tensor]


@dataclass(frozen=True)
class ConsistentTeachers:
    """Teachers that are asked about every batch as it was changed.

    Attributes
    ----------
    ids : (n,), of the windows
    networks : each as it is asked, in evaluation mode, and what it sees
    source : (n,), the window that is spoken of in place of each: itself, or another's in the shuffled control, changed
        in the same way
    speaks : (n, networks), who is heard of each source; None for all
    mean : of those who are heard
    """

    ids: tuple[str, ...]
    networks: Sequence[tuple[Callable[[Tensor], View], Input]]
    source: NDArray[np.int64]
    speaks: NDArray[np.bool_] | None
    mean: Mean

    @torch.no_grad()
    def view(self, rows: list[int], change: Change) -> View:
        """What the teachers say of some windows under a change, averaged as ``teaching`` averages."""
        spoken_of = self.source[rows].tolist()
        ids = tuple(self.ids[row] for row in rows)
        said = [ask(see(spoken_of, change)) for ask, see in self.networks]
        each = [TeacherViews(ids, *view) for view in said]
        if self.speaks is None:
            together = averaged(each, mean=self.mean)
        else:
            together = said_by(each, self.speaks[spoken_of], mean=self.mean)
        return View(together.logits, together.features, together.middles)


def consistent_teachers(teachers: Sequence[Run], experiment: Experiment, table: WindowTable) -> ConsistentTeachers:
    """The teachers of a student, to be asked in every step, as its config's ``[teaching]`` has it.

    Parameters
    ----------
    teachers : finished runs, at least one; teachers, or students of the same windows, whatever their image
    experiment : the student's
    table : its training windows

    Raises
    ------
    ConfigError : what ``teaching.views_for`` refuses
    """
    check_features(experiment.config, len(teachers))
    teaching, seed = experiment.config.teaching, experiment.config.seed
    networks = [_with_its_view(teacher, experiment, table) for teacher in teachers]
    source = np.arange(len(table))
    if teaching.pairing != "own":
        within = teaching.pairing == "shuffled-within-class"
        source = exchange(own_views(teachers, experiment, table) if within else None, table, seed=seed)
    speaks = speakers([people_seen(teacher) for teacher in teachers], table) if teaching.cross_fitted else None
    return ConsistentTeachers(table.ids, networks, source, speaks, teaching.mean)


def _with_its_view(teacher: Run, experiment: Experiment, table: WindowTable) -> tuple[Callable[[Tensor], View], Input]:
    model = network_of(teacher, experiment)
    ask = asked(model, middle=experiment.config.loss.needs_middle)
    windows = torch.from_numpy(table.samples)
    if isinstance(model, Student):
        return ask, partial(changed_windows, windows)
    clips = clips_of(teacher, model, experiment, table)
    if teacher.config.data.view == "sensors":
        return ask, partial(changed_sensors, clips, windows)
    return ask, partial(changed_clips, clips)


def changed_windows(windows: Tensor, rows: list[int], change: Change) -> Tensor:
    """(rows, 3, samples), g, of all windows (n, 3, samples)."""
    return change.of_windows(windows[rows])


def changed_clips(clips: TeacherClips, rows: list[int], change: Change) -> Tensor:
    """Pictures or joints at the changed times."""
    return torch.from_numpy(clips.at(rows, change.times()))


def changed_sensors(clips: TeacherClips, windows: Tensor, rows: list[int], change: Change) -> Tensor:
    """(rows, steps, 2, 3): the changed window's acceleration, g, and the turning at the same times, rad/s."""
    turning = change.of_turning(changed_clips(clips, rows, change)[:, :, 1].transpose(1, 2))
    changed = change.of_windows(windows[rows])
    # The first step is the window's first sample, the last its last.
    acceleration = F.interpolate(changed, size=turning.shape[2], mode="linear", align_corners=True)
    return torch.stack([acceleration, turning], dim=1).permute(0, 3, 1, 2)
