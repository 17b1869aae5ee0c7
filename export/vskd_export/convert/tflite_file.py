"""Reading and finishing ``.tflite`` files through the flatbuffer's own object interface.

Three things are done to every file that ships: weights move inside the flatbuffer, the ports get their names, and the
contract is added as metadata. The quantizer leaves weights *behind* the flatbuffer (``Buffer.offset`` and ``size``);
TensorFlow Lite Micro then counts them as tensors, and 186 KB of arena become 11 MB. The converter's tensor names are
shortened to the layer's path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vskd.contract import Contract
from vskd.model_contract import CONTRACT_KEY
from vskd_export.convert.graph import OUTPUTS, encoded_name

_FILE_IDENTIFIER = b"TFL3"

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})

#: Signature -> names of its outputs, in a file of one signature; the converter names the signature so.
SINGLE_SIGNATURE: Mapping[str, tuple[str, ...]] = {"serving_default": OUTPUTS}


def read_model(content: bytes) -> Any:
    """The file as a tree of ``schema_py_generated`` objects, every buffer inside."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        # Offsets 0 and 1 mean "no data behind the flatbuffer" in the schema.
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, dtype=np.uint8, count=buffer.size, offset=buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def finish(content: bytes, contract: Contract, outputs: Mapping[str, tuple[str, ...]] = SINGLE_SIGNATURE) -> bytes:
    """The bytes that ship: buffers inside, ports named, contract added.

    Parameters
    ----------
    content : a ``.tflite`` with one subgraph per signature, each with one input
    contract : goes into the metadata
    outputs : signature -> names of its outputs, in their order; inputs keep the names that they were converted with
    """
    model = read_model(content)
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        graph.tensors[signature.inputs[0].tensorIndex].name = signature.inputs[0].name
        for port, name in zip(signature.outputs, outputs[signature.signatureKey.decode()], strict=True):
            graph.tensors[port.tensorIndex].name = port.name = name.encode()
        graph.outputs = [port.tensorIndex for port in signature.outputs]
        _read_integers(model, signature.subgraphIndex)
    _set_metadata(model, CONTRACT_KEY.encode(), contract.to_json().encode())
    return _pack(model)


def shorten_names(content: bytes) -> bytes:
    """The same file with tensor names such as ``trunk/layer1/0/conv1;31`` (the number is the tensor's).

    Of several signatures each puts its own name in front, so that no name stands for two tensors. The converter names
    a tensor after every class and module that it went through, up to a kilobyte each: 60 KB that a microcontroller
    would keep in flash.
    """
    model = read_model(content)
    several = len(model.subgraphs) > 1
    keys = {item.subgraphIndex: f"{item.signatureKey.decode()}:" for item in model.signatureDefs if several}
    for number, graph in enumerate(model.subgraphs):
        for index, tensor in enumerate(graph.tensors):
            innermost = tensor.name.decode().split(";", maxsplit=1)[0]
            # A segment reads "package.module.Class_instance"; the root has no instance.
            instances = [segment.rpartition("_")[2] for segment in innermost.split("/")[2:]]
            tensor.name = f"{keys.get(number, '')}{'/'.join(instances) or 'tensor'};{index}".encode()
    return _pack(model)


def operator_names(model: Any, subgraph: int = 0) -> list[str]:
    """Names of a subgraph's operators in the order in which they run, e.g. ``CONV_2D``."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [names[codes[operator.opcodeIndex]] for operator in model.subgraphs[subgraph].operators]


def network_start(model: Any, subgraph: int = 0) -> int | None:
    """Where the network begins in a subgraph: its first convolution; None where it has none, as an encoder alone.

    A file without any convolution holds a network of dense layers, which begins at the first of these.
    """
    names = [operator_names(model, number) for number in range(len(model.subgraphs))]
    has_convolutions = any(CONVOLUTIONS & set(each) for each in names)
    first = CONVOLUTIONS if has_convolutions else frozenset({"FULLY_CONNECTED"})
    return next((index for index, name in enumerate(names[subgraph]) if name in first), None)


def output_names(model: Any, subgraph: int = 0) -> list[str]:
    """Name of the first output tensor of every operator of a subgraph, in the order in which they run."""
    graph = model.subgraphs[subgraph]
    return [graph.tensors[operator.outputs[0]].name.decode() for operator in graph.operators]


def borders(model: Any) -> dict[str, dict[str, Any]]:
    """Scale and zero point where the integer part begins and ends; empty for a model that computes in float.

    It begins behind the encoder, with the ``image`` or, of a raw student, the ``encoded`` window; it ends with the
    ``logits`` and the ``embedding``. What is stored as integers and widened, the weights of some recipes, is no border.
    """
    graph = model.subgraphs[0]
    found: dict[str, dict[str, Any]] = {}
    for operator, kind in zip(graph.operators, operator_names(model), strict=True):
        if kind not in ("QUANTIZE", "DEQUANTIZE") or is_constant(model, graph.tensors[operator.inputs[0]]):
            continue
        entering = kind == "QUANTIZE"
        given = graph.tensors[operator.outputs[0]].name.decode()
        place = encoded_name(contract_of(model)) if entering else given
        quantization = graph.tensors[operator.outputs[0] if entering else operator.inputs[0]].quantization
        values = {"scale": float(quantization.scale[0]), "zero_point": int(quantization.zeroPoint[0])}
        found.setdefault(place, values)
    return found


def is_constant(model: Any, tensor: Any) -> bool:
    """Whether a tensor is stored in the file."""
    return model.buffers[tensor.buffer].data is not None


def contract_of(model: Any) -> Contract:
    """The contract that ``finish`` added."""
    entry = next(item for item in model.metadata if item.name == CONTRACT_KEY.encode())
    return Contract.from_json(bytes(model.buffers[entry.buffer].data).decode(), where="the contract inside a model")


def _read_integers(model: Any, subgraph: int) -> None:
    """Let operators read an output as the integers that it has inside: the quantizer gives them its float copy."""
    graph = model.subgraphs[subgraph]
    for operator, kind in zip(graph.operators, operator_names(model, subgraph), strict=True):
        if kind == "DEQUANTIZE" and operator.outputs[0] in graph.outputs:
            integers, floats = operator.inputs[0], operator.outputs[0]
            for reader in graph.operators:
                reader.inputs = [integers if index == floats else index for index in reader.inputs]


def _set_metadata(model: Any, name: bytes, content: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, dtype=np.uint8)
    entry = schema.MetadataT()
    entry.name = name
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(old for old in model.metadata or [] if old.name != name), entry]


def _pack(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())
