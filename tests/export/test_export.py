"""The whole sentence, on one small student. Everything here shares one export."""

from __future__ import annotations

import dataclasses
import hashlib
import html
import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner

import vskd
from vskd.bundle import Bundle, write_bundle
from vskd.checks.golden import cosines, golden_to_bytes, read_golden
from vskd.checks.selftest import selftest
from vskd.commands.input_option import trained_layout
from vskd.commands.inspect import inspect
from vskd.commands.verify import verify
from vskd.errors import BundleError, DataError, GateError, MissingExtraError, VskdError
from vskd_export import build
from vskd_export.build import export_bundle
from vskd_export.convert import tflite_file
from vskd_export.convert.graph import INPUT_NAME
from vskd_export.judge import engines, gate, micro
from vskd_export.judge.evidence import torch_outputs
from vskd_export.judge.float64_encoders import reference_encoded
from vskd_export.judge.violations import REMEDIES, Violation
from vskd_export.package.report import ExportReport
from vskd_export.quantize.calibrate import WindowSet
from vskd_export.quantize.onnx import encoder_nodes
from vskd_export.quantize.recipes import MODELS
from vskd_export.subprocesses import call_in_subprocess

from .conftest import FILES, Trained, request_for, silent, synthetic_windows

FLOAT_ONNX, INTEGER_ONNX, FLOAT_TFLITE, INTEGER_TFLITE = (model.file for model in MODELS)


def test_the_bundle_holds_what_it_says_and_passes_its_own_check(bundle: Bundle, trained: Trained) -> None:
    bundle.check()
    assert bundle.contract == trained.contract
    assert bundle.models == tuple(dataclasses.replace(model, embedding_size=300) for model in MODELS)
    assert set(bundle.files) == {
        "layout.toml",
        "contract.json", "golden/vectors.npz", "report.json", "report.html", "model_data.h", "model_data.c",
        "README.md", "bom.cdx.json",
        "golden/events.json", "golden/stream.csv", "golden/stream_turned.csv",
        FLOAT_ONNX, INTEGER_ONNX, FLOAT_TFLITE, INTEGER_TFLITE,
    }  # fmt: skip
    assert trained_layout(bundle) == FILES


