"""What became of each recording while a source was read: kept, kept in part, or left out; and what a tree's content is.

This module knows recordings and files. It does not know any data set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.errors import StreamError
from vskd.stream import UNIT_CHECK_SAMPLES, refuse_wrong_unit
from vskd_training.datasets.recording import BrokenFileError, Defect, Recording, RecordingInfo


class Ledger:
    """Broken recordings become defects instead of ending the reading."""

    def __init__(self) -> None:
        self._broken: dict[str, Defect] = {}
        self._passed_over: dict[str, tuple[Defect, ...]] = {}

    def take(
        self, info: RecordingInfo, read: Callable[[], tuple[Recording, Sequence[Defect]]], *, note: str = ""
    ) -> Recording | None:
        """Read one recording.

        Parameters
        ----------
        info : which
        read : gives it and what was passed over in it, or raises ``BrokenFileError``
        note : added to the sentence of a broken one

        Returns
        -------
        the recording, or None if it has to be left out
        """
        try:
            recording, passed_over = read()
        except BrokenFileError as error:
            defect = error.defect
            self._broken[info.id] = Defect(defect.where, f"{defect.what}{note}", defect.kind)
            return None
        self._passed_over[info.id] = tuple(passed_over)
        return recording

    def kept(self, infos: Iterable[RecordingInfo]) -> tuple[RecordingInfo, ...]:
        """Those that are not known to be broken."""
        return tuple(info for info in infos if info.id not in self._broken)

    def defects(self, infos: Iterable[RecordingInfo]) -> tuple[Defect, ...]:
        """What was left out, then what was passed over, in the order of the recordings."""
        names = [info.id for info in infos]
        broken = [self._broken[name] for name in names if name in self._broken]
        return (*broken, *(defect for name in names for defect in self._passed_over.get(name, ())))


def refuse_implausible(acceleration_g: NDArray[np.float64], *, where: str, way_out: str) -> None:
    """Refuse readings whose median |a| is far from gravity's, over the whole recording or at its start.

    Parameters
    ----------
    acceleration_g : (samples, 3), g if the unit is what it is taken for, with gravity
    where : how a defect names the file
    way_out : what to do about it

    Raises
    ------
    BrokenFileError : they are
    """
    magnitudes_g = np.linalg.norm(acceleration_g, axis=1).tolist()
    try:
        refuse_wrong_unit(magnitudes_g, unit="g")
        # A stream decides by its first second, and would refuse the recording later.
        refuse_wrong_unit(magnitudes_g[:UNIT_CHECK_SAMPLES], unit="g")
    except StreamError as error:
        median_g = float(np.median(magnitudes_g))
        what = f"the median |a| is {median_g:.3g} g, and gravity alone makes it 1 g; {way_out}"
        raise BrokenFileError(where, what, kind="implausible readings") from error


def by_content(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 (hex) over names and bytes of files."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(root).as_posix()} {digest}\n".encode())
    return total.hexdigest()


def by_size_and_time(paths: Iterable[Path], root: Path) -> str:
    """SHA-256 (hex) over names, sizes and times of change: for hundreds of gigabytes of pictures, which take hours."""
    total = hashlib.sha256()
    for path in paths:
        state = path.stat()
        total.update(f"{path.relative_to(root).as_posix()} {state.st_size} {state.st_mtime_ns}\n".encode())
    return total.hexdigest()
