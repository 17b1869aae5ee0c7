"""The plan of an int8 ``.tflite``: its integer part, without padding, reshaping and the float encoder in front.

The numbers follow TensorFlow Lite's rules for int8 ("8-bit quantization specification", ``quantization_util`` and the
``Prepare`` functions of TensorFlow Lite Micro's kernels): a scale's multiplier has 31 bits, padding is folded into the
operator behind it. What a plan has no step for is refused by its name.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vskd.errors import EngineError
from vskd.model_contract import EMBEDDING_NAME
from vskd.plan.kernels import ADDITION_SHIFT
from vskd.plan.steps import (
    Addition,
    Concatenation,
    Convolution,
    Mean,
    Plan,
    Pooling,
    Quantization,
    Rescaling,
    Shape,
    Step,
    Tensor,
)
from vskd.plan.tflite import Graph, Operator, read_graph

Places = NDArray[np.intp]

#: In place of a tensor's number: the encoder's output, whose order is not settled yet.
_ENCODED = -1
_NOWHERE = np.zeros(0, np.intp)

_RELU, _RELU6 = 1, 3

_LONGEST_STRIDE = 64
_HINT = (
    "vskd's own students need convolutions, dense layers, additions, pooling and a mean, fully in int8: "
    "export the recipe int8 (w8a8-static-pc) of such a network"
)


def plan_of(content: bytes, encoded: tuple[int, int, int], *, name: str) -> Plan:
    """The plan of a model.

    Parameters
    ----------
    content : of a ``.tflite`` whose network is fully in int8 behind a float encoder
    encoded : (channels, rows, columns) of the encoder's output, see ``vskd.plan.encode.encoded_shape``
    name : how messages call the file

    Raises
    ------
    EngineError : no such file, or one with an operator that a plan has no step for
    """
    try:
        return _Lowering(read_graph(content), encoded, name).plan()
    except (struct.error, IndexError, ValueError, KeyError, OverflowError, ZeroDivisionError) as error:
        raise EngineError(f"{name} is no .tflite that a plan can be made of: {error}", hint=_HINT) from error


def multiplier_of(value: float) -> Rescaling:
    """A positive number as a 31-bit multiplier and a shift, half away from zero."""
    if not 0 < value < math.inf:
        raise ValueError(f"a scale is a positive number, got {value}")
    part, shift = math.frexp(value)
    multiplier = math.floor(part * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return Rescaling(0, 0)
    if shift > 30:
        raise ValueError(f"a scale of {value} is beyond what 32 bits hold")
    return Rescaling(multiplier, shift)


@dataclass
class _Lowering:
    """Goes through the operators of one graph.

    Attributes
    ----------
    views : tensor of the graph -> tensor of the plan, and which of its bytes each element is; under ``_ENCODED`` which
        element of the encoder's output it is
    pads : tensor of the graph -> (tensor that was padded, rows above, columns before, value)
    parts : tensor of the graph before the first step -> parts of the encoder's output that it holds
    first : the parts of the plan's first tensor, and its places as of ``Plan``, flat; none until the first step
    """

    graph: Graph
    encoded: tuple[int, int, int]
    name: str
    tensors: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    views: dict[int, tuple[int, Places]] = field(default_factory=dict)
    pads: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    parts: dict[int, tuple[Quantization, ...]] = field(default_factory=dict)
    first: tuple[tuple[Quantization, ...], Places] = ((), _NOWHERE)

    def plan(self) -> Plan:
        handlers = self._handlers()
        for operator in self.graph.operators:
            kind = operator.kind
            if kind != "DEQUANTIZE" and self.graph.tensors[operator.outputs[0]].kind == "float32":
                if not self.steps:
                    continue  # of the encoder
                raise self._refusal(f"behind its encoder it holds the operator {kind} in float")
            if kind not in handlers:
                raise self._refusal(f"it holds the operator {kind}")
            handlers[kind](operator)
        if not self.steps:
            raise self._refusal("it computes in float throughout")
        logits, *others = self.graph.outputs
        wanted = EMBEDDING_NAME.encode()
        embedding = next((one for one in others if self.graph.tensors[one].name == wanted), None)
        return Plan(
            tensors=tuple(self.tensors),
            parts=self.first[0],
            places=self.first[1].reshape(self.encoded),
            steps=tuple(self.steps),
            logits=self._source(logits),
            embedding=None if embedding is None else self._source(embedding),
        )

    def _handlers(self) -> Mapping[str, Callable[[Operator], None]]:
        return {
            "QUANTIZE": self._quantize,
            "RESHAPE": self._reshape,
            "TRANSPOSE": self._transpose,
            "PAD": self._pad,
            "PADV2": self._pad,
            "CONV_2D": self._convolution,
            "DEPTHWISE_CONV_2D": self._convolution,
            "FULLY_CONNECTED": self._dense,
            "ADD": self._addition,
            "MAX_POOL_2D": self._pooling,
            "AVERAGE_POOL_2D": self._pooling,
            "MEAN": self._mean,
            "SUM": self._mean,
            "CONCATENATION": self._concatenation,
            "DEQUANTIZE": self._dequantize,
        }

    def _quantize(self, operator: Operator) -> None:
        """The encoder's output becomes integers, all at once or field by field."""
        source, target = operator.inputs[0], operator.outputs[0]
        stored = self.graph.tensors[target]
        if self.graph.tensors[source].kind == "float32":
            indices = np.arange(math.prod(stored.shape)).reshape(stored.shape)
            self.views[target] = _ENCODED, indices
            self.parts[target] = (Quantization(indices.size, stored.scale, stored.zero_point),)
            return
        (part,) = self.parts.get(source, (None,))
        if part is None or part.rescaling is not None:
            raise self._refusal("it holds a QUANTIZE between two scales")
        self.views[target] = self.views[source]
        self.parts[target] = (replace(part, rescaling=multiplier_of(part.scale / stored.scale)),)

    def _refusal(self, reason: str) -> EngineError:
        return EngineError(f"no plan can be made of {self.name}: {reason}", hint=_HINT)

    def _reshape(self, operator: Operator) -> None:
        number, indices = self._seen(operator.inputs[0])
        self._rearrange(operator, number, indices.reshape(self.graph.tensors[operator.outputs[0]].shape))

    def _transpose(self, operator: Operator) -> None:
        number, indices = self._seen(operator.inputs[0])
        self._rearrange(operator, number, indices.transpose(self._integers(operator.inputs[1])))

    def _rearrange(self, operator: Operator, number: int, indices: Places) -> None:
        self.views[operator.outputs[0]] = number, indices
        if number == _ENCODED:
            self.parts[operator.outputs[0]] = self.parts[operator.inputs[0]]

    def _pad(self, operator: Operator) -> None:
        (source, counts), target = operator.inputs[:2], operator.outputs[0]
        (_, _), (above, _), (before, _), (_, _) = self._integers(counts).reshape(4, 2).tolist()
        value = self.graph.tensors[source].zero_point
        if len(operator.inputs) > 2:
            value = int(np.frombuffer(self.graph.tensors[operator.inputs[2]].data, np.int8)[0])
        self.pads[target] = (source, above, before, value)

    def _dequantize(self, operator: Operator) -> None:
        self.views[operator.outputs[0]] = self._seen(operator.inputs[0])

    def _convolution(self, operator: Operator) -> None:
        given, weights, biases = operator.inputs
        source, padding = self._unpadded(given, operator, value=None)
        stored = self.graph.tensors[weights]
        values = np.frombuffer(stored.data, np.int8).reshape(stored.shape)
        if operator.kind == "DEPTHWISE_CONV_2D":
            values = values[0]
            if operator.options["depth_multiplier"] != 1:
                raise self._refusal("it holds a DEPTHWISE_CONV_2D with several outputs per channel")
        if (operator.options["dilation_height"], operator.options["dilation_width"]) != (1, 1):
            raise self._refusal(f"it holds a dilated {operator.kind}")
        self._convolve(operator, source, self._shape(source), values, biases, padding)

    def _dense(self, operator: Operator) -> None:
        source, weights, biases = operator.inputs
        stored = self.graph.tensors[weights]
        _, indices = self._view(source)
        values = np.empty(stored.shape, np.int8)  # in the order of the source's bytes, so that nothing has to be moved
        values[:, indices.reshape(-1)] = np.frombuffer(stored.data, np.int8).reshape(stored.shape)
        self._convolve(operator, source, (1, 1, stored.shape[1]), values[:, None, None], biases, (0, 0))

    def _convolve(
        self, operator: Operator, source: int, reads: Shape, weights: NDArray[np.int8], biases: int,
        padding: tuple[int, int],
    ) -> None:  # fmt: skip
        of_source, of_weights = self.graph.tensors[source], self.graph.tensors[operator.inputs[1]]
        number = self._view(source)[0] if operator.kind == "FULLY_CONNECTED" else self._source(source, as_it_is=False)
        target = self._target(operator)
        of_target = self.tensors[target]
        outputs = of_target.shape[2]
        scales = np.broadcast_to(of_weights.scales, (outputs,)).astype(np.float64)
        if any(of_weights.zero_points):
            raise self._refusal("its weights have zero points")
        factors = scales * of_source.scale / of_target.scale
        if operator.kind == "FULLY_CONNECTED" and len(of_weights.scales) == 1:
            factors[:] = float(np.float32(of_source.scale) * np.float32(of_weights.scales[0])) / of_target.scale
        found = [multiplier_of(factor) for factor in factors.tolist()]
        sums = weights.astype(np.int64).sum(axis=(0, 1) if weights.ndim == 3 else (1, 2, 3))
        plain = np.frombuffer(self.graph.tensors[biases].data, "<i4").astype(np.int64) if biases >= 0 else 0
        low, high = self._bounds(operator, of_target)
        expected = (outputs,) if weights.ndim == 3 else (reads[2], outputs)
        if (weights.shape[-1], *weights.shape[:1][: len(expected) - 1]) != expected:
            raise self._refusal(f"its weights of shape {weights.shape} fit neither {reads} nor {outputs} channels")
        self.steps.append(
            Convolution(
                source=number,
                target=target,
                reads=reads,
                weights=weights,
                biases=(plain - of_source.zero_point * sums).astype(np.int32),
                multipliers=np.array([one.multiplier for one in found], np.int32),
                shifts=np.array([one.shift for one in found], np.int32),
                stride=self._stride(operator),
                padding=padding,
                low=low,
                high=high,
            )
        )

    def _addition(self, operator: Operator) -> None:
        one, other = operator.inputs
        sources = (self._source(one), self._source(other))
        target = self._target(operator)
        if not self._shape(one) == self._shape(other) == self.tensors[target].shape:
            raise self._refusal("it adds tensors of different shapes")
        scales = [self.graph.tensors[each].scale for each in (one, other)]
        twice = 2 * max(scales)
        first, second = (multiplier_of(scale / twice) for scale in scales)
        low, high = self._bounds(operator, self.tensors[target])
        result = multiplier_of(twice / (2**ADDITION_SHIFT * self.tensors[target].scale))
        self.steps.append(Addition(sources, target, (first, second), result, low, high))

    def _pooling(self, operator: Operator) -> None:
        is_average = operator.kind == "AVERAGE_POOL_2D"
        source, padding = self._unpadded(operator.inputs[0], operator, value=None if is_average else -128)
        if is_average and operator.inputs[0] in self.pads:
            raise self._refusal("it holds a padded AVERAGE_POOL_2D")
        number, target, options = self._source(source), self._target(operator), operator.options
        if not self._same_scale(source, operator.outputs[0]):
            raise self._refusal(f"it holds a {operator.kind} between two scales")
        low, high = self._bounds(operator, self.tensors[target])
        kernel = (options["kernel_height"], options["kernel_width"])
        stride = self._stride(operator)
        self.steps.append(Pooling(number, target, is_average, kernel, stride, padding, low, high))

    def _mean(self, operator: Operator) -> None:
        source, axes = operator.inputs
        is_sum = operator.kind == "SUM"
        number, indices = self._view(source)
        over = sorted(self._integers(axes).tolist())
        kept = [axis for axis in range(indices.ndim) if axis not in over]
        height, width, channels = self.tensors[number].shape
        groups = indices.transpose([*kept, *over]).reshape(channels, -1)
        expected = np.arange(height * width * channels).reshape(-1, channels).T
        if not np.array_equal(np.sort(groups, axis=1), expected) or (operator.options["keep_dims"] and not is_sum):
            raise self._refusal(f"it holds a {operator.kind} that is not one over height and width")
        target = self._target(operator)
        rescaling = None
        if is_sum or not self._same_scale(source, operator.outputs[0]):
            rescaling = multiplier_of(self.graph.tensors[source].scale / self.tensors[target].scale)
        if rescaling is not None and not is_sum:
            rescaling = _shared(rescaling, height * width)
        self.steps.append(Mean(number, target, rescaling))

    def _concatenation(self, operator: Operator) -> None:
        rank = len(self.graph.tensors[operator.outputs[0]].shape)
        axis = operator.options["axis"] % rank
        if axis == 0 or operator.options["activation"]:
            raise self._refusal("it holds a CONCATENATION of windows, or one with an activation function")
        if not all(self._same_scale(source, operator.outputs[0]) for source in operator.inputs):
            raise self._refusal("it holds a CONCATENATION of different scales")
        if all(self._seen(source)[0] == _ENCODED for source in operator.inputs):
            self._join(operator, axis)
            return
        sources = tuple(self._source(source) for source in operator.inputs)
        self.steps.append(Concatenation(sources, self._target(operator), axis + 3 - rank))

    def _join(self, operator: Operator, axis: int) -> None:
        """Fields of the encoder's output, one behind the other as the encoder gives them."""
        parts, begin = [], 0
        for source in operator.inputs:
            indices = self.views[source][1]
            parts.append(indices + begin)
            begin += indices.size
        joined = np.concatenate(parts, axis=axis)
        if not np.array_equal(joined.reshape(-1), np.arange(begin)):
            raise self._refusal("it joins the encoder's fields in another order than the encoder's")
        self.views[operator.outputs[0]] = _ENCODED, joined
        self.parts[operator.outputs[0]] = tuple(part for source in operator.inputs for part in self.parts[source])

    def _seen(self, tensor: int) -> tuple[int, Places]:
        if tensor not in self.views:
            raise self._refusal(f"its tensor {tensor} comes out of nowhere")
        return self.views[tensor]

    def _view(self, tensor: int) -> tuple[int, Places]:
        """The plan's tensor behind one of the graph's, and which of its bytes each element is.

        The encoder's output becomes the plan's first tensor, in the order in which it is read first.
        """
        number, indices = self._seen(tensor)
        if number != _ENCODED:
            return number, indices
        if not self.tensors:
            if indices.size != math.prod(self.encoded):
                raise self._refusal(f"its integers begin with {indices.shape}, not at the encoder's end")
            places = np.empty(indices.size, np.intp)
            places[indices.reshape(-1)] = np.arange(indices.size)
            self.first = self.parts[tensor], places
            self._added(tensor)
        return 0, self.first[1][indices]

    def _source(self, tensor: int, *, as_it_is: bool = True) -> int:
        """The plan's tensor behind one of the graph's, whose elements have the same order, ``as_it_is``: and shape."""
        number, indices = self._view(tensor)
        if not np.array_equal(indices.reshape(-1), np.arange(indices.size)):
            raise self._refusal("it reads a tensor in another order than it was made in, as after a TRANSPOSE")
        if as_it_is and self._shape(tensor) != self.tensors[number].shape:
            raise self._refusal(f"it reads a tensor of shape {self.tensors[number].shape} as {self._shape(tensor)}")
        return number

    def _target(self, operator: Operator) -> int:
        target = operator.outputs[0]
        number, size = self._added(target), math.prod(self.graph.tensors[target].shape)
        self.views[target] = number, np.arange(size).reshape(self.graph.tensors[target].shape)
        return number

    def _added(self, tensor: int) -> int:
        stored = self.graph.tensors[tensor]
        if len(stored.scales) != 1 or stored.kind != "int8":
            raise self._refusal(f"its tensor {stored.name.decode(errors='replace')!r} is not int8 with one scale")
        self.tensors.append(Tensor(self._shape(tensor), stored.scale, stored.zero_point))
        return len(self.tensors) - 1

    def _shape(self, tensor: int) -> Shape:
        shape = self.graph.tensors[tensor].shape
        if not 2 <= len(shape) <= 4 or shape[0] != 1:
            raise self._refusal(f"it holds a tensor of shape {shape}")
        height, width, channels = (1,) * (4 - len(shape)) + shape[1:]
        return height, width, channels

    def _unpadded(self, tensor: int, operator: Operator, *, value: int | None) -> tuple[int, tuple[int, int]]:
        """The tensor before its padding, and rows above and columns before it; ``value``: of padding, None: 0."""
        source, above, before, given = self.pads.get(tensor, (tensor, 0, 0, 0))
        if source != tensor and given != (self.graph.tensors[source].zero_point if value is None else value):
            raise self._refusal(f"it pads with {given} before {operator.kind}")
        if operator.options["is_same"]:
            of_kernel = self._kernel(operator)
            given_shape, made = self._shape(tensor), self._shape(operator.outputs[0])
            strides = self._stride(operator)
            needed = [
                max(0, (out - 1) * step + size - there)
                for out, step, size, there in zip(made, strides, of_kernel, given_shape, strict=False)
            ]
            above, before = above + needed[0] // 2, before + needed[1] // 2
        return source, (above, before)

    def _stride(self, operator: Operator) -> tuple[int, int]:
        stride = (operator.options.get("stride_height", 1), operator.options.get("stride_width", 1))
        if not all(1 <= step <= _LONGEST_STRIDE for step in stride):
            raise self._refusal(f"it holds a {operator.kind} with the stride {stride}")
        return stride

    def _kernel(self, operator: Operator) -> tuple[int, int]:
        if "kernel_height" in operator.options:
            return operator.options["kernel_height"], operator.options["kernel_width"]
        shape = self.graph.tensors[operator.inputs[1]].shape
        return shape[1], shape[2]

    def _same_scale(self, one: int, other: int) -> bool:
        first, second = self.graph.tensors[one], self.graph.tensors[other]
        return (first.scale, first.zero_point) == (second.scale, second.zero_point)

    def _bounds(self, operator: Operator, target: Tensor) -> tuple[int, int]:
        """Bounds of a result: int8's, and those of the activation function."""
        activation = operator.options.get("activation", 0)
        if activation not in (0, _RELU, _RELU6):
            raise self._refusal(f"it holds a {operator.kind} with activation function {activation}")
        low = max(-128, target.zero_point) if activation else -128
        high = min(127, target.zero_point + round(6 / target.scale)) if activation == _RELU6 else 127
        return low, high

    def _integers(self, tensor: int) -> NDArray[np.int32]:
        return np.frombuffer(self.graph.tensors[tensor].data, "<i4")


def _shared(scale: Rescaling, count: int) -> Rescaling:
    """A rescaling that divides by a count as well, as TensorFlow Lite's mean between two scales does."""
    shift = min(count.bit_length() - 1, 32, 31 + scale.shift)
    return Rescaling((scale.multiplier << shift) // count, scale.shift - shift)
