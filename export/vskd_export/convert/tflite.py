"""The student as ``.tflite``: raw window in g in, logits and embedding out, weights and contract in the flatbuffer."""

from __future__ import annotations

from vskd.contract import Contract
from vskd_export.convert.graph import INPUT_NAME, pack_graph, unpack_graph
from vskd_export.convert.operators import naming_the_layer
from vskd_export.convert.tflite_file import finish, shorten_names
from vskd_export.subprocesses import call_in_subprocess
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
    ConfigError : an operator that TFLite does not have, with its layer
    VskdError : the converter failed
    """
    packed = pack_graph(student)
    done = call_in_subprocess(_convert, packed, contract, purpose="converting to TFLite", needs="litert_torch")
    return finish(shorten_names(done.value), contract)


def _convert(packed: bytes, contract: Contract) -> bytes:
    import litert_torch
    import torch

    window = torch.zeros(1, *contract.window_shape)
    with naming_the_layer("TFLite"):
        converted = litert_torch.convert(unpack_graph(packed), sample_kwargs={INPUT_NAME: window})
    content: bytes = converted.model_content()
    return content
