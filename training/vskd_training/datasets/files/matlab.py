"""One numeric array out of a MATLAB 5 file, read in a child process. This module knows no data set."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from vskd_training.datasets.files.in_child import Reading, read_in_child
from vskd_training.datasets.recording import BrokenFileError

#: What scipy raises on a damaged MATLAB file; found by truncating and flipping bits.
_UNREADABLE = (MatReadError, OSError, EOFError, ValueError, TypeError, LookupError, zlib.error)
#: scipy takes whatever starts otherwise for a MATLAB 4 file and finds nonsense in it.
_MATLAB_5 = b"MATLAB 5.0"


def read_array(path: Path, key: str, *, where: str, dims: int) -> NDArray[Any]:
    """Read one variable: numbers, finite and not empty.

    Parameters
    ----------
    path : the file
    key : name of the variable
    where : how a defect names the file
    dims : how many axes the variable must have

    Raises
    ------
    BrokenFileError : no MATLAB 5 file, or no such variable of finite numbers in it
    """
    return read_in_child(load_array, path, key, where, dims, where=where).arrays[0]


def load_array(path: Path, key: str, where: str, dims: int) -> Reading:
    """``read_array`` itself, in the process that calls it."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MATLAB_5)) != _MATLAB_5:
                raise BrokenFileError(where, f"is not a MATLAB 5 file ({path.stat().st_size} bytes)")
        content = loadmat(path, appendmat=False, variable_names=[key])
    except _UNREADABLE as error:
        raise BrokenFileError(where, f"cannot be read as a MATLAB file ({error})") from error
    if key not in content:
        raise BrokenFileError(where, f"holds no variable {key}")
    array = content[key]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != dims or not array.size:
        raise BrokenFileError(where, f"{key} must hold numbers in {dims} dimensions, got {_describe(array)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise BrokenFileError(where, f"{key} holds {count} values that are NaN or infinite")
    return Reading((array,))


def _describe(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
