"""Windows for training: cut after the split, by the runtime's own stream, each with the camera's frames of its time.

Every window carries its id, ``recording@start``; the student's and the teacher's view of it are paired by that id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.errors import DataError
from vskd.stream import Window, cut_windows
from vskd_training.data.frames import segment_indices, with_neighbours
from vskd_training.datasets.prepared import Prepared

#: In place of the class of a window whose label is not known.
UNLABELLED = -1


@dataclass(frozen=True)
class WindowTable:
    """Windows of some recordings, in one table.

    Attributes
    ----------
    ids : (n,), ``recording@start``, unique
    samples : (n, 3, samples), float32, g
    labels : (n,), class indices, or ``UNLABELLED``
    recordings : (n,), index of each window's recording in the prepared data
    spans_s : (n, 2), first and last sample, s
    subjects : (n,)
    too_short : recordings that hold no window for which a device gives an activity
    """

    ids: tuple[str, ...]
    samples: NDArray[np.float32]
    labels: NDArray[np.int64]
    recordings: NDArray[np.int64]
    spans_s: NDArray[np.float64]
    subjects: tuple[str, ...]
    too_short: int

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> WindowTable:
        """Some of the windows, in the order of ``rows``."""
        return WindowTable(
            ids=tuple(self.ids[row] for row in rows),
            samples=self.samples[rows],
            labels=self.labels[rows],
            recordings=self.recordings[rows],
            spans_s=self.spans_s[rows],
            subjects=tuple(self.subjects[row] for row in rows),
            too_short=self.too_short,
        )


def answered_windows(contract: Contract, time_s: NDArray[np.float64], xyz: NDArray[np.float64]) -> list[Window]:
    """Those windows of a recording, as ``vskd.stream.cut_windows`` gives them, for which a device gives an activity."""
    return [window for window in cut_windows(contract, time_s, xyz) if window.obstacle is None]


def cut(prepared: Prepared, contract: Contract, recordings: Sequence[int], *, labelled: bool = True) -> WindowTable:
    """Cut the windows of some recordings.

    Parameters
    ----------
    prepared : the data
    contract : fixes the window
    recordings : indices into ``prepared.infos``
    labelled : read their labels; otherwise every window is ``UNLABELLED``

    Raises
    ------
    DataError : not one window
    """
    rows: list[tuple[str, NDArray[np.float32], int, int, float, float, str]] = []
    too_short = 0
    for index in recordings:
        info = prepared.infos[index]
        windows = answered_windows(contract, *prepared.sensor(index))
        too_short += not windows
        label = contract.labels.index(info.label) if labelled else UNLABELLED
        rows += [
            (
                f"{info.id}@{window.start_s:.3f}",
                window.samples,
                label,
                index,
                window.start_s,
                window.end_s,
                info.subject,
            )
            for window in windows
        ]
    if not rows:
        raise DataError(
            f"none of {len(recordings)} recordings holds a window of {contract.window.duration_s:g} s",
            hint="Lower window.samples, or use window.mode = 'whole'",
        )
    ids, samples, labels, sources, starts, ends, subjects = zip(*rows, strict=True)
    return WindowTable(
        ids=ids,
        samples=np.stack(samples),
        labels=np.array(labels, dtype=np.int64),
        recordings=np.array(sources, dtype=np.int64),
        spans_s=np.stack([starts, ends], axis=1).astype(np.float64),
        subjects=subjects,
        too_short=too_short,
    )


def joined(one: WindowTable, other: WindowTable) -> WindowTable:
    """Both tables' windows, one's first."""
    return WindowTable(
        ids=one.ids + other.ids,
        samples=np.concatenate([one.samples, other.samples]),
        labels=np.concatenate([one.labels, other.labels]),
        recordings=np.concatenate([one.recordings, other.recordings]),
        spans_s=np.concatenate([one.spans_s, other.spans_s]),
        subjects=one.subjects + other.subjects,
        too_short=one.too_short + other.too_short,
    )


@dataclass(frozen=True, eq=False)
class Clips:
    """The camera's view of a table's windows; made by ``of``.

    Attributes
    ----------
    ids : (n,), of the windows
    frames : (n,), all frames of each window's recording
    bounds : (n, 2), first frame of each window and one past its last
    segments : frames per clip
    motion : give each segment's frame with the one before and the one after
    """

    ids: tuple[str, ...]
    frames: tuple[NDArray[np.uint8], ...]
    bounds: tuple[tuple[int, int], ...]
    segments: int
    motion: bool

    @classmethod
    def of(cls, prepared: Prepared, table: WindowTable, *, segments: int, motion: bool) -> Clips:
        """Find the frames of every window.

        Raises
        ------
        DataError : a recording has no video
        """
        shown: list[NDArray[np.uint8]] = []
        bounds: list[tuple[int, int]] = []
        for row, index in enumerate(table.recordings):
            times, frames = prepared.video(int(index))
            if not len(times):
                raise DataError(f"{prepared.infos[index].id} has no video, which the teacher needs")
            first = int(np.searchsorted(times, table.spans_s[row, 0], side="left"))
            last = int(np.searchsorted(times, table.spans_s[row, 1], side="right"))
            # A window that falls between two frames is still seen by the nearest one.
            first = min(first, len(times) - 1)
            shown.append(frames)
            bounds.append((first, max(last, first + 1)))
        return cls(table.ids, tuple(shown), tuple(bounds), segments, motion)

    def batch(self, rows: Sequence[int], *, rng: np.random.Generator | None) -> NDArray[np.uint8]:
        """Frames of some windows.

        Parameters
        ----------
        rows : into the table
        rng : picks a random frame in each segment (training); None takes the middle one

        Returns
        -------
        (rows, segments, 3 with motion else 1, height, width), uint8
        """
        return np.stack([self._clip(row, rng) for row in rows])

    def _clip(self, row: int, rng: np.random.Generator | None) -> NDArray[np.uint8]:
        first, last = self.bounds[row]
        frames = self.frames[row]
        chosen = first + segment_indices(last - first, self.segments, rng=rng)
        around = with_neighbours(chosen, len(frames)) if self.motion else chosen[:, np.newaxis]
        clip: NDArray[np.uint8] = frames[around]
        return clip
