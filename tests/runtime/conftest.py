"""A model small enough to check by hand: its logits are the means of the three axes.

Built twice without torch: as ONNX, and as a TFLite flatbuffer with one operator, written through the schema.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from runtime.command_line import Command, Result
from vskd.bundle import ModelEntry, write_bundle
from vskd.bundle_files import GOLDEN_EVENTS, GOLDEN_VECTORS
from vskd.checks.golden import Golden, golden_to_bytes
from vskd.cli import main
from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.model_contract import CONTRACT_KEY

SAMPLES = 32
LABELS = ("x up", "y up", "z up")


def mean_model_onnx(
    samples: int = SAMPLES, inputs: int = 1, contract: Contract | None = None, embedding: bool = False
) -> bytes:
    """(1, 3, samples) -> (1, 3): the mean of every axis, and as embedding the largest reading of each.

    Further inputs are there to be refused.
    """
    ports = [helper.make_tensor_value_info(f"window{i}", TensorProto.FLOAT, [1, 3, samples]) for i in range(inputs)]
    names = ["logits", "embedding"] if embedding else ["logits"]
    graph = helper.make_graph(
        [
            helper.make_node(kind, ["window0", "axes"], [name], keepdims=0)
            for kind, name in zip(("ReduceMean", "ReduceMax"), names, strict=False)
        ],
        "mean",
        ports,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in names],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if contract:
        helper.set_model_props(model, {CONTRACT_KEY: contract.to_json()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _tensor(name: bytes, shape: list[int], kind: int, buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
    return tensor


def _over_the_last_axis(operator: int, number: int) -> tuple[schema.OperatorCodeT, schema.OperatorT]:
    """An operator of a flatbuffer, from tensors 0 and 1 to tensor 2 + number."""
    code, reduce = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = operator
    code.version = 1
    reduce.opcodeIndex, reduce.inputs, reduce.outputs = number, [0, 1], [2 + number]
    reduce.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    reduce.builtinOptions = schema.ReducerOptionsT()
    reduce.builtinOptions.keepDims = False
    return code, reduce


def mean_model_tflite(samples: int = SAMPLES, contract: Contract | None = None, embedding: bool = False) -> bytes:
    """The same model as a flatbuffer: a MEAN over the last axis, and as embedding a REDUCE_MAX."""
    kinds = (schema.BuiltinOperator.MEAN, schema.BuiltinOperator.REDUCE_MAX)[: 1 + embedding]
    codes, operators = zip(*(_over_the_last_axis(kind, number) for number, kind in enumerate(kinds)), strict=True)
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(b"window", [1, 3, samples], schema.TensorType.FLOAT32, 0),
        _tensor(b"axes", [1], schema.TensorType.INT32, 1),
        *(_tensor(name, [1, 3], schema.TensorType.FLOAT32, 0) for name in (b"logits", b"embedding")[: 1 + embedding]),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [2, 3][: 1 + embedding], list(operators)
    constant = schema.BufferT()
    constant.data = list(np.array([2], dtype=np.int32).tobytes())
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes, model.subgraphs, model.buffers = list(codes), [graph], [schema.BufferT(), constant]
    if contract:
        text, entry = schema.BufferT(), schema.MetadataT()
        text.data, entry.name, entry.buffer = list(contract.to_json().encode()), CONTRACT_KEY, 2
        model.buffers, model.metadata = [*model.buffers, text], [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def contract() -> Contract:
    """Sliding windows of 32 samples at 50 Hz, one every 16, three labels."""
    return Contract(
        labels=LABELS, window=WindowSpec(samples=SAMPLES, rate_hz=50.0, hop_samples=16), gaf=GafSpec(size=16)
    )


@pytest.fixture
def whole_contract() -> Contract:
    """Whole recordings, stretched to 32 samples."""
    return Contract(labels=LABELS, window=WindowSpec(mode="whole", samples=SAMPLES), gaf=GafSpec(size=16))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mean.onnx, mean.tflite, and one of each kind that is broken."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "mean.onnx").write_bytes(mean_model_onnx())
    (folder / "mean.tflite").write_bytes(mean_model_tflite())
    (folder / "both.onnx").write_bytes(mean_model_onnx(embedding=True))
    (folder / "both.tflite").write_bytes(mean_model_tflite(embedding=True))
    (folder / "two_inputs.onnx").write_bytes(mean_model_onnx(inputs=2))
    (folder / "broken.onnx").write_bytes(b"not a model" * 40)
    (folder / "broken.tflite").write_bytes(b"not a model" * 40)
    (folder / "cut.tflite").write_bytes(mean_model_tflite()[:200])
    return folder


MakeBundle = Callable[[Path, Contract], Path]


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """Write a bundle with both models: (folder, contract) -> folder.

    They give an embedding if the contract says how examples count.
    """

    def make(folder: Path, contract: Contract) -> Path:
        samples, embedding = contract.window.samples, contract.examples is not None
        size = 3 * embedding
        return write_bundle(
            folder,
            contract=contract,
            models=[
                ModelEntry("model.fp32.onnx", "onnx", "fp32", embedding_size=size),
                ModelEntry("model.fp32.tflite", "tflite", "fp32", embedding_size=size),
            ],
            files={
                "model.fp32.onnx": mean_model_onnx(samples, contract=contract, embedding=embedding),
                "model.fp32.tflite": mean_model_tflite(samples, contract=contract, embedding=embedding),
                "golden/notes.json": b"{}\n",
                "report.json": b'{"passed": true}\n',
            },
        )

    return make


# --- golden vectors of the mean model, made by formulas of their own; ONNX only, so that tests stay quick

GOLDEN_MODEL = "model.fp32.onnx"
MakeGoldenBundle = Callable[..., Path]


def golden_of(contract: Contract) -> Golden:
    """Eight plausible windows and a flat one, with the answers of the mean model."""
    rng = np.random.default_rng(5)
    windows = rng.normal(0, 0.2, (9, *contract.window_shape)).astype(np.float32)
    windows[np.arange(8), np.arange(8) % 3] += 1
    windows[8] = 0
    logits = windows.astype(np.float64).mean(axis=2)
    exponent = np.exp(logits / contract.decision.temperature)
    probabilities = exponent / exponent.sum(axis=1, keepdims=True)
    ordered = np.sort(probabilities, axis=1)
    return Golden(
        names=(*(f"real {index}" for index in range(8)), "adversarial flat"),
        windows=windows,
        images=np.stack([image_of(contract, window) for window in windows]).astype(np.float32),
        logits=logits.astype(np.float32),
        probabilities=probabilities.astype(np.float32),
        labels=logits.argmax(axis=1),
        margins=(ordered[:, -1] - ordered[:, -2]).astype(np.float32),
        model_logits={},
    )


def image_of(contract: Contract, window: np.ndarray) -> np.ndarray:
    """GADF under tanh, by the definition with angles, in float64."""
    means = window.astype(np.float64).reshape(len(window), contract.gaf.size, -1).mean(axis=2)
    angles = np.arccos(np.tanh(means / contract.gaf.scale_g))
    return np.array([[[math.sin(one - other) for other in row] for one in row] for row in angles])


def golden_stream_of(contract: Contract) -> dict[str, bytes]:
    """A regular stream of three windows, or a recording of one, and the events that the mean model gives for it."""
    sliding, rate_hz, hop = contract.window.mode == "sliding", contract.window.rate_hz, contract.window.hop_samples
    count = SAMPLES + (2 * hop if sliding else 0)
    xyz = np.random.default_rng(6).normal([0, 0, 1], 0.2, (count, 3))
    events = []
    for start in range(0, count - SAMPLES + 1, hop):
        exponent = np.exp(xyz[start : start + SAMPLES].mean(axis=0) / contract.decision.temperature)
        probabilities = (exponent / exponent.sum()).tolist()
        times = {"start_s": start / rate_hz, "end_s": (start + SAMPLES - 1) / rate_hz}
        events.append({**times, "label": LABELS[2], "probability": probabilities[2], "probabilities": probabilities})
    counted = dict.fromkeys(("out_of_order", "not_finite", "gaps", "saturated"), 0) | {"samples": count}
    case = {"name": "regular", "file": "golden/stream.csv", "unit": "g", "axes": "x,y,z", "model_events": {}}
    case |= {"health": counted if sliding else {}, "events": events}
    rows = "".join(f"{index / rate_hz},{x},{y},{z}\n" for index, (x, y, z) in enumerate(xyz.tolist()))
    return {
        GOLDEN_EVENTS: json.dumps({"cases": [case], "schema_version": 1}).encode(),
        "golden/stream.csv": f"time_s,ax,ay,az\n{rows}".encode(),
    }


@pytest.fixture(scope="session")
def make_golden_bundle() -> MakeGoldenBundle:
    """Write one: (folder, contract, **golden arrays that a broken machine would have) -> folder."""

    def make(folder: Path, contract: Contract, **changes: object) -> Path:
        golden = dataclasses.replace(golden_of(contract), **changes)
        files = {
            GOLDEN_MODEL: mean_model_onnx(contract.window.samples, contract=contract),
            GOLDEN_VECTORS: golden_to_bytes(golden),
            **golden_stream_of(contract),
        }
        models = [ModelEntry(GOLDEN_MODEL, "onnx", "fp32")]
        return write_bundle(folder, contract=contract, models=models, files=files)

    return make


# --- the command line, in this process


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``vskd`` with these words in this process."""

    def run(*words: str | Path, stdin: str | None = None) -> Result:
        monkeypatch.setattr(sys, "argv", ["vskd", *map(str, words)])
        (tmp_path / "standard_input").write_text(stdin or "")
        with (tmp_path / "standard_input").open() as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            with pytest.raises(SystemExit) as ended:
                main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, captured.out, captured.err)

    return run
