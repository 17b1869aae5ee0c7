"""The other forms: shared weights, named ports, and a gate as strict as the raw form's."""

from __future__ import annotations

import dataclasses
import json
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
from vskd.commands.inspect import inspect
from vskd.decide import softmax
from vskd.errors import GateError
from vskd.model_contract import contract_inside
from vskd_export import build
from vskd_export.convert import tflite_file
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.onnx_variants import probabilities_form
from vskd_export.convert.variants import SIGNATURES, make_forms, onnx_file, signatures_file
from vskd_export.judge.evidence import Evidence, gather_evidence, reference_images
from vskd_export.judge.variants_gate import check_forms
from vskd_export.quantize.calibrate import draw_calibration
from vskd_export.quantize.recipes import FLOAT_RECIPE, INTEGER_RECIPE, MODELS, entry, parse_recipes

from ..conftest import Workshop

Float32 = npt.NDArray[np.float32]

RECIPES = (FLOAT_RECIPE, INTEGER_RECIPE)


@pytest.fixture(scope="module")
def forms(workshop: Workshop, files: dict[str, bytes]) -> dict[str, bytes]:
    return make_forms(
        frozen_copy(workshop.student),
        workshop.contract,
        files=files,
        calibration=draw_calibration(workshop.calibration, held_out=workshop.held_out),
        models=MODELS,
    )


@pytest.fixture(scope="module")
def evidence(workshop: Workshop) -> Evidence:
    return gather_evidence(frozen_copy(workshop.student), workshop.contract, workshop.held_out)


def run_onnx(content: bytes, values: Float32) -> Float32:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    return np.concatenate([session.run(None, {port.name: each[None]})[0] for each in values])


def run_signature(content: bytes, form: str, values: Float32) -> Float32:
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(form)
    source, sink = SIGNATURES[form]
    return np.concatenate([runner(**{source: each[None]})[sink] for each in values])


@pytest.fixture(scope="module")
def recorded(files: dict[str, bytes], evidence: Evidence) -> dict[str, Float32]:
    """Logits of the models that every bundle has."""
    tflite = {file: Interpreter(model_content=files[file], num_threads=1) for file in files if "tflite" in file}
    return {
        file: np.concatenate([tflite[file].get_signature_runner()(window=each[None])["logits"] for each in windows])
        if file in tflite
        else run_onnx(content, windows)
        for windows in (evidence.windows,)
        for file, content in files.items()
    }


def test_there_is_a_file_for_every_form_and_recipe(forms: dict[str, bytes]) -> None:
    assert set(forms) == {
        "forms/signatures.fp32.tflite", "forms/signatures.w8a8-static-pc.tflite",
        "forms/image.fp32.onnx", "forms/image.w8a8-static-pc.onnx",
        "forms/probabilities.fp32.onnx", "forms/probabilities.w8a8-static-pc.onnx",
        "forms/encoder.fp32.onnx",
    }  # fmt: skip


