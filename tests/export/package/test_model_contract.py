"""The contract inside a model file, read without the libraries that wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vskd.bundle import Bundle, write_bundle
from vskd.contract import Contract
from vskd.errors import BundleError, VskdError
from vskd.model_contract import contract_inside
from vskd_export.convert import tflite_file
from vskd_export.quantize.recipes import MODELS


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.file)
def test_it_is_what_the_formats_own_libraries_read(bundle: Bundle, files: dict[str, bytes], model) -> None:
    content = files[model.file]
    if model.format == "onnx":
        (text,) = [pair.value for pair in onnx.load_from_string(content).metadata_props if pair.key == "vskd.contract"]
    else:
        tree = tflite_file.read_model(content)
        (entry,) = [entry for entry in tree.metadata if entry.name == b"vskd.contract"]
        text = bytes(tree.buffers[entry.buffer].data).decode()
    assert contract_inside(content, model.format, name=model.file) == bundle.contract
    assert Contract.from_json(text, where=model.file) == bundle.contract
    assert bundle.model_problem(model) == ""


def test_another_contract_beside_the_models_is_noticed(bundle: Bundle, files: dict[str, bytes], tmp_path: Path) -> None:
    other = bundle.contract.with_decision(temperature=2.0)
    changed = Bundle.open(write_bundle(tmp_path / "x.bundle", contract=other, models=MODELS, files=files))
    for model in MODELS:
        assert changed.model_problem(model) == f"the contract inside {model.file} is not that of contract.json"


def test_a_model_without_a_contract_is_refused(files: dict[str, bytes]) -> None:
    proto = onnx.load_from_string(files["model.fp32.onnx"])
    del proto.metadata_props[:]
    without = {
        "onnx": proto.SerializeToString(),
        "tflite": files["model.fp32.tflite"].replace(b"vskd.contract", b"vskd.c0ntract"),
    }
    for name, content in without.items():
        with pytest.raises(BundleError, match=rf"m\.{name} carries no contract.*Export it with vskd export"):
            contract_inside(content, name, name=f"m.{name}")


def test_a_changed_contract_inside_is_noticed(bundle: Bundle, files: dict[str, bytes], tmp_path: Path) -> None:
    text = json.dumps("synthetic test windows").encode()
    changed = {name: content.replace(text, text.replace(b"test", b"text")) for name, content in files.items()}
    folder = write_bundle(tmp_path / "x.bundle", contract=bundle.contract, models=MODELS, files=changed)
    assert all("is not that of contract.json" in Bundle.open(folder).model_problem(model) for model in MODELS)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_ends_in_a_contract_or_an_error_of_ours(files: dict[str, bytes], data) -> None:
    name = data.draw(st.sampled_from(["onnx", "tflite"]))
    content = bytearray(files[f"model.w8a8-static-pc.{name}"])
    # Where damage leads astray: the head, the tail (ONNX writes its metadata last), and a file cut short.
    where = data.draw(st.integers(0, 400)) - data.draw(st.sampled_from([0, 401]))
    content[where] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.sampled_from([None, 0, 3, 4, 64, -1, -300]))])
    refusal = None
    try:
        contract_inside(cut, name, name=f"m.{name}")
    except VskdError as error:
        refusal = error
    assert refusal is None or refusal.message
