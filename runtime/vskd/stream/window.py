"""What a stream gives: windows for the model, and the pauses between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # numpy.typing takes a quarter of the time of `import vskd`
    from numpy.typing import NDArray


#: Labels of windows that get no activity.
UNKNOWN = "unknown"
NO_SIGNAL = "no signal"


@dataclass(frozen=True)
class Defect:
    """What is wrong with a window's signal.

    Attributes
    ----------
    kind : a word for it; each kind is said once
    text : the whole of it, with value and limit
    label : of the event, where the window can get no activity; else empty
    """

    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class Window:
    """One window, ready for the model.

    Attributes
    ----------
    samples : (channels, samples), float32, g
    start_s, end_s : time of the first sample and of the last, s, on the sensor's clock
    after_gap : whether this is the first window after a start, a gap or a reset clock
    defects : what is wrong with its signal; one with a label keeps it from the network
    filter_s : by how much the low-pass filter delayed it, s
    """

    samples: NDArray[np.float32]
    start_s: float
    end_s: float
    after_gap: bool
    defects: tuple[Defect, ...] = ()
    filter_s: float = 0.0

    @property
    def obstacle(self) -> Defect | None:
        """The defect for which the window gets no activity."""
        return next((defect for defect in self.defects if defect.label), None)


@dataclass(frozen=True)
class Pause:
    """No samples for longer than ``resampling.max_gap_s``.

    Attributes
    ----------
    start_s, end_s : time of the last sample before and of the first one after, s, on the sensor's clock
    """

    start_s: float
    end_s: float


def movement(window: Window) -> float:
    """Movement of the wrist: the standard deviation of |a| over the window, g."""
    # float64: the square of a large float32 is infinite in float32.
    return float(np.linalg.norm(window.samples.astype(np.float64), axis=0).std())
