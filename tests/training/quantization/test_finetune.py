"""The fine-tuning for int8: it brings the rounded student nearer to the float one, and leaves weights on the grid."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vskd.errors import ConfigError
from vskd_training.data.experiment import Experiment
from vskd_training.loop.train import train_student
from vskd_training.models.student import Student
from vskd_training.quantization.fake import FakeQuantized, fold_norms, quantize_weights
from vskd_training.quantization.finetune import FineTuning, divergence, finetune
from vskd_training.runs.trained import trained_student
from vskd_training.settings import QuantizationConfig

from .test_fake import student_of

WINDOWS = torch.randn(96, 3, 64, generator=torch.Generator().manual_seed(5))


def batches(epoch: int) -> Iterator[Tensor]:
    order = torch.randperm(96, generator=torch.Generator().manual_seed(epoch))
    return iter(WINDOWS[order].split(16))


def silent(done: int, total: int, parts: dict[str, float]) -> None:
    del done, total, parts


def tuned(student: Student, *, epochs: int = 4, told: list[tuple[int, int]] | None = None) -> list[float]:
    config = QuantizationConfig(epochs=epochs, learning_rate=1e-3)

    def progress(done: int, total: int, _: dict[str, float]) -> None:
        if told is not None:
            told.append((done, total))

    return finetune(FineTuning(student, WINDOWS, batches, 6, config, progress))


@torch.no_grad()
def from_float(student: Student) -> float:
    """How far the rounded student is from itself in float."""
    folded = copy.deepcopy(student)
    fold_norms(folded)
    rounded = FakeQuantized(folded)
    rounded.calibrate(WINDOWS)
    return float(divergence(rounded(WINDOWS).logits, folded(WINDOWS).logits))


def test_the_rounded_student_comes_nearer_and_the_float_one_stays_what_it_was() -> None:
    student = student_of("raw-separable")
    with torch.no_grad():
        student.classifier.weight.mul_(20)  # untrained logits are so alike that rounding hardly shows
    trained = copy.deepcopy(student)
    told: list[tuple[int, int]] = []

    tuned(student, told=told)

    assert from_float(student) < 0.7 * from_float(trained)
    with torch.no_grad():
        same = student(WINDOWS).logits.argmax(1) == trained(WINDOWS).logits.argmax(1)
    assert same.float().mean() > 0.9
    assert told == [(step, 24) for step in range(1, 25)]
    assert not student.training


def test_the_weights_lie_on_the_grid_and_the_norms_are_folded() -> None:
    student = student_of("raw-resnet")
    tuned(student, epochs=1)
    for module in student.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            torch.testing.assert_close(quantize_weights(module.weight), module.weight, rtol=1e-6, atol=0)
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))


def test_the_same_windows_give_the_same_weights() -> None:
    one, other = student_of("raw-separable"), student_of("raw-separable")
    assert tuned(one, epochs=1) == tuned(other, epochs=1)
    torch.testing.assert_close(dict(one.state_dict()), dict(other.state_dict()), rtol=0, atol=0)


def test_a_run_is_fine_tuned_after_its_training_and_tells_its_scores_before(tiny: Experiment, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny.config, quantization=QuantizationConfig(epochs=2))
    options = {"teachers": [], "overwrite": False, "progress": silent}
    full = train_student(tiny, tmp_path / "float", resume=False, **options)  # type: ignore[arg-type]
    run = train_student(dataclasses.replace(tiny, config=config), tmp_path / "int8", resume=False, **options)  # type: ignore[arg-type]

    assert "quantization" not in full.card
    told = run.card["quantization"]
    assert len(told["loss"]) == 2
    assert set(told["before"]) == {"validation", "test"}
    # The training itself is the same; only then the two part.
    for name, value in told["before"]["test"]["window"].items():
        assert full.card["metrics"]["test"]["window"][name] == value
    lines = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 5]
    assert lines[-1]["int8_loss"] == told["loss"]
    weights = dict(trained_student(run).named_parameters())["classifier.weight"]
    torch.testing.assert_close(quantize_weights(weights), weights, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"epochs": -1}, r"quantization\.epochs must not be negative, got -1\. 0 leaves it out"),
        ({"learning_rate": 0.0}, r"quantization\.learning_rate must lie in \(0, 0\.1\], got 0\. 2e-4 is the default"),
        ({"learning_rate": 0.2}, r"quantization\.learning_rate must lie in \(0, 0\.1\], got 0\.2"),
    ],
)
def test_settings_out_of_range_are_refused(keys: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        QuantizationConfig(**keys)  # type: ignore[arg-type]
