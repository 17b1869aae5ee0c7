"""Controls without any network: the nearest example by cosine, of the window itself or of its spectrum.

What a network adds to a wearer's examples is what it adds to the best of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vskd_training.evaluation.examples import Decisions, Outputs
from vskd_training.forest.features import feature_names, window_features

Float64 = NDArray[np.float64]

#: The acceleration that maps to tanh(1), as of the raw networks, g.
SCALE_G = 2.0


def _soft(samples: NDArray[np.float32]) -> Float64:
    return np.tanh(samples.astype(np.float64) / SCALE_G)


def _centred(samples: NDArray[np.float32]) -> Float64:
    soft = _soft(samples)
    return np.asarray(soft - soft.mean(axis=-1, keepdims=True))


def _spectrum(samples: NDArray[np.float32]) -> Float64:
    """Amplitudes of each axis's spectrum, and its mean."""
    axes = ("x", "y", "z")
    names = feature_names(axes, samples.shape[-1])
    kept = [row for row, name in enumerate(names) if name.partition(" ")[2] == "mean" or "amplitude" in name]
    kept = [row for row in kept if not names[row].startswith("magnitude")]
    return window_features(samples)[:, kept].astype(np.float64)


#: Name -> features (n, ...) of windows (n, axes, samples), g.
CONTROLS: Mapping[str, Callable[[NDArray[np.float32]], Float64]] = {
    "raw": _soft, "raw centred": _centred, "spectrum": _spectrum,
}  # fmt: skip


def control_features(outputs: Outputs) -> dict[str, Float64]:
    """Each control's features of all windows, (n, features) of unit length."""
    found = {}
    for name, of_windows in CONTROLS.items():
        rows = of_windows(outputs.samples).reshape(len(outputs.samples), -1)
        found[name] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    return found


def nearest(features: Float64, outputs: Outputs, enrolled: Sequence[int], tested: Sequence[int]) -> Decisions:
    """Each tested window's largest cosine to a window of each activity's examples; at least one recording enrols."""
    rows, examples = outputs.rows(tested), outputs.rows(enrolled)
    names = np.array([outputs.labels[int(row)] for row in outputs.recordings[examples]])
    labels = tuple(dict.fromkeys(names.tolist()))
    cosines = features[rows] @ features[examples].T
    scores = np.stack([cosines[:, names == label].max(axis=1) for label in labels], axis=1)
    truth = tuple(outputs.labels[int(row)] for row in outputs.recordings[rows])
    return Decisions(labels, scores, truth, outputs.recordings[rows], cosines.max(axis=1))
