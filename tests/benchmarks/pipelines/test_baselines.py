"""What is set beside a bundle: it draws the image that it should, and is planned where this machine can run it."""

from __future__ import annotations

import importlib.util
import time

import numpy as np
import pytest
import torch

from vskd.bundle import Bundle
from vskd.bundle_files import FORMER_VARIANTS, VARIANTS, signatures_file, variant_file
from vskd.checks.golden import read_golden
from vskd.contract import RawSpec
from vskd.encoders.gaf import GafEncoder
from vskd_benchmarks.measure.plan_baselines import make_job, plan_baselines
from vskd_benchmarks.pipelines.baselines import (
    open_network,
    open_torch_pipeline,
    pyts_encoder,
)
from vskd_benchmarks.pipelines.wrist_signal import ready_windows, wrist_signal

IMAGE = variant_file("image", "fp32")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_pyts_draws_what_vskd_draws_under_minmax(bundle):
    encoder, windows = pyts_encoder(bundle.contract), ready_windows(bundle.contract, wrist_signal(bundle))
    for window in windows[:3]:
        expected = GafEncoder(bundle.contract.gaf, bundle.contract.window.samples)(window)
        np.testing.assert_allclose(encoder(window), expected, atol=2e-4)


def test_the_usual_pipeline_in_torch_is_timed_stage_by_stage(bundle):
    case = open_torch_pipeline(bundle, threads=1)
    measured = dict(zip(case.series, case.run_once(time.perf_counter_ns), strict=True))
    assert list(measured) == ["sensor_to_label", "resample", "encode", "infer", "decide", "model_only"]
    assert measured["sensor_to_label"] == sum(measured[name] for name in ("resample", "encode", "infer", "decide"))
    assert case.describe()["options"] == {"num_threads": 1}
    row, logits = case.last_output()
    assert np.array_equal(logits, case.all_outputs()[row])


def test_an_image_form_gives_the_bundles_golden_answers(make_bundle, make_model, golden, tmp_path):
    # The matrix product on an image of the window's own size stands for the network behind the encoder.
    model = make_model((3, 64, 64))
    folder = make_bundle(tmp_path / "variants.bundle", files={"golden/vectors.npz": golden, IMAGE: model})
    bundle = Bundle.open(folder)
    case = open_network(bundle, folder / IMAGE, encoder="numpy", threads=1, trained=True)
    images = GafEncoder(bundle.contract.gaf, 128)(read_golden(bundle).windows)
    direct = open_network(bundle, folder / IMAGE, encoder="numpy", threads=1, trained=False)
    expected = np.stack([direct.call(image) for image in images])
    assert np.array_equal(case.golden_outputs(), expected)
    assert direct.golden_outputs() is None


MADE = {
    f"{name}.{recipe}": {"file": f"/tmp/{name}.{recipe}.onnx", "sha256": "0" * 64, "size_bytes": 1, "macs": None}
    for name in ("resnet18", "mobilenetv2-0.35", "cnn1d")
    for recipe in ("fp32", "w8a8-static-pc")
}


def planned(bundle, made=MADE, recipes=()):
    plan = plan_baselines("tiny", bundle, made, threads=2, recipes=recipes)
    return {case.name: case for case in plan.cases}, {each.name: each.reason for each in plan.skipped}


def test_every_pipeline_that_can_be_made_is_planned(bundle):
    cases, skipped = planned(bundle)
    assert {name: (case.kind, case.encoder, case.weights) for name, case in cases.items()} == {
        "pyts+torch": ("usual-pipeline", "pyts", "random"),
        "pyts+onnxruntime": ("usual-pipeline", "pyts", "random"),
        "mobilenetv2-0.35 onnxruntime fp32": ("student", "numpy", "random"),
        "mobilenetv2-0.35 onnxruntime w8a8-static-pc": ("student", "numpy", "random"),
        "cnn1d onnxruntime fp32": ("student", "none", "random"),
        "cnn1d onnxruntime w8a8-static-pc": ("student", "none", "random"),
    }
    assert {case.threads for case in cases.values()} == {2}
    assert skipped == {"image-input": "the bundle has no such variant; `vskd export --variants` adds it"}