def test_making_them_twice_gives_the_same_bytes(
    workshop: Workshop, files: dict[str, bytes], forms: dict[str, bytes]
) -> None:
    drawn = draw_calibration(workshop.calibration, held_out=workshop.held_out)
    student = frozen_copy(workshop.student)
    assert make_forms(student, workshop.contract, files=files, calibration=drawn, models=MODELS) == forms


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_signatures_share_their_weights(forms: dict[str, bytes], files: dict[str, bytes], recipe: str) -> None:
    raw = files[entry("tflite", recipe).file]
    content = forms[signatures_file(recipe)]
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
def test_encoder_then_image_is_the_raw_form(
    forms: dict[str, bytes], recorded: dict[str, Float32], evidence: Evidence, workshop: Workshop, recipe: str
) -> None:
    windows = evidence.windows[::9]
    signatures = forms[signatures_file(recipe)]
    drawn = run_signature(signatures, "encoder", windows)
    np.testing.assert_allclose(drawn, reference_images(windows, workshop.contract), atol=2e-6)
    np.testing.assert_allclose(run_onnx(forms[onnx_file("encoder", FLOAT_RECIPE)], windows), drawn, atol=2e-6)

    for kind, logits in (
        ("tflite", run_signature(signatures, "window", windows)),
        ("tflite", run_signature(signatures, "image", drawn)),
        ("onnx", run_onnx(forms[onnx_file("image", recipe)], drawn)),
    ):
        # The same numbers go in, so even the integer network says the same.
        np.testing.assert_allclose(logits, recorded[entry(kind, recipe).file][::9], atol=1e-4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_probabilities_are_the_softmax_with_the_contracts_temperature(
    forms: dict[str, bytes], recorded: dict[str, Float32], evidence: Evidence, workshop: Workshop, recipe: str
) -> None:
    for kind, found in (
        ("tflite", run_signature(forms[signatures_file(recipe)], "probabilities", evidence.windows)),
        ("onnx", run_onnx(forms[onnx_file("probabilities", recipe)], evidence.windows)),
    ):
        logits = recorded[entry(kind, recipe).file]
        expected = softmax(logits, temperature=workshop.contract.decision.temperature)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_temperature_is_inside(workshop: Workshop, files: dict[str, bytes], evidence: Evidence) -> None:
    warm = dataclasses.replace(
        workshop.contract, decision=dataclasses.replace(workshop.contract.decision, temperature=2.5)
    )
    content = probabilities_form(files["model.fp32.onnx"], warm)
    found = run_onnx(content, evidence.windows[:8])
    np.testing.assert_allclose(found, softmax(evidence.logits[:8], temperature=2.5), atol=1e-5)


def test_the_integer_image_form_is_integer_behind_the_image(forms: dict[str, bytes]) -> None:
    graph = onnx.load_from_string(forms[onnx_file("image", INTEGER_RECIPE)]).graph
    assert [(port.name) for port in graph.input] == ["image"]
    assert [node.op_type for node in graph.node if "image" in node.input] == ["QuantizeLinear"]
    assert not {"MatMul", "Tanh", "Exp"} & {node.op_type for node in graph.node}


def test_the_contract_travels_in_them_too(forms: dict[str, bytes], workshop: Workshop, tmp_path: Path) -> None:
    for file, content in forms.items():
        path = tmp_path / Path(file).name
        path.write_bytes(content)
        kind: Any = path.suffix.removeprefix(".")
        assert contract_inside(path, kind) == workshop.contract


def test_the_gate_passes_them(
    forms: dict[str, bytes], evidence: Evidence, workshop: Workshop, recorded: dict[str, Float32]
) -> None:
    told, breaches = check_forms(forms, frozen_copy(workshop.student), workshop.contract, evidence, recorded)

    assert breaches == ()
    rows = [row for content in told.values() for row in content["parity"]]
    assert len(rows) == 2 * len(SIGNATURES) + 5
    assert {row["engine"] for row in rows} == {"litert", "onnxruntime"}
    assert all(row["limit"] is None or row["largest_difference"] <= row["limit"] for row in rows)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_gate_refuses_a_wrong_one(
    forms: dict[str, bytes], evidence: Evidence, workshop: Workshop, recorded: dict[str, Float32], recipe: str
) -> None:
    student = frozen_copy(workshop.student)
    file = onnx_file("probabilities", recipe)
    spoilt = {name: logits.copy() for name, logits in recorded.items()}
    spoilt[entry("onnx", recipe).file][3] = 0.0
    wrong = dataclasses.replace(evidence, logits=spoilt[entry("onnx", FLOAT_RECIPE).file])
    _, breaches = check_forms({file: forms[file]}, student, workshop.contract, wrong, spoilt)
    (breach,) = breaches
    assert (breach.code, breach.subject, breach.engine) == ("form-values", file, "onnxruntime")
    assert f"window '{evidence.names[3]}'" in breach.message


def test_the_gate_refuses_an_integer_form_that_changes_labels(
    forms: dict[str, bytes], evidence: Evidence, workshop: Workshop, recorded: dict[str, Float32]
) -> None:
    file = onnx_file("image", INTEGER_RECIPE)
    turned = dataclasses.replace(evidence, logits=np.roll(evidence.logits, 1, axis=1))
    _, breaches = check_forms({file: forms[file]}, frozen_copy(workshop.student), workshop.contract, turned, recorded)
    assert "flip-rate" in {breach.code for breach in breaches}
    assert all("form image" in breach.message for breach in breaches)


def test_a_form_that_gives_nan_is_refused_whatever_is_allowed(
    forms: dict[str, bytes], evidence: Evidence, workshop: Workshop, recorded: dict[str, Float32]
) -> None:
    file = onnx_file("image", FLOAT_RECIPE)
    proto = onnx.load_from_string(forms[file])
    bias = next(tensor for tensor in proto.graph.initializer if tensor.name.endswith("classifier.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(4, np.nan, dtype=np.float32), bias.name))
    with pytest.raises(GateError, match=r"forms/image\.fp32\.onnx, form 'image', gives NaN or infinity in onnxruntime"):
        check_forms(
            {file: proto.SerializeToString()}, frozen_copy(workshop.student), workshop.contract, evidence, recorded
        )


def test_a_bundle_without_an_integer_model_has_no_integer_forms(workshop: Workshop, files: dict[str, bytes]) -> None:
    made = make_forms(
        frozen_copy(workshop.student), workshop.contract, files=files, calibration=workshop.calibration,
        models=parse_recipes(["fp16"]),
    )  # fmt: skip
    assert {Path(file).name.split(".")[1] for file in made} == {FLOAT_RECIPE}


def test_an_export_writes_them_on_request_and_inspect_shows_them(
    forms: dict[str, bytes],
    files: dict[str, bytes],
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "make_models", lambda *_: files)
    monkeypatch.setattr(build, "make_forms", lambda *_, **__: forms)
    report = build.export_bundle(
        workshop.student, workshop.contract, calibration=workshop.calibration, held_out=workshop.held_out,
        provenance={}, out=tmp_path / "x.bundle", overwrite=False, progress=lambda _: None, forms=True,
    )  # fmt: skip
    opened = Bundle.open(report.path)
    opened.check()

    assert set(forms) <= set(opened.files)
    assert opened.models == build.MODELS
    assert set(opened.graphs) == {*files, *forms}
    assert opened.graphs[signatures_file(FLOAT_RECIPE)].operators["CONV_2D"] == 60
    told = CliRunner().invoke(inspect, [str(report.path)]).output
    assert "image (1, 3, 32, 32) -> logits (1, 4)" in told
    assert "encoder    window (1, 3, 64) -> image (1, 3, 32, 32)" in told
    assert "probabilities window (1, 3, 64) -> probabilities (1, 4)" in told


def test_without_a_request_there_are_none(bundle: Bundle) -> None:
    assert json.loads(bundle.checked_path("report.json").read_text())["forms"] == {}
    assert not [name for name in bundle.files if name.startswith("forms/")]
