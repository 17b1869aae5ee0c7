"""The teacher's input for every window of a table: frames of video, or joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vskd_training.data.experiment import Experiment
from vskd_training.data.joints import JointClips
from vskd_training.data.windows import Clips, WindowTable


class TeacherClips(Protocol):
    """What a teacher sees of every window of a table: ``windows.Clips`` or ``joints.JointClips``."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the windows, (n,)."""
        ...

    def batch(self, rows: Sequence[int], *, rng: np.random.Generator | None) -> NDArray[Any]:
        """Some windows, (rows, ...); ``rng`` varies what is taken of each, None takes the centre or all of it."""
        ...


def clips_for(experiment: Experiment, table: WindowTable) -> TeacherClips:
    """The input of the teacher that the experiment's config describes, for every window of a table."""
    teacher = experiment.config.teacher
    if teacher.backbone == "joints":
        return JointClips.of(experiment.prepared, table, steps=teacher.steps)
    motion = teacher.backbone == "small" and teacher.motion
    return Clips.of(experiment.prepared, table, segments=teacher.segments, motion=motion)
