"""Make ``gaf_golden.npz``: Gramian angular fields from their definition, in Python's own float64 arithmetic.

Nothing of vskd is imported, and neither the stable sine nor the rank-2 product of ``vskd.encoders.gaf`` is used: every
value is rescaled, turned into an angle by ``acos`` and every pixel is a ``cos`` or ``sin`` of two angles. Run it from
the repository root::

    python tests/golden/make_gaf_golden.py

The file holds ``windows`` (2, 3, 32) in g and, for each field and scaling, ``<field>_<scaling>`` (2, 3, 12, 12).
The second window leaves the range of +-2 g. All readings are whole multiples of 1/1024 g, as a sensor gives them.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("gaf_golden.npz")
SAMPLES, SIZE, SCALE_G = 32, 12, 2.0
FIELDS = ("gasf", "gadf")
SCALINGS = ("minmax", "range", "tanh")

Series = list[float]


def series(amplitude_g: float, offset_g: float, cycles: float) -> Series:
    """One axis: a swing whose pace quickens, as the wrist's does."""
    raw = [
        offset_g + amplitude_g * math.sin(2 * math.pi * cycles * (n / SAMPLES) ** 1.5 + offset_g)
        for n in range(SAMPLES)
    ]
    return [round(value * 1024) / 1024 for value in raw]


def segment_means(values: Series) -> Series:
    """Piecewise aggregate approximation; the bounds are whole parts of equal divisions."""
    bounds = [index * SAMPLES // SIZE for index in range(SIZE + 1)]
    return [math.fsum(values[start:end]) / (end - start) for start, end in itertools.pairwise(bounds)]


def angles(values: Series, scaling: str) -> Series:
    """Polar angles of the rescaled values, rad."""
    if scaling == "minmax":
        low, high = min(values), max(values)
        rescaled = [(2 * value - high - low) / (high - low) for value in values]
    elif scaling == "range":
        rescaled = [value / SCALE_G for value in values]
    else:
        rescaled = [math.tanh(value / SCALE_G) for value in values]
    return [math.acos(min(1.0, max(-1.0, value))) for value in rescaled]


def image(values: Series, field: str, scaling: str) -> list[Series]:
    """One axis to one image."""
    phi = angles(segment_means(values), scaling)
    if field == "gasf":
        return [[math.cos(row + column) for column in phi] for row in phi]
    return [[math.sin(row - column) for column in phi] for row in phi]


def golden() -> dict[str, np.ndarray]:
    """Everything the file holds."""
    windows = [
        [series(0.4, 0.0, 1.5), series(0.9, 0.8, 2.5), series(0.2, -0.5, 4.0)],
        [series(3.5, 1.0, 2.0), series(1.5, -1.8, 3.0), series(0.05, 0.98, 1.0)],
    ]
    arrays = {"windows": np.array(windows)}
    for field in FIELDS:
        for scaling in SCALINGS:
            images = [[image(axis, field, scaling) for axis in window] for window in windows]
            arrays[f"{field}_{scaling}"] = np.array(images)
    return arrays


if __name__ == "__main__":
    np.savez_compressed(PATH, **golden())  # type: ignore[arg-type]
