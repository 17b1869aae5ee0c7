"""What the Kinect of UTD-MHAD saw, as the teacher's frames.

They show where limbs are and not where the subject stood, because a new subject stands elsewhere. This module knows
arrays; it reads no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd_training.datasets.files.images import Crop, to_uint8

#: Depth within this distance of the clip's median is told apart; an arm's reach. The rest saturates.
DEPTH_SPAN_MM = 750.0

#: Share of the foreground that may lie outside each side of the crop: single pixels of noise must not widen it.
_CROP_TAIL = 1e-4


def depth_frames(depth_mm: NDArray[Any], *, height: int, width: int) -> NDArray[np.uint8]:
    """Depth images to frames that show the subject alone, whatever the distance and the place in the image.

    A foreground pixel at depth d becomes 128 + 127 (m - d) / 750 mm, clipped to 1..255, with m the median depth of the
    clip's foreground: nearer is brighter, and walking towards the camera stays visible. The background is 0. Pixels
    are then averaged by area, so that a thin forearm fades instead of flickering.

    Parameters
    ----------
    depth_mm : (rows, columns, frames), mm, 0 where there is nothing; any resolution
    height, width : of a frame, pixels

    Returns
    -------
    (frames, height, width)
    """
    # MATLAB stores frames last and columns first, so this view is the contiguous one: (frames, columns, rows).
    clip = depth_mm.transpose(2, 1, 0)
    seen = clip > 0
    left, right = _extent(np.count_nonzero(seen, axis=(0, 2)))
    top, bottom = _extent(np.count_nonzero(seen, axis=(0, 1)))
    inside = clip[:, left:right, top:bottom].astype(np.float32)
    foreground = inside > 0
    middle = np.float32(np.median(inside[foreground]))
    nearness = (middle - inside) * np.float32(127 / DEPTH_SPAN_MM) + np.float32(128)
    code = np.where(foreground, np.clip(nearness, 1, 255), np.float32(0))
    crop = Crop.around(top, bottom, left, right, height=height, width=width)
    rows = crop.rows(bottom - top, first=top, count=height)
    columns = crop.columns(right - left, first=left, count=width)
    return np.ascontiguousarray(to_uint8(columns @ (code @ rows.T)).transpose(0, 2, 1))


def _extent(counts: NDArray[np.intp]) -> tuple[int, int]:
    """First and one past the last index that hold the foreground, all but ``_CROP_TAIL`` of it on each side."""
    share = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(share, _CROP_TAIL, side="right"))
    last = int(np.searchsorted(share, 1 - _CROP_TAIL, side="left"))
    return first, last + 1
