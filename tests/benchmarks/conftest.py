"""A bundle that is measured in a second: one matrix product from the window to the logits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.contract import Contract, GafSpec, WindowSpec

SAMPLES = 128
LABELS = ("wave", "clap", "knock")


def gemm_model(samples: int = SAMPLES) -> bytes:
    """(1, 3, samples) -> (1, 3 labels)."""
    weight = np.random.default_rng(0).normal(size=(3 * samples, len(LABELS))).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["window"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight"], ["logits"]),
        ],
        "gemm",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, 3, samples])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(LABELS)])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


MakeBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """Write a bundle: (folder, mode, further files) -> folder."""

    def make(folder: Path, mode: str = "sliding", files: Mapping[str, bytes] | None = None) -> Path:
        contract = Contract(
            labels=LABELS,
            window=WindowSpec(mode=mode, samples=SAMPLES, hop_samples=32),
            gaf=GafSpec(scaling="minmax"),
            trained_on="nothing",
        )
        return write_bundle(
            folder,
            contract=contract,
            models=[ModelEntry("model.fp32.onnx", "onnx", "fp32")],
            files={"model.fp32.onnx": gemm_model(), **(files or {})},
        )

    return make


@pytest.fixture
def bundle(make_bundle: MakeBundle, tmp_path: Path) -> Bundle:
    """Sliding windows, no golden vectors."""
    return Bundle.open(make_bundle(tmp_path / "tiny.bundle"))


@pytest.fixture
def whole_bundle(make_bundle: MakeBundle, tmp_path: Path) -> Bundle:
    """Whole recordings, no golden vectors."""
    return Bundle.open(make_bundle(tmp_path / "whole.bundle", mode="whole"))


@pytest.fixture
def ticks() -> Callable[[], int]:
    """A clock whose steps are 1, 2, 4, 8, ... ns: a difference of two readings names both."""
    readings = itertools.accumulate((2**index for index in itertools.count()), initial=0)
    return lambda: next(readings)
