"""The variants: shared weights, named ports, and a gate as strict as that of raw window -> logits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner

from vskd.bundle import Bundle
from vskd.bundle_files import signatures_file, variant_file
from vskd.checks.golden import cosines
from vskd.commands.inspect import inspect
from vskd.decide import softmax
from vskd.errors import GateError
from vskd.model_contract import contract_inside
from vskd_export import build
from vskd_export.convert import tflite_file
from vskd_export.convert.onnx_variants import probabilities_variant
from vskd_export.convert.tflite_variants import SIGNATURES
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float64_encoders import reference_encoded
from vskd_export.judge.variants import check_variants
from vskd_export.quantize import variants as quantize_variants
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.recipes import FLOAT_RECIPE, INTEGER_RECIPE, MODELS, entry, parse_recipes
from vskd_export.quantize.variants import make_variants
from vskd_training.models.student import Student

from .conftest import Trained, request_for, silent

Float32 = npt.NDArray[np.float32]

RECIPES = (FLOAT_RECIPE, INTEGER_RECIPE)


@pytest.fixture(scope="session")
def variants(trained: Trained, student: Student, files: dict[str, bytes], drawn: WindowSet) -> dict[str, bytes]:
    return make_variants(student, trained.contract, files=files, calibration=drawn, models=MODELS)


def run_onnx(content: bytes, values: Float32) -> Float32:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    return np.concatenate([session.run(None, {port.name: each[None]})[0] for each in values])


def run_signature(content: bytes, variant: str, values: Float32) -> Float32:
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(variant)
    source, (sink, *_) = SIGNATURES[variant]
    return np.concatenate([runner(**{source: each[None]})[sink] for each in values])


@pytest.fixture(scope="module")
def shipped(files: dict[str, bytes], evidence: Evidence) -> dict[str, Float32]:
    """Logits of the models that every bundle has."""
    tflite = {file: Interpreter(model_content=files[file], num_threads=1) for file in files if "tflite" in file}
    return {
        file: np.concatenate([tflite[file].get_signature_runner()(window=each[None])["logits"] for each in windows])
        if file in tflite
        else run_onnx(content, windows)
        for windows in (evidence.windows,)
        for file, content in files.items()
    }


def test_there_is_a_file_for_every_variant_and_recipe(variants: dict[str, bytes]) -> None:
    assert set(variants) == {
        "variants/signatures.fp32.tflite", "variants/signatures.w8a8-static-pc.tflite",
        "variants/image.fp32.onnx", "variants/image.w8a8-static-pc.onnx",
        "variants/probabilities.fp32.onnx", "variants/probabilities.w8a8-static-pc.onnx",
        "variants/encoder.fp32.onnx",
    }  # fmt: skip


@pytest.mark.slow
def test_making_them_twice_gives_the_same_bytes(
    trained: Trained, student: Student, files: dict[str, bytes], drawn: WindowSet, variants: dict[str, bytes]
) -> None:
    assert make_variants(student, trained.contract, files=files, calibration=drawn, models=MODELS) == variants


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_signatures_share_their_weights(variants: dict[str, bytes], files: dict[str, bytes], recipe: str) -> None:
    raw = files[entry("tflite", recipe).file]
    content = variants[signatures_file(recipe)]
    tree = tflite_file.read_model(content)
    assert [signature.signatureKey.decode() for signature in tree.signatureDefs] == list(SIGNATURES)
    # Three more graphs without weights of their own: some 60 KB each, whatever the width.
    assert len(content) - len(raw) < 200_000
    filters = [
        {graph.tensors[operator.inputs[1]].buffer for operator, name in zip(graph.operators, names, strict=True)
         if name == "CONV_2D"}
        for graph, names in ((tree.subgraphs[number], tflite_file.operator_names(tree, number)) for number in range(3))
    ]  # fmt: skip
    assert len(filters[0]) == 20
    assert filters[0] == filters[1] == filters[2]


@pytest.mark.parametrize("recipe", RECIPES)
def test_encoder_then_image_gives_the_models_logits(
    variants: dict[str, bytes], shipped: dict[str, Float32], evidence: Evidence, trained: Trained, recipe: str
) -> None:
    windows = evidence.windows[::9]
    signatures = variants[signatures_file(recipe)]
    drawn = run_signature(signatures, "encoder", windows)
    np.testing.assert_allclose(drawn, reference_encoded(windows, trained.contract), atol=2e-6)
    np.testing.assert_allclose(run_onnx(variants[variant_file("encoder", FLOAT_RECIPE)], windows), drawn, atol=2e-6)

    for kind, logits in (
        ("tflite", run_signature(signatures, "window", windows)),
        ("tflite", run_signature(signatures, "image", drawn)),
        ("onnx", run_onnx(variants[variant_file("image", recipe)], drawn)),
    ):
        # The same numbers go in, so even the integer network says the same.
        np.testing.assert_allclose(logits, shipped[entry(kind, recipe).file][::9], atol=1e-4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_probabilities_are_the_softmax_with_the_contracts_temperature(
    variants: dict[str, bytes], shipped: dict[str, Float32], evidence: Evidence, trained: Trained, recipe: str
) -> None:
    for kind, found in (
        ("tflite", run_signature(variants[signatures_file(recipe)], "probabilities", evidence.windows)),
        ("onnx", run_onnx(variants[variant_file("probabilities", recipe)], evidence.windows)),
    ):
        logits = shipped[entry(kind, recipe).file]
        expected = softmax(logits, temperature=trained.contract.decision.temperature)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_temperature_is_inside(trained: Trained, files: dict[str, bytes], evidence: Evidence) -> None:
    warm = dataclasses.replace(
        trained.contract, decision=dataclasses.replace(trained.contract.decision, temperature=2.5)
    )
    content = probabilities_variant(files["model.fp32.onnx"], warm)
    found = run_onnx(content, evidence.windows[:8])
    np.testing.assert_allclose(found, softmax(evidence.logits[:8], temperature=2.5), atol=1e-5)


def test_the_integer_image_variant_is_integer_behind_the_image(variants: dict[str, bytes]) -> None:
    graph = onnx.load_from_string(variants[variant_file("image", INTEGER_RECIPE)]).graph
    assert [(port.name) for port in graph.input] == ["image"]
    assert [node.op_type for node in graph.node if "image" in node.input] == ["QuantizeLinear"]
    assert not {"MatMul", "Tanh", "Exp"} & {node.op_type for node in graph.node}


def test_the_contract_travels_in_them_too(variants: dict[str, bytes], trained: Trained, tmp_path: Path) -> None:
    for file, content in variants.items():
        kind: Any = Path(file).suffix.removeprefix(".")
        assert contract_inside(content, kind, name=file) == trained.contract


@pytest.fixture
def check(
    student: Student, trained: Trained, evidence: Evidence, shipped: dict[str, Float32]
) -> Callable[..., tuple[Any, Any]]:
    """The gate over some variants; ``seen`` and ``logits`` stand for the evidence and the logits of the models."""

    def run(files: dict[str, bytes], seen: Evidence = evidence, logits: dict[str, Float32] = shipped) -> Any:
        return check_variants(files, student, trained.contract, seen, logits)

    return run


def test_the_gate_passes_them(variants: dict[str, bytes], check: Any) -> None:
    rows, violations = check(variants)

    assert violations == ()
    assert len(rows) == 2 * len(SIGNATURES) + 5
    assert {row.engine for row in rows} == {"litert", "onnxruntime"}
    assert all(row.limit is None or row.largest_difference <= row.limit for row in rows)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_gate_refuses_a_wrong_one(
    variants: dict[str, bytes], evidence: Evidence, shipped: dict[str, Float32], check: Any, recipe: str
) -> None:
    file = variant_file("probabilities", recipe)
    changed = {name: logits.copy() for name, logits in shipped.items()}
    changed[entry("onnx", recipe).file][3] = 0.0
    wrong = dataclasses.replace(evidence, logits=changed[entry("onnx", FLOAT_RECIPE).file])
    _, (violation,) = check({file: variants[file]}, wrong, changed)
    assert (violation.code, violation.component, violation.engine) == ("variant-values", file, "onnxruntime")
    assert f"window '{evidence.names[3]}'" in violation.message


def test_float_variants_are_judged_by_torch_and_not_by_the_exported_model(
    variants: dict[str, bytes], evidence: Evidence, shipped: dict[str, Float32], check: Any
) -> None:
    """A model that is wrong together with its variant must not hide it."""
    wrong = dataclasses.replace(evidence, logits=evidence.logits + np.float32([0.5, 0, 0, 0]))
    float_files = [variant_file("image", FLOAT_RECIPE), variant_file("probabilities", FLOAT_RECIPE)]
    _, violations = check({file: variants[file] for file in float_files}, wrong)
    assert [(violation.code, violation.component) for violation in violations] == [
        ("variant-values", file) for file in float_files
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_window_and_the_image_variant_give_the_embedding_too(
    variants: dict[str, bytes], files: dict[str, bytes], evidence: Evidence, trained: Trained, recipe: str
) -> None:
    window = evidence.windows[:1]
    image = reference_encoded(window, trained.contract).astype(np.float32)
    signatures = Interpreter(model_content=variants[signatures_file(recipe)], num_threads=1)
    onnx_image = onnxruntime.InferenceSession(variants[variant_file("image", recipe)])
    for given in (
        signatures.get_signature_runner("window")(window=window)["embedding"],
        signatures.get_signature_runner("image")(image=image)["embedding"],
        onnx_image.run(["embedding"], {"image": image})[0],
    ):
        expected = evidence.embeddings[:1]
        assert cosines(given, expected)[0] >= (0.999999 if recipe == FLOAT_RECIPE else 0.99)


def test_the_gate_refuses_a_variant_with_another_embedding(
    variants: dict[str, bytes], evidence: Evidence, check: Any
) -> None:
    turned = dataclasses.replace(evidence, embeddings=np.roll(evidence.embeddings, 1, axis=1))
    image = variant_file("image", FLOAT_RECIPE)
    _, (violation,) = check({image: variants[image]}, turned)
    assert (violation.code, violation.component) == ("variant-values", image)


def test_the_gate_refuses_an_integer_variant_that_changes_labels(
    variants: dict[str, bytes], evidence: Evidence, check: Any
) -> None:
    file = variant_file("image", INTEGER_RECIPE)
    turned = dataclasses.replace(evidence, logits=np.roll(evidence.logits, 1, axis=1))
    _, violations = check({file: variants[file]}, turned)
    assert "flip-rate" in {violation.code for violation in violations}
    assert all("variant image" in violation.message for violation in violations)


def test_a_variant_that_gives_nan_is_refused_whatever_is_allowed(variants: dict[str, bytes], check: Any) -> None:
    file = variant_file("image", FLOAT_RECIPE)
    proto = onnx.load_from_string(variants[file])
    bias = next(tensor for tensor in proto.graph.initializer if tensor.name.endswith("classifier.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(4, np.nan, dtype=np.float32), bias.name))
    with pytest.raises(
        GateError, match=r"variants/image\.fp32\.onnx, variant 'image', in onnxruntime gives NaN or infinity"
    ):
        check({file: proto.SerializeToString()})


def test_a_bundle_without_an_integer_model_has_no_integer_variants(
    student: Student,
    trained: Trained,
    files: dict[str, bytes],
    variants: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantize_variants, "to_signatures", lambda *_: variants[signatures_file(FLOAT_RECIPE)])
    made = make_variants(
        student, trained.contract, files=files, calibration=trained.calibration, models=parse_recipes(["fp16"])
    )
    assert {Path(file).name.split(".")[1] for file in made} == {FLOAT_RECIPE}


@pytest.mark.slow
def test_an_export_writes_them_on_request_and_inspect_shows_them(
    variants: dict[str, bytes],
    known_models: dict[str, bytes],
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "make_variants", lambda *_, **__: variants)
    report = build.export_bundle(request_for(trained, tmp_path / "x.bundle", variants=True), progress=silent)
    opened = Bundle.open(report.path)
    opened.check()

    assert set(variants) <= set(opened.files)
    assert [model.file for model in opened.models] == [model.file for model in MODELS]
    assert set(opened.graphs) == {*known_models, *variants}
    assert opened.graphs[signatures_file(FLOAT_RECIPE)].operators["CONV_2D"] == 60
    parity = [row for content in report.content["variants"].values() for row in content["parity"]]
    assert len(parity) == 2 * len(SIGNATURES) + 5
    output = CliRunner().invoke(inspect, [str(report.path)]).output
    assert "image (1, 3, 32, 32) -> logits (1, 4), embedding (1, 300)" in output
    assert "encoder    window (1, 3, 64) -> image (1, 3, 32, 32)" in output
    assert "probabilities window (1, 3, 64) -> probabilities (1, 4)" in output


def test_wrong_variants_stop_an_export(
    variants: dict[str, bytes],
    known_models: dict[str, bytes],
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, other = variant_file("image", FLOAT_RECIPE), variant_file("image", INTEGER_RECIPE)
    monkeypatch.setattr(build, "make_variants", lambda *_, **__: {image: variants[other]})
    with pytest.raises(GateError, match=r"onnxruntime disagrees on variants/image\.fp32\.onnx, variant 'image'"):
        build.export_bundle(request_for(trained, tmp_path / "x.bundle", variants=True), progress=silent)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bundle.refused"]


def test_without_a_request_there_are_none(bundle: Bundle) -> None:
    assert json.loads(bundle.checked_path("report.json").read_text())["variants"] == {}
    assert not [name for name in bundle.files if name.startswith("variants/")]
