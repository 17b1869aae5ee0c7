"""The windows that an export is judged on, and the trained network's logits and embeddings for them.

Recorded windows of held-out subjects, and adversarial ones that no recording holds but a broken sensor sends. Beside
them sets of examples, a window of a training subject for each class, that the nearest of is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd_export.judge.limits import (
    EXAMPLE_SETS,
    GOLDEN_RECORDED_WINDOWS,
    LAYER_WINDOWS,
    MAX_JUDGED_WINDOWS,
    REFERENCE_WINDOWS,
)
from vskd_export.quantize.calibrate import WindowSet, balanced_rows
from vskd_training.models.student import Student

#: Label of a window that has no truth.
NO_LABEL = -1

#: What the name of a recorded window begins with; its id follows.
RECORDED = "real "

_BATCH = 64


@dataclass(frozen=True)
class Evidence:
    """Windows and the trained network's answers.

    Attributes
    ----------
    names : (n,), ``"real ..."`` with the id of a held-out window, or ``"adversarial ..."``
    windows : (n, channels, samples), g; the real ones first
    labels : (n,), the truth, or of windows seen in training the trained network's own label; ``NO_LABEL`` for an
        adversarial window
    logits, embeddings : (n, classes) and (n, features), of torch in evaluation mode
    examples : (k, channels, samples), g, set after set; each has one of each class that is calibrated on
    example_embeddings : (k, features), of torch
    example_sets : how many sets; each has the same size
    """

    names: tuple[str, ...]
    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    examples: NDArray[np.float32]
    example_embeddings: NDArray[np.float32]
    example_sets: int = 1

    @property
    def is_recorded(self) -> NDArray[np.bool_]:
        """(n,), whether a window was recorded."""
        recorded: NDArray[np.bool_] = self.labels != NO_LABEL
        return recorded

    @property
    def recorded_ids(self) -> tuple[str, ...]:
        """Ids of the recorded windows, in their order."""
        return tuple(name.removeprefix(RECORDED) for name in self.names if name.startswith(RECORDED))

    def golden_rows(self) -> NDArray[np.intp]:
        """Positions of the golden windows: recorded ones balanced by class, then every adversarial one."""
        real = np.flatnonzero(self.is_recorded)
        chosen = np.sort(real[balanced_rows(self.labels[real], GOLDEN_RECORDED_WINDOWS)])
        return np.concatenate([chosen, np.flatnonzero(~self.is_recorded)])

    def reference_rows(self) -> NDArray[np.intp]:
        """Positions of the few golden windows, recorded and adversarial, that slow kernels run."""
        rows = self.golden_rows()
        return rows[np.linspace(0, len(rows) - 1, REFERENCE_WINDOWS).round().astype(np.intp)]

    def layer_windows(self) -> NDArray[np.float32]:
        """A few golden windows of recordings, on which layers are compared."""
        rows = self.golden_rows()
        recorded = rows[self.is_recorded[rows]]
        return self.windows[recorded[:: max(1, len(recorded) // LAYER_WINDOWS)]]


def gather_evidence(
    student: Student,
    contract: Contract,
    held_out: WindowSet,
    calibration: WindowSet,
    *,
    seen_in_training: bool = False,
) -> Evidence:
    """Collect the windows and run the trained network over them.

    Parameters
    ----------
    student : in evaluation mode, on the CPU
    contract : fixes shape and range
    held_out : windows of subjects that the network was not trained on
    calibration : the windows that were drawn to calibrate with; examples are taken from them
    seen_in_training : they are of its training subjects all the same. Their truth was learnt and judges nothing, so the
        trained network's own label stands in its place: what a quantized model loses against it is agreement
    """
    rows = np.unique(np.linspace(0, len(held_out) - 1, min(MAX_JUDGED_WINDOWS, len(held_out))).round().astype(np.intp))
    real = held_out.take(rows)
    adversarial = adversarial_windows(contract, real.windows[0])
    windows = np.concatenate([real.windows, np.stack(list(adversarial.values()))]).astype(np.float32)
    logits, embeddings = torch_outputs(student, windows)
    sets = example_rows(calibration.labels)
    examples = calibration.windows[sets.ravel()]
    labels = logits[: len(real)].argmax(axis=1) if seen_in_training else real.labels
    return Evidence(
        names=(*(f"{RECORDED}{identity}" for identity in real.ids), *(f"adversarial {name}" for name in adversarial)),
        windows=windows,
        labels=np.concatenate([labels, np.full(len(adversarial), NO_LABEL)]),
        logits=logits,
        embeddings=embeddings,
        examples=examples,
        example_embeddings=torch_outputs(student, examples)[1],
        example_sets=len(sets),
    )


def example_rows(labels: NDArray[np.int64]) -> NDArray[np.intp]:
    """(sets, classes), positions of examples: up to ``EXAMPLE_SETS`` of each class, as many as of the rarest.

    Parameters
    ----------
    labels : (n,), class of each window
    """
    known, counts = np.unique(labels, return_counts=True)
    sets = min(EXAMPLE_SETS, int(counts.min()))
    return balanced_rows(labels, sets * len(known)).reshape(len(known), sets).T


def torch_logits(student: Student, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n, classes) of windows (n, channels, samples), in float32 without gradients."""
    return torch_outputs(student, windows)[0]


def torch_outputs(student: Student, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (n, classes) and embeddings (n, features) of windows (n, channels, samples), in float32."""
    with torch.inference_mode():
        batches = [student(batch) for batch in torch.split(torch.from_numpy(windows), _BATCH)]
    return (
        torch.cat([batch.logits for batch in batches]).numpy(),
        torch.cat([batch.feature for batch in batches]).numpy(),
    )


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
