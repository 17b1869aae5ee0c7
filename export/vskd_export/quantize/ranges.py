"""The range of an activation over the calibration windows: its lowest and highest value without each window's outliers.

256 steps are shared out between the ends of a range, so one stray value makes every step wider. Of each window the
outermost values of a tensor are left out at either end, ``TAIL`` of them; a tensor of fewer than 1 / TAIL values, such
as the logits and the embedding, keeps all. ``docs/int8.md`` has what this gains. ``vskd_training.quantization`` rounds
by the same rule in the fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vskd_training.quantization.fake import TAIL

#: A maximum is padded with minus infinity or the lowest float32, which belong to no range.
PADDING = 3e38


class Ranges:
    """Collects ranges window by window.

    Attributes
    ----------
    found : tensor -> (lowest, highest), so far
    """

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, float]] = {}

    def add(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Widen the ranges by what one window gives."""
        for name, values in tensors.items():
            given = values[np.abs(values) < PADDING]
            if given.size:
                low, high = without_outliers(given)
                before = self.found.get(name, (low, high))
                self.found[name] = (min(before[0], low), max(before[1], high))


def without_outliers(values: NDArray[np.float32]) -> tuple[float, float]:
    """Lowest and highest of one window's values, ``TAIL`` of them left out at either end."""
    flat = np.ravel(values)
    left_out = int(TAIL * flat.size)
    if not left_out:
        return float(flat.min()), float(flat.max())
    last = flat.size - 1 - left_out
    ordered = np.partition(flat, (left_out, last))
    return float(ordered[left_out]), float(ordered[last])
