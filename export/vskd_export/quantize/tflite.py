"""Quantized TFLite, the encoder in float: static int8 with 8 or 16-bit activations, int8 or half-precision weights.

The recipe names operations instead of saying "all", and names them only behind the encoder: int8 ahead of the encoder's
square root or division would cost up to 0.17 in the image. The residual additions are part of it; left in float they
cost 60 KB of a microcontroller's arena.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd_export.convert.graph import INPUT_NAME
from vskd_export.convert.tflite_file import finish, network_start, operator_names, output_names, read_model
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.ranges import Ranges
from vskd_export.quantize.recipes import RECIPES
from vskd_export.subprocesses import call_in_subprocess

#: What the students are made of in TFLite.
QUANTIZED_OPERATIONS = (
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "MAX_POOL_2D",
    "MEAN",
    "PAD",
    "PADV2",
    "RESHAPE",
    "SUM",
    "TRANSPOSE",
)

#: Between the encoder and the first convolution the image only changes its layout: cheaper as int8.
_LAYOUT_OPERATIONS = frozenset({"CONCATENATION", "PAD", "PADV2", "RESHAPE", "TRANSPOSE"})

#: What of them has weights.
WEIGHTED_OPERATIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def quantize_tflite(model: bytes, contract: Contract, calibration: WindowSet, recipe: str) -> bytes:
    """Quantize a float ``.tflite`` file of one signature, from the raw window to the logits.

    Parameters
    ----------
    model : what ``to_tflite`` gave
    contract : travels in the file
    calibration : windows that set the ranges of the activations
    recipe : ``w8a8-static-pc``, ``w8a16-static-pc``, ``w8-pc`` or ``fp16``

    Raises
    ------
    MissingExtraError : the export extra is not installed
    VskdError : the quantizer failed
    """
    return finish(quantize_graphs(model, {INPUT_NAME: calibration.windows}, recipe), contract)


def quantize_graphs(model: bytes, inputs: Mapping[str, NDArray[np.float32]], recipe: str) -> bytes:
    """Quantize every signature of a float ``.tflite`` file; what they share they go on sharing.

    Parameters
    ----------
    model : tensors have names of their own in the whole file
    inputs : name of an input -> (n, ...), what it is calibrated with; a signature without a convolution stays in float
    recipe : as for ``quantize_tflite``

    Returns
    -------
    what the quantizer wrote, yet to be finished
    """
    arguments = (model, inputs, recipe)
    return call_in_subprocess(_quantize, *arguments, purpose="quantizing TFLite", needs="ai_edge_quantizer").value


def encoder_outputs(model: Any) -> list[str]:
    """Names of the tensors that the encoder computes: all of a subgraph ahead of the network but its layout.

    Parameters
    ----------
    model : the tree that ``read_model`` gives
    """
    return [name for graph in range(len(model.subgraphs)) for name in output_names(model, graph)[: _end(model, graph)]]


def _end(model: Any, graph: int) -> int:
    """How many of a subgraph's operators are the encoder."""
    operators, end = operator_names(model, graph), network_start(model, graph)
    if end is None:
        return len(operators)
    while end > 0 and operators[end - 1] in _LAYOUT_OPERATIONS:
        end -= 1
    return end


def recipe_behind(encoder: list[str], name: str) -> list[dict[str, Any]]:
    """The quantizer's recipe: our recipe ``name`` for the operations of the network, none for the encoder's tensors."""
    from ai_edge_quantizer import recipe

    made = {
        "w8a8-static-pc": recipe.static_wi8_ai8,
        "w8a16-static-pc": recipe.static_wi8_ai16,
        "w8-pc": recipe.weight_only_wi8_afp32,
        "fp16": _half_precision_weights,
    }
    (everything,) = made[name]()
    behind = "^(?!(?:" + "|".join(re.escape(tensor) for tensor in encoder) + ");?$)"
    operations = QUANTIZED_OPERATIONS if RECIPES[name].calibrated else WEIGHTED_OPERATIONS
    return [{**everything, "operation": operation, "regex": behind} for operation in operations]


def _half_precision_weights() -> Any:
    from ai_edge_quantizer import recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    manager = recipe_manager.RecipeManager()
    manager.add_weight_only_config(
        regex=".*", operation_name="*", num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    return manager.get_quantization_recipe()


def _quantize(content: bytes, inputs: Mapping[str, NDArray[np.float32]], name: str) -> bytes:
    from ai_edge_quantizer import quantizer

    recipe = recipe_behind(encoder_outputs(read_model(content)), name)
    ranges = _activation_ranges(content, recipe, inputs) if RECIPES[name].calibrated else None
    return bytes(quantizer.Quantizer(content, recipe).quantize(ranges).quantized_model)


def _activation_ranges(content: bytes, recipe: list[dict[str, Any]], inputs: Mapping[str, NDArray[np.float32]]) -> Any:
    """Range of every tensor over all calibration inputs, see ``ranges``.

    ``Quantizer.calibrate`` would keep a moving average of them instead, which forgets what it saw early: calibrated
    class by class, a student of 81.2 % on UTD-MHAD flipped 64 of 430 labels; with the true ranges it flips 2. It is
    asked once, for what it wants to know of which tensor.
    """
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import tfl_interpreter_utils as interpreters

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe)
    model, samples = read_model(content), {}
    for signature in model.signatureDefs:
        if network_start(model, signature.subgraphIndex) is not None:
            port = signature.inputs[0].name.decode()
            samples[signature.signatureKey.decode()] = [{port: each[np.newaxis]} for each in inputs[port]]
    observer = calibrator.Calibrator(content, num_threads=1)
    observer.calibrate({key: rows[:1] for key, rows in samples.items()}, manager)
    wanted, ranges = observer.get_model_qsvs(), Ranges()
    interpreter = interpreters.create_tfl_interpreter(content, num_threads=1)
    for key, rows in samples.items():
        graph = interpreters.get_signature_main_subgraph_index(interpreter, key)
        for row in rows:
            interpreters.invoke_interpreter_signature(interpreter, row, key)
            tensors = interpreters.get_tensor_name_to_content_map(interpreter, graph)
            ranges.add({name: tensors[name] for name in wanted if name in tensors})
    return {name: _with_range(known, ranges.found.get(name)) for name, known in wanted.items()}


def _with_range(known: Mapping[str, Any], found: tuple[float, float] | None) -> dict[str, Any]:
    """What the quantizer knows of a tensor, with these ends; a stored tensor keeps its own."""
    if found is None or not known:
        return dict(known)
    low, high = (np.full_like(known[end], value) for end, value in zip(("min", "max"), found, strict=True))
    return {**known, "min": low, "max": high}
