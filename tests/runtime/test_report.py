"""The one reader of report.json: of new bundles, of older ones, of none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vskd.bundle import Bundle, write_bundle
from vskd.bundle_files import FORMER_VARIANTS, REPORT, VARIANTS, present, signatures_file, variant_file
from vskd.contract import Contract
from vskd.errors import BundleError
from vskd.report import Report, read_report

PORTS = {"inputs": [{"name": "image"}], "outputs": [{"name": "logits"}]}


def bundle_with(folder: Path, content: Any) -> Bundle:
    files = {} if content is None else {REPORT: json.dumps(content).encode()}
    return Bundle.open(write_bundle(folder / "x.bundle", contract=Contract(labels=("a", "b")), models=[], files=files))


def test_a_bundle_without_a_report_has_an_empty_one(tmp_path):
    report = read_report(bundle_with(tmp_path, None))
    assert report == Report({}, {}, {}, {})
    assert report.macs("model.fp32.onnx") is None


def test_what_the_report_tells_is_read(tmp_path):
    graphs = {"model.fp32.onnx": {"macs": 7}, "model.fp32.tflite": {}}
    report = read_report(bundle_with(tmp_path, {"graphs": graphs, "torch": {"accuracy": 0.5}, "other": 1}))
    assert report.macs("model.fp32.onnx") == 7
    assert report.macs("model.fp32.tflite") is None
    assert report.torch == {"accuracy": 0.5}


def test_each_file_has_its_own_scores_and_none_where_the_windows_were_seen_in_training(tmp_path):
    rows = {
        "parity": [{"file": "a", "engine": "litert", "accuracy": 0.75}],
        "quantized": [
            {"file": "b", "engine": "litert", "accuracy": 0.5, "macro_f1": 0.25},
            {"file": "b", "engine": "onnxruntime", "accuracy": None, "macro_f1": None},
        ],
    }
    assert read_report(bundle_with(tmp_path, rows)).models == {
        "a": {"litert": {"accuracy": 0.75}},
        "b": {"litert": {"accuracy": 0.5, "macro_f1": 0.25}},
    }


@pytest.mark.parametrize("key", [VARIANTS, FORMER_VARIANTS])
def test_the_variants_of_older_bundles_are_read_under_their_former_key(tmp_path, key):
    told = {f"{key}/image.fp32.onnx": PORTS}
    assert read_report(bundle_with(tmp_path, {key: told})).variants == told


@pytest.mark.parametrize("content", [[1], 3, {"graphs": 3}, {"variants": [1]}, {"quantized": [{"accuracy": 1}]}])
def test_what_is_no_report_is_refused(tmp_path, content):
    with pytest.raises(BundleError, match=r"report\.json is no report: .*Export the run again"):
        read_report(bundle_with(tmp_path, content))


def test_a_variant_is_found_under_its_name_or_its_former_one():
    image, signatures = variant_file("image", "fp32"), signatures_file("fp32")
    assert (image, signatures) == ("variants/image.fp32.onnx", "variants/signatures.fp32.tflite")
    assert present(image, {image, "forms/image.fp32.onnx"}) == image
    assert present(image, {"forms/image.fp32.onnx"}) == "forms/image.fp32.onnx"
    assert present(signatures, {"forms/image.fp32.onnx"}) is None
