"""The usual pipeline: it draws the image that it should, and both of its forms are one network."""

from __future__ import annotations

import importlib.util
import time

import numpy as np
import pytest
import torch

from vskd.gaf import GafEncoder
from vskd_benchmarks.comparison import (
    COMPARISONS,
    PytsEncoder,
    open_onnxruntime_pipeline,
    open_torch_pipeline,
)
from vskd_benchmarks.worker import open_job
from vskd_benchmarks.wrist_signal import ready_windows, wrist_signal


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_pyts_draws_what_vskd_draws_under_minmax(bundle):
    encoder, windows = PytsEncoder(bundle.contract), ready_windows(bundle.contract, wrist_signal(bundle))
    for window in windows[:3]:
        expected = GafEncoder(bundle.contract.gaf, bundle.contract.window.samples)(window)
        np.testing.assert_allclose(encoder(window), expected, atol=2e-4)


def test_both_forms_are_the_same_network(bundle):
    eager = open_torch_pipeline(bundle, threads=1)
    # torch announces the end of this exporter; its successor takes four times as long.
    with pytest.warns(DeprecationWarning, match="legacy TorchScript-based ONNX export|will be removed"):
        exported = open_onnxruntime_pipeline(bundle, threads=1)
    image = np.random.default_rng(1).uniform(-1, 1, bundle.contract.image_shape).astype(np.float32)
    np.testing.assert_allclose(eager._network(image), exported._network(image), atol=1e-4)
    for case in (eager, exported):
        whole, *parts = case.run_once(time.perf_counter_ns)
        assert whole == sum(parts)
        assert case.describe()["network"] == "torchvision resnet18, as published"


@pytest.mark.parametrize(
    ("absent", "left"),
    [("pyts", []), ("torch", ["encoder"]), ("onnx", ["encoder", "pyts+torch"])],
)
def test_what_is_not_installed_is_an_empty_slot(bundle, monkeypatch, absent, left):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else find_spec(name))
    cases, said = open_job({"kind": "comparison", "bundle": str(bundle.path), "threads": 1})
    assert list(cases) == left
    slots = {name: answer["not_installed"] for name, answer in said.items() if name not in left}
    assert slots == {name: absent for name in COMPARISONS if name not in left}
