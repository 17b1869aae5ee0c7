"""A model file is tried in a child process before this process loads it, once for each content.

Engines trust their files: a changed byte of a ``.tflite`` can end the process, and a shape can ask for more memory than
there is. What loads, and answers a few windows with as many logits as there are classes, and the embedding that the
manifest promises, is remembered by its SHA-256 in the user's cache folder, for the engine's version. A model that
misbehaves only on other windows is not found.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

from vskd.engines import engine_kind
from vskd.engines.process import infer_in_subprocess
from vskd.errors import EngineError
from vskd.writing import user_cache

#: Starting Python and an engine takes some seconds on the slowest board.
TIMEOUT_S = 120.0


def try_once(
    engine: str, model: Path, *, sha256: str, window_shape: tuple[int, int], classes: int, features: int = 0
) -> None:
    """Load and run a model in a child process, unless one of this content has been tried on this machine.

    Parameters
    ----------
    engine : as in ``vskd.engines.ENGINE_NAMES``, installed
    model : of its format
    sha256 : of the file
    window_shape : (channels, samples) that it takes
    classes : logits that it gives
    features : of its embedding; 0 for a model that gives logits alone

    Raises
    ------
    EngineError : the child could not load or run it, or died of it; or the answer has another shape
    """
    verdict = _verdict(engine, sha256, window_shape, classes, features)
    if verdict is not None and verdict.exists():
        return
    noise = np.random.default_rng(0).normal(0, 1, (2, *window_shape))
    windows = np.concatenate([np.zeros((1, *window_shape)), noise]).astype(np.float32)
    answer = infer_in_subprocess(engine, [model], windows, timeout_s=TIMEOUT_S, embeddings=features > 0)
    (logits,) = answer.logits
    if logits.shape != (len(windows), classes):
        raise EngineError(
            f"{model.name} gives {logits.shape[1:]} values for a window, the contract has {classes} labels",
            hint="The model and the contract are not of one export",
        )
    if features and answer.embeddings[0].shape != (len(windows), features):
        raise EngineError(
            f"{model.name} gives an embedding of {answer.embeddings[0].shape[1:]} values, the manifest says {features}",
            hint="The model and the manifest are not of one export",
        )
    if verdict is not None:
        with suppress(OSError):  # a device may have no place to write: then it is tried each time
            verdict.parent.mkdir(parents=True, exist_ok=True)
            verdict.touch()


def _verdict(engine: str, *what: object) -> Path | None:
    """The empty file that stands for a passed trial; None where the user has no cache folder."""
    folder = user_cache()
    if folder is None:
        return None
    version = "unknown"
    with suppress(metadata.PackageNotFoundError):  # a system's package may come without its metadata
        version = metadata.version(engine_kind(engine).distribution)
    key = hashlib.sha256(repr((engine, version, np.__version__, *what)).encode()).hexdigest()
    return folder / "tried-models" / key
