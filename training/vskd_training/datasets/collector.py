"""What became of each recording while a source was read: kept, kept in part, or left out.

This module knows recordings. It does not know any data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vskd.errors import StreamError
from vskd.stream import UNIT_CHECK_SAMPLES, refuse_wrong_unit
from vskd_training.datasets.recording import BrokenFileError, Defect, RecordingInfo

Read = TypeVar("Read")


class Collector:
    """Broken recordings become defects instead of ending the reading."""

    def __init__(self) -> None:
        self._broken: dict[str, Defect] = {}
        self._passed_over: dict[str, tuple[Defect, ...]] = {}

    def take(
        self, info: RecordingInfo, read: Callable[[], tuple[Read, Sequence[Defect]]], *, note: str = ""
    ) -> Read | None:
        """Read one recording.

        Parameters
        ----------
        info : which
        read : gives it and what was passed over in it, or raises ``BrokenFileError``
        note : added to the sentence of a broken one

        Returns
        -------
        what was read, or None if it has to be left out
        """
        try:
            found, passed_over = read()
        except BrokenFileError as error:
            self._broken[info.id] = replace(error.defect, what=f"{error.defect.what}{note}")
            return None
        except (OSError, MemoryError) as error:
            # Of the file system or the size of one file: a name that is too long, a disk that fails.
            reason = getattr(error, "strerror", None) or type(error).__name__
            self._broken[info.id] = Defect(info.id, f"cannot be read ({reason}){note}", "unreadable")
            return None
        self._passed_over[info.id] = tuple(passed_over)
        return found

    def kept(self, infos: Iterable[RecordingInfo]) -> tuple[RecordingInfo, ...]:
        """Those that are not known to be broken."""
        return tuple(info for info in infos if info.id not in self._broken)

    def defects(self, infos: Iterable[RecordingInfo]) -> tuple[Defect, ...]:
        """What was left out, then what was passed over, in the order of the recordings."""
        names = [info.id for info in infos]
        broken = [self._broken[name] for name in names if name in self._broken]
        return (*broken, *(defect for name in names for defect in self._passed_over.get(name, ())))


def refuse_implausible(acceleration_g: NDArray[np.float64], *, where: str, way_out: str, if_most: str = "") -> None:
    """Refuse readings whose median |a| is far from gravity's, over the whole recording or at its start.

    Zeros before the sensor wakes are passed over, as in a stream.

    Parameters
    ----------
    acceleration_g : (samples, 3), g if the unit is what it is taken for, with gravity
    where : how a defect names the file
    way_out, if_most : what to do about this one, and if most recordings are so

    Raises
    ------
    BrokenFileError : they are
    """
    magnitudes_g = np.trim_zeros(np.linalg.norm(acceleration_g, axis=1), "f").tolist() or [0.0]
    # A stream decides by its first second, and would refuse the recording later.
    for part, of_part in ((magnitudes_g, ""), (magnitudes_g[:UNIT_CHECK_SAMPLES], " at its start")):
        try:
            refuse_wrong_unit(part, unit="g")
        except StreamError as error:
            what = f"the median |a|{of_part} is {np.median(part):.3g} g, and gravity alone makes it 1 g"
            raise BrokenFileError(where, what, kind="implausible readings", way_out=way_out, if_most=if_most) from error
