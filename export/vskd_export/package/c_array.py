"""A ``.tflite`` as C source for a microcontroller: ``model_data.h`` and ``model_data.c``, in C11 and fit for C++.

The bytes are written as little-endian 64-bit words, 2.4 characters a byte where single bytes take 5: the quarter-width
model is 2 MB of text and compiles in a moment, so both files are in every bundle and no flag decides. A processor of
the other byte order stops at compile time. The header holds what a firmware must know beside the bytes: shapes, labels,
temperature, quantization at the border of the integer part, operators for the resolver, and the arena.

This module knows no interpreter; the arena is measured by ``vskd_export.judge.micro``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle_files import C_HEADER, C_SOURCE
from vskd.contract import Contract
from vskd.errors import VskdError
from vskd_export.convert.tflite_file import borders, operator_names, read_model

#: TensorFlow Lite Micro reads tensors in place and wants them on such a border.
ALIGNMENT_BYTES = 16

_WORDS_PER_LINE = 6

#: Operator -> method of ``tflite::MicroMutableOpResolver`` (tensorflow/lite/micro/micro_mutable_op_resolver.h).
RESOLVER_METHODS: Mapping[str, str] = {
    "ABS": "AddAbs",
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "BATCH_MATMUL": "AddBatchMatMul",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "DIV": "AddDiv",
    "EXP": "AddExp",
    "FULLY_CONNECTED": "AddFullyConnected",
    "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "NEG": "AddNeg",
    "PACK": "AddPack",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "QUANTIZE": "AddQuantize",
    "REDUCE_MAX": "AddReduceMax",
    "REDUCE_MIN": "AddReduceMin",
    "RELU": "AddRelu",
    "RESHAPE": "AddReshape",
    "SLICE": "AddSlice",
    "SQRT": "AddSqrt",
    "SQUEEZE": "AddSqueeze",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
}


def c_files(model: bytes, contract: Contract, *, name: str, micro: Mapping[str, Any]) -> dict[str, bytes]:
    """``model_data.h`` and ``model_data.c``.

    Parameters
    ----------
    model : content of the ``.tflite``
    contract : fixes shapes, labels and temperature
    name : of the model file, for the reader
    micro : the gate's table of TensorFlow Lite Micro, with ``arena_bytes`` and ``version`` where it ran

    Raises
    ------
    VskdError : the model holds an operator that TensorFlow Lite Micro's resolver does not know
    """
    return {
        C_HEADER: _header(model, contract, name, micro).encode(),
        C_SOURCE: _source(model, contract).encode(),
    }


def resolver_methods(operators: Iterable[str]) -> list[str]:
    """The resolver's methods for these operators, each once, sorted.

    Raises
    ------
    VskdError : an operator that is not in the table
    """
    names = set(operators)
    unknown = sorted(names - set(RESOLVER_METHODS))
    if unknown:
        raise VskdError(
            f"no method of TensorFlow Lite Micro's resolver is known for {', '.join(unknown)}",
            hint="Look it up in micro_mutable_op_resolver.h and add it to vskd_export.package.c_array",
        )
    return sorted(RESOLVER_METHODS[name] for name in names)


def _header(model: bytes, contract: Contract, name: str, micro: Mapping[str, Any]) -> str:
    tree = read_model(model)
    graph = tree.subgraphs[0]
    methods = resolver_methods(operator_names(tree))
    calls = " \\\n".join(f"    (resolver).{method}();" for method in methods)
    channels, samples = contract.window_shape
    features = int(graph.tensors[graph.outputs[1]].shape[1])
    return f"""\
/* {name} for TensorFlow Lite Micro, written by vskd export; not to be edited.
 * SHA-256 of the bytes: {hashlib.sha256(model).hexdigest()}
 *
 * Input: window, float32 [1][{channels}][{samples}], acceleration in g with gravity,
 * axes {", ".join(contract.sensor.axes)}.
 * Output 0: logits, float32 [1][{len(contract.labels)}]; softmax(logits / VSKD_TEMPERATURE) gives probabilities.
 * Output 1: embedding, float32 [1][{features}], compared by cosine with those of the wearer's own examples.
 * contract.json, beside this file, holds the rest.
 */
#ifndef VSKD_MODEL_DATA_H
#define VSKD_MODEL_DATA_H

#include <stdint.h>

#define VSKD_MODEL_SIZE_BYTES {len(model)}
#define VSKD_WINDOW_CHANNELS {channels}
#define VSKD_WINDOW_SAMPLES {samples}
#define VSKD_CLASSES {len(contract.labels)}
#define VSKD_EMBEDDING_SIZE {features}
#define VSKD_TEMPERATURE {float(np.float32(contract.decision.temperature))!r}f
{_quantization(tree)}
{_arena(micro)}
/* tflite::MicroMutableOpResolver<VSKD_OPERATORS> resolver; VSKD_ADD_OPERATORS(resolver) */
#define VSKD_OPERATORS {len(methods)}
#define VSKD_ADD_OPERATORS(resolver) \\
{calls}

#ifdef __cplusplus
extern "C" {{
#endif
extern const uint64_t vskd_model_words[{_words(model).size}];
extern const char *const vskd_labels[VSKD_CLASSES];
#ifdef __cplusplus
}}
#endif

/* tflite::GetModel(VSKD_MODEL_DATA) */
#define VSKD_MODEL_DATA ((const unsigned char *)vskd_model_words)

#endif
"""


def _source(model: bytes, contract: Contract) -> str:
    labels = ",\n".join(f"    {_c_string(label)}" for label in contract.labels)
    words = [f"0x{word:x}u" for word in _words(model).tolist()]
    rows = ",\n".join(
        ",".join(words[start : start + _WORDS_PER_LINE]) for start in range(0, len(words), _WORDS_PER_LINE)
    )
    return f"""\
/* Written by vskd export; not to be edited. See {C_HEADER}. */
#include "{C_HEADER}"

#include <stdalign.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the model's bytes are written as little-endian words"
#endif

const char *const vskd_labels[VSKD_CLASSES] = {{
{labels}
}};

alignas({ALIGNMENT_BYTES}) const uint64_t vskd_model_words[{len(words)}] = {{
{rows}
}};
"""


def _c_string(text: str) -> str:
    """A C string literal of the text in UTF-8, everything but plain ASCII as octal escapes."""
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode())
    return '"' + "".join(plain) + '"'


def _words(model: bytes) -> NDArray[np.uint64]:
    """The bytes as little-endian words, zeros behind the end."""
    padded = model + bytes(-len(model) % 8)
    return np.frombuffer(padded, dtype="<u8")


def _arena(micro: Mapping[str, Any]) -> str:
    if "arena_bytes" not in micro:
        return "\n/* The arena was not measured: tflite-micro was not installed at export. */\n"
    return (
        f"\n/* Tensor arena that TensorFlow Lite Micro {micro['version']} needed on a 64-bit machine. */\n"
        f"#define VSKD_ARENA_BYTES {micro['arena_bytes']}\n"
    )


def _quantization(tree: Any) -> str:
    """Scale and zero point where the integer part begins (behind the encoder) and ends (the outputs)."""
    lines = [
        line
        for place, values in borders(tree).items()
        for line in (
            f"#define VSKD_{place.upper()}_SCALE {values['scale']!r}f",
            f"#define VSKD_{place.upper()}_ZERO_POINT ({values['zero_point']})",
        )
    ]
    return "\n".join(["/* int8 between the encoder and the outputs; the model converts at both ends. */", *lines])
