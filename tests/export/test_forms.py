"""Image -> logits and the encoder alone: shared weights, named ports, and a gate as strict as the raw form's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner

from vskd.bundle import Bundle
from vskd.commands.inspect import inspect
from vskd.errors import GateError
from vskd.model_contract import contract_inside
from vskd_export import build, tflite_file
from vskd_export.evidence import Evidence, gather_evidence, reference_images
from vskd_export.forms import ENCODER_FILE, IMAGE_FILE, SIGNATURES_FILE, check_forms, make_forms
from vskd_export.graph import frozen_copy

from .conftest import Workshop


@pytest.fixture(scope="module")
def forms(workshop: Workshop) -> dict[str, bytes]:
    return make_forms(frozen_copy(workshop.student), workshop.contract)


@pytest.fixture(scope="module")
def evidence(workshop: Workshop) -> Evidence:
    return gather_evidence(frozen_copy(workshop.student), workshop.contract, workshop.held_out)


def test_the_signatures_share_their_weights(forms: dict[str, bytes], files: dict[str, bytes]) -> None:
    raw = len(files["model.fp32.tflite"])
    assert raw <= len(forms[SIGNATURES_FILE]) < 1.1 * raw
    tree = tflite_file.read_model(forms[SIGNATURES_FILE])
    assert [signature.signatureKey for signature in tree.signatureDefs] == [b"window", b"image", b"encoder"]


def test_encoder_then_image_is_the_raw_form(forms: dict[str, bytes], evidence: Evidence, workshop: Workshop) -> None:
    interpreter = Interpreter(model_content=forms[SIGNATURES_FILE], num_threads=1)
    runners = {name: interpreter.get_signature_runner(name) for name in ("window", "image", "encoder")}
    encode = onnxruntime.InferenceSession(forms[ENCODER_FILE], providers=["CPUExecutionProvider"])
    decide = onnxruntime.InferenceSession(forms[IMAGE_FILE], providers=["CPUExecutionProvider"])
    for index in range(0, len(evidence.windows), 9):
        window = evidence.windows[index : index + 1]
        image = runners["encoder"](window=window)["image"].copy()
        np.testing.assert_allclose(image, reference_images(window, workshop.contract), atol=2e-6)
        np.testing.assert_allclose(encode.run(["image"], {"window": window})[0], image, atol=2e-6)
        for logits in (
            runners["window"](window=window)["logits"],
            runners["image"](image=image)["logits"],
            decide.run(["logits"], {"image": image})[0],
        ):
            np.testing.assert_allclose(logits[0], evidence.logits[index], atol=1e-4)


def test_the_contract_travels_in_them_too(forms: dict[str, bytes], workshop: Workshop, tmp_path: Path) -> None:
    for file, content in forms.items():
        path = tmp_path / Path(file).name
        path.write_bytes(content)
        kind: Any = path.suffix.removeprefix(".")
        assert contract_inside(path, kind) == workshop.contract


def test_the_gate_passes_them_and_refuses_a_wrong_one(
    forms: dict[str, bytes], evidence: Evidence, workshop: Workshop
) -> None:
    student = frozen_copy(workshop.student)
    told = check_forms(forms, student, workshop.contract, evidence)

    rows = [row for content in told.values() for row in content["parity"]]
    assert [(row["engine"], row["form"]) for row in rows] == [
        ("litert", "window"), ("litert", "image"), ("litert", "encoder"), ("onnxruntime", "image"),
        ("onnxruntime", "encoder"),
    ]  # fmt: skip
    assert all(row["largest_difference"] <= row["limit"] for row in rows)
    logits = evidence.logits.copy()
    logits[3, 0] += 1e-3
    with pytest.raises(
        GateError, match=rf"disagrees on forms/.*window '{evidence.names[3]}'.*1\.0.e-03, allowed 0.0001"
    ):
        check_forms(forms, student, workshop.contract, dataclasses.replace(evidence, logits=logits))


def test_an_export_writes_them_on_request_and_inspect_shows_them(
    forms: dict[str, bytes],
    files: dict[str, bytes],
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(build, "make_models", lambda *_: files)
    monkeypatch.setattr(build, "make_forms", lambda *_: forms)
    report = build.export_bundle(
        workshop.student, workshop.contract, calibration=workshop.calibration, held_out=workshop.held_out,
        provenance={}, out=tmp_path / "x.bundle", overwrite=False, progress=lambda _: None, forms=True,
    )  # fmt: skip
    opened = Bundle.open(report.path)
    opened.check()

    assert {SIGNATURES_FILE, IMAGE_FILE, ENCODER_FILE} <= set(opened.files)
    assert opened.models == build.MODELS
    told = CliRunner().invoke(inspect, [str(report.path)]).output
    assert "image (1, 3, 32, 32) -> logits (1, 4)" in told
    assert "encoder    window (1, 3, 64) -> image (1, 3, 32, 32)" in told


def test_without_a_request_there_are_none(bundle: Bundle) -> None:
    assert json.loads(bundle.checked_path("report.json").read_text())["forms"] == {}
    assert not [name for name in bundle.files if name.startswith("forms/")]
