"""Pictures of windows for the page: the sensor's curves as SVG, what the network sees of them as PNG."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vskd.checks.golden import Golden
from vskd.contract import Contract

#: Windows that are shown.
SHOWN = 4

#: Of a signal's drawing, and the colours of an image's -1, 0 and 1.
_WIDTH, _HEIGHT = 320, 90
_COLOURS = np.array([[33, 102, 172], [247, 247, 247], [178, 24, 43]])


@dataclass(frozen=True)
class Picture:
    """A window.

    Attributes
    ----------
    label, probability : what the trained network decides
    curves : points of a polyline for each axis, in a box of ``_WIDTH`` times ``_HEIGHT``
    span_g : from the box's middle to its edge
    images : of each axis, PNG in base64; empty where the network takes the window itself
    """

    label: str
    probability: str
    curves: tuple[str, ...]
    span_g: str
    images: tuple[str, ...]

    @property
    def box(self) -> str:
        """Of the drawing."""
        return f"0 0 {_WIDTH} {_HEIGHT}"


def pictures(golden: Golden, contract: Contract) -> list[Picture]:
    """Recorded golden windows, of as many activities as there are, ``SHOWN`` at the most."""
    return [_picture(golden, contract, index) for index in _chosen(golden)]


def _chosen(golden: Golden) -> list[int]:
    """First one window of each activity that was recognised, then others; the surest first."""
    real = [index for index, name in enumerate(golden.names) if name.startswith("real ")]
    sure = sorted(real, key=lambda index: -float(golden.margins[index]))
    first = {int(golden.labels[index]): index for index in reversed(sure)}
    ordered = [*first.values(), *sure]
    return list(dict.fromkeys(ordered))[:SHOWN]


def _picture(golden: Golden, contract: Contract, index: int) -> Picture:
    window = golden.windows[index].astype(np.float64)
    span_g = max(1.0, float(np.ceil(np.abs(window).max() * 2)) / 2)
    images = golden.images[index] if contract.gaf is not None else ()
    return Picture(
        label=contract.labels[int(golden.labels[index])],
        probability=f"{100 * float(golden.probabilities[index].max()):.0f} %",
        curves=tuple(" ".join(_points(axis, span_g)) for axis in window),
        span_g=f"{span_g:g}",
        images=tuple(base64.b64encode(png(_coloured(image))).decode() for image in images),
    )


def _points(axis: NDArray[np.float64], span_g: float) -> Iterator[str]:
    x, y = np.linspace(0, _WIDTH, len(axis)), _HEIGHT / 2 * (1 - axis / span_g)
    return (f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True))


def _coloured(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(height, width) from -1 to 1 -> (height, width, 3)."""
    channels = [np.interp(image, (-1, 0, 1), _COLOURS[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(height, width, 3), red, green and blue, as a PNG."""
    height, width, _ = pixels.shape
    rows = np.insert(pixels.reshape(height, -1), 0, 0, axis=1)  # each begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, content) for kind, content in parts)


def _part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