def test_a_contract_from_before_raw_students_opens_and_verifies(bundle: Bundle, tmp_path: Path) -> None:
    """``contract.json`` has no key ``raw``, as it was written then; the models inside have it, or were made then."""
    folder = shutil.copytree(bundle.path, tmp_path / "old.bundle")
    place, listed = folder / "contract.json", folder / "manifest.json"
    contract = json.loads(place.read_text())
    assert contract.pop("raw", "no such key") is None
    content = json.dumps(contract).encode()
    manifest = json.loads(listed.read_text())
    manifest["files"]["contract.json"] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    place.write_bytes(content)
    listed.write_text(json.dumps(manifest))
    old = Bundle.open(folder)
    old.check()
    assert old.contract == bundle.contract
    done = CliRunner().invoke(verify, [str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "FAILED" not in done.output
    assert done.output.count("ok     contract  inside model.") == len(MODELS)


def test_the_report_holds_parity_flips_sizes_calibration_and_versions(
    exported: ExportReport, bundle: Bundle, trained: Trained, drawn: WindowSet
) -> None:
    report = json.loads(bundle.checked_path("report.json").read_text())

    assert report == json.loads(json.dumps(exported.content))
    assert {row["engine"] for row in report["parity"]} >= {"litert", "onnxruntime"}
    assert all(row["largest_difference"] <= 1e-4 and row["flips"] == 0 for row in report["parity"])
    assert {row["file"] for row in report["quantized"]} == {INTEGER_ONNX, INTEGER_TFLITE}
    assert all(row["flip_rate"] <= row["flip_rate_limit"] for row in report["quantized"])
    assert all(row["nearest_changed"] <= row["nearest_changed_limit"] for row in report["quantized"])
    assert all(row["embedding_difference"] <= 1e-4 for row in report["parity"])
    assert report["sizes"][INTEGER_ONNX]["weights_ratio"] == 4.0
    assert report["degraded"] == []
    assert report["recipes"][INTEGER_TFLITE]["calibrated"]
    assert report["graphs"][INTEGER_TFLITE]["operators"]["CONV_2D"] == 20
    scales = {file: graph["quantization"] for file, graph in report["graphs"].items()}
    recipe = scales[INTEGER_TFLITE]
    # An image lies in [-1, 1], of which the calibration windows use a part: at most 255 steps.
    assert 1 / 255 < recipe["image"]["scale"] <= 2 / 255 * (1 + 1e-6)
    assert scales[INTEGER_ONNX]["image"]["scale"] == pytest.approx(recipe["image"]["scale"], rel=1e-3)
    assert scales[INTEGER_ONNX]["logits"]["scale"] == pytest.approx(recipe["logits"]["scale"], rel=1e-3)
    assert scales[FLOAT_ONNX] == {}
    assert not report["recipes"][FLOAT_ONNX]["calibrated"]
    reference = {row["file"]: row for row in report["reference"]}
    assert reference[FLOAT_TFLITE]["from_torch"] <= 1e-4
    assert reference[INTEGER_TFLITE]["flips"] == 0
    assert report["torch"]["accuracy"] > 0.9
    assert report["calibration"]["per_class"] == dict.fromkeys(bundle.contract.labels, 50)
    assert report["calibration"]["subjects"] == ["anna", "ben"]
    assert len(report["calibration"]["sha256"]) == 64
    assert report["calibration"]["ids"] == list(drawn.ids)
    assert report["held_out"]["subjects"] == ["cara"]
    assert report["held_out"]["judged_ids"] == list(trained.held_out.ids)
    assert report["provenance"] == {"run": "test"}
    assert report["models"][FLOAT_ONNX]["size_bytes"] == bundle.files[FLOAT_ONNX].size_bytes
    assert {"torch", "onnxruntime", "litert-torch", "ai-edge-quantizer"} <= set(report["versions"])
    assert len(exported.rows()) == len(report["parity"]) + len(report["quantized"])


@pytest.mark.slow
@pytest.mark.usefixtures("ports_are_replayed")
def test_exporting_twice_gives_the_same_bundle_byte_for_byte(
    trained: Trained, exported: ExportReport, bundle: Bundle, tmp_path: Path
) -> None:
    again = export(trained, tmp_path / "x.bundle")
    opened = Bundle.open(again.path)
    assert opened.files == bundle.files
    assert opened.sha256() == bundle.sha256()
    for name in ("manifest.json", *bundle.files):
        assert (again.path / name).read_bytes() == (exported.path / name).read_bytes(), name


def test_the_manifest_tells_opset_and_operators_of_every_model(bundle: Bundle, files: dict[str, bytes]) -> None:
    assert set(bundle.graphs) == set(files)
    proto = onnx.load_from_string(files[FLOAT_ONNX])
    assert bundle.graphs[FLOAT_ONNX].version == f"opset {proto.opset_import[0].version}"
    assert sum(bundle.graphs[FLOAT_ONNX].operators.values()) == len(proto.graph.node)
    assert bundle.graphs[INTEGER_TFLITE].version == "TFLite schema 3"
    assert bundle.graphs[INTEGER_TFLITE].operators["CONV_2D"] == 20
    assert bundle.degraded == ()


def test_golden_vectors_are_the_same_bytes_each_time(bundle: Bundle) -> None:
    golden = read_golden(bundle)
    assert golden_to_bytes(golden) == bundle.checked_path("golden/vectors.npz").read_bytes()


def test_no_file_holds_a_trace_of_the_training_environment(bundle: Bundle) -> None:
    traces = [str(Path(__file__).parents[2]), sys.prefix, tempfile.gettempdir() + "/", ".py\x00", 'File "']
    for name in bundle.files:
        content = (bundle.path / name).read_bytes()
        assert [trace for trace in traces if trace.encode() in content] == []


def test_weights_are_inside_the_files(files: dict[str, bytes]) -> None:
    for name in (FLOAT_ONNX, INTEGER_ONNX):
        tensors = onnx.load_from_string(files[name]).graph.initializer
        assert all(tensor.data_location == onnx.TensorProto.DEFAULT and not tensor.external_data for tensor in tensors)
    for name in (FLOAT_TFLITE, INTEGER_TFLITE):
        raw = schema.ModelT.InitFromPackedBuf(files[name], 0)
        assert all(buffer.offset <= 1 for buffer in raw.buffers)


def test_ports_are_named_and_fixed(files: dict[str, bytes], trained: Trained) -> None:
    for name in (FLOAT_ONNX, INTEGER_ONNX):
        session = onnxruntime.InferenceSession(files[name], providers=["CPUExecutionProvider"])
        ports = [(port.name, port.shape, port.type) for port in (*session.get_inputs(), *session.get_outputs())]
        assert ports == [
            ("window", [1, 3, 64], "tensor(float)"),
            ("logits", [1, 4], "tensor(float)"),
            ("embedding", [1, 300], "tensor(float)"),
        ]
    for name in (FLOAT_TFLITE, INTEGER_TFLITE):
        graph = tflite_file.read_model(files[name]).subgraphs[0]
        tensors = [graph.tensors[index] for index in (*graph.inputs, *graph.outputs)]
        assert [(tensor.name, list(tensor.shape), tensor.type) for tensor in tensors] == [
            (b"window", [1, 3, 64], schema.TensorType.FLOAT32),
            (b"logits", [1, 4], schema.TensorType.FLOAT32),
            (b"embedding", [1, 300], schema.TensorType.FLOAT32),
        ]


def test_the_integer_onnx_encodes_in_float_and_draws_the_float64_image(
    files: dict[str, bytes], trained: Trained, bundle: Bundle
) -> None:
    proto = onnx.load_from_string(files[INTEGER_ONNX])
    ahead = [node for node in proto.graph.node if node.name in set(encoder_nodes(proto.graph))]
    first = next(index for index, node in enumerate(ahead) if node.op_type == "QuantizeLinear" and node.input[0] in {
        output for earlier in ahead for output in earlier.output
    })  # fmt: skip
    image = ahead[first].input[0]
    assert [node.op_type for node in ahead if "Linear" in node.op_type] == ["QuantizeLinear", "DequantizeLinear"]

    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info(image, onnx.TensorProto.FLOAT, [1, 3, 32, 32]))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    windows = read_golden(bundle).windows
    drawn = np.concatenate([session.run(None, {INPUT_NAME: window[None]})[0] for window in windows])
    assert np.abs(drawn - reference_encoded(windows, trained.contract)).max() <= 2e-6


def test_the_integer_tflite_is_float_up_to_the_image_and_int8_behind(files: dict[str, bytes]) -> None:
    model = tflite_file.read_model(files[INTEGER_TFLITE])
    operators, graph = tflite_file.operator_names(model), model.subgraphs[0]
    start = operators.index("QUANTIZE")

    assert operators.count("QUANTIZE") == 1
    assert operators.count("DEQUANTIZE") == 2  # of the outputs
    assert "BATCH_MATMUL" in operators[:start]
    outputs = [graph.tensors[operator.outputs[0]].type for operator in graph.operators]
    assert set(outputs[:start]) == {schema.TensorType.FLOAT32}
    behind = [kind for kind, name in zip(outputs[start:], operators[start:], strict=True) if name != "DEQUANTIZE"]
    assert set(behind) == {schema.TensorType.INT8}
    # The classifier reads the integers, not their float copy.
    last = graph.operators[len(operators) - 1 - operators[::-1].index("FULLY_CONNECTED")]
    assert graph.tensors[last.inputs[0]].type == schema.TensorType.INT8


def test_weights_are_quantized_per_channel(files: dict[str, bytes]) -> None:
    graph = tflite_file.read_model(files[INTEGER_TFLITE]).subgraphs[0]
    filters = [tensor for tensor in graph.tensors if tensor.shape is not None and list(tensor.shape[1:3]) == [3, 3]]
    assert len(filters) == 16
    assert all(len(tensor.quantization.scale) == tensor.shape[0] for tensor in filters)

    proto = onnx.load_from_string(files[INTEGER_ONNX]).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.initializer}
    widened = {node.output[0]: node for node in proto.node if node.op_type == "DequantizeLinear"}
    layers = [widened[node.input[1]].input for node in proto.node if node.op_type == "Conv"]
    assert len(layers) == 20
    assert all(stored[scale].shape == stored[weights].shape[:1] for weights, scale, _ in layers)
    # Unsigned activations, as the recipe's name says; weights are signed.
    zeros = {stored[node.input[2]].dtype.name for node in proto.node if node.op_type == "QuantizeLinear"}
    assert zeros == {"uint8"}
    assert {stored[weights].dtype.name for weights, *_ in layers} == {"int8"}


