from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vskd.model_contract import ModelFormat
from vskd_export.convert import tflite_file
from vskd_export.package.layers import MAX_SQNR_DB, layer_errors, sqnr_db
from vskd_export.package.report import ExportReport

from ..conftest import Trained


@given(gain=st.floats(1e-6, 1e6))
def test_the_ratio_is_in_decibels_of_power(gain: float) -> None:
    assert sqnr_db(gain, gain) == pytest.approx(0.0, abs=1e-9)
    assert sqnr_db(100 * gain, gain) == pytest.approx(20.0)
    # One bit more halves the step, so the error's power falls to a quarter.
    assert sqnr_db(gain, gain / 4) == pytest.approx(6.0206, abs=1e-3)


def test_the_ratio_stays_finite_where_there_is_no_error_or_no_signal() -> None:
    assert sqnr_db(1.0, 0.0) == MAX_SQNR_DB
    assert sqnr_db(0.0, 0.0) == 0.0
    assert sqnr_db(0.0, 1.0) == -200.0


def test_the_worst_come_first() -> None:
    rows = [
        {"layer": name, "sqnr_db": ratio} for name, ratio in zip("abcde", (30.0, 10.0, 40.0, 20.0, 50.0), strict=True)
    ]
    report = ExportReport(Path("x.bundle"), {"layers": {"model.onnx": {"layers": rows}}})
    (sentence,) = report.worst_layers()
    assert sentence == "model.onnx: least signal over noise in b (10.0 dB), d (20.0 dB), a (30.0 dB)"


@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
def test_the_report_tells_every_layer_of_the_integer_models(exported: ExportReport, model_format: ModelFormat) -> None:
    table = exported.content["layers"][f"model.w8a8-static-pc.{model_format}"]

    ratios = {row["layer"]: row["sqnr_db"] for row in table["layers"]}
    assert table["windows"] == 8
    # 20 convolutions, 8 sums and the head at the least; eight bits are worth at most some 50 dB.
    assert len(ratios) >= 25
    assert all(10 < ratio < 60 for ratio in ratios.values())
    assert "logits" in ratios
    worst = min(ratios, key=ratios.__getitem__)
    assert any(model_format in line and worst in line for line in exported.worst_layers())


def path_of(convolution: onnx.NodeProto) -> str:
    """Where torch has this layer, by the name that it gave to the weights."""
    return convolution.input[1].removeprefix("student.").removesuffix(".weight").replace(".", "/")


def test_layers_are_named_by_their_place_in_the_network(exported: ExportReport) -> None:
    table = exported.content["layers"]["model.w8a8-static-pc.onnx"]
    names = [row["layer"] for row in table["layers"]]
    assert len(set(names)) == len(names)
    assert {"trunk/conv1+relu", "trunk/conv1+relu+maxpool", "trunk/layer4/1/conv2+add+relu", "logits"} <= set(names)
    assert not [name for name in names if "getitem" in name]


def spoilt_onnx(content: bytes) -> tuple[bytes, str, str]:
    """The model with the weights of its eighth convolution a tenth too large; the layer before it, and it."""
    proto = onnx.load_from_string(content)
    before, spoilt = [node for node in proto.graph.node if node.op_type == "Conv"][6:8]
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == spoilt.input[1])
    weights = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(weights * np.float32(1.1), tensor.name))
    return proto.SerializeToString(), path_of(before), path_of(spoilt)


def spoilt_tflite(content: bytes) -> tuple[bytes, str, str]:
    """The same in TFLite, in place: the file holds these weights once."""
    model = tflite_file.read_model(content)
    rows = [row for row, name in enumerate(tflite_file.operator_names(model)) if name == "CONV_2D"][6:8]
    before, spoilt = (tflite_file.output_names(model)[row] for row in rows)
    graph = model.subgraphs[0]
    data = model.buffers[graph.tensors[graph.operators[rows[1]].inputs[1]].buffer].data.tobytes()
    assert content.count(data) == 1
    return content.replace(data, (np.frombuffer(data, np.float32) * np.float32(1.1)).tobytes()), before, spoilt


@pytest.mark.parametrize(("model_format", "spoil"), [("onnx", spoilt_onnx), ("tflite", spoilt_tflite)])
def test_the_layer_that_was_spoilt_is_where_the_ratio_drops(
    model_format: ModelFormat,
    spoil: Callable[[bytes], tuple[bytes, str, str]],
    files: dict[str, bytes],
    trained: Trained,
) -> None:
    full = files[f"model.fp32.{model_format}"]
    small, before, spoilt = spoil(full)

    errors = layer_errors(model_format, full, small, trained.held_out.windows[:4])

    ratios = {error.layer: error.sqnr_db for error in errors}
    assert ratios[before] == MAX_SQNR_DB
    # A tenth too much (the bias aside): 20 dB.
    assert ratios[spoilt] == pytest.approx(20.0, abs=3.0)
