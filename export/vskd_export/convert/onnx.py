"""The student as ONNX: raw window in g in, logits out, weights inside the file, the contract in its metadata.

PyTorch's exporter records where every node came from, with file paths and lines of the machine it ran on. All of that
is removed, so that exporting twice gives the same bytes and a bundle holds nothing about the training environment.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vskd.contract import Contract
from vskd.model_contract import CONTRACT_KEY
from vskd_export.convert.graph import INPUT_NAME, OUTPUT_NAME, load_job, save_job
from vskd_export.subprocesses import run_in_subprocess
from vskd_training.models.student import Student


def to_onnx(student: Student, contract: Contract) -> bytes:
    """Convert to ONNX, fp32, batch of one.

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
        run_in_subprocess("vskd_export.convert.onnx", folder, purpose="converting to ONNX", needs="onnxscript")
        return (folder / "model.onnx").read_bytes()


def finish(proto: Any, contract: Contract) -> bytes:
    """The bytes that ship: traces of the training environment removed, the contract added.

    Parameters
    ----------
    proto : onnx.ModelProto; changed in place
    contract : goes into ``metadata_props``
    """
    proto.doc_string = ""
    proto.graph.doc_string = ""
    del proto.metadata_props[:], proto.graph.metadata_props[:]
    graph = proto.graph
    for item in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    proto.metadata_props.add(key=CONTRACT_KEY, value=contract.to_json())
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def onnx_network_start(graph: Any) -> int:
    """Position of the node in which the network begins: its first convolution, without one its first dense layer.

    Parameters
    ----------
    graph : onnx.GraphProto, in topological order
    """
    for kind in ("Conv", "Gemm"):
        found = [index for index, node in enumerate(graph.node) if node.op_type == kind]
        if found:
            return found[0]
    return len(graph.node)


def onnx_bytes(module: nn.Module, example: Tensor, contract: Contract, *, names: tuple[str, str]) -> bytes:
    """Convert a module of one input and one output, in this process; loud, so for a process of its own.

    Parameters
    ----------
    module : in evaluation mode
    example : fixes the input's shape
    contract : goes into the metadata
    names : of the input and the output
    """
    import torch

    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        external_data=False,
        input_names=[names[0]],
        output_names=[names[1]],
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    return finish(program.model_proto, contract)


def _convert(folder: Path) -> None:
    import torch

    graph, contract = load_job(folder / "job.pt")
    example = torch.zeros(1, *contract.window_shape)
    content = onnx_bytes(graph, example, contract, names=(INPUT_NAME, OUTPUT_NAME))
    (folder / "model.onnx").write_bytes(content)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]))
