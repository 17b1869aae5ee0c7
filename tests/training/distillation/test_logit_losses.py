"""Decoupled distillation, DIST and standardised logits, against their papers' equations in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from vskd_training.distillation.logit_losses import decoupled, dist, standardised, target_classes
from vskd_training.distillation.losses import distillation_loss, soft_targets
from vskd_training.models.output import ModelOutput
from vskd_training.settings import LossWeights

Float64 = NDArray[np.float64]
SEEDS = st.integers(0, 1000)


def two(seed: int, batch: int = 5, classes: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = 2 * torch.randn(2, batch, classes, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(classes, (batch,), generator=generator)


def divergence(teacher: Float64, student: Float64) -> float:
    return float((teacher * np.log(teacher / student)).sum())


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([1.0, 4.0]), st.sampled_from([1.0, 8.0]))
def test_decoupled_is_the_papers_two_divergences(seed: int, temperature: float, other: float) -> None:
    student, teacher, target = two(seed)
    p, q = (softmax(z.detach().numpy() / temperature, axis=1) for z in (student, teacher))
    total = 0.0
    for row, y in enumerate(target.tolist()):
        rest = [k for k in range(4) if k != y]
        hit = divergence(np.array([q[row, y], 1 - q[row, y]]), np.array([p[row, y], 1 - p[row, y]]))
        missed = divergence(q[row, rest] / q[row, rest].sum(), p[row, rest] / p[row, rest].sum())
        total += hit + other * missed
    found = decoupled(student, teacher, target, temperature=temperature, other=other)
    assert float(found) == pytest.approx(temperature**2 * total / len(target), rel=1e-9)


@settings(max_examples=30)
@given(SEEDS)
def test_soft_targets_are_the_decoupled_terms_with_the_papers_weight(seed: int) -> None:
    """Equation 7 of the paper, row by row: KD = TCKD + (1 - p_y of the teacher) NCKD."""
    student, teacher, target = two(seed)
    for row in range(len(target)):
        one = (student[row : row + 1], teacher[row : row + 1])
        unsure = 1 - float(torch.softmax(teacher[row] / 4, dim=0)[target[row]])
        found = decoupled(*one, target[row : row + 1], temperature=4.0, other=unsure)
        assert float(found) == pytest.approx(float(soft_targets(*one, temperature=4.0)), rel=1e-9)


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([1.0, 4.0]))
def test_dist_is_one_minus_pearsons_correlation_of_rows_and_of_classes(seed: int, temperature: float) -> None:
    student, teacher, _ = two(seed)
    p, q = (softmax(z.detach().numpy() / temperature, axis=1) for z in (student, teacher))
    rows = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])
    classes = np.mean([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)])
    found = float(dist(student, teacher, temperature=temperature))
    assert found == pytest.approx(temperature**2 * (rows + classes), rel=1e-9)


@settings(max_examples=30)
@given(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_standardised_logits_forget_scale_and_shift(seed: int, scale: float, shift: float) -> None:
    _, teacher, _ = two(seed)
    found = standardised(teacher)
    np.testing.assert_allclose(found.mean(dim=1).numpy(), 0, atol=1e-12)
    np.testing.assert_allclose(found.numpy().std(axis=1), 1, rtol=1e-9)
    torch.testing.assert_close(standardised(scale * teacher + shift), found)
    assert standardised(torch.full((2, 3), 7.0)).abs().max() == 0


@pytest.mark.parametrize("name", ["decoupled", "dist"])
def test_equal_logits_cost_nothing_and_the_teacher_gets_no_gradient(name: str) -> None:
    student, teacher, target = two(3)
    terms = {
        "decoupled": lambda a, b: decoupled(a, b, target, temperature=4.0),
        "dist": lambda a, b: dist(a, b, temperature=4.0),
    }
    assert float(terms[name](teacher, teacher)) == pytest.approx(0, abs=1e-9)
    student.requires_grad_()
    teacher.requires_grad_()
    terms[name](student, teacher).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert float(student.grad.abs().sum()) > 0
    assert teacher.grad is None


def test_a_batch_of_one_and_a_flat_row_stay_finite() -> None:
    student = torch.zeros(1, 3, requires_grad=True)
    teacher = torch.tensor([[50.0, -50.0, 0.0]])
    total = (
        dist(student, teacher, temperature=1.0)
        + decoupled(student, teacher, torch.tensor([0]), temperature=1.0)
        + soft_targets(standardised(student), standardised(teacher), temperature=1.0)
    )
    total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(total)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_a_row_without_a_label_is_about_the_teachers_answer() -> None:
    teacher = torch.tensor([[0.0, 1.0, 5.0], [3.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    targets = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.9, 0.1], [0.3, 0.0, 0.0]])
    assert target_classes(targets, teacher).tolist() == [2, 1, 1]
    assert target_classes(torch.tensor([0, 1, 2]), teacher).tolist() == [0, 1, 2]


@pytest.mark.parametrize("standardise", [False, True])
def test_the_weights_choose_the_terms(standardise: bool) -> None:
    student, teacher, target = two(5)
    shares = torch.nn.functional.one_hot(target, 4).double()
    views = [ModelOutput(logits, torch.zeros(5, 2, dtype=torch.float64)) for logits in (student, teacher)]
    weights = LossWeights(ce=0.0, kd=0.5, decoupled=0.3, dist=0.2, standardised=standardise)
    loss, terms = distillation_loss(*views, shares, weights)
    ours, theirs = (standardised(student), standardised(teacher)) if standardise else (student, teacher)
    expected = (
        0.5 * soft_targets(ours, theirs, temperature=4.0)
        + 0.3 * decoupled(ours, theirs, target, temperature=4.0)
        + 0.2 * dist(student, teacher, temperature=4.0)
    )
    assert set(terms) == {"kd", "decoupled", "dist"}
    assert float(loss) == pytest.approx(float(expected), rel=1e-12)


def test_without_a_teacher_every_such_term_is_off() -> None:
    weights = LossWeights(kd=1, distance=1, angle=1, semantic=1, decoupled=1, dist=1, label_smoothing=0.1)
    alone = weights.without_teacher()
    assert not alone.needs_teacher
    assert (alone.ce, alone.label_smoothing) == (1.0, 0.1)
