"""A bundle that is measured in a second: one matrix product from the window to the logits."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.checks.golden import Golden, golden_to_bytes, margins
from vskd.contract import Contract, GafSpec, RawSpec, SignalSpec, WindowSpec
from vskd.decide import softmax
from vskd.encoders.gaf import GafEncoder
from vskd.model_contract import CONTRACT_KEY
from vskd_benchmarks.measure.bench import Run, raws_of
from vskd_benchmarks.measure.settings import QUICK
from vskd_benchmarks.pipelines.wrist_signal import synthetic_wrist
from vskd_benchmarks.result.derive import derive
from vskd_benchmarks.result.facts import facts
from vskd_benchmarks.result.records.result import Result

SAMPLES = 128
LABELS = ("wave", "clap", "knock")


def gemm_weight(inputs: int = 3 * SAMPLES) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(inputs, len(LABELS))).astype(np.float32)


def gemm_model(shape: tuple[int, ...] = (3, SAMPLES), contract: Contract | None = None) -> bytes:
    """(1, *shape) -> (1, 3 labels); a bundle's model carries its contract."""
    weight = gemm_weight(int(np.prod(shape)))
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["window"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight"], ["logits"]),
        ],
        "gemm",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(LABELS)])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if contract:
        helper.set_model_props(model, {CONTRACT_KEY: contract.to_json()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def wrist_windows(count: int = 4) -> np.ndarray:
    """(count, 3, SAMPLES), float32, g: those of a synthetic wrist, all different."""
    long = synthetic_wrist(SAMPLES * count / 50 + 1, 50.0)[: SAMPLES * count]
    return long.reshape(count, SAMPLES, 3).transpose(0, 2, 1).astype(np.float32)


def golden_file(windows: np.ndarray | None = None) -> bytes:
    """Golden vectors of ``gemm_model``: these windows, or a synthetic wrist's; logits by numpy."""
    windows = wrist_windows() if windows is None else windows
    count = len(windows)
    logits = windows.reshape(count, -1) @ gemm_weight()
    probabilities = softmax(logits)
    return golden_to_bytes(
        Golden(
            names=tuple(f"real {index}" for index in range(count)),
            windows=windows,
            images=GafEncoder(GafSpec(scaling="minmax"), SAMPLES)(windows),
            logits=logits,
            probabilities=probabilities.astype(np.float32),
            labels=logits.argmax(axis=1),
            margins=margins(probabilities),
            model_logits={"model.fp32.onnx": logits},
        )
    )


@pytest.fixture(scope="session")
def make_model() -> Callable[..., bytes]:
    """``gemm_model``: shape -> ONNX file."""
    return gemm_model


@pytest.fixture(scope="session")
def golden() -> bytes:
    """The content of a golden file that fits the bundles here."""
    return golden_file()


MakeBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """Write a bundle: (folder, mode, further files, further models, raw encoder) -> folder."""

    def make(
        folder: Path,
        mode: str = "sliding",
        files: Mapping[str, bytes] | None = None,
        models: tuple[ModelEntry, ...] = (),
        raw: RawSpec | None = None,
    ) -> Path:
        contract = Contract(
            labels=LABELS,
            window=WindowSpec(mode=mode, samples=SAMPLES, hop_samples=32),
            gaf=GafSpec(scaling="minmax") if raw is None else None,
            raw=raw,
            signal=SignalSpec(),
            trained_on="nothing",
        )
        return write_bundle(
            folder,
            contract=contract,
            models=[ModelEntry("model.fp32.onnx", "onnx", "fp32"), *models],
            files={"model.fp32.onnx": gemm_model(contract=contract), **(files or {})},
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


VskdBench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def vskd_bench(run_vskd: VskdBench) -> VskdBench:
    """``vskd bench`` in a process of its own."""
    return functools.partial(run_vskd, "bench")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The best round of this machine is kept with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def least_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick runs are as short as there can be."""
    rule = dataclasses.replace(QUICK.rule, block=2, ceiling_s=0.01)
    counts = {"rounds": 2, "least_calls": 4, "most_calls": 4, "cold_starts": 1, "imports": 1, "repeat_blocks": 2}
    monkeypatch.setattr("vskd_benchmarks.measure.settings.QUICK", dataclasses.replace(QUICK, rule=rule, **counts))


def no_progress(what: str, done: int, total: int) -> None:
    """Nobody follows the run."""


def document_of(run: Run) -> Result:
    """The result of a run."""
    return derive(facts(run), raws_of(run))


@pytest.fixture(scope="session")
def measured(
    make_bundle: MakeBundle, vskd_bench: VskdBench, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What the command said of a bundle with golden windows, and the folder with ``result`` and ``tiny.bundle``."""
    folder = tmp_path_factory.mktemp("bench")
    bundle = make_bundle(folder / "tiny.bundle", files={"golden/vectors.npz": golden_file()})
    done = vskd_bench(bundle, "--quick", "--no-comparison", "--out", folder / "result")
    assert done.returncode == 0, done.stderr
    return done, folder
