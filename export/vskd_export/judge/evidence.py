"""The windows that an export is judged on, and what the trained network says of them.

Real held-out windows, and adversarial ones that no recording holds but a broken sensor sends. The image of each is
computed here a second time, in float64 by another route than the encoder's, so that the encoder is judged too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.contract import Contract, GafSpec
from vskd.gaf import FLAT_G
from vskd_export.quantize.calibrate import WindowSet
from vskd_training.models.student import Student

#: Every held-out window is judged; of more than these, as many evenly spaced ones. By then chance moves a flip rate of
#: 1 % by 0.14 points (one standard error), and each window costs a full-width float model some 5 ms in every engine.
MAX_JUDGED_WINDOWS = 5000

#: Label of a window that has no truth.
NO_LABEL = -1

_BATCH = 64


@dataclass(frozen=True)
class Evidence:
    """Windows and the trained network's answers.

    Attributes
    ----------
    names : (n,), ``"real ..."`` with the id of a held-out window, or ``"adversarial ..."``
    windows : (n, channels, samples), g; the real ones first
    labels : (n,), the truth; ``NO_LABEL`` for an adversarial window
    logits : (n, classes), of torch in evaluation mode
    """

    names: tuple[str, ...]
    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def is_real(self) -> NDArray[np.bool_]:
        """(n,), whether a window was recorded."""
        real: NDArray[np.bool_] = self.labels != NO_LABEL
        return real


def gather_evidence(student: Student, contract: Contract, held_out: WindowSet) -> Evidence:
    """Collect the windows and run the trained network over them.

    Parameters
    ----------
    student : in evaluation mode, on the CPU
    contract : fixes shape and range
    held_out : windows of people that the network never saw
    """
    rows = np.unique(np.linspace(0, len(held_out) - 1, min(MAX_JUDGED_WINDOWS, len(held_out))).round().astype(np.intp))
    real = held_out.take(rows)
    adversarial = adversarial_windows(contract, real.windows[0])
    windows = np.concatenate([real.windows, np.stack(list(adversarial.values()))]).astype(np.float32)
    return Evidence(
        names=(*(f"real {identity}" for identity in real.ids), *(f"adversarial {name}" for name in adversarial)),
        windows=windows,
        labels=np.concatenate([real.labels, np.full(len(adversarial), NO_LABEL)]),
        logits=torch_logits(student, windows),
    )


def torch_logits(student: Student, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n, classes) of windows (n, channels, samples), in float32 without gradients."""
    with torch.inference_mode():
        batches = [student(batch).logits for batch in torch.split(torch.from_numpy(windows), _BATCH)]
    logits: NDArray[np.float32] = torch.cat(batches).numpy()
    return logits


def adversarial_windows(contract: Contract, recorded: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Windows that break what was not thought of, by name.

    Parameters
    ----------
    contract : fixes shape and the sensor's range
    recorded : (channels, samples), a real window that some of them distort

    Returns
    -------
    name -> (channels, samples), g, all finite
    """
    channels, samples = contract.window_shape
    limit = contract.sensor.range_g
    rest = np.zeros((channels, samples), dtype=np.float32)
    rest[-1] = 1.0
    noise = np.random.default_rng(0).uniform(-limit, limit, (channels, samples))
    square = np.where(np.arange(samples) // 8 % 2, limit, -limit)
    made = {
        "flat": rest,
        "zero": np.zeros_like(rest),
        "saturated": np.tile(square, (channels, 1)),
        "noise": noise,
        "tiny": recorded * 1e-3,
        "denormal": np.sign(recorded) * 1e-40,
        "huge": recorded * 1e6,
        "enormous": np.sign(recorded) * 1e30,
    }
    for axis, name in enumerate(contract.sensor.axes):
        dead = recorded.copy()
        dead[axis] = 0.0
        made[f"dead axis {name}"] = dead
    return {name: np.asarray(window, dtype=np.float32) for name, window in made.items()}


def reference_images(windows: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The images of ``vskd.gaf``, in float64, from the angles: cos(phi_i + phi_j) and sin(phi_i - phi_j).

    Parameters
    ----------
    windows : (n, channels, samples), g

    Returns
    -------
    (n, image channels, size, size)
    """
    return images_of(reference_averages(windows, contract), contract)


def reference_averages(windows: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The segment averages that an image is drawn from, in float64: (n, channels, samples) -> (n, channels, size)."""
    bounds = np.linspace(0, contract.window.samples, contract.gaf.size + 1).astype(np.int64)
    exact = np.asarray(windows, dtype=np.float64)
    return np.stack([exact[..., start:end].mean(axis=-1) for start, end in itertools.pairwise(bounds)], axis=-1)


def images_of(averages: NDArray[np.floating[Any]], contract: Contract) -> NDArray[np.float64]:
    """The images that float64 draws from averages (n, channels, size), g."""
    spec = contract.gaf
    cosine, radius = _rescale(np.asarray(averages, dtype=np.float64), spec)
    phi = np.arccos(np.clip(cosine, -1.0, 1.0))[..., np.newaxis]
    turned = np.swapaxes(phi, -1, -2)
    fields = [np.cos(phi + turned) if name == "gasf" else np.sin(phi - turned) for name in spec.fields]
    return np.concatenate([field * radius for field in fields], axis=1)


def _rescale(values: NDArray[np.float64], spec: GafSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(cosine of the angle, what the field is multiplied by), the second (n, channels, 1, 1).

    Under ``minmax`` an axis whose spread is below ``FLAT_G`` lies on a circle of radius spread / ``FLAT_G`` instead of
    1, down to the point in which a flat axis ends; a field is a product of two values on that circle.
    """
    if spec.scaling != "minmax":
        ones = np.ones((*values.shape[:-1], 1, 1))
        scaled = values / spec.scale_g
        return np.tanh(scaled) if spec.scaling == "tanh" else np.clip(scaled, -1.0, 1.0), ones
    low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
    spread = high - low
    radius = spread / np.maximum(spread, FLAT_G)
    cosine = (2 * values - low - high) / np.where(spread > 0, spread, 1.0)
    return cosine, (radius**2)[..., np.newaxis]
