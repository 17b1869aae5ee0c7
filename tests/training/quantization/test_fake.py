"""Fake quantization against its definition, written out in numpy, and against the layers' own arithmetic."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vskd.contract import Contract, GafSpec, RawSpec, WindowSpec
from vskd_training.models.build import build_student
from vskd_training.models.student import Student
from vskd_training.quantization.fake import (
    TAIL,
    FakeQuantized,
    fold_norms,
    quantize_activations,
    quantize_weights,
    range_without_outliers,
)
from vskd_training.settings import StudentConfig

torch.set_num_threads(1)

#: Tensors with a scale of their own. Separable: encoder, stem, of six blocks the depthwise and the pointwise output,
#: and the sum where a block keeps its shape (1, 2, 4, 6); the mean, the feature, the logits.
FAMILIES = {
    "raw-separable": ({"channels": 8, "kernel": 5}, 2 + 6 * 2 + 4 + 3),
    # A residual block stores its first convolution, its second, the way around where it is one, and the sum.
    "raw-resnet": ({"channels": 8, "kernel": 5}, 2 + 6 * 3 + 2 + 3),
    # The parts of the feature share the scale of the whole, so that they can stand side by side.
    "branched": ({"channels": 8, "kernel": 5, "branches": 2}, 1 + 2 * (1 + 6 * 3 + 2 + 1) + 2),
    # As a residual network of eight blocks, three of them with a way around; the pooled vector is a mean.
    "gaf-resnet": ({"width": 0.125}, 2 + 8 * 3 + 3 + 3),
}


def student_of(name: str, **keys: Any) -> Student:
    """With norms that do something: their statistics, factors and shifts are random."""
    spec: dict[str, Any] = (
        {"gaf": GafSpec(size=32)}
        if name == "gaf-resnet"
        else {"gaf": None, "raw": RawSpec(transforms=("tanh", "centred"))}
    )
    contract = Contract(labels=("a", "b", "c"), window=WindowSpec(samples=64), **spec)
    torch.manual_seed(3)
    family = "raw-resnet" if name == "branched" else name
    student = build_student(StudentConfig(family=family, **(keys or FAMILIES[name][0])), contract)  # type: ignore[arg-type]
    for module in student.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return student.eval()


WINDOWS = torch.randn(20, 3, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", FAMILIES)
def test_folded_norms_change_no_logit_and_fit_the_same_config(family: str) -> None:
    student = student_of(family)
    folded = copy.deepcopy(student)
    fold_norms(folded)
    with torch.no_grad():
        torch.testing.assert_close(folded(WINDOWS).logits, student(WINDOWS).logits, rtol=1e-4, atol=1e-4)
    norms = [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert norm.running_mean is not None
        assert not norm.running_mean.any()
    assert norms
    student.load_state_dict(folded.state_dict())
    again = copy.deepcopy(folded)
    fold_norms(again)
    torch.testing.assert_close(dict(again.state_dict()), dict(folded.state_dict()), rtol=1e-6, atol=1e-7)


def test_weights_take_255_steps_of_each_output_channel() -> None:
    weights = torch.randn(6, 4, 1, 5, generator=torch.Generator().manual_seed(2))
    weights[3] *= 1e-3
    weights[4] = 0
    rounded = quantize_weights(weights)
    steps = weights.numpy().reshape(6, -1)
    scale = np.abs(steps).max(axis=1, keepdims=True) / 127
    expected = np.rint(steps / np.where(scale, scale, 1)).clip(-127, 127) * scale
    np.testing.assert_allclose(rounded.numpy().reshape(6, -1), expected, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(quantize_weights(rounded), rounded, rtol=1e-6, atol=0)


def test_activations_take_256_steps_with_zero_among_them_and_end_at_the_range() -> None:
    values = torch.linspace(-3, 9, 5001)
    rounded = quantize_activations(values, -1.0, 6.0)
    assert len(rounded.unique()) == 256
    assert 0.0 in rounded
    scale = 7 / 255
    inside = (values > -1) & (values < 6)
    assert (rounded - values)[inside].abs().max() <= scale / 2 + scale
    assert rounded.min() == pytest.approx(-1, abs=scale)
    assert rounded.max() == pytest.approx(6, abs=scale)
    # A range of positive values starts at zero all the same.
    assert 0.0 in quantize_activations(values, 2.0, 4.0)


def test_gradients_pass_inside_the_range_and_end_beyond_it() -> None:
    values = torch.tensor([-5.0, 0.3, 2.0, 9.0], requires_grad=True)
    quantize_activations(values, -1.0, 6.0).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("size", [12, 499, 500, 4096])
def test_a_range_leaves_out_each_windows_outermost_values(size: int) -> None:
    values = torch.randn(7, size, generator=torch.Generator().manual_seed(size))
    left_out = int(TAIL * size)
    ordered = np.sort(values.numpy(), axis=1)
    low, high = range_without_outliers(values.reshape(7, 1, size))
    assert low == ordered[:, left_out].min()
    assert high == ordered[:, size - 1 - left_out].max()
    assert (left_out == 0) == (size < 1 / TAIL)


def test_means_of_segments_are_rounded_as_activations_and_sizes_are_not() -> None:
    student = student_of("raw-resnet", channels=8, kernel=5, segments=2)
    fold_norms(student)
    rounded = FakeQuantized(student)
    rounded.calibrate(WINDOWS)
    with torch.no_grad():
        told, full = rounded(WINDOWS).logits, student(WINDOWS).logits
    assert 0 < float((told - full).abs().max()) < 0.1 * float(full.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_that_an_integer_model_stores_is_rounded(family: str) -> None:
    student = student_of(family)
    fold_norms(student)
    rounded = FakeQuantized(student)
    rounded.calibrate(WINDOWS)
    assert len(rounded.rounded) == FAMILIES[family][1]
    assert set(rounded.ranges) == rounded.rounded
    with torch.no_grad():
        full, integer = student(WINDOWS).logits, rounded(WINDOWS).logits
    # Untrained random norms: 256 steps in some twenty tensors leave some 25 dB.
    assert 0 < (integer - full).pow(2).mean() < 0.02 * full.pow(2).mean()
    low, high = rounded.ranges["classifier"]
    steps = integer / ((max(high, 0) - min(low, 0)) / 255)
    np.testing.assert_allclose(steps.numpy(), steps.round().numpy(), atol=1e-3)


def test_training_it_trains_the_student() -> None:
    student = student_of("raw-separable")
    fold_norms(student)
    rounded = FakeQuantized(student)
    rounded.calibrate(WINDOWS)
    rounded(WINDOWS).logits.square().sum().backward()
    weights = [m.weight for m in student.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)
