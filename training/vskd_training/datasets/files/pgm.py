"""Binary PGM images (magic P5) with the numbers that they hold.

General decoders stretch 16-bit images to their full range, which turns millimetres into something else; hence this
reader of twenty lines.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd_training.datasets.recording import BrokenFileError

#: Magic, width, height and largest value; between them white space and comments; then one white space.
_HEADER = re.compile(rb"P5(?:\s+#[^\n]*)*\s+(\d+)(?:\s+#[^\n]*)*\s+(\d+)(?:\s+#[^\n]*)*\s+(\d+)\s")
_LARGEST = 65535


def read_pgm(path: Path, *, where: str) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """Read one PGM image.

    Parameters
    ----------
    path : the file
    where : how a defect names it

    Returns
    -------
    (rows, columns), uint8 if the largest value is below 256, else uint16

    Raises
    ------
    BrokenFileError : it is missing, empty, cut short, or no binary PGM image
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenFileError(where, f"cannot be read ({error.strerror})", kind="unreadable") from error
    header = _HEADER.match(content)
    if header is None:
        raise BrokenFileError(where, f"is no binary PGM image ({len(content)} bytes)", kind="unreadable")
    columns, rows, largest = (int(number) for number in header.groups())
    if not 0 < largest <= _LARGEST or not rows * columns:
        raise BrokenFileError(where, f"has {columns} x {rows} pixels up to {largest}", kind="unreadable")
    kind = np.dtype("u1") if largest < 256 else np.dtype(">u2")
    pixels = content[header.end() :]
    if len(pixels) < rows * columns * kind.itemsize:
        what = f"holds {len(pixels)} bytes of {rows * columns * kind.itemsize}; copy it again"
        raise BrokenFileError(where, what, kind="cut short")
    array = np.frombuffer(pixels, dtype=kind, count=rows * columns).reshape(rows, columns)
    return array.astype(np.uint8) if kind.itemsize == 1 else array.astype(np.uint16)
