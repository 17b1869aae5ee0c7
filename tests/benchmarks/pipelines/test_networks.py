"""Networks made for a run: as large as they claim, and runnable in both numeric forms."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vskd.bundle import Bundle
from vskd.contract import Contract, RawSpec
from vskd.errors import MissingExtraError
from vskd_benchmarks.measure.worker import open_job
from vskd_benchmarks.pipelines.baselines import open_network
from vskd_benchmarks.pipelines.networks import (
    cnn1d,
    cnn1d_macs,
    count_macs,
    make_networks,
    mobilenet,
    require,
    resnet18,
    stem_channels,
)

CONTRACT = Contract(labels=("a", "b", "c"))


def test_the_formula_of_the_1d_network_counts_what_torch_computes():
    network = cnn1d(CONTRACT, macs=2_000_000)
    samples = CONTRACT.window.samples
    counted = count_macs(network, torch.zeros(1, 3, samples))
    stem = network[0].out_channels
    assert counted == cnn1d_macs(3, samples, 3, stem)
    assert stem == stem_channels(3, samples, 3, 2_000_000)


@given(st.integers(10**6, 10**9), st.sampled_from([64, 128, 150]))
def test_the_1d_network_needs_as_much_as_the_bundles(macs, samples):
    found = cnn1d_macs(3, samples, 27, stem_channels(3, samples, 27, macs))
    assert found == pytest.approx(macs, rel=0.25)


@pytest.mark.parametrize(("make", "macs"), [(resnet18, 148e6), (mobilenet, 4.8e6)])
def test_image_networks_have_the_size_that_is_published(make, macs):
    # ResNet18 needs 1.8e9 at 224 px and MobileNetV2-0.35 59e6; at 64 px a twelfth.
    counted = count_macs(make(CONTRACT), torch.zeros(1, *CONTRACT.image_shape))
    assert counted == pytest.approx(macs, rel=0.05)


@pytest.mark.parametrize("make", [resnet18, mobilenet])
def test_image_networks_take_as_many_channels_as_the_image_has(make):
    both = Contract.from_mapping({"labels": ["a", "b"], "gaf": {"fields": ["gasf", "gadf"]}})
    assert make(both)(torch.zeros(1, *both.image_shape)).shape == (1, 2)


def test_what_is_made_runs_in_both_numeric_forms(bundle, tmp_path):
    # In a process of its own, as the benchmark does it: the exporter warns of its end.
    code = (
        "import sys; from pathlib import Path; from vskd.bundle import Bundle; "
        "from vskd_benchmarks.pipelines import networks; b = Bundle.open(sys.argv[1]); f = Path(sys.argv[2]); "
        "print(networks._write_torch(networks.cnn1d(b.contract, 300000), b, f / 'cnn1d', 'window'))"
    )
    command = [sys.executable, "-c", code, str(bundle.path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    outputs = []
    for form in ("fp32", "int8"):
        file = tmp_path / f"cnn1d.{form}.onnx"
        case = open_network(bundle, file, encoder="none", threads=1, trained=False)
        outputs.append(case.all_outputs())
    difference = np.abs(outputs[0] - outputs[1]).max()
    assert 0 < difference < 0.25 * np.abs(outputs[0]).max()


def test_a_network_that_cannot_be_made_is_said(bundle, tmp_path, monkeypatch):
    def refuse(package):
        raise MissingExtraError(package, extra="training", purpose="the comparison")

    monkeypatch.setattr("vskd_benchmarks.pipelines.networks.require", refuse)
    made = make_networks(bundle, tmp_path, macs=10**6)
    assert set(made) == {"resnet18", "mobilenetv2-0.35", "cnn1d"}
    assert all("needs torch, which is not installed" in description["not_made"] for description in made.values())
    job = {"kind": "make", "bundle": str(bundle.path), "folder": str(tmp_path), "macs": None}
    case, description = open_job(job)
    assert case is None
    assert set(description) == {"resnet18", "mobilenetv2-0.35"}


def test_beside_a_raw_network_no_network_of_images_is_made(make_bundle, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "vskd_benchmarks.pipelines.networks._write_torch", lambda network, *rest: made.append(rest[-1]) or {}
    )
    make_networks(Bundle.open(make_bundle(tmp_path / "raw.bundle", raw=RawSpec())), tmp_path, macs=10**6)
    assert made == ["window"]


def test_a_package_that_is_there_is_fine_and_one_that_is_not_names_its_extra(monkeypatch):
    require("onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"the comparison needs onnx.*pip install 'vskd\[export\]'"):
        require("onnx")