@pytest.mark.parametrize(
    ("recipes", "left"),
    [
        (("int8",), {"w8a8-static-pc"}),
        (("w8a8-static-pc",), {"w8a8-static-pc"}),
        (("fp32",), {"fp32"}),
        (("fp32", "int8"), {"fp32", "w8a8-static-pc"}),
        (("fp16",), {"fp32", "w8a8-static-pc"}),  # nobody else is made in it
    ],
)
def test_other_networks_are_measured_in_the_recipes_that_were_named(make_bundle, make_model, tmp_path, recipes, left):
    variants = [variant_file("image", recipe) for recipe in ("fp32", "w8a8-static-pc")]
    files = {file: make_model((3, 64, 64)) for file in variants}
    cases, _ = planned(Bundle.open(make_bundle(tmp_path / "variants.bundle", files=files)), recipes=recipes)
    for kind in ("student", "image-input"):
        assert {case.recipe for case in cases.values() if case.kind == kind} == left
    assert [name for name, case in cases.items() if case.kind == "usual-pipeline"] == ["pyts+torch", "pyts+onnxruntime"]


@pytest.mark.parametrize("place", [VARIANTS, FORMER_VARIANTS])
def test_the_variants_of_a_bundle_are_planned_with_their_files(make_bundle, make_model, tmp_path, place):
    names = [IMAGE, variant_file("image", "w8a8-static-pc"), signatures_file("w8a8-static-pc")]
    variants = [name.replace(VARIANTS, place) for name in names]
    files = {file: make_model((3, 64, 64)) for file in variants}
    bundle = Bundle.open(make_bundle(tmp_path / "variants.bundle", files=files))
    cases, skipped = planned(bundle)
    found = {name: case for name, case in cases.items() if case.kind == "image-input"}
    assert [case.model["file"] for case in found.values()] == variants
    assert {case.weights for case in found.values()} == {"trained"}
    job = found["image-input onnxruntime fp32"].job
    assert (job["file"], job["trained"], job["encoder"]) == (str(bundle.path / variants[0]), True, "numpy")
    assert found["image-input litert w8a8-static-pc"].job["file"] == variants[2]
    assert skipped == {}
    assert set(make_job(bundle, tmp_path)) == {"kind", "bundle", "folder", "macs"}


@pytest.mark.parametrize(
    ("absent", "left"),
    [
        ("pyts", {"mobilenetv2-0.35", "cnn1d"}),
        ("torch", {"pyts+onnxruntime", "mobilenetv2-0.35", "cnn1d"}),
        ("onnxruntime", {"pyts+torch"}),
    ],
)
def test_what_is_not_installed_is_skipped(bundle, monkeypatch, absent, left):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else find_spec(name))
    cases, skipped = planned(bundle)
    assert {name.partition(" ")[0] for name in cases} == left
    assert all(f"needs {absent}, which is not installed" in skipped[name] for name in skipped if name != "image-input")
    assert len(skipped) > 1


def test_what_could_not_be_made_is_skipped(bundle):
    cases, skipped = planned(bundle, {"resnet18": {"not_made": "the comparison needs torch"}})
    assert set(cases) == {"pyts+torch"}
    assert skipped["resnet18"] == "the comparison needs torch"
    assert skipped["cnn1d"] == "the bundle's report does not state its multiply-accumulates"


@pytest.mark.parametrize("encoder", ["numpy", "pyts"])
def test_the_usual_pipeline_takes_the_winning_class_and_the_others_the_contracts_rules(
    make_bundle, make_model, tmp_path, encoder, monkeypatch
):
    decided = []
    monkeypatch.setattr(
        "vskd_benchmarks.pipelines.cases.Decider.decide", lambda self, logits, window: decided.append(window)
    )
    bundle = Bundle.open(make_bundle(tmp_path / "variants.bundle", files={IMAGE: make_model((3, 64, 64))}))
    case = open_network(bundle, bundle.path / IMAGE, encoder=encoder, threads=1, trained=True)
    case.run_path(time.perf_counter_ns)
    assert len(decided) == (0 if encoder == "pyts" else 1)


def test_beside_a_raw_network_stands_what_takes_no_image_and_the_rest_is_skipped(make_bundle, tmp_path):
    raw = Bundle.open(make_bundle(tmp_path / "raw.bundle", raw=RawSpec()))
    network = {"file": str(tmp_path / "cnn1d.onnx"), "sha256": "a", "size_bytes": 1, "macs": 2}
    plan = plan_baselines("raw", raw, {"cnn1d.fp32": network, "cnn1d.w8a8-static-pc": network}, threads=1)
    assert [case.name for case in plan.cases] == ["cnn1d onnxruntime fp32", "cnn1d onnxruntime w8a8-static-pc"]
    assert {skipped.name: skipped.reason for skipped in plan.skipped} == dict.fromkeys(
        ("pyts+torch", "pyts+onnxruntime", "mobilenetv2-0.35", "image-input"),
        "the bundle's network takes no image; name an image bundle of the same task beside it for the ratio",
    )
