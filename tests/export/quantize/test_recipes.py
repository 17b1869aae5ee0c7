from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.checks.golden import cosines
from vskd.engines.process import infer_in_subprocess
from vskd.errors import ConfigError
from vskd.model_contract import contract_inside
from vskd_export.command import export
from vskd_export.convert import tflite_file
from vskd_export.judge.evidence import torch_outputs
from vskd_export.judge.sizes import weight_bytes
from vskd_export.package.describe import describe_model
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.onnx import int8_per_channel, quantize_onnx
from vskd_export.quantize.recipes import MODELS, RECIPES, parse_recipes
from vskd_export.quantize.tflite import quantize_tflite

from ..conftest import Trained


def test_the_default_is_float_and_int8_in_both_formats() -> None:
    names = [model.file for model in parse_recipes(())]
    assert names == [model.file for model in MODELS]
    assert names == [
        "model.fp32.onnx", "model.w8a8-static-pc.onnx", "model.fp32.tflite", "model.w8a8-static-pc.tflite",
    ]  # fmt: skip


def test_a_name_is_for_every_format_or_for_the_one_that_it_ends_in() -> None:
    models = parse_recipes(("fp16", "w8a8s-static-pc.onnx", "w8a8-static-pc.tflite", "fp16.onnx", "fp32"))
    assert [model.file for model in models] == [
        "model.fp32.onnx", "model.fp16.onnx", "model.w8a8s-static-pc.onnx",
        "model.fp32.tflite", "model.fp16.tflite", "model.w8a8-static-pc.tflite",
    ]  # fmt: skip


def test_the_words_that_users_say_mean_the_decodable_names() -> None:
    assert parse_recipes(["int8"]) == parse_recipes(["w8a8-static-pc"]) == MODELS
    assert parse_recipes(["int8.tflite"]) == parse_recipes(["w8a8-static-pc.tflite"])
    assert {model.recipe for model in parse_recipes(["fp32"])} == {"fp32"}
    assert {model.recipe for model in parse_recipes(["fp16", "int8"])} == {"fp32", "fp16", "w8a8-static-pc"}


@given(names=st.permutations(("fp16", "int8", "w8a8s-static-pc.onnx", "w8-pc")))
def test_the_order_of_the_models_is_not_the_one_in_which_they_were_asked_for(names: list[str]) -> None:
    assert [model.file for model in parse_recipes(names)] == [
        "model.fp32.onnx", "model.fp16.onnx", "model.w8a8-static-pc.onnx", "model.w8a8s-static-pc.onnx",
        "model.w8-pc.onnx", "model.fp32.tflite", "model.fp16.tflite", "model.w8a8-static-pc.tflite",
        "model.w8-pc.tflite",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("w8a8-dynamic", r"no recipe 'w8a8-dynamic'.*Known: fp16, fp32, int8"),
        (
            "w8a8-static",
            r"no recipe 'w8a8-static'\. Did you mean 'w8a8-static-pc'\? Known: fp16, fp32, int8, w8-pc",
        ),
        ("fp16.keras", r"no recipe 'fp16\.keras'\. Known: fp16, fp32"),
        ("w8a8s-static-pc", r"not offered as tflite: TFLite's .* signed already.*Offered: w8a8s-static-pc\.onnx"),
        ("w8a16-static-pc", r"not offered as onnx: ONNX Runtime has no 16-bit .*Offered: w8a16-static-pc\.tflite"),
        ("w8a16-static-pc.onnx", r"not offered as onnx"),
    ],
)
def test_what_is_not_offered_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_recipes(("fp16", name))


def test_the_command_refuses_a_recipe_before_it_looks_at_anything(tmp_path: Path) -> None:
    answer = CliRunner().invoke(export, [str(tmp_path / "no run"), "--out", str(tmp_path / "x"), "--recipe", "w4"])
    assert isinstance(answer.exception, ConfigError)
    assert "there is no recipe 'w4'" in str(answer.exception)
    assert list(tmp_path.iterdir()) == []


_SHAPES = hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)
_VALUES = st.floats(-1e3, 1e3, width=32)


@given(weights=hnp.arrays(np.float32, _SHAPES, elements=_VALUES))
@example(weights=np.array([[1e-45]], dtype=np.float32))  # the smallest of all: its step would be 0
def test_int8_weights_are_within_half_a_step_of_their_channel(weights: NDArray[np.float32]) -> None:
    integers, scales = int8_per_channel(weights)

    assert integers.dtype == np.int8
    assert scales.shape == (len(weights),)
    assert integers.min() >= -127
    steps = scales.astype(np.float64).reshape(-1, *[1] * (weights.ndim - 1))
    # Half a step, and the rounding of the scale itself: 127 steps of 2^-24 of one.
    assert (np.abs(integers * steps - weights) <= steps * (0.5 + 1e-4) + 1e-45).all()


EXTRA = parse_recipes(("fp16", "w8a8s-static-pc.onnx", "w8a16-static-pc.tflite", "w8-pc"))
EXTRA = tuple(model for model in EXTRA if model.recipe != "fp32")


