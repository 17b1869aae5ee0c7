"""Each term against a case worked out in plain Python, against finite differences, and at the edges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vskd.closed import from_mapping
from vskd.errors import ConfigError, DataError
from vskd_training.distillation.losses import (
    angle,
    distance,
    distillation_loss,
    semantic,
    soft_targets,
    supervised_contrast,
)
from vskd_training.models.output import ModelOutput
from vskd_training.settings import LossWeights

torch.set_num_threads(1)

EVERY = LossWeights(kd=0.7, distance=1.3, angle=0.9, semantic=0.4, temperature=3.0, label_smoothing=0.1)

# Three recordings, two features, three classes. The student's first corner is right-angled, the teacher's is flat.
STUDENT_FEATURE = [[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]
TEACHER_FEATURE = [[1.0, 1.0], [2.0, 1.0], [4.0, 1.0]]
STUDENT_LOGITS = [[0.2, -1.0, 0.5], [1.5, 0.0, -0.5], [-0.3, 0.8, 0.1]]
TEACHER_LOGITS = [[2.0, -1.0, 0.0], [0.5, 1.0, -2.0], [0.0, 3.0, -1.0]]

Rows = list[list[float]]


def double(rows: Rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def views() -> tuple[ModelOutput, ModelOutput]:
    student = ModelOutput(double(STUDENT_LOGITS).requires_grad_(), double(STUDENT_FEATURE).requires_grad_())
    return student, ModelOutput(double(TEACHER_LOGITS).requires_grad_(), double(TEACHER_FEATURE).requires_grad_())


def random_views(seed: int, batch: int = 5, width: int = 4) -> tuple[ModelOutput, ModelOutput]:
    generator = torch.Generator().manual_seed(seed)
    logits, features = (torch.randn(2, batch, n, generator=generator, dtype=torch.float64) for n in (3, width))
    return ModelOutput(logits[0], features[0]), ModelOutput(logits[1], features[1])


def compute(
    student: ModelOutput, teacher: ModelOutput | None, targets: Tensor, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    return distillation_loss(student, teacher, targets, weights)


# The definitions once more, in plain Python on lists.


def smooth_l1(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def softmax(logits: list[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp(value / temperature) for value in logits]
    return [power / sum(powers) for power in powers]


def plain_kd(student: Rows, teacher: Rows, temperature: float) -> float:
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        q, p = softmax(ours, temperature), softmax(theirs, temperature)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


def plain_distance(student: Rows, teacher: Rows) -> float:
    def relative(rows: Rows) -> Rows:
        table = [[math.dist(one, other) for other in rows] for one in rows]
        positive = [d for row in table for d in row if d > 0]
        return [[d * len(positive) / sum(positive) for d in row] for row in table]

    ours, theirs = relative(student), relative(teacher)
    count = len(student)
    return sum(smooth_l1(ours[i][j] - theirs[i][j]) for i in range(count) for j in range(count)) / count**2


def plain_angle(student: Rows, teacher: Rows) -> float:
    def cosine(rows: Rows, i: int, j: int, k: int) -> float:
        if i in (j, k):
            return 0.0
        ij, ik = ([b - a for a, b in zip(rows[i], rows[end], strict=True)] for end in (j, k))
        return sum(a * b for a, b in zip(ij, ik, strict=True)) / (math.hypot(*ij) * math.hypot(*ik))

    count = len(student)
    triples = itertools.product(range(count), repeat=3)
    return sum(smooth_l1(cosine(student, *triple) - cosine(teacher, *triple)) for triple in triples) / count**3


def plain_semantic(student: Rows, teacher: Rows) -> float:
    pairs = [(a, b) for ours, theirs in zip(student, teacher, strict=True) for a, b in zip(ours, theirs, strict=True)]
    return sum((a - b) ** 2 for a, b in pairs) / len(pairs)


def plain_ce(student: Rows, labels: list[int], smoothing: float) -> float:
    total = 0.0
    for logits, label in zip(student, labels, strict=True):
        logs = [math.log(p) for p in softmax(logits)]
        total -= (1 - smoothing) * logs[label] + smoothing * sum(logs) / len(logs)
    return total / len(student)


def test_soft_targets_by_hand() -> None:
    # One sample, two classes: p = (3/4, 1/4) against q = (1/2, 1/2) at t = 1.
    value = soft_targets(double([[0.0, 0.0]]), double([[math.log(3), 0.0]]), temperature=1.0)
    assert value.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-12)
    student, teacher = views()
    for temperature in (0.5, 1.0, 4.0):
        value = soft_targets(student.logits, teacher.logits, temperature=temperature)
        assert value.item() == pytest.approx(plain_kd(STUDENT_LOGITS, TEACHER_LOGITS, temperature), abs=1e-12)


def test_distance_by_hand() -> None:
    # Student: 3, 4, 5, mean 4 -> 3/4, 1, 5/4. Teacher: 1, 3, 2, mean 2 -> 1/2, 3/2, 1. Each pair counts twice of nine.
    by_hand = 2 * (0.25**2 / 2 + 0.5**2 / 2 + 0.25**2 / 2) / 9
    assert plain_distance(STUDENT_FEATURE, TEACHER_FEATURE) == pytest.approx(by_hand, abs=1e-15)
    student, teacher = views()
    assert distance(student.feature, teacher.feature).item() == pytest.approx(by_hand, abs=1e-12)


def test_angle_by_hand() -> None:
    # Cosines at the corners 0, 1, 2. Student (3-4-5): 0, 3/5, 4/5. Teacher, on a line: 1, -1, 1. Twice of 27 each;
    # the corners whose two sides are one have cosine 1 on both sides.
    by_hand = 2 * (smooth_l1(0 - 1) + smooth_l1(0.6 + 1) + smooth_l1(0.8 - 1)) / 27
    assert plain_angle(STUDENT_FEATURE, TEACHER_FEATURE) == pytest.approx(by_hand, abs=1e-15)
    student, teacher = views()
    assert angle(student.feature, teacher.feature).item() == pytest.approx(by_hand, abs=1e-12)


def test_semantic_by_hand() -> None:
    by_hand = (1 + 1 + 1 + 1 + 16 + 9) / 6
    student, teacher = views()
    assert semantic(student.feature, teacher.feature).item() == pytest.approx(by_hand, abs=1e-12)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), batch=st.integers(2, 6), width=st.integers(1, 5))
def test_every_term_is_its_definition(seed: int, batch: int, width: int) -> None:
    student, teacher = random_views(seed, batch, width)
    ours, theirs = student.feature.tolist(), teacher.feature.tolist()
    assert distance(student.feature, teacher.feature).item() == pytest.approx(plain_distance(ours, theirs), abs=1e-11)
    assert angle(student.feature, teacher.feature).item() == pytest.approx(plain_angle(ours, theirs), abs=1e-11)
    assert semantic(student.feature, teacher.feature).item() == pytest.approx(plain_semantic(ours, theirs), abs=1e-11)


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    student, teacher = views()
    loss, terms = compute(student, teacher, torch.tensor([2, 0, 1]), EVERY)
    expected = {
        "ce": plain_ce(STUDENT_LOGITS, [2, 0, 1], 0.1),
        "kd": plain_kd(STUDENT_LOGITS, TEACHER_LOGITS, 3.0),
        "distance": plain_distance(STUDENT_FEATURE, TEACHER_FEATURE),
        "angle": plain_angle(STUDENT_FEATURE, TEACHER_FEATURE),
        "semantic": plain_semantic(STUDENT_FEATURE, TEACHER_FEATURE),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, abs=1e-12)
    weighed = sum(getattr(EVERY, name) * value for name, value in expected.items())
    assert loss.item() == pytest.approx(weighed, abs=1e-12)
    assert not any(term.requires_grad for term in terms.values())


def test_class_indices_and_certain_probabilities_are_the_same_targets() -> None:
    student, _ = views()
    weights = LossWeights(label_smoothing=0.2)
    by_index, _ = compute(student, None, torch.tensor([2, 0, 1]), weights)
    by_probability, _ = compute(student, None, torch.eye(3, dtype=torch.float64)[[2, 0, 1]], weights)
    assert by_index.item() == pytest.approx(by_probability.item(), abs=1e-12)


def test_mixed_targets_give_the_mixed_loss() -> None:
    student, _ = views()
    first, second = torch.tensor([2, 0, 1]), torch.tensor([0, 0, 2])
    eye = torch.eye(3, dtype=torch.float64)
    mixed, _ = compute(student, None, 0.3 * eye[first] + 0.7 * eye[second], LossWeights())
    parts = [compute(student, None, targets, LossWeights())[0].item() for targets in (first, second)]
    assert mixed.item() == pytest.approx(0.3 * parts[0] + 0.7 * parts[1], abs=1e-12)


TERMS: list[Callable[[ModelOutput, ModelOutput], Tensor]] = [
    lambda student, teacher: soft_targets(student.logits, teacher.logits, temperature=4.0),
    lambda student, teacher: distance(student.feature, teacher.feature),
    lambda student, teacher: angle(student.feature, teacher.feature),
    lambda student, teacher: semantic(student.feature, teacher.feature),
]


@pytest.mark.parametrize("term", TERMS, ids=["kd", "distance", "angle", "semantic"])
def test_gradcheck(term: Callable[[ModelOutput, ModelOutput], Tensor]) -> None:
    student, teacher = random_views(3)
    logits, feature = student.logits.requires_grad_(), student.feature.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, f: term(ModelOutput(z, f), teacher), (logits, feature))


def test_the_gradient_is_the_central_difference() -> None:
    student, teacher = random_views(4)
    targets = torch.tensor([0, 1, 2, 1, 0])

    def value(logits: Tensor, feature: Tensor) -> Tensor:
        return compute(ModelOutput(logits, feature), teacher, targets, EVERY)[0]

    values = [student.logits.clone().requires_grad_(), student.feature.clone().requires_grad_()]
    value(*values).backward()
    step = 1e-6
    for which, tensor in enumerate(values):
        for place in itertools.product(*(range(side) for side in tensor.shape)):
            moved = []
            for sign in (1, -1):
                copies = [other.detach().clone() for other in values]
                copies[which][place] += sign * step
                moved.append(value(*copies).item())
            assert tensor.grad is not None
            assert tensor.grad[place].item() == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-7)


@pytest.mark.parametrize("term", TERMS, ids=["kd", "distance", "angle", "semantic"])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_student_that_is_its_teacher_pays_nothing(
    term: Callable[[ModelOutput, ModelOutput], Tensor], batch: int
) -> None:
    view, other = random_views(8, batch)
    student = ModelOutput(view.logits.requires_grad_(), view.feature.requires_grad_())
    value = term(student, ModelOutput(view.logits.detach().clone(), view.feature.detach().clone()))
    assert value.item() == pytest.approx(0, abs=1e-12)
    value.backward()
    for tensor in (student.logits, student.feature):
        assert tensor.grad is None or tensor.grad.abs().max() < 1e-9
    if batch > 2:
        assert term(view, other).item() > 1e-3


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_distance_ignores_scale_and_angle_ignores_scale_and_shift(seed: int, factor: float, shift: float) -> None:
    student, teacher = random_views(seed)
    for moved in (student.feature * factor, student.feature * factor + shift):
        assert distance(moved, teacher.feature).item() == pytest.approx(
            distance(student.feature, teacher.feature).item(), abs=1e-9
        )
        assert angle(moved, teacher.feature).item() == pytest.approx(
            angle(student.feature, teacher.feature).item(), abs=1e-9
        )
        assert angle(teacher.feature, moved).item() == pytest.approx(
            angle(teacher.feature, student.feature).item(), abs=1e-9
        )


def test_relations_do_not_need_the_same_width() -> None:
    student, teacher = random_views(1)
    wide = torch.nn.functional.pad(teacher.feature, (0, 3))
    assert distance(student.feature, wide).item() == pytest.approx(distance(student.feature, teacher.feature).item())
    assert angle(student.feature, wide).item() == pytest.approx(angle(student.feature, teacher.feature).item())
    with pytest.raises(DataError, match=r"student's features are \(5, 4\), the teacher's \(5, 7\)"):
        semantic(student.feature, wide)
    with pytest.raises(DataError, match=r"student's logits are \(5, 3\), the teacher's \(4, 3\)"):
        soft_targets(student.logits, teacher.logits[:4], temperature=1.0)
    for term in (distance, angle):
        with pytest.raises(DataError, match="student's batch has 5 features, the teacher's 4"):
            term(student.feature, teacher.feature[:4])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_twins_and_collapsed_features_have_finite_gradients(dtype: torch.dtype) -> None:
    _, teacher = random_views(2)
    twins = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=dtype)
    twins[3] = twins[1]
    for start in (twins, torch.zeros(5, 4, dtype=dtype), torch.full((5, 4), 7.0, dtype=dtype)):
        for term in (distance, angle):
            feature = start.clone().requires_grad_()
            value = term(feature, teacher.feature.to(dtype))
            value.backward()
            assert value.isfinite()
            assert value > 0
            assert feature.grad is not None
            assert feature.grad.isfinite().all()
            assert feature.grad.abs().max() < 100


def test_a_collapsed_teacher_is_defined() -> None:
    student, _ = random_views(2)
    collapsed = torch.ones(5, 4, dtype=torch.float64)
    assert distance(collapsed, collapsed * 2).item() == 0
    assert angle(collapsed, collapsed * 2).item() == 0
    for term in (distance, angle):
        assert term(student.feature, collapsed).isfinite()


def test_twins_keep_their_distance_of_nothing() -> None:
    # Distances 0 (the twins), 2, 2; the mean is over all three pairs, so relative to it they are 0, 3/2, 3/2.
    rows: Rows = [[0.0], [0.0], [2.0]]
    value = distance(double(rows), double(TEACHER_FEATURE))
    theirs = (0.5, 1.5, 1.0)
    by_hand = 2 * sum(smooth_l1(a - b) for a, b in zip((0.0, 1.5, 1.5), theirs, strict=True)) / 9
    assert value.item() == pytest.approx(by_hand, abs=1e-5)


def test_a_batch_of_one_has_no_relations() -> None:
    student, teacher = random_views(2, batch=1)
    feature = student.feature.requires_grad_()
    loss, terms = compute(ModelOutput(student.logits, feature), teacher, torch.tensor([1]), EVERY)
    loss.backward()
    assert terms["distance"] == 0
    assert terms["angle"] == 0
    assert terms["semantic"] > 0
    assert feature.grad is not None
    assert feature.grad.isfinite().all()


def test_the_teacher_gets_no_gradient_and_the_student_does() -> None:
    student, teacher = views()
    compute(student, teacher, torch.tensor([2, 0, 1]), EVERY)[0].backward()
    assert teacher.logits.grad is None
    assert teacher.feature.grad is None
    assert student.logits.grad is not None
    assert student.feature.grad is not None
    assert student.feature.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["kd", "distance", "angle", "semantic"])
def test_each_term_alone_reaches_the_student(name: str) -> None:
    student, teacher = views()
    loss, terms = compute(student, teacher, torch.tensor([2, 0, 1]), LossWeights(**{"ce": 0.0, name: 2.0}))
    loss.backward()
    assert list(terms) == [name]
    assert loss.item() == pytest.approx(2 * terms[name].item())
    grad = student.logits.grad if name == "kd" else student.feature.grad
    assert grad is not None
    assert grad.abs().max() > 0


def test_a_term_of_weight_nought_is_not_computed() -> None:
    student, teacher = views()
    # A teacher whose feature has another width would be refused by the semantic term, and NaN would show in the sum.
    odd = ModelOutput(teacher.logits, torch.full((3, 7), math.nan, dtype=torch.float64))
    loss, terms = compute(student, odd, torch.tensor([2, 0, 1]), LossWeights(kd=1.0))
    assert list(terms) == ["ce", "kd"]
    assert loss.isfinite()


def test_bfloat16_is_computed_in_float32_also_under_autocast() -> None:
    student, teacher = (ModelOutput(*(value.float() for value in view[:2])) for view in random_views(5, width=300))
    rounded = [ModelOutput(*(value.bfloat16() for value in view[:2])) for view in (student, teacher)]
    exact = [ModelOutput(*(value.float() for value in view[:2])) for view in rounded]
    targets = torch.tensor([0, 1, 2, 1, 0])
    expected, expected_terms = compute(*exact, targets, EVERY)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, terms = compute(*rounded, targets, EVERY)
    assert value.dtype == torch.float32
    assert value.item() == expected.item()
    assert terms == expected_terms
    finest = compute(*(ModelOutput(*(side.double() for side in view[:2])) for view in exact), targets, EVERY)[1]
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in finest.items()}, rel=1e-5
    )


def test_a_missing_teacher_is_refused_where_it_is_weighed() -> None:
    student, _ = views()
    with pytest.raises(ConfigError, match=r"there is no teacher\. Name a teacher, or set loss\.kd"):
        compute(student, None, torch.tensor([0, 1, 2]), LossWeights(angle=0.1))
    loss, terms = compute(student, None, torch.tensor([0, 1, 2]), LossWeights())
    assert list(terms) == ["ce"]
    assert loss.item() == pytest.approx(plain_ce(STUDENT_LOGITS, [0, 1, 2], 0.0))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"kd": -0.1}, r"loss\.kd must be finite and at least 0, got -0\.1"),
        ({"angle": math.nan}, r"loss\.angle must be a finite number, got nan"),
        ({"semantic": math.inf}, r"loss\.semantic must be a finite number, got inf"),
        ({"temperature": 0}, r"loss\.temperature must be above 0"),
        ({"label_smoothing": 1}, r"loss\.label_smoothing must lie in \[0, 1\), got 1"),
        ({"ce": 0}, r"every weight of the loss is 0\. Set one of"),
        ({"dask": 1}, r"unknown key 'dask' in loss"),
        ({"distance": "1"}, r"loss\.distance must be of type float"),
    ],
)
def test_impossible_weights_are_refused(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(LossWeights, mapping, where="loss")


def test_weights_made_in_code_are_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"loss\.angle must be finite and at least 0, got nan"):
        LossWeights(angle=math.nan)


def test_the_defaults_need_no_teacher() -> None:
    assert from_mapping(LossWeights, {}, where="loss") == LossWeights()
    assert not LossWeights().needs_teacher
    assert LossWeights(ce=0, distance=1).needs_teacher


# --- the contrast by the labels -------------------------------------------------------------------------------------


def plain_contrast(feature: Rows, labels: Rows) -> float:
    """The definition, on lists."""

    def dot(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    total = 0.0
    for i, (f, y) in enumerate(zip(feature, labels, strict=True)):
        others = [k for k in range(len(labels)) if k != i and sum(labels[k])]
        cosine = {k: dot(f, feature[k]) / math.sqrt(dot(f, f) * dot(feature[k], feature[k])) / 0.1 for k in others}
        every = math.log(sum(map(math.exp, cosine.values()))) if others else 0.0
        weight = {k: dot(y, labels[k]) for k in others}
        total -= sum(weight[k] * (cosine[k] - every) for k in others) / max(1.0, sum(weight.values()))
    return total / len(labels)


def mixed_labels(seed: int, batch: int) -> Tensor:
    """Labels of four classes: certain ones, mixed ones, and rows of zeros."""
    generator = torch.Generator().manual_seed(seed)
    classes, partners = torch.randint(4, (2, batch), generator=generator)
    share = torch.rand(batch, 1, generator=generator, dtype=torch.float64).mul(1.5).clamp(max=1)
    one, other = (torch.nn.functional.one_hot(each, 4).double() for each in (classes, partners))
    known = torch.rand(batch, 1, generator=generator) < 0.8
    return (share * one + (1 - share) * other) * known


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 7), width=st.integers(2, 5), factor=st.floats(0.1, 10))
def test_the_contrast_is_its_definition_whatever_the_features_length(
    seed: int, batch: int, width: int, factor: float
) -> None:
    feature, labels = random_views(seed, batch, width)[0].feature, mixed_labels(seed, batch)
    expected = plain_contrast(feature.tolist(), labels.tolist())
    assert supervised_contrast(feature * factor, labels).item() == pytest.approx(expected, abs=1e-9)


def test_the_contrast_by_hand() -> None:
    """Two rows of one class at a right angle to each other, one of another beside the first."""
    feature, labels = double([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]), double([[1, 0], [1, 0], [0, 1]])
    by_hand = (-math.log(1 / (1 + math.e**10)) - math.log(1 / 2)) / 3
    assert supervised_contrast(feature, labels).item() == pytest.approx(by_hand, rel=1e-12)
    student = ModelOutput(double(STUDENT_LOGITS), feature)
    for targets in (torch.tensor([0, 0, 1]), torch.nn.functional.pad(labels, (0, 1))):
        loss, terms = compute(student, None, targets, LossWeights(ce=0, supervised=2.0))
        assert list(terms) == ["supervised"]
        assert loss.item() == pytest.approx(2 * by_hand)


@pytest.mark.parametrize("seed", range(4))
def test_the_contrasts_gradient_is_that_of_finite_differences(seed: int) -> None:
    feature = random_views(seed)[0].feature.requires_grad_()
    labels = mixed_labels(seed, 5)
    assert torch.autograd.gradcheck(lambda value: supervised_contrast(value, labels), [feature])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_without_a_direction_have_a_finite_contrast(dtype: torch.dtype) -> None:
    twins = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=dtype)
    twins[3] = twins[1]
    for start in (twins, torch.zeros(5, 4, dtype=dtype), twins * 1e-30):
        for labels in (torch.eye(4, dtype=dtype)[[0, 0, 1, 1, 2]], torch.zeros(5, 4, dtype=dtype)):
            feature = start.clone().requires_grad_()
            value = supervised_contrast(torch.relu(feature), labels)
            value.backward()
            assert value.isfinite()
            assert (value == 0) == (not labels.any())
            assert feature.grad is not None
            assert feature.grad.isfinite().all()


# --- rows without a label -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_row_without_a_label_adds_nothing_to_the_cross_entropy(smoothing: float) -> None:
    """Against the definition: smoothed targets of the labelled rows, the mean over all rows."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    targets = torch.nn.functional.one_hot(torch.tensor([0, 3, 1, 2, 2, 0]), 4).double()
    targets[[1, 4]] = 0.0
    view = ModelOutput(logits, torch.zeros(6, 2, dtype=torch.float64))
    weights = LossWeights(ce=1.0, label_smoothing=smoothing)
    loss, _ = distillation_loss(view, None, targets, weights)
    expected = 0.0
    for row in (0, 2, 3, 5):
        wanted = (1 - smoothing) * targets[row].numpy() + smoothing / 4
        shifted = logits[row].numpy() - logits[row].numpy().max()
        expected -= float(wanted @ (shifted - np.log(np.exp(shifted).sum()))) / 6
    assert float(loss) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=30)
@given(seed=st.integers(0, 99), taught=st.lists(st.booleans(), min_size=6, max_size=6))
def test_rows_without_a_teacher_learn_from_their_labels_alone(seed: int, taught: list[bool]) -> None:
    """The oracle computes the teacher's terms of the other rows by themselves, in their share of the batch."""
    student, teacher = random_views(seed, batch=6)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    mask = torch.tensor(taught)
    weights = LossWeights(kd=0.7, distance=1.3, angle=0.9, temperature=3.0)
    found, terms = distillation_loss(student, teacher, labels, weights, taught=mask)
    rows, count = mask.nonzero().squeeze(1), sum(taught)
    expected = compute(student, None, labels, LossWeights())[0]
    if count >= 2:
        _, alone = compute(student.rows(rows), teacher.rows(rows), labels[rows], weights)
        expected = expected + sum(getattr(weights, name) * alone[name] * count / 6 for name in alone if name != "ce")
    torch.testing.assert_close(found, expected)
    assert set(terms) == {"ce", "kd", "distance", "angle"}
    if all(taught):
        torch.testing.assert_close(found, compute(student, teacher, labels, weights)[0])
