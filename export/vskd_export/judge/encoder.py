"""The encoder, in torch and in numpy, against its output in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.encoders import encoder_for
from vskd.encoders.gaf import paa_matrix
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float64_encoders import images_of, reference_averages, reference_encoded
from vskd_export.judge.limits import AVERAGE_LIMIT, IMAGE_LIMIT
from vskd_export.judge.violations import Violation
from vskd_training.models.encoder import GafLayer
from vskd_training.models.student import Student

Float32 = NDArray[np.float32]


def check_encoder(
    student: Student, contract: Contract, evidence: Evidence
) -> tuple[dict[str, Any], tuple[Violation, ...]]:
    """Compare both encoders with float64.

    An image is compared in two steps. The averages first; then the image that float64 draws from the encoder's own
    averages. Near the ends of ``range`` and ``minmax`` the sine is so steep that the last bit of an average moves a
    pixel by more than any useful limit; that bit is the input's, and the formula is what has to be right.

    Returns
    -------
    largest differences of either encoder, and the limits; the violations
    """
    table: dict[str, Any] = {"limit": IMAGE_LIMIT, "average_limit": AVERAGE_LIMIT}
    violations: list[Violation] = []
    for name, (averages, encoded) in _encoded(student, contract, evidence.windows).items():
        exact = reference_encoded(evidence.windows, contract) if averages is None else images_of(averages, contract)
        error = np.abs(encoded - exact).reshape(len(exact), -1).max(axis=1)
        table[name] = float(error.max())
        violations += _violations(name, "output", error, IMAGE_LIMIT, evidence)
        if averages is not None:
            relative = _relative_error(averages, contract, evidence.windows)
            table[f"{name}_average"] = float(relative.max())
            violations += _violations(name, "averages", relative, AVERAGE_LIMIT, evidence)
    return table, tuple(violations)


def _violations(
    name: str, what: str, error: NDArray[np.float64], limit: float, evidence: Evidence
) -> tuple[Violation, ...]:
    worst = int(np.nan_to_num(error, nan=np.inf).argmax())
    if error[worst] <= limit:
        return ()
    message = (
        f"the {name} encoder's {what} of window {evidence.names[worst]!r} differs from float64 by "
        f"{error[worst]:.1e}, the limit is {limit:.0e}"
    )
    return (Violation("encoder-output", f"the {name} encoder", "", float(error[worst]), limit, message),)


def _relative_error(averages: Float32, contract: Contract, windows: Float32) -> NDArray[np.float64]:
    """(n,), of the averages, in each window's largest reading."""
    largest_reading = np.abs(windows).max(axis=(1, 2)).astype(np.float64)
    error = np.abs(averages - reference_averages(windows, contract)).max(axis=(1, 2))
    relative: NDArray[np.float64] = error / np.maximum(largest_reading, np.finfo(np.float32).tiny)
    return relative


def _encoded(student: Student, contract: Contract, windows: Float32) -> dict[str, tuple[Float32 | None, Float32]]:
    """Encoder -> the averages (n, channels, size) that it draws from, if it draws, and its output."""
    source = torch.from_numpy(windows)
    averages: dict[str, Float32 | None] = {"numpy": None, "torch": None}
    if isinstance(student.encoder, GafLayer):
        samples, size = contract.window.samples, contract.image_spec.size
        averages = {"numpy": windows @ paa_matrix(samples, size), "torch": (source @ student.encoder.paa).numpy()}
    with torch.inference_mode():
        encoded = {"numpy": encoder_for(contract)(windows), "torch": student.encoder(source).numpy()}
    return {name: (averages[name], encoded[name]) for name in encoded}