def test_golden_vectors_cover_every_class_and_every_adversarial_window(bundle: Bundle) -> None:
    golden = read_golden(bundle)

    real = [name for name in golden.names if name.startswith("real ")]
    assert len(real) == 32
    assert {"adversarial flat", "adversarial enormous", "adversarial dead axis y"} <= set(golden.names)
    assert set(golden.model_logits) == set(golden.model_embeddings) == {model.file for model in MODELS}
    np.testing.assert_allclose(golden.probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert golden.labels.tolist() == golden.logits.argmax(axis=1).tolist()
    top_two = np.sort(golden.probabilities, axis=1)[:, -2:]
    np.testing.assert_allclose(golden.margins, top_two[:, 1] - top_two[:, 0], atol=1e-6)
    for name in (FLOAT_ONNX, FLOAT_TFLITE):
        assert np.abs(golden.model_logits[name] - golden.logits).max() <= 1e-4
        assert np.abs(golden.model_embeddings[name] - golden.embeddings).max() <= 1e-4
    for name in (INTEGER_ONNX, INTEGER_TFLITE):
        # Beyond the ranges of the calibration, where adversarial windows lie, integers saturate.
        assert cosines(golden.model_embeddings[name], golden.embeddings)[: len(real)].min() > 0.99


def test_a_replay_tells_an_embedding_that_points_elsewhere(bundle: Bundle, tmp_path: Path) -> None:
    golden = read_golden(bundle)
    wrong = golden.embeddings.copy()
    wrong[2] = wrong[2, ::-1]
    recorded = {**golden.model_embeddings, INTEGER_ONNX: wrong}
    changed = rewrite_golden(bundle, tmp_path / "x.bundle", embeddings=wrong, model_embeddings=recorded)

    checks = [check for check in selftest(changed, engine="onnxruntime") if check.problem]
    assert [check.stage for check in checks] == ["embedding", "embedding"]
    assert all(f"the embedding of window {golden.names[2]!r} is another one" in check.problem for check in checks)
    assert "largest difference" in checks[0].problem
    assert "least cosine" in checks[1].problem


def test_a_bundle_from_before_embeddings_opens_verifies_and_runs(bundle: Bundle, tmp_path: Path) -> None:
    """As such bundles are: nothing in manifest and golden vectors tells of the embedding."""
    golden = dataclasses.replace(read_golden(bundle), embeddings=None, model_embeddings={})
    files = {name: (bundle.path / name).read_bytes() for name in bundle.files if name != "contract.json"}
    files["golden/vectors.npz"] = golden_to_bytes(golden)
    folder = write_bundle(tmp_path / "old.bundle", contract=bundle.contract, models=MODELS, files=files)
    listed = folder / "manifest.json"
    manifest = json.loads(listed.read_text())
    for model in manifest["models"]:
        assert model.pop("embedding_size") == 0
    listed.write_text(json.dumps(manifest))

    old = Bundle.open(folder)
    assert [model.embedding_size for model in old.models] == [0] * 4
    checks = list(selftest(old, engine="onnxruntime"))
    assert [check.problem for check in checks] == [""] * len(checks)
    assert "embedding" not in {check.stage for check in checks}
    assert "none: an older export" in CliRunner().invoke(inspect, [str(folder)]).output


def test_every_check_passes_where_the_bundle_was_made(bundle: Bundle) -> None:
    checks = [check for engine in ("litert", "onnxruntime") for check in selftest(bundle, engine=engine)]

    assert [check.problem for check in checks] == [""] * len(checks)
    replayed = [check.detail.split()[:3] for check in checks if check.stage == "engine"]
    assert replayed == [
        [FLOAT_TFLITE, "on", "litert"],
        [INTEGER_TFLITE, "on", "litert"],
        [FLOAT_ONNX, "on", "onnxruntime"],
        [INTEGER_ONNX, "on", "onnxruntime"],
    ]
    assert len(read_golden(bundle)) >= 32


def rewrite_golden(bundle: Bundle, folder: Path, **changes: object) -> Bundle:
    """The same bundle with other golden vectors."""
    golden = dataclasses.replace(read_golden(bundle), **changes)
    names = [name for name in bundle.files if name != "contract.json"]
    content = {name: (bundle.path / name).read_bytes() for name in names} | {
        "golden/vectors.npz": golden_to_bytes(golden)
    }
    write_bundle(folder, contract=bundle.contract, models=bundle.models, files=content)
    return Bundle.open(folder)


def test_a_replay_tells_what_differs(bundle: Bundle, tmp_path: Path) -> None:
    golden = read_golden(bundle)
    logits, images = golden.logits.copy(), golden.images.copy()
    logits[3, 0] += 1e-3
    images[5, 0, 0, 1] += 1e-3
    sure = 8 * np.eye(4, dtype=np.float32)[(golden.model_logits[INTEGER_ONNX].argmax(axis=1) + 1) % 4]
    recorded = {**golden.model_logits, INTEGER_ONNX: sure}
    changed = rewrite_golden(bundle, tmp_path / "x.bundle", logits=logits, images=images, model_logits=recorded)

    checks = list(selftest(changed, engine="onnxruntime"))
    full, small = (check for check in checks if check.stage == "engine")
    assert golden.names[3] in full.problem
    assert "at most 1.0e-03 from the trained network" in full.detail
    assert "is not the one recorded at export" in small.problem
    (encoder,) = (check for check in checks if check.stage == "encoder")
    assert golden.names[5] in encoder.problem


def shifted(content: bytes) -> bytes:
    """An ONNX file whose last bias is off by a hundredth."""
    proto = onnx.load_from_string(content)
    name = proto.graph.node[-1].input[2]
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) + np.float32(0.01), name))
    return proto.SerializeToString()


