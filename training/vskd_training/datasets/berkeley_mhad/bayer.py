"""Raw images of a colour camera as grey ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vskd.errors import DataError
from vskd_training.datasets.files.images import LUMA, to_uint8


def grey_of_bayer(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A raw image of a colour camera as grey, demosaiced bilinearly.

    A colour that a pixel lacks is the mean of its nearest neighbours that have it: two, four in a cross, or four in the
    corners. At the edges the image is mirrored. FFmpeg's scaler would do, but copies pixels where its threads' slices
    meet, so that its result depends on the machine.

    Parameters
    ----------
    raw : (rows, columns), green and red in even rows, blue and green in odd ones; both even in number

    Returns
    -------
    (rows, columns)

    Raises
    ------
    DataError : an odd number of rows or columns, or none
    """
    rows, columns = raw.shape
    if rows % 2 or columns % 2 or not raw.size:
        raise DataError(f"a Bayer image has even sides, got {rows} x {columns} pixels")
    around = np.pad(raw.astype(np.float32), 1, mode="reflect")
    beside = (around[1:-1, :-2] + around[1:-1, 2:]) / 2
    above = (around[:-2, 1:-1] + around[2:, 1:-1]) / 2
    cross = (beside + above) / 2
    corners = (around[:-2, :-2] + around[:-2, 2:] + around[2:, :-2] + around[2:, 2:]) / 4
    red, green, blue = LUMA
    grey = green * raw.astype(np.float32)
    grey[::2, ::2] += (red * beside + blue * above)[::2, ::2]
    grey[1::2, 1::2] += (red * above + blue * beside)[1::2, 1::2]
    grey[::2, 1::2] = (red * raw + green * cross + blue * corners)[::2, 1::2]
    grey[1::2, ::2] = (blue * raw + green * cross + red * corners)[1::2, ::2]
    return to_uint8(grey)
