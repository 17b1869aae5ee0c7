"""The encoder, in torch and in numpy, against the image in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd.gaf import GafEncoder, paa_matrix
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float64_images import images_of, reference_averages
from vskd_export.judge.limits import AVERAGE_LIMIT, IMAGE_LIMIT
from vskd_export.judge.violations import Violation
from vskd_training.models.student import Student


def check_encoder(
    student: Student, contract: Contract, evidence: Evidence
) -> tuple[dict[str, Any], tuple[Violation, ...]]:
    """Compare both encoders with float64, in two steps.

    The averages first; then the image that float64 draws from the encoder's own averages. Near the ends of ``range``
    and ``minmax`` the sine is so steep that the last bit of an average moves a pixel by more than any useful limit;
    that bit is the input's, and the formula is what has to be right.

    Returns
    -------
    largest differences of either encoder, and the limit; the violations
    """
    exact = reference_averages(evidence.windows, contract)
    largest_reading = np.abs(evidence.windows).max(axis=(1, 2)).astype(np.float64)
    table: dict[str, Any] = {"limit": IMAGE_LIMIT, "average_limit": AVERAGE_LIMIT}
    violations: list[Violation] = []
    for name, (averages, images) in _drawn(student, contract, evidence.windows).items():
        error = np.abs(averages - exact).max(axis=(1, 2)) / np.maximum(largest_reading, np.finfo(np.float32).tiny)
        pixels = np.abs(images - images_of(averages, contract)).max(axis=(1, 2, 3))
        table[name], table[f"{name}_average"] = float(pixels.max()), float(error.max())
        for what, found, limit in (("averages", error, AVERAGE_LIMIT), ("image", pixels, IMAGE_LIMIT)):
            worst = int(np.nan_to_num(found, nan=np.inf).argmax())
            if not found[worst] <= limit:
                message = (
                    f"the {name} encoder's {what} of window {evidence.names[worst]!r} differs from float64 by "
                    f"{found[worst]:.1e}, the limit is {limit:.0e}"
                )
                violations.append(
                    Violation("encoder-image", f"the {name} encoder", "", float(found[worst]), limit, message)
                )
    return table, tuple(violations)


def _drawn(
    student: Student, contract: Contract, windows: NDArray[np.float32]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Encoder -> its averages (n, channels, size) and its images."""
    samples = contract.window.samples
    with torch.inference_mode():
        source = torch.from_numpy(windows)
        in_torch = (source @ student.encoder.paa).numpy(), student.encoder(source).numpy()
    in_numpy = windows @ paa_matrix(samples, contract.gaf.size), GafEncoder(contract.gaf, samples)(windows)
    return {"numpy": in_numpy, "torch": in_torch}
