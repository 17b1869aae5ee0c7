"""Images of any size to frames of one size, averaged by area.

This module knows arrays. It does not know files or cameras.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

#: Brightness of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def image_frame(grey: NDArray[Any], *, height: int, width: int) -> NDArray[np.uint8]:
    """A whole image averaged down by area, its aspect kept by black borders.

    Parameters
    ----------
    grey : (rows, columns), 0..255
    height, width : of the frame, pixels

    Returns
    -------
    (height, width)
    """
    rows, columns = grey.shape
    crop = Crop.around(0, rows, 0, columns, height=height, width=width)
    image = grey.astype(np.float32)
    return to_uint8(crop.rows(rows, first=0, count=height) @ image @ crop.columns(columns, first=0, count=width).T)


class Crop(NamedTuple):
    """The part of an image that becomes the frame; pixel (r, c) of the frame is a square of side ``scale`` in it."""

    top: float
    left: float
    scale: float

    @classmethod
    def around(cls, top: float, bottom: float, left: float, right: float, *, height: int, width: int) -> Crop:
        """The smallest part with the frame's aspect around a box; it may reach beyond the image."""
        scale = max((bottom - top) / height, (right - left) / width)
        return cls((top + bottom - scale * height) / 2, (left + right - scale * width) / 2, scale)

    def rows(self, size: int, *, first: int, count: int) -> Float32:
        """Area averaging from rows ``first`` .. ``first + size`` of the image: (count, size)."""
        return _area_matrix(size, start=self.top - first, step=self.scale, count=count)

    def columns(self, size: int, *, first: int, count: int) -> Float32:
        """The same for columns."""
        return _area_matrix(size, start=self.left - first, step=self.scale, count=count)


def _area_matrix(size: int, *, start: float, step: float, count: int) -> Float32:
    """(count, size): the share of segment [start + i step, start + (i + 1) step] that lies on pixel [j, j + 1]."""
    edges = start + step * np.arange(count + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, np.newaxis], pixels + 1) - np.maximum(edges[:-1, np.newaxis], pixels)
    share: Float32 = (np.maximum(overlap, 0) / step).astype(np.float32)
    return share


def to_uint8(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round values within 0..255 to the nearest whole number."""
    return (values + 0.5).astype(np.uint8)