def test_a_refused_export_leaves_its_report_and_no_bundle_and_a_success_removes_it(
    trained: Trained, known_models: dict[str, bytes], tmp_path: Path
) -> None:
    right, refused = known_models[FLOAT_ONNX], tmp_path / "x.bundle.refused"
    known_models[FLOAT_ONNX] = shifted(right)

    for _ in range(2):  # the second takes the place of the first
        with pytest.raises(
            GateError, match=r"onnxruntime .* disagrees with torch on model\.fp32\.onnx: window '.*1\.0.e-02"
        ):
            export(trained, tmp_path / "x.bundle")
    assert list(tmp_path.iterdir()) == [refused]
    assert {path.name for path in refused.iterdir()} == {"report.json", "report.html"}
    report = json.loads((refused / "report.json").read_text())
    assert report["refused"]
    assert [violation["remedies"] for violation in report["degraded"]] == [list(REMEDIES["float-logits"])]
    page = (refused / "report.html").read_text()
    assert "Refused." in page
    assert html.escape(REMEDIES["float-logits"][1]).replace("&#x27;", "&#39;") in page
    with pytest.raises(BundleError, match=r"x\.bundle\.refused is no bundle"):
        Bundle.open(refused)

    known_models[FLOAT_ONNX] = right
    export(trained, tmp_path / "x.bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["x.bundle"]


def test_a_small_bundle_holds_the_int8_tflite_alone_and_is_sound(
    trained: Trained, known_models: dict[str, bytes], tmp_path: Path
) -> None:
    report = export(trained, tmp_path / "x.bundle", small=True, licence="MIT", notice="as is\n")
    small = Bundle.open(report.path)
    assert [model.file for model in small.models] == [INTEGER_TFLITE]
    assert set(small.files) == {
        "layout.toml",
        "contract.json", "golden/vectors.npz", "report.json", "README.md", "bom.cdx.json", "LICENCE.data.txt",
        "golden/events.json", "golden/stream.csv", "golden/stream_turned.csv", INTEGER_TFLITE,
    }  # fmt: skip
    assert [row[0] for row in report.rows()] == [INTEGER_TFLITE]
    assert [check.problem for check in selftest(small, engine="litert") if check.problem] == []


def test_a_folder_of_the_users_is_never_taken_for_a_refused_report(trained: Trained, tmp_path: Path) -> None:
    notes = tmp_path / "x.bundle.refused" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine", encoding="utf-8")

    with pytest.raises(BundleError, match=r"x\.bundle\.refused is not the report of a refused export.*Move it away"):
        export(trained, tmp_path / "x.bundle")
    assert notes.read_text(encoding="utf-8") == "mine"


def test_a_degraded_bundle_is_written_only_on_request_and_says_what_is_wrong(
    trained: Trained, known_models: dict[str, bytes], tmp_path: Path
) -> None:
    known_models[FLOAT_ONNX] = shifted(known_models[FLOAT_ONNX])

    report = export(trained, tmp_path / "x.bundle", allow_degraded=True)

    (sentence,) = report.degraded()
    assert "disagrees with torch on model.fp32.onnx" in sentence
    (violation,) = json.loads(Bundle.open(report.path).checked_path("report.json").read_text())["degraded"]
    assert (violation["code"], violation["component"], violation["limit"]) == ("float-logits", FLOAT_ONNX, 1e-4)
    assert violation["value"] == pytest.approx(0.01, rel=0.1)
    # Whoever opens the bundle is told, and not only whoever reads the report.
    opened = Bundle.open(report.path)
    assert opened.degraded == (sentence,)
    assert html.escape(sentence).replace("&#x27;", "&#39;") in (report.path / "report.html").read_text()
    for command in (inspect, verify):
        assert f"{sentence}" in CliRunner().invoke(command, [str(report.path)]).output
    assert "DEGRADED: 1 limit broken at export" in next(selftest(opened)).detail


@pytest.mark.parametrize(
    "stage", ["micro", *(pytest.param(name, marks=pytest.mark.slow) for name in ("encoder", "sizes", "reference"))]
)
def test_a_violation_at_any_stage_stops_the_export_unless_it_is_allowed(
    stage: str, trained: Trained, known_models: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build if stage == "encoder" else gate
    checked = getattr(module, f"check_{stage}")
    found = Violation("file-size", "a model", "", 2.0, 1.0, f"{stage} is wrong")
    monkeypatch.setattr(module, f"check_{stage}", lambda *given: (checked(*given)[0], (found,)))

    with pytest.raises(GateError, match=rf"^the gate refuses this export: 1 limit is exceeded\n  - {stage} is wrong"):
        export(trained, tmp_path / "x.bundle")
    assert not (tmp_path / "x.bundle").exists()
    assert export(trained, tmp_path / "x.bundle", allow_degraded=True).degraded() == (f"{stage} is wrong",)


def test_an_engine_that_cannot_load_a_model_stops_the_export(
    trained: Trained, known_models: dict[str, bytes], tmp_path: Path
) -> None:
    known_models[FLOAT_ONNX] = b"not a model"

    with pytest.raises(GateError, match="an exported model does not run: onnxruntime failed"):
        export(trained, tmp_path / "x.bundle")
    assert list(tmp_path.iterdir()) == []


def export(trained: Trained, out: Path, *, progress: Callable[[str], None] = silent, **changes: object) -> ExportReport:
    return export_bundle(request_for(trained, out, **changes), progress=progress)


@pytest.mark.parametrize("step", ["Running the models", "Writing"])
def test_a_disk_that_fills_up_on_the_way_leaves_nothing_and_says_so_in_a_sentence(
    step: str, trained: Trained, known_models: dict[str, bytes], tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(sentence: str) -> None:
        if sentence.startswith(step):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    try:
        with pytest.raises(BundleError, match=r"cannot write .*File too large.*Nothing was left behind"):
            export(trained, tmp_path / "x.bundle", progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_calibrating_with_held_out_subjects_is_refused_before_any_work(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="calibration would use subjects of the held-out set: anna"):
        export(trained, tmp_path / "x.bundle", held_out=synthetic_windows(8, subjects=("anna",), seed=9))
    assert list(tmp_path.iterdir()) == []


def test_a_format_without_an_engine_cannot_be_checked(
    files: dict[str, bytes], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "installed_engines", lambda: ("onnxruntime",))
    with pytest.raises(MissingExtraError, match=r"checking model\.fp32\.tflite needs ai_edge_litert.*vskd\[litert\]"):
        engines.run_engines(MODELS, files, trained.held_out.windows[:1], trained.held_out.windows[:1])


def test_it_runs_on_a_microcontrollers_interpreter(
    exported: ExportReport, files: dict[str, bytes], trained: Trained
) -> None:
    if not micro.is_installed():
        pytest.skip("tflite-micro is not installed; it has no wheel for some systems")
    assert exported.content["micro"]["flips"] == 0
    assert 10_000 < exported.content["micro"]["arena_bytes"] < 80_000

    windows = trained.held_out.windows[:4]
    logits, embeddings = torch_outputs(trained.student, windows)
    run = micro.run_micro(files[FLOAT_TFLITE], windows)
    np.testing.assert_allclose(run.logits, logits, atol=1e-4)
    np.testing.assert_allclose(run.embeddings, embeddings, atol=1e-4)
    assert exported.content["micro"]["least_cosine"] > 0.99


def test_a_failed_step_shows_its_standard_error_and_a_missing_library_its_extra() -> None:
    assert call_in_subprocess(int, "12", purpose="counting", needs="torch").value == 12
    with pytest.raises(
        VskdError, match=r"counting failed \(exit code 1\); the end of its standard error:\n[\s\S]*literal.*'twelve'"
    ):
        call_in_subprocess(int, "twelve", purpose="counting", needs="torch")
    with pytest.raises(MissingExtraError, match=r"converting needs no_such_library.*vskd\[export\]"):
        call_in_subprocess(int, purpose="converting", needs="no_such_library")


def test_the_bundles_manifest_and_contract_follow_their_schemas(bundle: Bundle) -> None:
    for name in ("manifest", "contract"):
        schema = json.loads((Path(vskd.__file__).parent / "schemas" / f"{name}.v1.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(json.loads((bundle.path / f"{name}.json").read_text()))
