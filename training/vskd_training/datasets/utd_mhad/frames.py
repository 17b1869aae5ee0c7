"""What the Kinect of UTD-MHAD saw, as the teacher's frames: depth, and drawn skeletons.

Each view shows where limbs are and not where the subject stood, because a new subject stands elsewhere. This module
knows arrays; it reads no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd_training.datasets.files.images import Crop, to_uint8
from vskd_training.datasets.render import draw_bones

#: Depth within this distance of the clip's median is told apart; an arm's reach. The rest saturates.
DEPTH_SPAN_MM = 750.0

#: Share of the foreground that may lie outside each side of the crop: single pixels of noise must not widen it.
_CROP_TAIL = 1e-4

#: A torso and a head are wider than a limb. Joints in the order of Skeleton_joint_order.txt, from 0; radii in metres.
_BONES: tuple[tuple[tuple[int, int], float], ...] = (
    *(((0, 0), 0.10), ((0, 1), 0.05), ((1, 2), 0.12), ((2, 3), 0.12)),
    *(((1, 4), 0.05), ((4, 5), 0.05), ((5, 6), 0.05), ((6, 7), 0.05)),
    *(((1, 8), 0.05), ((8, 9), 0.05), ((9, 10), 0.05), ((10, 11), 0.05)),
    *(((3, 12), 0.07), ((12, 13), 0.07), ((13, 14), 0.06), ((14, 15), 0.05)),
    *(((3, 16), 0.07), ((16, 17), 0.07), ((17, 18), 0.06), ((18, 19), 0.05)),
)
_SKELETON_MARGIN_M = 0.12


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


def skeleton_frames(joints_m: NDArray[np.float64], *, height: int, width: int) -> NDArray[np.uint8]:
    """The 20 joints of the Kinect drawn as limbs, seen from the camera without perspective.

    Nearer limbs are brighter: 160 + 95 (m - z) / 0.75 m, clipped to 65..255, with m the clip's median distance.

    Parameters
    ----------
    joints_m : (frames, 20, 3), m; x to the right, y up, z away from the camera
    height, width : of a frame, pixels

    Returns
    -------
    (frames, height, width)
    """
    plane = joints_m[:, :, :2] * (1.0, -1.0)
    left, top = plane.min(axis=(0, 1)) - _SKELETON_MARGIN_M
    right, bottom = plane.max(axis=(0, 1)) + _SKELETON_MARGIN_M
    crop = Crop.around(top, bottom, left, right, height=height, width=width)
    bones = [bone for bone, _ in _BONES]
    radius_px = np.maximum([radius_m / crop.scale for _, radius_m in _BONES], 0.5)
    away_m = joints_m[:, bones, 2].mean(axis=2)
    nearness = 160 + 95 * (np.median(joints_m[:, :, 2]) - away_m) * (1000 / DEPTH_SPAN_MM)
    joints_px = (plane - (crop.left, crop.top)) / crop.scale
    brightness = np.clip(nearness, 65, 255)
    return draw_bones(joints_px, bones, radius_px=radius_px, brightness=brightness, height=height, width=width)


def _extent(counts: NDArray[np.intp]) -> tuple[int, int]:
    """First and one past the last index that hold the foreground, all but ``_CROP_TAIL`` of it on each side."""
    share = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(share, _CROP_TAIL, side="right"))
    last = int(np.searchsorted(share, 1 - _CROP_TAIL, side="left"))
    return first, last + 1
