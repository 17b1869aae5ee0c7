"""What ``vskd inspect`` tells of a model: the costs against torch's own layers, the ports against the engines."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from vskd.bundle import Bundle
from vskd.commands.inspect import inspect
from vskd.contract import Contract, GafSpec
from vskd_export.convert import tflite_file
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.onnx import to_onnx
from vskd_export.package.describe import describe_model
from vskd_export.quantize.recipes import MODELS
from vskd_training.models.student import Student, gaf_resnet

from ..conftest import Trained


@pytest.fixture(scope="module")
def graphs(bundle: Bundle) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(bundle.checked_path("report.json").read_text())["graphs"]
    return told


def cost_in_torch(student: Student, contract: Contract) -> tuple[int, int]:
    """(MACs, parameters), counted by hooks on the layers that ran; normalization is folded into a bias per channel."""
    macs = parameters = 0

    def count(layer: torch.nn.Module, _: object, result: torch.Tensor) -> None:
        nonlocal macs, parameters
        weight = layer.weight
        macs += result.numel() * weight[0].numel()
        parameters += weight.numel() + weight.shape[0]

    layers = [m for m in student.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        student(torch.zeros(1, *contract.window_shape))
    for handle in handles:
        handle.remove()
    axes, samples, size = *contract.window_shape, contract.gaf.size
    averaging = axes * size * samples
    products = axes * size * size * 2 * len(contract.gaf.fields)
    return macs + averaging + products, parameters + samples * size


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.file)
def test_macs_and_parameters_are_those_of_torchs_layers(graphs: dict[str, Any], trained: Trained, model: Any) -> None:
    macs, parameters = cost_in_torch(trained.student, trained.contract)
    assert (graphs[model.file]["macs"], graphs[model.file]["parameters"]) == (macs, parameters)


def test_ports_version_and_operators_are_the_files(graphs: dict[str, Any], files: dict[str, bytes]) -> None:
    for model in MODELS:
        told = graphs[model.file]
        assert told["inputs"] == [{"name": "window", "shape": [1, 3, 64], "type": "float32"}]
        assert told["outputs"] == [
            {"name": "logits", "shape": [1, 4], "type": "float32"},
            {"name": "embedding", "shape": [1, 300], "type": "float32"},
        ]
        convolution = "Conv" if model.format == "onnx" else "CONV_2D"
        assert told["operators"][convolution] == 20
        assert told["version"].startswith("opset " if model.format == "onnx" else "TFLite schema 3")
        assert set(told["quantization"]) == (set() if model.recipe == "fp32" else {"image", "embedding", "logits"})


@pytest.mark.parametrize("output", ["logits", "embedding"])
def test_the_quantization_of_an_output_is_the_grid_on_which_it_lies(
    graphs: dict[str, Any], files: dict[str, bytes], trained: Trained, output: str
) -> None:
    name = "model.w8a8-static-pc.onnx"
    session = onnxruntime.InferenceSession(files[name], providers=["CPUExecutionProvider"])
    values = np.concatenate([session.run([output], {"window": w[None]})[0] for w in trained.held_out.windows[:8]])
    steps = values / graphs[name]["quantization"][output]["scale"]
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)


def test_inspect_in_words(bundle: Bundle) -> None:
    done = CliRunner().invoke(inspect, [str(bundle.path)])

    assert done.exit_code == 0, done.output
    for text in (
        "64 samples at 50 Hz (1.28 s), one every 32 (0.64 s)", "gadf, 3 x 32 x 32, inside the model",
        "accelerometer on the right wrist", "4: rest, slow, medium, fast", "input      window (1, 3, 64)  float32",
        "20 CONV_2D", "opset ", "million MACs", "8-bit steps of", "the same inside the file",
        "embedding  300 features", "output     embedding (1, 300)  float32",
    ):  # fmt: skip
        assert text in done.output


def test_inspect_in_json(bundle: Bundle) -> None:
    told = json.loads(CliRunner().invoke(inspect, [str(bundle.path), "--json"]).output)

    assert Contract.from_mapping(told["contract"]) == bundle.contract
    assert [model["file"] for model in told["models"]] == [model.file for model in MODELS]
    assert [model["contract_problem"] for model in told["models"]] == [""] * 4
    assert told["models"][0]["macs"] == told["models"][2]["macs"] > 0
    assert told["files"].keys() == bundle.files.keys()


@pytest.mark.slow
def test_two_fields_and_a_wider_image_cost_what_torch_says() -> None:
    contract = Contract(labels=("a", "b"), gaf=GafSpec(fields=("gasf", "gadf"), size=16, scaling="minmax"))
    untrained = gaf_resnet(contract, width=0.125).train()
    untrained(torch.randn(4, *contract.window_shape))  # or normalization has no bias, and none is written
    student = frozen_copy(untrained)
    told = describe_model(to_onnx(student, contract), "onnx")
    assert (told["macs"], told["parameters"]) == cost_in_torch(student, contract)


def test_a_float_file_has_no_borders(files: dict[str, bytes]) -> None:
    assert tflite_file.borders(tflite_file.read_model(files["model.fp32.tflite"])) == {}
