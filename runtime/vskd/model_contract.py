"""What a model file says without an engine: the contract that travels inside it, and whether it is complete in itself.

An ONNX file is a protobuf whose ``ModelProto.metadata_props`` (field 14) are pairs of strings; a ``.tflite`` is a
flatbuffer whose ``Model.metadata`` (field 6) names buffers. Only as much of either format is read as leads there, and
to tensors whose values lie in other files, which an engine would open wherever they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Literal

from vskd.contract import Contract
from vskd.errors import BundleError, ContractError
from vskd.untrusted import flatbuffer

ModelFormat = Literal["onnx", "tflite"]

#: Name of a model's second output, the distilled feature; the first one is the logits, whatever its name.
EMBEDDING_NAME = "embedding"

#: Key of the contract in either format.
CONTRACT_KEY = "vskd.contract"

#: Protobuf: fields of ModelProto and StringStringEntryProto, and the wire types (onnx.proto, encoding guide).
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

#: Where tensors are in an ONNX file: message -> field -> the message that it holds (onnx.proto). A tensor with the
#: field ``external_data`` has its values in another file.
_TENSORS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
#: Graphs within each other.
_DEEPEST = 64

#: Flatbuffer: positions of the fields in the tables Model, Metadata and Buffer (schema.fbs).
_MODEL_BUFFERS, _MODEL_METADATA, _MODEL_EXTERNAL = 4, 6, (8, 9)
_METADATA_NAME, _METADATA_BUFFER, _BUFFER_DATA = 0, 1, 0


def contract_inside(content: bytes, model_format: ModelFormat, *, name: str) -> Contract:
    """The contract inside a model file that holds all of its values itself.

    Parameters
    ----------
    content : of the file
    model_format : of it
    name : how messages call it

    Raises
    ------
    BundleError : the file is not of this format, names other files, or carries no contract
    ContractError : it carries something else under that name
    """
    try:
        # A view: its slices are no copies, of which a crafted file would ask for billions.
        view = memoryview(content)
        named_outside = _onnx_names_files(view) if model_format == "onnx" else _tflite_names_files(view)
        text = _from_onnx(view) if model_format == "onnx" else _from_tflite(view)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BundleError(f"{name} is no {model_format} file: {error}", hint="Copy or export it again") from error
    if named_outside:
        raise BundleError(f"{name} takes values out of other files", hint="Export it with vskd export")
    if text is None:
        raise BundleError(f"{name} carries no contract", hint="Export it with vskd export")
    return Contract.from_json(text, where=f"the contract inside {name}")


def contract_problem(content: bytes, model_format: ModelFormat, contract: Contract, *, name: str) -> str:
    """One sentence if the contract inside a model is not this one, else empty; parameters of ``contract_inside``."""
    try:
        inside = contract_inside(content, model_format, name=name)
    except (BundleError, ContractError) as error:
        return error.message
    return "" if inside == contract else f"the contract inside {name} is not that of contract.json"


def _onnx_names_files(content: memoryview) -> bool:
    waiting = [("model", content, 0)]
    while waiting:
        message, view, depth = waiting.pop()
        if depth > _DEEPEST:
            raise IndexError(f"its graphs are nested more than {_DEEPEST} deep")
        for field, value in _fields(view):
            inside = _TENSORS[message].get(field)
            if inside == "external":
                return True
            if inside:
                waiting.append((inside, value, depth + 1))
    return False


def _tflite_names_files(content: memoryview) -> bool:
    model = flatbuffer.root(content)
    return any(flatbuffer.field(content, model, field) is not None for field in _MODEL_EXTERNAL)


def _from_onnx(content: memoryview) -> str | None:
    for field, value in _fields(content):
        if field == _METADATA_PROPS:
            pair = {number: bytes(text) for number, text in _fields(value)}
            if pair.get(_KEY) == CONTRACT_KEY.encode():
                return pair.get(_VALUE, b"").decode()
    return None


def _fields(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(number, content) of the fields of a protobuf message that hold bytes; the others are passed over."""
    position = 0
    while position < len(view):
        tag, position = _varint(view, position)
        if tag >= 2**32:  # readers cut it to 32 bits, and would see another field
            raise IndexError(f"there is no field {tag >> 3}")
        wire = tag & 7
        if wire == _VARINT:
            _, position = _varint(view, position)
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            size, position = _varint(view, position)
            if position + size > len(view):
                raise IndexError(f"a field of {size} bytes ends behind the file")
            yield tag >> 3, view[position : position + size]
            position += size
        else:
            raise IndexError(f"there is no wire type {wire}")


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """(value, position behind it); seven bits a byte, the lowest first, ten bytes at most."""
    value = 0
    for count in range(10):
        byte = view[position + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, position + count + 1
    raise IndexError("a number of more than ten bytes")


def _from_tflite(content: memoryview) -> str | None:
    model = flatbuffer.root(content)
    for entry in flatbuffer.tables(content, model, _MODEL_METADATA):
        if bytes(flatbuffer.vector(content, entry, _METADATA_NAME) or b"") == CONTRACT_KEY.encode():
            buffers = flatbuffer.tables(content, model, _MODEL_BUFFERS)
            number = flatbuffer.number(content, entry, _METADATA_BUFFER, "<I")
            data = flatbuffer.vector(content, buffers[number], _BUFFER_DATA)
            return None if data is None else str(data, "utf-8")
    return None
