"""The student as ONNX: raw window in g in, logits and embedding out, weights inside the file, the contract in it.

PyTorch's exporter records where every node came from, with file paths and lines of the machine it ran on. All of that
is removed, so that exporting twice gives the same bytes and a bundle holds nothing about the training environment.
"""

from __future__ import annotations

from typing import Any

from vskd.contract import Contract
from vskd.model_contract import CONTRACT_KEY
from vskd_export.convert.graph import INPUT_NAME, OUTPUTS, pack_graph, unpack_graph
from vskd_export.convert.operators import naming_the_layer
from vskd_export.subprocesses import call_in_subprocess
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
    ConfigError : an operator that ONNX does not have, with its layer
    VskdError : the converter failed
    """
    packed = pack_graph(student)
    return call_in_subprocess(_convert, packed, contract, purpose="converting to ONNX", needs="onnxscript").value


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


def _convert(packed: bytes, contract: Contract) -> bytes:
    import torch

    with naming_the_layer("ONNX"):
        program = torch.onnx.export(
            unpack_graph(packed),
            (torch.zeros(1, *contract.window_shape),),
            dynamo=True,
            external_data=False,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    return finish(program.model_proto, contract)