@pytest.fixture(scope="session")
def extra(trained: Trained, drawn: WindowSet, files: dict[str, bytes]) -> dict[str, bytes]:
    """The models that no default bundle holds, made of the float ones."""
    tools = {"onnx": quantize_onnx, "tflite": quantize_tflite}
    return {
        model.file: tools[model.format](files[f"model.fp32.{model.format}"], trained.contract, drawn, model.recipe)
        for model in EXTRA
    }


@pytest.mark.slow
@pytest.mark.parametrize("model", EXTRA, ids=lambda model: model.file)
def test_every_other_recipe_is_smaller_runs_and_agrees(
    model: ModelEntry, extra: dict[str, bytes], files: dict[str, bytes], trained: Trained, tmp_path: Path
) -> None:
    full, small = f"model.fp32.{model.format}", extra[model.file]
    assert weight_bytes(full, files[full]) / weight_bytes(model.file, small) == 32 / RECIPES[model.recipe].weight_bits

    (tmp_path / model.file).write_bytes(small)
    windows = trained.held_out.windows[:32]
    engine = {"onnx": "onnxruntime", "tflite": "litert"}[model.format]
    answer = infer_in_subprocess(engine, [tmp_path / model.file], windows, embeddings=True)
    (logits,), (embeddings,) = answer.logits, answer.embeddings

    expected, features = torch_outputs(trained.student, windows)
    assert cosines(embeddings, features).min() > 0.99
    span = float(np.ptp(expected))
    # Half precision has 11 bits; int8 weights 7, over a dozen layers.
    assert 0 < np.abs(logits - expected).max() <= span * (0.002 if model.recipe == "fp16" else 0.05)
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


Layer = tuple[NDArray[np.int8], NDArray[np.float32]]


def stored_in_onnx(content: bytes) -> list[Layer]:
    """Integers (outputs, ...) and scales of the 20 convolutions and of the 2 layers of the head."""
    graph = onnx.load_from_string(content).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    widened = {node.output[0]: node.input for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [widened[node.input[1]] for node in graph.node if node.op_type in ("Conv", "Gemm")]
    return [(stored[integers], stored[scales]) for integers, scales, *_ in layers]


def stored_in_tflite(content: bytes) -> list[Layer]:
    """Integers (outputs, ...) and scales of the 20 convolutions and of the 2 layers of the head."""
    model = tflite_file.read_model(content)
    graph, names = model.subgraphs[0], tflite_file.operator_names(model)
    named = list(zip(names, graph.operators, strict=True))
    widened = {operator.outputs[0]: operator.inputs[0] for name, operator in named if name == "DEQUANTIZE"}
    behind = named[names.index("CONV_2D") :]  # the encoder averages by a matrix of its own, in float
    weights = [operator.inputs[1] for name, operator in behind if name in ("CONV_2D", "FULLY_CONNECTED")]
    tensors = [graph.tensors[widened.get(index, index)] for index in weights]
    return [
        (model.buffers[tensor.buffer].data.view(np.int8).reshape(tensor.shape), tensor.quantization.scale)
        for tensor in tensors
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [model for model in EXTRA if RECIPES[model.recipe].weight_bits == 8], ids=lambda model: model.file
)
def test_int8_weights_have_a_scale_of_each_channel_s_own(model: ModelEntry, extra: dict[str, bytes]) -> None:
    """The largest weight of every channel is 127 of its steps; a scale of several channels leaves most of them less."""
    layers = (stored_in_onnx if model.format == "onnx" else stored_in_tflite)(extra[model.file])

    assert len(layers) == 22
    for integers, scales in layers:
        assert len(scales) == len(integers)
        assert set(np.abs(integers.reshape(len(integers), -1).astype(int)).max(axis=1)) == {127}


@pytest.mark.slow
def test_activations_have_the_type_that_the_recipe_says(extra: dict[str, bytes]) -> None:
    """``a8s``: signed, of 8 bits; ``a16``: of 16 bits."""
    graph = onnx.load_from_string(extra["model.w8a8s-static-pc.onnx"]).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zeros = [stored[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert {zero.dtype.name for zero in zeros} == {"int8"}

    model = tflite_file.read_model(extra["model.w8a16-static-pc.tflite"])
    tensors, names = model.subgraphs[0].tensors, tflite_file.operator_names(model)
    operators = [row for row, name in zip(model.subgraphs[0].operators, names, strict=True) if name == "CONV_2D"]
    assert {tensors[operator.outputs[0]].type for operator in operators} == {schema.TensorType.INT16}


@pytest.mark.slow
@pytest.mark.parametrize("model", EXTRA, ids=lambda model: model.file)
def test_the_report_can_describe_every_other_recipe(
    model: ModelEntry, extra: dict[str, bytes], files: dict[str, bytes]
) -> None:
    described = describe_model(extra[model.file], model.format)
    assert described["macs"] == describe_model(files[f"model.fp32.{model.format}"], model.format)["macs"] > 0


@pytest.mark.slow
def test_the_contract_travels_where_weights_alone_changed(
    extra: dict[str, bytes], trained: Trained, tmp_path: Path
) -> None:
    for name in ("model.fp16.onnx", "model.w8-pc.onnx"):
        assert contract_inside(extra[name], "onnx", name=name) == trained.contract
