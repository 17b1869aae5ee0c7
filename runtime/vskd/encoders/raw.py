"""The channels of a raw network: a window of acceleration, rescaled without being drawn.

Per axis of one window of readings a, in the order in which ``RawSpec.transforms`` names them::

    g        a, held within +-clip_g                the reading
    tanh     t = tanh(a / scale_g)                  the soft range of the Gramian fields
    centred  t - mean of t over the window          what moves, without the direction of gravity

``vskd_training.models.encoder`` executes the same in torch, and with it the ONNX and TFLite graphs; tests hold the
three together. ``g`` keeps the unit of the window, the others have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import RawSpec
from vskd.encoders.gaf import LARGEST_G
from vskd.errors import SignalError


class RawEncoder:
    """Encodes windows of one length.

    Parameters
    ----------
    spec : transforms and scale
    samples : samples in a window
    """

    def __init__(self, spec: RawSpec, samples: int) -> None:
        self.spec = spec
        self.samples = samples

    def __call__(self, windows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Encode one window or a batch.

        Parameters
        ----------
        windows : (channels, samples) or (batch, channels, samples), g

        Returns
        -------
        (transforms * channels, samples), transform by transform and axis by axis within a transform, or a batch of them

        Raises
        ------
        SignalError : another shape, NaN, infinity, or a value beyond 1e30 g
        """
        if windows.ndim not in (2, 3) or windows.shape[-1] != self.samples:
            raise SignalError(
                f"a window must be (channels, {self.samples}) or (batch, channels, {self.samples}), "
                f"got shape {windows.shape}"
            )
        readings = windows.astype(np.float32)
        if not np.abs(readings).max(initial=0.0) <= np.float32(LARGEST_G):  # false for NaN
            raise SignalError(
                f"the window holds values that are NaN, infinite or beyond {LARGEST_G:g} g", hint="Drop those samples"
            )
        soft = np.tanh(readings * np.float32(1.0 / self.spec.scale_g))
        made = {
            "g": np.clip(readings, -self.spec.clip_g, self.spec.clip_g),
            "tanh": soft,
            "centred": soft - soft.mean(axis=-1, keepdims=True),
        }
        return np.concatenate([made[name] for name in self.spec.transforms], axis=-2)
