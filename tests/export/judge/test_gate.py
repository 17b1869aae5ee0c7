from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.contract import Contract, Scaling
from vskd.errors import GateError
from vskd_export.command import export
from vskd_export.judge import kernels, micro, sizes
from vskd_export.judge.encoder import check_encoder
from vskd_export.judge.engines import EngineRun, recorded_runs
from vskd_export.judge.evidence import NO_LABEL, Evidence, gather_evidence
from vskd_export.judge.float_models import check_float
from vskd_export.judge.gate import check_engines
from vskd_export.judge.kernels import check_micro, check_reference
from vskd_export.judge.quantized import (
    QuantizedParity,
    check_quantized,
    class_f1,
    measure_quantized,
    nearest_of,
    one_window,
)
from vskd_export.judge.sizes import check_sizes, weight_bytes
from vskd_export.judge.violations import REMEDIES, Violation, ViolationCode, refusal
from vskd_export.quantize.recipes import MODELS, parse_recipes
from vskd_training.evaluation.metrics import confusion_matrix, macro_f1
from vskd_training.models.student import gaf_resnet
from vskd_training.settings import load_config

from ..conftest import Trained

MODEL = ModelEntry("model.onnx", "onnx", "fp32")


def evidence_of(logits: list[list[float]], labels: list[int]) -> Evidence:
    count = len(logits)
    return Evidence(
        names=tuple(f"window {index}" for index in range(count)),
        windows=np.zeros((count, 3, 64), np.float32),
        labels=np.array(labels),
        logits=np.array(logits, np.float32),
        embeddings=np.array(logits, np.float32),
        examples=np.zeros((2, 3, 64), np.float32),
        example_embeddings=np.eye(2, dtype=np.float32),
    )


def run_of(logits: NDArray[np.float32], model: ModelEntry = MODEL, engine: str = "engine") -> EngineRun:
    """A run whose embeddings are its logits, so that the nearest of the two examples is the label."""
    return EngineRun(engine, "1.2", model, logits, logits.copy(), np.eye(2, dtype=np.float32))


def two_classes() -> Contract:
    return Contract(labels=("a", "b"))


def check(logits: NDArray[np.float32], seen: Evidence) -> tuple[float, tuple[Violation, ...]]:
    checked, violations = check_float(
        dataclasses.replace(run_of(logits), embeddings=seen.embeddings), two_classes(), seen
    )
    return checked.largest_difference, violations


def test_logits_within_the_tolerance_pass_and_the_largest_difference_is_told() -> None:
    seen = evidence_of([[0.0, 1.0], [2.0, 3.0]], [1, NO_LABEL])
    difference, violations = check(seen.logits + np.array([[0, 0], [0, 8e-5]], np.float32), seen)
    assert difference == pytest.approx(8e-5, rel=1e-2)
    assert violations == ()


def test_a_wrong_logit_is_a_violation_with_engine_file_window_and_difference() -> None:
    seen = evidence_of([[0.0, 1.0], [2.0, 3.0], [0.5, 0.5]], [1, NO_LABEL, 0])
    logits = seen.logits.copy()
    logits[1, 0] += 2e-4

    _, (violation,) = check(logits, seen)

    assert (violation.code, violation.component, violation.engine, violation.limit) == (
        "float-logits", "model.onnx", "engine 1.2", 1e-4,
    )  # fmt: skip
    assert "engine 1.2 disagrees with torch on model.onnx: window 'window 1', largest logit difference 2.00e-04" in (
        violation.message
    )


