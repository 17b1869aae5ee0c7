"""What `vskd data check` shows, as data: a data set read from start to end and counted.

This module prints nothing and changes nothing on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from vskd_training.datasets.recording import MISSING_TRIAL, Defect, Recording, RecordingInfo, Source


@runtime_checkable
class KnowsItsTree(Protocol):
    """A source that knows how many trials each of its folders holds."""

    def files_by_stream(self) -> dict[str, int]:
        """Trials in each folder of the tree, whether it was read or not."""
        ...


@dataclass(frozen=True)
class Lengths:
    """Lengths over all recordings: smallest, median, largest."""

    shortest: float
    median: float
    longest: float


@dataclass(frozen=True)
class DatasetReport:
    """A data set, counted.

    Attributes
    ----------
    name, view : as of the source
    recordings : how many could be read
    by_subject, by_label : recordings of each; labels that never occur are listed with 0, "" holds those without one
    by_stream : trials in each folder of the tree; for other sources, recordings with sensor and with frames
    samples, frames : lengths of a recording; ``frames`` is None without video
    duration_s : lengths of a recording, s
    rate_hz : mean rates of a recording, Hz
    groups : recordings with each value of each further column
    largest_acceleration_g : largest reading of any axis, g; near 80 it is in m/s^2
    missing_trials : ids of trials of which there is no file; empty where the source does not know what should be there
    defects : everything else that was left out, and why
    """

    name: str
    view: str
    recordings: int
    by_subject: dict[str, int]
    by_label: dict[str, int]
    by_stream: dict[str, int]
    samples: Lengths | None
    frames: Lengths | None
    duration_s: Lengths | None
    rate_hz: Lengths | None
    groups: dict[str, dict[str, int]]
    largest_acceleration_g: float
    missing_trials: tuple[str, ...]
    defects: tuple[Defect, ...]

    @property
    def defects_by_kind(self) -> dict[str, int]:
        """How many defects of each kind, the most frequent first."""
        return dict(Counter(defect.kind for defect in self.defects).most_common())

    @property
    def left_out(self) -> int:
        """How many defects cost a recording; the others cost a part of one."""
        return sum(defect.left_out for defect in self.defects)


def check(source: Source, *, progress: Callable[[int, int], None] | None = None) -> DatasetReport:
    """Read every recording and count.

    Parameters
    ----------
    source : the data set
    progress : called as ``progress(recordings done, recordings in all)``
    """
    total = len(source.infos())
    seen = []
    for done, recording in enumerate(source.recordings(), start=1):
        seen.append(_measure(recording))
        if progress:
            progress(done, total)
    defects = source.defects()
    with_frames = sum(one.frames > 0 for one in seen)
    return DatasetReport(
        name=source.name,
        view=source.view,
        recordings=len(seen),
        by_subject=_counts((one.subject for one in seen), ()),
        by_label=_counts((one.label for one in seen), source.labels),
        by_stream=source.files_by_stream()
        if isinstance(source, KnowsItsTree)
        else {"sensor": len(seen), "frames": with_frames},
        samples=_lengths([one.samples for one in seen]),
        frames=_lengths([one.frames for one in seen]) if with_frames else None,
        duration_s=_lengths([one.duration_s for one in seen]),
        rate_hz=_lengths([(one.samples - 1) / one.duration_s for one in seen]),
        groups=_groups(source.infos()),
        largest_acceleration_g=max((one.largest_g for one in seen), default=0.0),
        missing_trials=tuple(defect.where for defect in defects if defect.kind == MISSING_TRIAL),
        defects=tuple(defect for defect in defects if defect.kind != MISSING_TRIAL),
    )


@dataclass(frozen=True)
class _Measured:
    subject: str
    label: str
    samples: int
    frames: int
    duration_s: float
    largest_g: float


def _measure(recording: Recording) -> _Measured:
    time_s = recording.time_s
    return _Measured(
        subject=recording.info.subject,
        label=recording.info.label,
        samples=len(time_s),
        frames=len(recording.frames),
        duration_s=float(time_s[-1] - time_s[0]),
        largest_g=float(np.abs(recording.acceleration_g).max()),
    )


def _counts(values: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """How often each value occurs: the known ones first and in their order, then others as they came."""
    counter = Counter(dict.fromkeys(known, 0))
    counter.update(values)
    return dict(counter)


def _groups(infos: Iterable[RecordingInfo]) -> dict[str, dict[str, int]]:
    values: dict[str, list[str]] = {}
    for info in infos:
        for column, value in info.groups.items():
            values.setdefault(column, []).append(value)
    return {column: _counts(sorted(found), ()) for column, found in values.items()}


def _lengths(values: Sequence[float]) -> Lengths | None:
    if not values:
        return None
    return Lengths(float(min(values)), float(np.median(values)), float(max(values)))
