"""Which windows the integer models are calibrated with: subjects of the training set only, the same number per class.

Calibration decides the range of every activation, so it is training, and data that an accuracy is reported on must stay
out of it. The choice is deterministic, and its digest goes into the report. This module knows no converter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd_training.data.windows import WindowTable

#: Windows to calibrate with. Ranges settle within a few dozen; more costs seconds.
CALIBRATION_WINDOWS = 200


@dataclass(frozen=True)
class WindowSet:
    """Windows with the truth about them.

    Attributes
    ----------
    windows : (n, channels, samples), float32, g
    labels : (n,), index into the contract's labels
    ids : (n,), name of each window, e.g. its recording and start
    subjects : (n,), who wore the sensor in each window
    """

    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    subjects: tuple[str, ...]

    @classmethod
    def of(cls, table: WindowTable) -> WindowSet:
        """The windows of a table."""
        return cls(table.samples, table.labels, table.ids, table.subjects)

    def __len__(self) -> int:
        return len(self.windows)

    def take(self, rows: NDArray[np.intp]) -> WindowSet:
        """The windows at these positions, in that order."""
        return WindowSet(
            windows=self.windows[rows],
            labels=self.labels[rows],
            ids=tuple(self.ids[row] for row in rows),
            subjects=tuple(self.subjects[row] for row in rows),
        )


def draw_calibration(
    training: WindowSet, *, held_out: WindowSet, leaky: bool = False, count: int = CALIBRATION_WINDOWS
) -> WindowSet:
    """Draw the calibration windows.

    Parameters
    ----------
    training : windows of training subjects
    held_out : windows that accuracy is reported on
    leaky : the run's protocol has the same subjects in training and test and is stamped so, or it was trained on
        everybody and no accuracy is reported; windows still must differ
    count : windows to draw at most

    Returns
    -------
    at most ``count`` windows, as even over the classes as the data allows, evenly spaced over each class's windows

    Raises
    ------
    DataError : a subject (under ``leaky``: a window) of the held-out set is among them
    """
    _refuse_overlap(training, held_out, leaky=leaky)
    return training.take(np.sort(balanced_rows(training.labels, count)))


def balanced_rows(labels: NDArray[np.int64], count: int) -> NDArray[np.intp]:
    """Positions of at most ``count`` items, taken class by class in turn and evenly spaced within a class.

    Parameters
    ----------
    labels : (n,), class of each item
    count : positions to return at most
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shares = _even_shares([len(rows) for rows in members], min(count, len(labels)))
    picked = [
        rows[np.linspace(0, len(rows) - 1, share).round().astype(np.intp)]
        for rows, share in zip(members, shares, strict=True)
    ]
    return np.concatenate(picked)


def judged_apart(windows: WindowSet, recordings: NDArray[np.int64]) -> tuple[WindowSet, WindowSet]:
    """Windows to calibrate with and windows to judge on, of other recordings: every second one of each class.

    Parameters
    ----------
    windows : of a run that was trained on everybody, so there are no others
    recordings : (n,), which recording each window is of; overlapping windows of one stay together
    """
    of_class: dict[int, list[int]] = {}
    for recording, label in zip(recordings.tolist(), windows.labels.tolist(), strict=True):
        known = of_class.setdefault(label, [])
        if recording not in known:
            known.append(recording)
    # Recordings often come subject by subject: classes begin in turn, so that every subject is on both sides.
    judged = [
        recording
        for place, known in enumerate(of_class.values())
        if len(known) > 1
        for recording in known[(place + 1) % 2 :: 2]
    ]
    is_judged = np.isin(recordings, judged)
    return windows.take(np.flatnonzero(~is_judged)), windows.take(np.flatnonzero(is_judged))


def calibration_digest(windows: WindowSet) -> str:
    """SHA-256 (hex) of the calibration windows: which recordings, which subjects, and every sample."""
    digest = hashlib.sha256()
    for identity, subject, label in zip(windows.ids, windows.subjects, windows.labels, strict=True):
        digest.update(f"{identity}\0{subject}\0{label}\n".encode())
    digest.update(np.ascontiguousarray(windows.windows, dtype="<f4").tobytes())
    return digest.hexdigest()


def _even_shares(available: list[int], total: int) -> list[int]:
    """Split ``total`` over classes as evenly as their sizes allow; the shares sum to ``total``."""
    shares = [0] * len(available)
    while sum(shares) < total:
        for index, size in enumerate(available):
            if shares[index] < size and sum(shares) < total:
                shares[index] += 1
    return shares


def _refuse_overlap(training: WindowSet, held_out: WindowSet, *, leaky: bool) -> None:
    shared_subjects = sorted(set(training.subjects) & set(held_out.subjects))
    if shared_subjects and not leaky:
        raise DataError(
            f"calibration would use subjects of the held-out set: {', '.join(shared_subjects)}",
            hint="Calibrate with training subjects only, or use a protocol that is stamped leaky",
        )
    shared_windows = sorted(set(training.ids) & set(held_out.ids))
    if shared_windows:
        raise DataError(
            f"calibration would use {len(shared_windows)} windows of the held-out set, e.g. {shared_windows[0]}",
            hint="Calibrate with training recordings only",
        )