@pytest.mark.parametrize("file", [model.file for model in MODELS if model.format == "onnx"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_logit_that_is_not_finite_is_refused_whatever_is_allowed(file: str, wrong: float) -> None:
    seen = evidence_of([[0.0, 1.0], [2.0, 3.0]], [1, NO_LABEL])
    runs = [run_of(seen.logits.copy(), model, "onnxruntime") for model in MODELS]
    next(run for run in runs if run.model.file == file).logits[1, 0] = wrong

    with pytest.raises(GateError, match=rf"{file} in onnxruntime 1\.2 gives NaN or infinity for window 'window 1'"):
        check_engines(runs, two_classes(), seen)


def test_a_bundle_keeps_the_answers_of_the_most_preferred_engine() -> None:
    runs = [run_of(np.zeros((2, 2), np.float32), engine=engine) for engine in ("litert", "tflite-runtime")]
    assert recorded_runs(runs)[MODEL.file] is runs[0]


def test_a_refusal_names_every_violation_and_each_remedy_once() -> None:
    codes: tuple[ViolationCode, ...] = ("macro-f1", "micro-label", "macro-f1")
    found = [Violation(code, "a model", "", 2.0, 1.0, f"number {index} is wrong") for index, code in enumerate(codes)]

    lines = str(refusal(found, report="x.bundle.refused/report.html")).splitlines()

    assert lines[0] == "the gate refuses this export: 3 limits are exceeded"
    assert lines[1:5] == [*(f"  - number {index} is wrong" for index in range(3)), "Remedies:"]
    assert len(lines) == 9
    assert {line.removeprefix("  - ") for line in lines[5:8]} == {*REMEDIES["macro-f1"], *REMEDIES["micro-label"]}
    assert lines[8].startswith("No bundle was written; x.bundle.refused/report.html holds the report")
    assert lines[8].endswith("--allow-degraded writes the bundle and marks it")
    assert "1 limit is exceeded" in str(refusal(found[:1], report="r"))


def test_every_kind_of_violation_has_at_least_two_remedies_and_they_name_what_exists() -> None:
    assert set(REMEDIES) == set(get_args(ViolationCode))
    for remedies in REMEDIES.values():
        assert len(set(remedies)) == len(remedies) >= 2
    text = " ".join(remedy for pair in REMEDIES.values() for remedy in pair)
    options = {option for parameter in export.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", text)) - {"--set"} <= options
    for recipe in re.findall(r"w8[a-z0-9.-]+|fp16", text):
        parse_recipes((recipe,))
    for key, value in re.findall(r"--set ([a-z.]+)=([0-9]+)", text):
        load_config("demo", changes=(f"{key}={value}",))


def measure(logits: list[list[float]], seen: Evidence) -> QuantizedParity:
    return measure_quantized(
        dataclasses.replace(run_of(np.array(logits, np.float32)), embeddings=seen.embeddings), two_classes(), seen
    )


def test_a_quantized_model_is_measured_on_recorded_windows_only() -> None:
    # Four recorded windows, torch right on three; the quantized model flips the third, and is wrong there.
    seen = evidence_of([[1, 0], [1, 0], [0, 1], [1, 0], [9, 0]], [0, 0, 1, 1, NO_LABEL])
    measured = measure([[1, 0], [1, 0], [0.1, 0], [1, 0], [0, 9]], seen)

    assert (measured.flips, measured.flip_rate) == (1, 0.25)
    # softmax(0, 1): the margin is tanh(1/2).
    assert measured.largest_flipped_margin == pytest.approx(np.tanh(0.5), abs=1e-6)
    assert measured.accuracy == 0.5
    # torch: F1 of a = 4/5, of b = 2/3. quantized: a is chosen four times, 2*2/(2+4), b never.
    assert measured.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert measured.macro_f1_loss == pytest.approx((4 / 5 + 2 / 3) / 2 - 1 / 3)
    assert measured.largest_difference == pytest.approx(1.0)
    # One window of four: b loses its only right one, which is what one window weighs there.
    assert (measured.worst_class, measured.worst_class_loss) == ("b", pytest.approx(2 / 3))
    assert measured.worst_class_loss_limit == pytest.approx(2 / 3)
    assert measured.flip_rate_limit == 0.25
    assert [violation.code for violation in check_quantized(measured)] == ["flip-margin"]


@given(data=st.data(), classes=st.integers(2, 5))
def test_one_window_weighs_what_taking_it_away_costs(data: st.DataObject, classes: int) -> None:
    pairs = st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40)
    truth, answers = np.array(data.draw(pairs)).T
    row = data.draw(st.integers(0, len(truth) - 1))
    other = data.draw(st.integers(0, classes - 1))
    before = confusion_matrix(truth, answers, classes)
    lost, false_alarm = one_window(before)
    changed = answers.copy()
    changed[row] = other
    loss = class_f1(before) - class_f1(confusion_matrix(truth, changed, classes))

    assert (loss <= lost + 1e-12).all()
    if answers[row] == truth[row] != other:
        assert loss[truth[row]] == pytest.approx(lost[truth[row]])
        assert loss[other] == pytest.approx(false_alarm[other])
    occurs = before.sum(axis=1) > 0
    assert class_f1(before)[occurs].mean() == pytest.approx(macro_f1(truth, answers))


def many(flips: int, *, margin: float = 0.1) -> tuple[Evidence, list[list[float]]]:
    """A thousand windows, all right in torch; the quantized model mistakes this many of the first class."""
    lead = float(np.log((1 + margin) / (1 - margin)))
    labels = [index % 2 for index in range(1000)]
    logits = [[0.0, lead] if label else [lead, 0.0] for label in labels]
    chosen = [row[::-1] if index % 2 == 0 and index < 2 * flips else row for index, row in enumerate(logits)]
    return evidence_of(logits, labels), chosen


@pytest.mark.parametrize(
    ("flips", "margin", "codes"),
    [
        (4, 0.19, []),
        (4, 0.21, ["flip-margin"]),
        (6, 0.1, ["macro-f1"]),
        (10, 0.1, ["macro-f1"]),
        (11, 0.1, ["macro-f1", "flip-rate"]),
        (25, 0.3, ["macro-f1", "class-f1", "flip-rate", "flip-margin"]),
    ],
)
def test_a_large_set_is_judged_by_the_limits_themselves(flips: int, margin: float, codes: list[str]) -> None:
    seen, chosen = many(flips, margin=margin)
    measured = measure(chosen, seen)

    assert measured.flip_rate_limit == 0.01
    assert measured.macro_f1_loss_limit == 0.005
    assert measured.worst_class_loss_limit == 0.02
    violations = check_quantized(measured)
    assert [violation.code for violation in violations] == codes
    assert all(violation.engine == "engine 1.2" and violation.value > violation.limit for violation in violations)


def test_a_violation_says_what_broke_by_how_much_and_the_limit() -> None:
    seen, chosen = many(25, margin=0.3)
    sentences = [violation.message for violation in check_quantized(measure(chosen, seen))]
    assert sentences == [
        "model.onnx in engine 1.2 loses 2.50% of macro-F1, the limit is 0.50%",
        "model.onnx in engine 1.2 loses 2.56% of the F1 of 'a', the limit is 2.00%",
        "model.onnx in engine 1.2 changes 2.50% of the labels, the limit is 1.00%",
        "model.onnx in engine 1.2 changes a label that the trained network gave with a margin of 30.0%, "
        "the limit is 20.00%",
    ]


def test_every_weight_of_the_integer_models_is_a_quarter(files: dict[str, bytes]) -> None:
    sizes, violations = check_sizes(files, MODELS)

    assert violations == ()
    assert set(sizes) == {model.file for model in MODELS if model.recipe != "fp32"}
    assert all(row["weights_ratio"] == 4.0 and row["ratio_limit"] == pytest.approx(3.9) for row in sizes.values())
    # Small as it is, the whole file cannot be a quarter: see WHOLE_FILE_BYTES.
    assert all(2.0 < row["file_ratio"] < 3.9 for row in sizes.values())


def test_weights_are_filters_and_matrices_and_nothing_else(files: dict[str, bytes], trained: Trained) -> None:
    layers = (torch.nn.Conv2d, torch.nn.Linear)
    weights = sum(m.weight.numel() for m in trained.student.modules() if isinstance(m, layers))
    for model in MODELS:
        assert weight_bytes(model.file, files[model.file]) == weights * (4 if model.recipe == "fp32" else 1)


def test_a_file_that_was_not_made_smaller_is_a_violation(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {model.file: files[f"model.fp32.{model.format}"] for model in MODELS}
    monkeypatch.setattr(sizes, "WHOLE_FILE_BYTES", 1000)

    _, violations = check_sizes(small, MODELS[:2])

    assert [violation.code for violation in violations] == ["weights-size", "file-size"]
    assert violations[0].message == (
        "the weights of model.w8a8-static-pc.onnx are smaller than the float ones by a factor of 1.00, "
        "at least 3.90 is needed"
    )


@pytest.mark.parametrize("scaling", ["tanh", "range", "minmax"])
def test_both_encoders_keep_the_limit_under_every_scaling(scaling: Scaling, trained: Trained) -> None:
    """Without exception, because float64 draws from the encoder's own averages."""
    gaf = dataclasses.replace(trained.contract.gaf, scaling=scaling, fields=("gasf", "gadf"))
    contract = dataclasses.replace(trained.contract, gaf=gaf)
    student = gaf_resnet(contract, width=0.125).eval()
    seen = gather_evidence(student, contract, trained.held_out, trained.calibration)

    table, violations = check_encoder(student, contract, seen)

    assert violations == ()
    assert 0 < table["numpy"] <= 2e-6
    assert 0 < table["torch"] <= 2e-6
    assert 0 < table["numpy_average"] <= 1e-6


def test_an_encoder_that_does_not_draw_the_contracts_image_is_a_violation(trained: Trained) -> None:
    gaf = dataclasses.replace(trained.contract.gaf, scale_g=2.001)
    other = dataclasses.replace(trained.contract, gaf=gaf)
    seen = dataclasses.replace(evidence_of([[0.0, 1.0]], [0]), windows=trained.held_out.windows[:1])

    table, violations = check_encoder(trained.student, trained.contract, seen)
    assert violations == ()
    assert table["torch"] <= 2e-6

    _, (violation,) = check_encoder(trained.student, other, seen)
    assert (violation.code, violation.component) == ("encoder-output", "the torch encoder")
    assert "the torch encoder's output of window 'window 0' differs from float64 by" in violation.message


class _Recorder:
    """Stands for the process with the reference kernels: gives these logits for every model."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self.logits = logits

    def __call__(self, models: Mapping[str, bytes], windows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {name: self.logits[: len(windows)].copy() for name in models}


def against_reference(
    logits: list[float], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[dict[str, object]], tuple[Violation, ...]]:
    """Eight windows with a lead of 1 in torch and the fast kernels; the reference kernels say ``logits`` each time."""
    seen = evidence_of([[0.0, 1.0]] * 8, [1] * 8)
    files = {model.file: b"" for model in MODELS}
    monkeypatch.setattr(kernels, "run_reference", _Recorder(np.tile(np.array(logits, np.float32), (8, 1))))
    return check_reference(MODELS, files, dict.fromkeys(files, seen.logits), two_classes(), seen)


def test_reference_kernels_that_agree_are_told_per_tflite_model(monkeypatch: pytest.MonkeyPatch) -> None:
    table, violations = against_reference([0.0, 1.00005], monkeypatch)

    assert violations == ()
    assert [row["file"] for row in table] == ["model.fp32.tflite", "model.w8a8-static-pc.tflite"]
    assert all(row["windows"] == 8 and row["flips"] == 0 for row in table)
    assert table[0]["from_torch"] == pytest.approx(5e-5, rel=0.01)


def test_float_logits_must_be_torchs_and_quantized_labels_those_of_the_fast_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, near = against_reference([0.0, 1.1], monkeypatch)
    _, (full, small) = against_reference([1.0, 0.0], monkeypatch)

    assert [violation.code for violation in near] == ["reference-logits"]
    assert (full.code, small.code) == ("reference-logits", "reference-label")
    assert small.value == pytest.approx(np.tanh(0.5))
    assert "give window 'window 0' another label on model.w8a8-static-pc.tflite" in small.message


def test_reference_kernels_that_give_nan_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GateError, match="reference kernels gives NaN or infinity for window 'window 0'"):
        against_reference([np.nan, 0.0], monkeypatch)


def on_micro(
    logits: list[float], monkeypatch: pytest.MonkeyPatch, features: float = 1.0
) -> tuple[dict[str, object], tuple[Violation, ...]]:
    """As ``against_reference``, in TensorFlow Lite Micro; its embeddings are LiteRT's times ``features``."""
    seen = evidence_of([[0.0, 1.0]] * 8, [1] * 8)
    run = micro.MicroRun("9", 12_345, np.tile(np.array(logits, np.float32), (8, 1)), features * seen.embeddings)
    monkeypatch.setattr(micro, "is_installed", lambda: True)
    monkeypatch.setattr(micro, "run_micro", lambda *_: run)
    file = MODELS[3].file
    return check_micro({file: b""}, {file: run_of(seen.logits)}, two_classes(), seen)


def test_tensorflow_lite_micro_must_give_the_labels_of_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    table, violations = on_micro([0.1, 0.9], monkeypatch)
    assert violations == ()
    assert (table["arena_bytes"], table["windows"], table["flips"]) == (12_345, 8, 0)
    assert table["largest_difference"] == pytest.approx(0.1)

    table, (violation,) = on_micro([1.0, 0.0], monkeypatch)
    assert table["flips"] == 8
    assert (violation.code, violation.component) == ("micro-label", "model.w8a8-static-pc.tflite")
    assert "gives window 'window 0' another label than LiteRT, whose margin there is 0.46" in violation.message

    with pytest.raises(GateError, match="in TensorFlow Lite Micro 9 gives NaN or infinity for window 'window 0'"):
        on_micro([np.nan, 0.0], monkeypatch)


def test_tensorflow_lite_micro_must_give_the_embedding_of_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    table, violations = on_micro([0.0, 1.0], monkeypatch, features=3.0)
    assert (table["least_cosine"], violations) == (pytest.approx(1.0), ())

    _, (violation,) = on_micro([0.0, 1.0], monkeypatch, features=-1.0)
    assert violation.code == "micro-embedding"
    assert "another embedding than LiteRT: their cosine is -1.000, below 0.98" in violation.message


def test_a_wrong_feature_of_a_float_model_is_a_violation() -> None:
    seen = evidence_of([[0.0, 1.0], [0.0, 200.0]], [1, NO_LABEL])
    run = run_of(seen.logits)
    # Of a feature of 200 the tolerance is 200 times as wide.
    near = dataclasses.replace(run, embeddings=seen.embeddings + np.array([[0, 0], [0, 1e-2]], np.float32))
    assert check_float(near, two_classes(), seen)[1] == ()
    wrong = dataclasses.replace(run, embeddings=seen.embeddings + np.array([[2e-4, 0], [0, 0]], np.float32))
    parity, (violation,) = check_float(wrong, two_classes(), seen)
    assert parity.embedding_difference == pytest.approx(2e-4, rel=1e-3)
    assert violation.code == "float-embedding"
    assert "window 'window 0', largest feature difference 2.00e-04, the limit is 1e-04" in violation.message


@given(
    windows=arrays(np.float32, (12, 5), elements=st.floats(0, 4, width=16)),
    examples=arrays(np.float32, (3, 5), elements=st.floats(0, 4, width=16)),
)
def test_the_nearest_example_has_the_largest_cosine(
    windows: NDArray[np.float32], examples: NDArray[np.float32]
) -> None:
    """By the definition, pair by pair; an embedding of zeros has a cosine of 0 with everything."""
    zeros = np.zeros((12, 2), np.float32)
    (found,) = nearest_of(EngineRun("engine", "1", MODEL, zeros, windows, examples), 1)
    for window, row in zip(windows.tolist(), found.tolist(), strict=True):
        cosines = []
        for example in examples.tolist():
            lengths = math.sqrt(math.fsum(x * x for x in window)) * math.sqrt(math.fsum(y * y for y in example))
            dot = math.fsum(x * y for x, y in zip(window, example, strict=True))
            cosines.append(dot / lengths if lengths else 0.0)
        assert cosines[row] == pytest.approx(max(cosines), abs=1e-12)


@pytest.mark.parametrize(("changed", "codes"), [(10, []), (11, ["nearest-example"])])
def test_one_nearest_example_in_a_hundred_may_change(changed: int, codes: list[str]) -> None:
    """Labels and logits are the trained network's; only the embeddings turn. Adversarial windows count for nothing."""
    seen, chosen = many(0)
    turned = seen.embeddings.copy()
    turned[:changed] = turned[:changed, ::-1]
    run = dataclasses.replace(run_of(np.array(chosen, np.float32)), embeddings=turned)
    measured = measure_quantized(run, two_classes(), seen)
    assert (measured.nearest_changed, measured.nearest_changed_limit) == (changed / 1000, 0.01)
    violations = check_quantized(measured)
    assert [violation.code for violation in violations] == codes
    for violation in violations:
        assert violation.message == (
            "model.onnx in engine 1.2 finds another nearest example for 1.10% of the windows, the limit is 1.00%"
        )
        assert all(remedy.startswith(("train", "export")) for remedy in REMEDIES[violation.code])


def test_the_share_of_other_nearest_examples_is_the_median_over_the_sets() -> None:
    """Of three sets the last has both examples alike in the run: chance decides between them, and it does not count."""
    seen, chosen = many(0)
    own, alike = np.eye(2), np.ones((2, 2))
    seen = dataclasses.replace(seen, example_embeddings=np.concatenate([own] * 3).astype(np.float32), example_sets=3)
    for sets, share in (([own, own, alike], 0.0), ([own, alike, alike], 0.5)):
        examples = np.concatenate(sets).astype(np.float32)
        run = dataclasses.replace(run_of(np.array(chosen, np.float32)), example_embeddings=examples)
        assert measure_quantized(run, two_classes(), seen).nearest_changed == share


def test_scaling_an_embedding_changes_no_nearest_example() -> None:
    seen, chosen = many(0)
    run = dataclasses.replace(run_of(np.array(chosen, np.float32)), embeddings=seen.embeddings * np.float32(0.01))
    assert measure_quantized(run, two_classes(), seen).nearest_changed == 0
