"""A branched student is the mean of networks that are trained as if each were alone."""

from __future__ import annotations

import pytest
import torch

from vskd.contract import Contract, GafSpec, RawSpec, WindowSpec
from vskd.errors import ConfigError
from vskd_training.distillation.losses import distillation_loss
from vskd_training.distillation.targets import check_features
from vskd_training.loop.tasks import EpochOrder, StudentBatch, StudentTask
from vskd_training.models.build import build_student
from vskd_training.models.output import FEATURE_SIZE, ModelOutput
from vskd_training.models.student import Student
from vskd_training.settings import Augmentation, Config, DataConfig, LossWeights, StudentConfig

torch.set_num_threads(1)

CONTRACT = Contract(
    labels=("a", "b", "c"), window=WindowSpec(samples=64), gaf=None, raw=RawSpec(transforms=("tanh", "centred"))
)
WINDOWS = torch.randn(6, 3, 64, generator=torch.Generator().manual_seed(1))


def branched(branches: int) -> Student:
    torch.manual_seed(branches)
    config = StudentConfig(family="raw-resnet", channels=8, kernel=5, segments=2, branches=branches)  # type: ignore[arg-type]
    return build_student(config, CONTRACT).eval()


def in_training_mode(student: Student) -> ModelOutput:
    """What each branch answers, with the statistics of its norms left as they are."""
    student.training = True
    try:
        with torch.no_grad():
            return student(WINDOWS)  # type: ignore[no-any-return]
    finally:
        student.eval()


@pytest.mark.parametrize("branches", [2, 3, 4])
def test_its_logits_are_the_mean_of_its_branches_and_its_feature_holds_theirs(branches: int) -> None:
    student = branched(branches)
    with torch.no_grad():
        together = student(WINDOWS)
    each = in_training_mode(student)
    assert each.logits.shape == (branches * 6, 3)
    logits = each.logits.reshape(branches, 6, 3)
    torch.testing.assert_close(together.logits, logits.mean(dim=0), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)
    assert together.feature.shape == (6, FEATURE_SIZE)
    torch.testing.assert_close(together.feature, torch.cat(each.feature.split(6), dim=1), rtol=0, atol=0)


def test_a_branch_answers_by_its_own_layers_alone() -> None:
    student = branched(2)
    before = in_training_mode(student).logits
    with torch.no_grad():
        for value in student.branches[1].parameters():  # type: ignore[union-attr, index]
            value.zero_()
        student.classifier.weight[:, FEATURE_SIZE // 2 :].zero_()
    after = in_training_mode(student).logits
    torch.testing.assert_close(after[:6], before[:6], rtol=0, atol=0)
    assert not torch.allclose(after[6:], before[6:])


def task(weights: LossWeights) -> StudentTask:
    none = torch.zeros(0)
    return StudentTask(none, none, None, none, EpochOrder(0, 0), Augmentation(), weights)


@pytest.mark.parametrize("taught", [None, torch.tensor([True, False, True, True, False, True])])
def test_the_loss_is_the_mean_of_the_branches_own_losses(taught: torch.Tensor | None) -> None:
    student, weights = branched(3), LossWeights(ce=0.7, kd=0.5, distance=0.2, label_smoothing=0.1)
    labels, targets = torch.eye(3)[[0, 1, 2, 2, 1, 0]], ModelOutput(torch.randn(6, 3), torch.randn(6, 40))
    batch = StudentBatch(torch.arange(6), WINDOWS, labels, targets, taught)
    each = in_training_mode(student)
    student.training = True
    loss, terms = task(weights).loss(student, batch)
    alone = [
        distillation_loss(ModelOutput(*one), targets, labels, weights, taught=taught)
        for one in zip(each.logits.split(6), each.feature.split(6), strict=True)
    ]
    assert float(loss.detach()) == pytest.approx(sum(float(one) for one, _ in alone) / 3, rel=1e-5)
    assert set(terms) == {"ce", "kd", "distance"}
    assert float(terms["kd"]) == pytest.approx(sum(float(parts["kd"]) for _, parts in alone) / 3, rel=1e-5)
    # What stands in for the target of a window without a teacher reaches no branch.
    if taught is not None:
        targets.logits[~taught], targets.feature[~taught] = 1e3, -1e3
        assert float(task(weights).loss(student, batch)[0].detach()) == pytest.approx(float(loss.detach()), rel=1e-6)


def test_a_part_of_a_feature_cannot_be_compared_with_a_whole_one() -> None:
    student = StudentConfig(family="raw-resnet", branches=2)
    data = DataConfig(dataset="synthetic", view="rendered", protocol="cross-subject")
    config = Config(data=data, student=student, loss=LossWeights(semantic=1.0))
    with pytest.raises(
        ConfigError, match=r"feature of 300 with one of 150: student.features = 300, student.branches = 2"
    ):
        check_features(config, 1)


def test_an_image_student_has_no_branches() -> None:
    with pytest.raises(ConfigError, match=r"student.branches = 2 has no meaning for student.family = 'gaf-resnet'"):
        StudentConfig(branches=2)


@pytest.mark.parametrize("keys", [{"features": 100, "branches": 3}, {"features": 4}, {"features": 2048}])
def test_a_feature_that_branches_cannot_share_or_of_no_sensible_width_is_refused(keys: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=rf"student.features must lie in \[8, 1024\] .*, got {keys['features']}"):
        StudentConfig(family="raw-resnet", **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [{}, {"family": "raw-resnet"}, {"family": "raw-resnet", "branches": 2}])
def test_every_family_has_a_feature_of_the_width_that_is_asked_for(keys: dict[str, object]) -> None:
    config = StudentConfig(features=96, **({"width": 0.125} if not keys else {"channels": 8}), **keys)  # type: ignore[arg-type]
    contract = CONTRACT if keys else Contract(labels=("a", "b"), window=WindowSpec(samples=64), gaf=GafSpec(size=32))
    with torch.no_grad():
        assert build_student(config, contract).eval()(WINDOWS).feature.shape == (6, 96)
