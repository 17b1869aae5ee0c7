"""Which frames of a video stand for a clip: one for each of its equal parts, as in TRN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vskd.errors import ConfigError, DataError


def segment_indices(frames: int, segments: int, *, rng: np.random.Generator | None) -> NDArray[np.int64]:
    """Which frame stands for each of the equal parts of a clip.

    Parameters
    ----------
    frames : frames in the clip
    segments : equal parts; a clip shorter than that repeats frames
    rng : draws a frame from each part (training); None takes the middle frame (evaluation)

    Returns
    -------
    (segments,), int64, never decreasing

    Raises
    ------
    DataError : a clip without frames
    ConfigError : no segments
    """
    if frames < 1:
        raise DataError(f"a clip needs at least one frame, got {frames}")
    if segments < 1:
        raise ConfigError(f"segments must be at least 1, got {segments}")
    bounds = np.arange(segments + 1, dtype=np.int64) * frames // segments
    first = bounds[:-1]
    end = np.maximum(bounds[1:], first + 1)
    return np.asarray((first + end) // 2 if rng is None else rng.integers(first, end), dtype=np.int64)


def with_neighbours(indices: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """The frames that a backbone with difference images needs for each segment.

    Parameters
    ----------
    indices : (segments,), of ``segment_indices``
    frames : frames in the clip; its first and last frame are their own neighbours

    Returns
    -------
    (segments, 3), int64: the frame before, the frame, the frame after
    """
    return np.asarray(np.clip(indices[:, np.newaxis] + np.arange(-1, 2), 0, frames - 1), dtype=np.int64)
