"""Variants of an ONNX model, cut out of or added to the one that ships: the very same nodes and weights.

The image variant begins where the encoder ends, the encoder ends there, and the variant with probabilities goes on
behind the logits. Nothing is converted or quantized anew, so an integer variant has the scales of the model that the
gate judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vskd.contract import Contract
from vskd_export.convert.graph import IMAGE_NAME, INPUT_NAME, OUTPUT_NAME, OUTPUTS, PROBABILITIES_NAME
from vskd_export.convert.onnx import finish, onnx_network_start

#: What stands between the image and the first convolution of an integer model.
_QUANTIZATION = frozenset({"DequantizeLinear", "QuantizeLinear"})


def image_variant(model: bytes, contract: Contract) -> bytes:
    """Image (1, image channels, size, size) -> logits and embedding, out of a model that takes the raw window.

    Parameters
    ----------
    model : content of an ``.onnx`` file of ours, float or integer
    contract : travels in the file
    """
    return _cut(model, contract, image_is="input")


def encoder_variant(model: bytes, contract: Contract) -> bytes:
    """Raw window -> image, out of a model that goes on to the logits; the encoder is in float in every recipe."""
    return _cut(model, contract, image_is="output")


def probabilities_variant(model: bytes, contract: Contract) -> bytes:
    """Raw window -> softmax(logits / temperature), with the contract's temperature; in float behind integer logits."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    proto = onnx.load_from_string(model)
    temperature = np.array(contract.decision.temperature, dtype=np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(temperature, "temperature"))
    proto.graph.node.append(helper.make_node("Div", [OUTPUT_NAME, "temperature"], ["cooled"], name="cool"))
    proto.graph.node.append(helper.make_node("Softmax", ["cooled"], [PROBABILITIES_NAME], name="softmax", axis=-1))
    del proto.graph.output[:]
    proto.graph.output.append(
        helper.make_tensor_value_info(PROBABILITIES_NAME, TensorProto.FLOAT, [1, len(contract.labels)])
    )
    return finish(proto, contract)


def _cut(model: bytes, contract: Contract, *, image_is: str) -> bytes:
    import onnx
    from onnx import TensorProto, helper
    from onnx.utils import Extractor

    proto = onnx.load_from_string(model)
    image = image_tensor(proto.graph)
    _rename(proto.graph, image, IMAGE_NAME)
    del proto.graph.value_info[:]  # the quantizer's hold shapes of the graph before it
    shape = [1, *contract.image_shape]
    proto.graph.value_info.append(helper.make_tensor_value_info(IMAGE_NAME, TensorProto.FLOAT, shape))
    ports = ([IMAGE_NAME], [*OUTPUTS]) if image_is == "input" else ([INPUT_NAME], [IMAGE_NAME])
    half = Extractor(proto).extract_model(*ports)
    half.producer_name, half.producer_version = proto.producer_name, proto.producer_version
    return finish(half, contract)


def image_tensor(graph: Any) -> str:
    """Name of the tensor that holds the image: the first convolution's input, ahead of its quantization.

    Parameters
    ----------
    graph : onnx.GraphProto, in topological order
    """
    producers = {output: node for node in graph.node for output in node.output}
    first: str = graph.node[onnx_network_start(graph)].input[0]
    while first in producers and producers[first].op_type in _QUANTIZATION:
        first = producers[first].input[0]
    return first


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
