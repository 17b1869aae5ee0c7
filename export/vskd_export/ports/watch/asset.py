"""The binary file beside the Kotlin code: the encoder, the tensors, and the plan's steps with their weights.

A class file's methods hold 64 KB of code, so weights cannot be code. Numbers are big-endian, as Java's
``DataInputStream`` reads them; an array is its length, then its elements. ``Network.kt`` and ``Encode.kt`` read it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract, GafSpec, RawSpec
from vskd.encoders.gaf import paa_matrix
from vskd.plan.steps import Addition, Concatenation, Convolution, Mean, Plan, Pooling, Rescaling, Step

_TRANSFORMS, _FIELDS, _SCALINGS = ("g", "tanh", "centred"), ("gasf", "gadf"), ("tanh", "minmax", "range")


def network_file(contract: Contract, plan: Plan) -> bytes:
    """What ``Network.read`` reads.

    Parameters
    ----------
    contract : says how a window is encoded
    plan : of its int8 model
    """
    raw, samples = contract.raw, contract.window.samples
    encoder = _raw(raw) if raw is not None else _image(contract.image_spec, samples)
    tensors = [struct.pack(">iiifi", *one.shape, one.scale, one.zero_point) for one in plan.tensors]
    parts = [struct.pack(">ifi", one.count, one.scale, one.zero_point) + _maybe(one.rescaling) for one in plan.parts]
    steps = [_step(plan, step) for step in plan.steps]
    outputs = struct.pack(">ii", plan.logits, -1 if plan.embedding is None else plan.embedding)
    places = _ints(plan.places.reshape(-1))
    return b"".join(
        [encoder, _int(len(tensors)), *tensors, _int(len(parts)), *parts, places, _int(len(steps)), *steps, outputs]
    )


def _raw(spec: RawSpec) -> bytes:
    transforms = [_TRANSFORMS.index(one) for one in spec.transforms]
    return struct.pack(">?", False) + _ints(transforms) + struct.pack(">ff", 1.0 / spec.scale_g, spec.clip_g)


def _image(spec: GafSpec, samples: int) -> bytes:
    fields = [_FIELDS.index(one) for one in spec.fields]
    numbers = struct.pack(">iff", _SCALINGS.index(spec.scaling), spec.scale_g, 1.0 / spec.scale_g)
    ends = np.cumsum((paa_matrix(samples, spec.size) > 0).sum(axis=0))
    return struct.pack(">?", True) + _ints(fields) + numbers + _ints([0, *ends])


def _step(plan: Plan, step: Step) -> bytes:
    match step:
        case Convolution():
            return _convolution(step)
        case Addition():
            terms = (*step.rescalings, step.result)
            rescalings = b"".join(map(_rescaling, terms))
            return struct.pack(">biii", 1, *step.sources, step.target) + rescalings + _bounds(step)
        case Pooling():
            place = struct.pack(">bii?", 2, step.source, step.target, step.is_average)
            return place + _kernel(step.kernel, step) + _bounds(step)
        case Mean():
            place = struct.pack(">bii", 3, step.source, step.target)
            return place + _maybe(step.rescaling)
        case Concatenation():
            inner = [int(np.prod(plan.tensors[one].shape[step.axis :])) for one in step.sources]
            return struct.pack(">b", 4) + _ints(step.sources) + _int(step.target) + _ints(inner)


def _convolution(step: Convolution) -> bytes:
    kernel = step.weights.shape[:2] if step.is_depthwise else step.weights.shape[1:3]
    return b"".join(
        [
            struct.pack(">biiiii?", 0, step.source, step.target, *step.reads, step.is_depthwise),
            _kernel(kernel, step),
            _int(step.weights.size),
            step.weights.tobytes(),
            _ints(step.biases),
            _ints(step.multipliers),
            _ints(step.shifts),
            _bounds(step),
        ]
    )


def _kernel(kernel: Sequence[int], step: Convolution | Pooling) -> bytes:
    return struct.pack(">iiiiii", *kernel, *step.stride, *step.padding)


def _bounds(step: Convolution | Addition | Pooling) -> bytes:
    return struct.pack(">ii", step.low, step.high)


def _maybe(rescaling: Rescaling | None) -> bytes:
    return struct.pack(">?", rescaling is not None) + (_rescaling(rescaling) if rescaling else b"")


def _rescaling(rescaling: Rescaling) -> bytes:
    return struct.pack(">ii", rescaling.multiplier, rescaling.shift)


def _int(value: int) -> bytes:
    return struct.pack(">i", value)


def _ints(values: Sequence[int] | NDArray[np.integer]) -> bytes:
    return _int(len(values)) + np.asarray(values, dtype=">i4").tobytes()


def text(value: str) -> bytes:
    """As Java's ``writeUTF``: a character beyond 16 bits as two of three bytes each, and 0 as two bytes."""
    units = value.encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)]
    content = b"".join(b"\xc0\x80" if code == 0 else chr(code).encode("utf-8", "surrogatepass") for code in codes)
    return struct.pack(">H", len(content)) + content
