"""What a model file is made of: operators, ports, quantization, and what a window costs. For the report.

The costs are estimates from shapes: multiply-accumulates of convolutions and matrix products, nothing for the rest;
parameters are the constants that enter these operators, the encoder's averaging matrix included.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vskd.bundle import GraphEntry
from vskd.contract import Contract
from vskd.model_contract import CONTRACT_KEY, ModelFormat
from vskd_export.convert.graph import encoded_name
from vskd_export.convert.tflite_file import borders, is_constant, operator_names, read_model

#: Operators that multiply and add, and whose second input is the weights or the other factor.
_TFLITE_PRODUCTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"})
_ONNX_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})


def describe_model(content: bytes, model_format: ModelFormat) -> dict[str, Any]:
    """A model file as plain values ready for JSON.

    Parameters
    ----------
    content : of the file
    model_format : of it

    Returns
    -------
    ``inputs`` and ``outputs`` (name, shape, type), ``operators`` (name -> count), ``version`` (opset or schema),
    ``quantization`` (place -> scale and zero point, where the integer part begins and ends), ``macs``, ``parameters``
    """
    return _describe_onnx(content) if model_format == "onnx" else _describe_tflite(content)


def graph_entry(described: Mapping[str, Any]) -> GraphEntry:
    """What a described model file needs of an engine, for the manifest; operators of all signatures together."""
    graphs = described.get("signatures", {"": described}).values()
    operators = Counter[str]()
    for graph in graphs:
        operators.update(graph["operators"])
    return GraphEntry(described["version"], dict(sorted(operators.items())))


def describe_signatures(content: bytes) -> dict[str, Any]:
    """``version``, and ``signatures`` -> their input, output and operators, of a ``.tflite`` with several."""
    model = read_model(content)
    described = {}
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        described[signature.signatureKey.decode()] = {
            "inputs": [_tflite_port(graph.tensors[index]) for index in graph.inputs],
            "outputs": [_tflite_port(graph.tensors[index]) for index in graph.outputs],
            "operators": _counted(operator_names(model, signature.subgraphIndex)),
        }
    return {"version": _tflite_version(model), "signatures": described}


def _describe_tflite(content: bytes) -> dict[str, Any]:
    model = read_model(content)
    graph, names = model.subgraphs[0], operator_names(model)
    stored = _tflite_constants(model)
    macs = parameters = 0
    for name, operator in zip(names, graph.operators, strict=True):
        if name in _TFLITE_PRODUCTS:
            factors = [graph.tensors[index] for index in operator.inputs[1:] if index >= 0]
            result = math.prod(graph.tensors[operator.outputs[0]].shape)
            macs += result * _tflite_depth(name, operator, factors[0].shape)
            parameters += sum(math.prod(tensor.shape) for tensor in factors if tensor.name in stored)
    return {
        "inputs": [_tflite_port(graph.tensors[index]) for index in graph.inputs],
        "outputs": [_tflite_port(graph.tensors[index]) for index in graph.outputs],
        "operators": _counted(names),
        "version": _tflite_version(model),
        "quantization": borders(model),
        "macs": int(macs),
        "parameters": int(parameters),
    }


def _tflite_version(model: Any) -> str:
    return f"TFLite schema {model.version}"


def _tflite_depth(name: str, operator: Any, shape: Sequence[int]) -> int:
    """Products that are summed for one value of the result; filters are (out, height, width, in)."""
    if name == "BATCH_MATMUL":
        return int(shape[-1] if operator.builtinOptions.adjY else shape[-2])
    # A depthwise filter is (1, height, width, out): each output reads one channel.
    return math.prod(shape[1:3]) if name == "DEPTHWISE_CONV_2D" else math.prod(shape[1:])


def _tflite_constants(model: Any) -> set[bytes]:
    """Names of stored tensors, and of what merely widens them."""
    graph = model.subgraphs[0]
    stored = {tensor.name for tensor in graph.tensors if is_constant(model, tensor)}
    widening = [
        operator
        for operator, name in zip(graph.operators, operator_names(model), strict=True)
        if name == "DEQUANTIZE" and graph.tensors[operator.inputs[0]].name in stored
    ]
    return stored | {graph.tensors[operator.outputs[0]].name for operator in widening}


def _tflite_port(tensor: Any) -> dict[str, Any]:
    from ai_edge_litert import schema_py_generated as schema

    types = {code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
    return {"name": tensor.name.decode(), "shape": [int(size) for size in tensor.shape], "type": types[tensor.type]}


def _describe_onnx(content: bytes) -> dict[str, Any]:
    import onnx

    model = onnx.load_from_string(content)
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = _onnx_shapes(graph)
    constants = _onnx_constants(graph)
    macs = parameters = 0
    for node in graph.node:
        if node.op_type in _ONNX_PRODUCTS:
            macs += math.prod(shapes[node.output[0]]) * _onnx_depth(node, shapes[node.input[1]])
            parameters += sum(math.prod(shapes[name]) for name in node.input[1:] if name in constants)
    return {
        "inputs": [_onnx_port(port) for port in graph.input],
        "outputs": [_onnx_port(port) for port in graph.output],
        "operators": _counted(node.op_type for node in graph.node),
        "version": f"opset {next(opset.version for opset in model.opset_import if not opset.domain)}",
        "quantization": _onnx_borders(model),
        "macs": int(macs),
        "parameters": int(parameters),
    }


def _onnx_depth(node: Any, shape: Sequence[int]) -> int:
    """Products that are summed for one value of the result; filters are (out, in, height, width)."""
    if node.op_type == "Conv":
        return math.prod(shape[1:])
    turned = node.op_type == "Gemm" and any(item.name == "transB" and item.i for item in node.attribute)
    return shape[-1] if turned else shape[-2]


def _onnx_shapes(graph: Any) -> dict[str, list[int]]:
    known = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        known[value.name] = [size.dim_value for size in value.type.tensor_type.shape.dim]
    return known


def _onnx_constants(graph: Any) -> set[str]:
    """Names of stored tensors, and of what merely widens them."""
    stored = {tensor.name for tensor in graph.initializer}
    widening = [node for node in graph.node if node.op_type in ("DequantizeLinear", "Cast") and node.input[0] in stored]
    return stored | {node.output[0] for node in widening}


def _onnx_port(value: Any) -> dict[str, Any]:
    import onnx

    kind = value.type.tensor_type
    name = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return {"name": value.name, "shape": [size.dim_value for size in kind.shape.dim], "type": name}


def _onnx_borders(model: Any) -> dict[str, dict[str, Any]]:
    """As ``borders``: scale and zero point of the first quantized value, which the encoder gave, and of the outputs."""
    import onnx

    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}

    def values(node: Any) -> dict[str, Any]:
        scale, zero_point = (onnx.numpy_helper.to_array(stored[name]).reshape(-1) for name in node.input[1:3])
        return {"scale": float(scale[0]), "zero_point": int(zero_point[0])}

    entering = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] not in stored]
    results = {port.name for port in graph.output}
    leaving = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] in results]
    contract = next(item.value for item in model.metadata_props if item.key == CONTRACT_KEY)
    place = encoded_name(Contract.from_json(contract, where="the contract inside a model"))
    found = {place: values(entering[0])} if entering else {}
    return found | {node.output[0]: values(node) for node in leaving}


def _counted(names: Iterable[str]) -> Mapping[str, int]:
    return dict(sorted(Counter(names).items()))
