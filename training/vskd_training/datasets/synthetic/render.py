"""Joints in pixels to grey frames: every bone is an anti-aliased capsule.

A capsule is a line segment with a radius: all points at most ``radius_px`` from the bone. A pixel is covered by
clip(radius + 1/2 - distance, 0, 1), the distance taken from the pixel's centre. Capsules are composited by maximum,
so a nearer bone lies over a farther one where brightness codes nearness, and no bone darkens another.

This module does not know cameras, depth or bodies: who calls it projects the joints and chooses the brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
_Box = tuple[slice, slice]


def draw_bones(
    joints_px: NDArray[np.floating[Any]],
    bones: Sequence[tuple[int, int]],
    *,
    radius_px: NDArray[np.floating[Any]],
    brightness: NDArray[np.floating[Any]],
    height: int,
    width: int,
) -> NDArray[np.uint8]:
    """Draw a skeleton sequence.

    Parameters
    ----------
    joints_px : (frames, joints, 2), (x, y) in pixels: x to the right, y down, the centre of the pixel in row r and
        column c at (c + 0.5, r + 0.5). Joints may lie outside the frame
    bones : pairs of joint indices; a pair of equal joints draws a disc
    radius_px : (bones,), pixels, above 0
    brightness : (frames, bones), 0..255
    height, width : of a frame, pixels

    Returns
    -------
    (frames, height, width), 0 where there is no bone
    """
    joints = np.asarray(joints_px, dtype=np.float32)
    light = np.asarray(brightness, dtype=np.float32)
    canvas = np.zeros((len(joints), height, width), dtype=np.float32)
    for index, (first, second) in enumerate(bones):
        radius = float(radius_px[index])
        start, end = joints[:, first], joints[:, second]
        box = _bounding_box(start, end, radius, height, width)
        coverage = _coverage(start, end, radius, box)
        coverage *= light[:, index, np.newaxis, np.newaxis]
        view = canvas[:, box[0], box[1]]
        np.maximum(view, coverage, out=view)
    canvas += np.float32(0.5)
    return canvas.astype(np.uint8)


def _bounding_box(start: Float32, end: Float32, radius: float, height: int, width: int) -> _Box:
    """Rows and columns that the capsule touches in any frame. Drawing no more than these is most of the speed."""
    if not len(start):
        return slice(0, 0), slice(0, 0)
    reach = radius + 1.0
    low = np.floor(np.minimum(start, end).min(axis=0) - reach)
    high = np.ceil(np.maximum(start, end).max(axis=0) + reach)
    left, top = (int(value) for value in np.clip(low, 0, (width, height)))
    right, bottom = (int(value) for value in np.clip(high, 0, (width, height)))
    return slice(top, bottom), slice(left, right)


def _coverage(start: Float32, end: Float32, radius: float, box: _Box) -> Float32:
    """Share of each pixel in the box that the capsule covers, (frames, rows, columns), 0..1."""
    rows, columns = (np.arange(side.start, side.stop, dtype=np.float32) + np.float32(0.5) for side in box)
    along_x, along_y = np.hsplit(end - start, 2)
    squared_length = np.maximum(along_x**2 + along_y**2, np.float32(1e-12))
    from_x = columns[np.newaxis] - start[:, :1]
    from_y = rows[np.newaxis] - start[:, 1:]
    # The projection on the bone is separable, so that only sums and squares run over all pixels.
    share = (from_y * along_y / squared_length)[:, :, np.newaxis] + (from_x * along_x / squared_length)[:, np.newaxis]
    np.clip(share, 0, 1, out=share)
    away_x = from_x[:, np.newaxis] - share * along_x[:, :, np.newaxis]
    away_y = from_y[:, :, np.newaxis] - share * along_y[:, :, np.newaxis]
    away_x *= away_x
    away_y *= away_y
    away_x += away_y
    coverage: Float32 = np.float32(radius + 0.5) - np.sqrt(away_x)
    np.clip(coverage, 0, 1, out=coverage)
    return coverage
