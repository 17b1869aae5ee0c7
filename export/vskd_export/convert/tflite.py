"""The student as ``.tflite``: raw window in g in, logits out, weights inside the flatbuffer, the contract in it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from vskd.contract import Contract
from vskd_export.convert.graph import INPUT_NAME, load_job, save_job
from vskd_export.convert.tflite_file import finish, shorten_names
from vskd_export.subprocesses import run_in_subprocess
from vskd_training.models.student import Student


def to_tflite(student: Student, contract: Contract) -> bytes:
    """Convert to TensorFlow Lite, fp32, batch of one.

    Parameters
    ----------
    student : trained; not changed
    contract : fixes the window and travels in the file

    Raises
    ------
    MissingExtraError : the export extra is not installed
    VskdError : the converter failed
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_job(student, contract, folder / "job.pt")
        run_in_subprocess("vskd_export.convert.tflite", folder, purpose="converting to TFLite", needs="litert_torch")
        return finish(shorten_names((folder / "model.tflite").read_bytes()), contract)


def _convert(folder: Path) -> None:
    import litert_torch
    import torch

    graph, contract = load_job(folder / "job.pt")
    window = torch.zeros(1, *contract.window_shape)
    litert_torch.convert(graph, sample_kwargs={INPUT_NAME: window}).export(str(folder / "model.tflite"))


if __name__ == "__main__":
    _convert(Path(sys.argv[1]))
