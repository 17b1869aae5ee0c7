"""The graph of a ``.tflite``, as far as a plan needs it: operators with their options, tensors with their scales.

Positions of the fields are those of TensorFlow Lite's ``schema.fbs`` (version 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vskd.untrusted import flatbuffer

#: Of Model, OperatorCode, SubGraph, Operator, Tensor, QuantizationParameters and Buffer.
_CODES, _GRAPHS, _BUFFERS = 1, 2, 4
_OLD_CODE, _CODE = 0, 3
_TENSORS, _OUTPUTS, _OPERATORS = 0, 2, 3
_OPCODE, _INPUTS_OF, _OUTPUTS_OF, _OPTIONS = 0, 1, 2, 4
_SHAPE, _TYPE, _BUFFER, _NAME, _QUANTIZATION = 0, 1, 2, 3, 4
_SCALES, _ZERO_POINTS = 2, 3
_DATA = 0

_TYPES = {0: "float32", 2: "int32", 9: "int8"}

#: Operators that a plan knows, and others that students are made of, to name them.
_KINDS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE",
    9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE",
    25: "SOFTMAX", 28: "TANH", 34: "PAD", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 42: "DIV", 45: "STRIDED_SLICE",
    49: "SPLIT", 60: "PADV2", 65: "SLICE", 74: "SUM", 82: "REDUCE_MAX", 98: "LEAKY_RELU", 114: "QUANTIZE",
    117: "HARD_SWISH", 126: "BATCH_MATMUL", 150: "GELU",
}  # fmt: skip

#: Kind -> option -> its field and, where that is not 0, its default. Bytes are named in ``_BYTES``.
_STRIDES = {"is_same": 0, "stride_width": 1, "stride_height": 2}
_OPTIONS_OF: Mapping[str, Mapping[str, int]] = {
    "CONV_2D": {**_STRIDES, "activation": 3, "dilation_width": 4, "dilation_height": 5},
    "DEPTHWISE_CONV_2D": {
        **_STRIDES, "depth_multiplier": 3, "activation": 4, "dilation_width": 5, "dilation_height": 6,
    },
    "MAX_POOL_2D": {**_STRIDES, "kernel_width": 3, "kernel_height": 4, "activation": 5},
    "FULLY_CONNECTED": {"activation": 0},
    "ADD": {"activation": 0},
    "MEAN": {"keep_dims": 0},
    "SUM": {"keep_dims": 0},
    "CONCATENATION": {"axis": 0, "activation": 1},
}  # fmt: skip
_BYTES = {"is_same", "activation", "keep_dims"}
_ONES = {"dilation_width", "dilation_height"}


#: Of a tensor: the weights of the widest layer of a full-width student are a fifth of it.
_MOST_ELEMENTS, _MOST_AXES = 2**24, 6


@dataclass(frozen=True)
class Stored:
    """A tensor of the file.

    Attributes
    ----------
    shape, kind : of its elements: ``float32``, ``int32``, ``int8``, or another type's number
    name : in the file
    scales, zero_points : one, or one for each output channel; none of tensors in float
    data : of a constant, little-endian; else empty
    """

    shape: tuple[int, ...]
    kind: str
    name: bytes
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data: bytes

    @property
    def scale(self) -> float:
        """The only one."""
        (scale,) = self.scales
        return scale

    @property
    def zero_point(self) -> int:
        """The only one."""
        (zero_point,) = self.zero_points
        return zero_point


@dataclass(frozen=True)
class Operator:
    """An operator: its inputs and outputs are tensors by number, -1 where an input is left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]


@dataclass(frozen=True)
class Graph:
    """The first graph of a file."""

    tensors: tuple[Stored, ...]
    operators: tuple[Operator, ...]
    outputs: tuple[int, ...]


def read_graph(content: bytes) -> Graph:
    """The first graph of a ``.tflite``.

    Raises
    ------
    struct.error, IndexError, ValueError : not such a file
    """
    view = memoryview(content)
    model = flatbuffer.root(view)
    kinds = [_kind(view, code) for code in flatbuffer.tables(view, model, _CODES)]
    buffers = [flatbuffer.vector(view, buffer, _DATA) for buffer in flatbuffer.tables(view, model, _BUFFERS)]
    graph = flatbuffer.tables(view, model, _GRAPHS)[0]
    tensors = tuple(_tensor(view, tensor, buffers) for tensor in flatbuffer.tables(view, graph, _TENSORS))
    operators = tuple(_operator(view, one, kinds) for one in flatbuffer.tables(view, graph, _OPERATORS))
    return Graph(tensors, operators, _integers(view, graph, _OUTPUTS))


def _kind(view: memoryview, code: int) -> str:
    number = max(flatbuffer.number(view, code, _OLD_CODE, "<b"), flatbuffer.number(view, code, _CODE, "<i"))
    return _KINDS.get(number, f"number {number} of TensorFlow Lite's list")


def _tensor(view: memoryview, tensor: int, buffers: list[memoryview | None]) -> Stored:
    quantization = flatbuffer.child(view, tensor, _QUANTIZATION)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    if quantization is not None:
        scales = tuple(np.frombuffer(flatbuffer.vector(view, quantization, _SCALES, width=4) or b"", "<f4").tolist())
        stored = flatbuffer.vector(view, quantization, _ZERO_POINTS, width=8) or b""
        zero_points = tuple(np.frombuffer(stored, "<i8").tolist()) or (0,) * len(scales)
    shape, data = _integers(view, tensor, _SHAPE), buffers[flatbuffer.number(view, tensor, _BUFFER, "<I")] or b""
    number = flatbuffer.number(view, tensor, _TYPE, "<b")
    kind = _TYPES.get(number, str(number))
    if min(shape, default=1) < 1 or math.prod(shape) > _MOST_ELEMENTS:
        raise ValueError(f"a tensor has the shape {shape}, with more than {_MOST_ELEMENTS} elements or none")
    if len(shape) > _MOST_AXES or (data and len(data) != math.prod(shape) * (1 if kind == "int8" else 4)):
        raise ValueError(f"a tensor of shape {shape} has {len(data)} bytes")
    if not all(0 < scale < math.inf for scale in scales) or not all(-128 <= point <= 127 for point in zero_points):
        raise ValueError(f"a tensor has the scales {scales[:4]} and the zero points {zero_points[:4]}")
    name = bytes(flatbuffer.vector(view, tensor, _NAME) or b"")
    return Stored(shape, kind, name, scales, zero_points, bytes(data))


def _operator(view: memoryview, operator: int, kinds: list[str]) -> Operator:
    kind = kinds[flatbuffer.number(view, operator, _OPCODE, "<I")]
    table = flatbuffer.child(view, operator, _OPTIONS)
    wanted = _OPTIONS_OF.get("MAX_POOL_2D" if kind == "AVERAGE_POOL_2D" else kind, {})
    options = {
        name: int(name in _ONES) if table is None else _option(view, table, name, at) for name, at in wanted.items()
    }
    if "is_same" in options:
        options["is_same"] = int(options["is_same"] == 0)  # Padding: SAME is 0, VALID is 1
    return Operator(kind, _integers(view, operator, _INPUTS_OF), _integers(view, operator, _OUTPUTS_OF), options)


def _option(view: memoryview, table: int, name: str, at: int) -> int:
    return flatbuffer.number(view, table, at, "<b" if name in _BYTES else "<i", int(name in _ONES))


def _integers(view: memoryview, table: int, index: int) -> tuple[int, ...]:
    return tuple(np.frombuffer(flatbuffer.vector(view, table, index, width=4) or b"", "<i4").tolist())
