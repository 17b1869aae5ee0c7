"""The export of raw students, whole: both families, with channels side by side and in g, and one with branches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner

from vskd.bundle import Bundle
from vskd.checks.golden import cosines, read_golden
from vskd.checks.selftest import selftest
from vskd.commands.inspect import inspect
from vskd.contract import Contract, RawSpec, WindowSpec
from vskd.description import contract_in_words
from vskd_export.build import export_bundle
from vskd_export.convert import tflite_file
from vskd_export.convert.graph import frozen_copy
from vskd_export.judge import micro
from vskd_export.package.c_array import resolver_methods
from vskd_export.package.report import ExportReport
from vskd_export.quantize.calibrate import draw_calibration
from vskd_export.quantize.recipes import parse_recipes
from vskd_training.models.build import build_student
from vskd_training.models.student import BranchedStudent, Student
from vskd_training.quantization.fake import FakeQuantized, fold_norms
from vskd_training.settings import StudentConfig, load_config

from .conftest import LABELS, Trained, request_for, silent, synthetic_windows

FLOAT_TFLITE, INTEGER_TFLITE = "model.fp32.tflite", "model.w8a8-static-pc.tflite"
FLOAT_ONNX, HALF_ONNX, INTEGER_ONNX = "model.fp32.onnx", "model.fp16.onnx", "model.w8a8-static-pc.onnx"


@dataclass(frozen=True)
class RawExport:
    """One of ``KINDS``, trained and exported with its variants and one recipe more than usual."""

    kind: str
    trained: Trained
    report: ExportReport

    def file(self, name: str) -> bytes:
        return (self.report.path / name).read_bytes()


#: Family, branches and the transforms of the input.
KINDS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "separable": ("raw-separable", 1, ("tanh", "centred")),
    "resnet": ("raw-resnet", 1, ("g",)),
    "branched": ("raw-resnet", 2, ("tanh",)),
}


def train(family: str, branches: int, contract: Contract) -> Trained:
    training = synthetic_windows(320, subjects=("anna", "ben"), seed=1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # Branches have segments, too: their pooling is another operation than the mean over all of the window.
    config = StudentConfig(family=family, channels=8, kernel=5, branches=branches, segments=branches)  # type: ignore[arg-type]
    student = build_student(config, contract).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    windows, labels = torch.from_numpy(training.windows), torch.from_numpy(training.labels)
    for step in range(80):
        rows = torch.arange(step * 32, step * 32 + 32) % len(training)
        loss = torch.nn.functional.cross_entropy(student(windows[rows]).logits, labels[rows].repeat(branches))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_out = synthetic_windows(96, subjects=("cara",), seed=2)
    return Trained(contract, student.eval(), training, held_out)


#: Of these the long tests alone tell; the shipped students have branches.
SLOW = {"separable", "resnet"}


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in KINDS]
)
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RawExport:
    family, branches, transforms = KINDS[request.param]
    spec = RawSpec(transforms=transforms)  # type: ignore[arg-type]
    contract = Contract(labels=LABELS, window=WindowSpec(samples=64), gaf=None, raw=spec, trained_on="raw test windows")
    trained = train(family, branches, contract)
    changes = {"models": parse_recipes(["int8", "fp16"]), "variants": True}
    out = tmp_path_factory.mktemp("raw") / "wrist.bundle"
    return RawExport(request.param, trained, export_bundle(request_for(trained, out, **changes), progress=silent))


def operators(content: bytes) -> list[str]:
    return tflite_file.operator_names(tflite_file.read_model(content))


def test_the_gate_passes_and_every_golden_vector_replays(raw: RawExport) -> None:
    assert raw.report.degraded() == ()
    assert all(row["largest_difference"] <= 1e-4 for row in raw.report.content["parity"])
    bundle = Bundle.open(raw.report.path)
    bundle.check()
    for engine in ("litert", "onnxruntime"):
        checks = list(selftest(bundle, engine=engine))
        assert [check.problem for check in checks] == [""] * len(checks)
        assert "encoder" in {check.stage for check in checks}


def test_convolutions_over_time_are_those_that_microcontrollers_have(raw: RawExport) -> None:
    names = operators(raw.file(FLOAT_TFLITE))
    convolutions = {"separable": 1 + 6, "resnet": 1 + 6 * 2 + 2, "branched": 2 * (1 + 6 * 2 + 2)}[raw.kind]
    assert names.count("CONV_2D") == convolutions
    assert names.count("DEPTHWISE_CONV_2D") == (6 if raw.kind == "separable" else 0)
    assert names.count("TRANSPOSE") <= 2
    assert names.count("RESHAPE") <= (3 if raw.kind == "branched" else 1)
    # TFLite's own padding is not symmetric where the stride is 2.
    assert names.count("PAD") <= 5
    assert resolver_methods(operators(raw.file(INTEGER_TFLITE)))


def test_behind_the_encoder_all_is_int8_the_depthwise_convolutions_too(raw: RawExport) -> None:
    model = tflite_file.read_model(raw.file(INTEGER_TFLITE))
    graph, names = model.subgraphs[0], tflite_file.operator_names(model)
    int8 = schema.TensorType.INT8
    for operator, name in zip(graph.operators, names, strict=True):
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "AVERAGE_POOL_2D"):
            assert {graph.tensors[index].type for index in [*operator.inputs[:2], operator.outputs[0]]} == {int8}
        if name == "DEPTHWISE_CONV_2D":
            weights = graph.tensors[operator.inputs[1]]
            assert len(weights.quantization.scale) == weights.shape[3]
    assert names.count("DEQUANTIZE") == 2


def test_the_embedding_is_what_the_classifier_reads_the_branches_side_by_side(raw: RawExport) -> None:
    bundle, student = Bundle.open(raw.report.path), raw.trained.student
    golden, read = read_golden(bundle), list[torch.Tensor]()
    hooks = [student.classifier.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))]
    branches = list(student.branches) if isinstance(student, BranchedStudent) else []
    hooks += [branch.register_forward_hook(lambda *call: read.append(call[2])) for branch in branches]
    with torch.inference_mode():
        student(torch.from_numpy(golden.windows))
    for hook in hooks:
        hook.remove()
    *parts, whole = (given.numpy() for given in read)
    np.testing.assert_allclose(golden.embeddings, whole, atol=1e-5)
    if parts:
        np.testing.assert_allclose(golden.embeddings, np.concatenate(parts, axis=1), atol=1e-5)
    assert {model.embedding_size for model in bundle.models} == {whole.shape[1]}
    recorded = [name.startswith("real") for name in golden.names]
    for model in bundle.models:
        # Beyond the ranges of the calibration, where adversarial windows lie, integers saturate.
        assert cosines(golden.model_embeddings[model.file], whole)[recorded].min() > 0.99


def test_it_is_small_and_runs_in_tensorflow_lite_micro(raw: RawExport) -> None:
    sizes = raw.report.content["models"]
    assert sizes[INTEGER_TFLITE]["size_bytes"] < (70_000 if raw.kind == "branched" else 60_000)
    assert raw.report.content["sizes"][INTEGER_TFLITE]["weights_ratio"] == 4.0
    if not micro.is_installed():
        pytest.skip("tflite-micro is not installed; it has no wheel for some systems")
    found = raw.report.content["micro"]
    assert found["flips"] == 0
    assert 2_000 < found["arena_bytes"] < 24_000
    header = raw.file("model_data.h").decode()
    assert f"#define VSKD_ARENA_BYTES {found['arena_bytes']}" in header
    assert "VSKD_ENCODED_SCALE" in header
    assert "IMAGE" not in header


def test_the_variants_are_the_window_and_the_probabilities(raw: RawExport) -> None:
    variants = raw.report.content["variants"]
    assert set(variants) == {
        "variants/probabilities.fp32.onnx", "variants/probabilities.w8a8-static-pc.onnx",
        "variants/signatures.fp32.tflite", "variants/signatures.w8a8-static-pc.tflite",
    }  # fmt: skip
    assert set(variants["variants/signatures.fp32.tflite"]["signatures"]) == {"window", "probabilities"}
    # The integer file with two signatures has the ranges of the one with one.
    flips = {row["flips"] for row in raw.report.content["quantized"] if row["file"] == INTEGER_TFLITE}
    rows = [row for variant in variants.values() for row in variant["parity"]]
    assert all(row["limit"] is None or row["largest_difference"] <= row["limit"] for row in rows)
    assert flips <= {0, 1}


def test_inspect_says_what_a_raw_student_is_and_counts_its_weights_in_every_recipe(raw: RawExport) -> None:
    told = CliRunner().invoke(inspect, [str(raw.report.path)]).output
    assert "  encoded " in told
    assert "image" not in told
    assert "0.00 million parameters" not in told
    graphs = raw.report.content["graphs"]
    layers = (torch.nn.Conv2d, torch.nn.Linear)
    weights = sum(m.weight.numel() + len(m.weight) for m in raw.trained.student.modules() if isinstance(m, layers))
    assert {graph["parameters"] for graph in graphs.values()} == {weights}
    assert {file for file, graph in graphs.items() if graph["quantization"]} == {INTEGER_ONNX, INTEGER_TFLITE}
    for file in (INTEGER_ONNX, INTEGER_TFLITE):
        assert list(graphs[file]["quantization"]) == ["encoded", "embedding", "logits"]


@pytest.mark.parametrize(("name", "size"), [("tiny", 2 * 28), ("watch", 2 * 36)])
def test_what_inspect_says_of_the_students_with_a_name(name: str, size: int) -> None:
    """The channels that it takes, where an image student has its image; the cost from the graph; the pooled vector."""
    config = load_config("demo", changes=(f"student={name}",))
    contract = config.contract(LABELS, "synthetic")
    words = dict(contract_in_words(contract))
    assert words["channels"] == "3 x 128, inside the model; the reading, held within +-16 g"
    assert "image" not in words
    student = build_student(config.student, contract)
    assert isinstance(student, BranchedStudent)
    assert {branch.feature.in_features for branch in student.branches} == {size}  # type: ignore[union-attr]
    window = torch.zeros(1, *contract.window_shape)
    assert student.eval()(window).feature.shape == (1, config.student.features)


def test_fake_quantization_in_torch_foretells_the_integer_models(raw: RawExport) -> None:
    """Not the same bits, since integer sums are rounded once more; but nearer to them than to the float network."""
    trained = raw.trained
    student: Student = frozen_copy(trained.student)
    fold_norms(student)
    rounded = FakeQuantized(student)
    drawn = draw_calibration(trained.calibration, held_out=trained.held_out)
    rounded.calibrate(torch.from_numpy(drawn.windows))
    scales = raw.report.content["graphs"][INTEGER_TFLITE]["quantization"]
    for place, node in (("encoded", "encoder"), ("logits", "classifier")):
        low, high = rounded.ranges[node]
        assert scales[place]["scale"] == pytest.approx((high - low) / 255, rel=0.02)
    with torch.no_grad():
        windows = torch.from_numpy(trained.held_out.windows)
        told, full = rounded(windows).logits.numpy(), student(windows).logits.numpy()
    session = onnxruntime.InferenceSession(raw.file(INTEGER_ONNX), providers=["CPUExecutionProvider"])
    integer = np.concatenate([session.run(None, {"window": w[None]})[0] for w in trained.held_out.windows])
    assert np.square(told - integer).mean() < 0.5 * np.square(full - integer).mean()
