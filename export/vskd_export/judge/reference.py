"""LiteRT's reference kernels: the third oracle, beside torch and float64.

The same files, read by the same library, but every operator computed by its plain, unvectorised kernel: what differs
from the kernels that ship is those kernels' doing, and what differs from torch is the converter's. It is slow, so it
runs on a few windows and in a process of its own. What a difference means is the gate's matter.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd_export.subprocesses import run_in_subprocess


def run_reference(models: Mapping[str, bytes], windows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Run windows through models with LiteRT's reference kernels.

    Parameters
    ----------
    models : name -> content of a ``.tflite``
    windows : (n, channels, samples), g

    Returns
    -------
    name -> logits (n, classes)

    Raises
    ------
    MissingExtraError : LiteRT is not installed
    VskdError : it refuses a model
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in models.items():
            (folder / file).write_bytes(content)
        np.save(folder / "windows.npy", windows)
        run_in_subprocess(
            "vskd_export.judge.reference", folder, purpose="running LiteRT's reference kernels", needs="ai_edge_litert"
        )
        with np.load(folder / "logits.npz") as archive:
            return {file: archive[file] for file in models}


def _run(folder: Path) -> None:
    windows = np.load(folder / "windows.npy")
    logits: dict[str, Any] = {path.name: _logits(path, windows) for path in sorted(folder.glob("*.tflite"))}
    np.savez(folder / "logits.npz", **logits)


def _logits(model: Path, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(model), num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers = []
    for window in windows:
        interpreter.set_tensor(source, window[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(sink)[0])
    return np.stack(answers)


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
