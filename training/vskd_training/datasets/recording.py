"""What every reader yields: one recording of one subject, seen by the wrist and, where there is one, by a camera.

A reader is a ``Source``. It knows its tree on disk and nothing of windows, splits or networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError

Gravity = Literal["included", "removed"]


@dataclass(frozen=True)
class RecordingInfo:
    """Who did what, without the samples.

    Attributes
    ----------
    id : unique within the data set, e.g. ``"a1_s1_t1"``
    subject : splits go by it
    label : the activity; empty where there is none, and then only distillation may use the recording
    trial : which repetition by this subject
    groups : further properties that a split may go by, e.g. ``{"session": "2"}``
    """

    id: str
    subject: str
    label: str
    trial: int
    groups: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes
    ----------
    info : who did what
    time_s : (samples,), float64, strictly increasing, s; the sensor's clock
    acceleration_g : (samples, 3), float64, g, in the contract's axes, with gravity if the source says so
    frame_time_s : (frames,), float64, s; each frame's time *on the sensor's clock*; empty without video
    frames : (frames, height, width), uint8, or (frames, joints, 3), float32, without unit; empty without video
    """

    info: RecordingInfo
    time_s: NDArray[np.float64]
    acceleration_g: NDArray[np.float64]
    frame_time_s: NDArray[np.float64]
    frames: NDArray[Any]


class Span(NamedTuple):
    """A stretch of one activity, [start_s, end_s)."""

    start_s: float
    end_s: float
    label: str


#: The kind of defect of a trial that the data set should hold, and of which there is no file.
MISSING_TRIAL = "missing trial"


@dataclass(frozen=True)
class Defect:
    """Something wrong with the tree, counted and shown, never passed over in silence.

    Attributes
    ----------
    where : a path relative to the data set's root, or a recording's id
    what : one sentence
    kind : what defects are counted by, a few words, e.g. ``"empty file"``
    left_out : the recording is not used; otherwise it is, without what was broken in it
    doubtful : it is used whole, though what it holds can hardly be
    way_out : what to do about it where other recordings are fine; may be part of ``what``
    if_most : what to do where most recordings have this defect; empty where that is the same
    """

    where: str
    what: str
    kind: str = "left out"
    left_out: bool = True
    doubtful: bool = False
    way_out: str = ""
    if_most: str = ""


def defects_in_words(defects: Sequence[Defect]) -> str:
    """``3 recordings left out, 2 used in part, 1 doubtful``: recordings, each counted once, by its worst defect."""
    left_out = {one.where for one in defects if one.left_out}
    doubtful = {one.where for one in defects if one.doubtful} - left_out
    in_part = {one.where for one in defects} - left_out - doubtful
    some = "1 recording" if len(left_out) == 1 else f"{len(left_out)} recordings"
    return f"{some} left out, {len(in_part)} used in part, {len(doubtful)} doubtful"


class BrokenFileError(DataError):
    """A file whose recording has to be left out.

    Parameters
    ----------
    where : its path below the data set's root, with the line where there is one
    what : one sentence
    kind, way_out, if_most : of the defect
    """

    def __init__(self, where: str, what: str, *, kind: str = "left out", way_out: str = "", if_most: str = "") -> None:
        super().__init__(f"{where}: {what}")
        self.defect = Defect(where, what, kind, way_out=way_out, if_most=if_most)


class Source(Protocol):
    """A data set that can be read from start to end.

    Attributes
    ----------
    name : e.g. ``"utd-mhad"``; a synthetic one says so
    view : what the camera's side shows, e.g. ``"depth"``; ``"none"`` without video
    labels : activity names in the order of the classes
    placement : where the sensor sat, e.g. ``"right wrist"``
    gravity : whether the readings hold it
    """

    name: str
    view: str
    labels: tuple[str, ...]
    placement: str
    gravity: Gravity

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content and of every setting that changes what ``recordings`` yields."""
        ...

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Every recording, in the order in which ``recordings`` yields them."""
        ...

    def defects(self) -> tuple[Defect, ...]:
        """What is missing or broken. What was left out is not in ``infos``."""
        ...

    def recordings(self) -> Iterator[Recording]:
        """Read them one by one."""
        ...
