"""The skeleton's view of a table's windows, and how it is varied in training.

What ``windows.Clips`` is for images. Joints can be read between two frames, so every window becomes the same number
of steps whatever its length. This module knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vskd.errors import ConfigError, DataError
from vskd_training.data.windows import WindowTable
from vskd_training.datasets.prepared import Prepared

#: Each shoulder with the elbow, wrist and hand below it, in the order of UTD-MHAD's Skeleton_joint_order.txt, from 0.
ARMS = ((4, (5, 6, 7)), (8, (9, 10, 11)))
#: Largest part of a clip that training cuts off at its ends.
CROP = 0.1
#: Largest turn about the vertical: a subject who does not quite face the camera.
TURN_RAD = 0.35
#: Standard deviations of a factor on all joints, and of what is added to each, in lengths of the torso.
SCALE, JITTER = 0.1, 0.02


@dataclass(frozen=True, eq=False)
class JointClips:
    """The joints in the time of each window; made by ``of``.

    Attributes
    ----------
    ids : (n,), of the windows
    joints : (n,), all joints of each window's recording
    spans : (n, 2), first and last instant of each window, as fractional frames
    steps : instants per clip
    """

    ids: tuple[str, ...]
    joints: tuple[NDArray[np.float32], ...]
    spans: tuple[tuple[float, float], ...]
    steps: int

    @classmethod
    def of(cls, prepared: Prepared, table: WindowTable, *, steps: int) -> JointClips:
        """Find the joints of every window; ``prepared`` is in the view ``joints`` or ``sensors``.

        Raises
        ------
        ConfigError : fewer than two steps
        DataError : a recording has no joints
        """
        if steps < 2:
            raise ConfigError(f"teacher.steps must be at least 2, got {steps}")
        joints: list[NDArray[np.float32]] = []
        spans: list[tuple[float, float]] = []
        for row, index in enumerate(table.recordings):
            times, frames = prepared.video(int(index))
            if not len(times) or frames.dtype != np.float32:
                raise DataError(
                    f"{prepared.infos[index].id} has no joints, which the teacher needs",
                    hint="Set data.view = 'joints'",
                )
            joints.append(np.asarray(frames))
            # A place in time as a fractional frame; one outside the video is held at its first or last frame.
            first, last = np.interp(table.spans_s[row], times, np.arange(len(times)))
            spans.append((float(first), float(last)))
        return cls(table.ids, tuple(joints), tuple(spans), steps)

    def batch(self, rows: Sequence[int], *, rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Joints of some windows.

        Parameters
        ----------
        rows : into the table
        rng : cuts each clip a little at its ends (training); None takes all of it

        Returns
        -------
        (rows, steps, joints, 3), float32, without unit
        """
        return np.stack([self._clip(row, rng) for row in rows])

    def _clip(self, row: int, rng: np.random.Generator | None) -> NDArray[np.float32]:
        first, last = self.spans[row]
        if rng is not None:
            cut = CROP * rng.random() * (last - first)
            at = rng.random()
            first, last = first + at * cut, last - (1 - at) * cut
        return _read_at(self.joints[row], np.linspace(first, last, self.steps))


def _read_at(joints: NDArray[np.float32], positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read (frames, joints, 3) at fractional frames, linearly."""
    left = np.minimum(positions.astype(np.int64), len(joints) - 1)
    right = np.minimum(left + 1, len(joints) - 1)
    share = (positions - left)[:, np.newaxis, np.newaxis]
    return np.asarray((1 - share) * joints[left] + share * joints[right], dtype=np.float32)


def vary_joints(joints: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn each body about the vertical, scale it, and shake its joints. Left and right are never exchanged.

    Parameters
    ----------
    joints : (batch, steps, joints, 3), the second coordinate up
    rng : source of all randomness

    Returns
    -------
    the same shape
    """
    count = len(joints)
    angle = rng.uniform(-TURN_RAD, TURN_RAD, count)
    turn = np.zeros((count, 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 0, 2], turn[:, 2, 0] = np.sin(angle), -np.sin(angle)
    turn[:, 1, 1] = 1
    turn *= 1 + SCALE * rng.normal(size=(count, 1, 1))
    shaken = JITTER * rng.normal(size=joints.shape)
    turned = torch.einsum("bsjc,bdc->bsjd", joints, torch.from_numpy(turn).float().to(joints.device, non_blocking=True))
    return turned + torch.from_numpy(shaken).float().to(joints.device, non_blocking=True)
