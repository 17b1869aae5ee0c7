"""Hint, attention and contrast: against their formulas in numpy, finite differences, and what they must not notice."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.errors import ConfigError, DataError
from vskd_training.data.augment import Change
from vskd_training.data.experiment import Experiment
from vskd_training.distillation.feature_losses import (
    PROJECTION_SIZE,
    FeatureHeads,
    InTraining,
    attention,
    contrastive,
    hint,
    over_time,
    share,
)
from vskd_training.distillation.losses import LossWeights, distillation_loss
from vskd_training.distillation.targets import averaged, shuffled, views_for
from vskd_training.loop.run import Run
from vskd_training.loop.tasks import StudentBatch, StudentTask, TeacherViews
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.models.skeleton import SkeletonTeacher
from vskd_training.models.student import Student, View
from vskd_training.models.trn import SmallBackbone, Teacher
from vskd_training.settings import LabelsConfig, TeachingConfig, load_config

torch.set_num_threads(1)

Array = NDArray[np.float64]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the formulas once more, in loops -------------------------------------------------------------------------------


def averaged_down(rows: Array, instants: int) -> Array:
    """(channels, T) to fewer instants, of a T that they divide."""
    parts = rows.shape[1] // instants
    return np.array([[row[k * parts : (k + 1) * parts].mean() for k in range(instants)] for row in rows])


def plain_hint(regressed: Array, teacher: Array) -> float:
    instants = min(regressed.shape[2], teacher.shape[2])
    total, count = 0.0, 0
    for ours, theirs in zip(regressed, teacher, strict=True):
        difference = averaged_down(ours, instants) - averaged_down(theirs, instants)
        total += float((difference**2).sum())
        count += difference.size
    return total / count / 2


def plain_attention(student: Array, teacher: Array) -> float:
    def energy(one: Array) -> Array:
        if one.ndim == 2:
            return np.array([[sum(channel[t] ** 2 for channel in one) for t in range(one.shape[1])]])
        side = one.shape[1]
        rows = [sum((channel[t] ** 2).mean() for channel in one) for t in range(side)]
        columns = [sum((channel[:, t] ** 2).mean() for channel in one) for t in range(side)]
        return np.array([[(a + b) / 2 for a, b in zip(rows, columns, strict=True)]])

    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        instants = min(ours.shape[-1], theirs.shape[-1])
        one, other = (averaged_down(energy(side), instants)[0] for side in (ours, theirs))
        total += float(((one / np.linalg.norm(one) - other / np.linalg.norm(other)) ** 2).sum())
    return total / len(student)


def plain_contrast(student: Array, teacher: Array, recordings: list[set[int]], temperature: float) -> float:
    def one_way(anchors: Array, others: Array) -> float:
        total = 0.0
        for i, anchor in enumerate(anchors):
            cosine = [a @ anchor / np.linalg.norm(a) / np.linalg.norm(anchor) for a in others]
            strange = [j for j in range(len(others)) if not recordings[i] & recordings[j]]
            powers = {j: np.exp(cosine[j] / temperature) for j in [i, *strange]}
            total -= float(np.log(powers[i] / sum(powers.values())))
        return total / len(anchors)

    return (one_way(student, teacher) + one_way(teacher, student)) / 2


SHAPES = st.sampled_from([(4, 4), (8, 4), (4, 8), (6, 2), (5, 5)])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), instants=SHAPES)
def test_a_hint_is_its_formula(seed: int, instants: tuple[int, int]) -> None:
    student, teacher = normal(3, 5, instants[0], seed=seed), normal(3, 5, instants[1], seed=seed + 1)
    assert hint(student, teacher).item() == pytest.approx(plain_hint(student.numpy(), teacher.numpy()), abs=1e-12)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), instants=SHAPES)
def test_attention_is_its_formula(seed: int, instants: tuple[int, int]) -> None:
    ours, theirs = instants
    field, steps = normal(3, 5, ours, ours, seed=seed), normal(3, 7, theirs, seed=seed + 1)
    assert attention(field, steps).item() == pytest.approx(plain_attention(field.numpy(), steps.numpy()), abs=1e-12)
    other = normal(3, 2, theirs, theirs, seed=seed + 2)
    assert attention(field, other).item() == pytest.approx(plain_attention(field.numpy(), other.numpy()), abs=1e-12)


PARTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=9)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), parts=PARTS, temperature=st.floats(0.05, 2))
def test_the_contrast_is_its_formula(seed: int, parts: list[tuple[int, int]], temperature: float) -> None:
    student, teacher = normal(len(parts), 6, seed=seed), normal(len(parts), 6, seed=seed + 1)
    related = share(torch.tensor(parts))
    assert torch.equal(related, related.T)
    expected = plain_contrast(student.numpy(), teacher.numpy(), [set(one) for one in parts], temperature)
    value = contrastive(student, teacher, related, temperature=temperature)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_contrast_by_hand() -> None:
    # Two strangers, each its own pair's twin and at right angles to the other: log(1 + e^(-1 / t)), either way.
    eye = torch.eye(2, dtype=torch.float64)
    value = contrastive(3 * eye, eye / 5, share(torch.tensor([[0], [1]])), temperature=0.5)
    assert value.item() == pytest.approx(np.log1p(np.exp(-2)), abs=1e-12)
    # Two windows of one recording have nobody to be told from.
    assert contrastive(eye, eye.flip(0), share(torch.tensor([[7], [7]])), temperature=0.5).item() == 0


def test_a_window_of_the_same_recording_is_no_negative() -> None:
    """Two windows that look alike, as those of one recording do, cost something only where they are strangers."""
    eye = torch.eye(2, dtype=torch.float64)
    views = torch.stack([eye[0], eye[1], eye[0]]).requires_grad_()
    alike = contrastive(views, views.detach(), share(torch.tensor([[0], [1], [0]])), temperature=0.05)
    strangers = contrastive(views, views.detach(), share(torch.tensor([[0], [1], [2]])), temperature=0.05)
    assert alike.item() == pytest.approx(0, abs=1e-6)
    assert strangers.item() == pytest.approx(2 / 3 * np.log(2), abs=1e-6)
    alike.backward()  # type: ignore[no-untyped-call]
    assert views.grad is not None
    assert views.grad.isfinite().all()


def test_mixed_rows_are_related_to_both_their_recordings() -> None:
    rows = share(torch.tensor([[0, 1], [1, 2], [3, 3], [2, 0]]))
    assert rows.int().tolist() == [[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]]


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100))
def test_attention_ignores_strength_channels_order_and_which_axis_is_time(seed: int, factor: float) -> None:
    field, steps = normal(3, 5, 8, 8, seed=seed), normal(3, 4, 8, seed=seed + 1)
    value = attention(field, steps).item()
    assert 0 < value < 2
    assert attention(factor * field, steps).item() == pytest.approx(value, rel=1e-9)
    assert attention(field, factor * steps).item() == pytest.approx(value, rel=1e-9)
    assert attention(field.flip(1), steps.flip(1)).item() == pytest.approx(value, rel=1e-9)
    assert attention(field.transpose(2, 3), steps).item() == pytest.approx(value, rel=1e-9)
    assert attention(field, field.clone()).item() == pytest.approx(0, abs=1e-12)


def test_maps_that_agree_on_when_pay_nothing() -> None:
    """A motion in the second quarter of the window, in a field of 8 instants and in 16 steps."""
    field = torch.zeros(1, 2, 8, 8)
    field[:, :, 2:4, 2:4] = 3.0
    steps, late = torch.zeros(1, 5, 16), torch.zeros(1, 5, 16)
    steps[:, :, 4:8], late[:, :, 12:] = 1.0, 1.0
    assert attention(field, steps).item() == pytest.approx(0, abs=1e-6)
    assert attention(field, late).item() == pytest.approx(2, abs=1e-6)


def test_over_time_keeps_rows_and_columns_apart() -> None:
    field = normal(2, 3, 4, 4)
    flat = over_time(field)
    assert flat.shape == (2, 6, 4)
    np.testing.assert_allclose(flat[1, 2, 3], field[1, 2, 3, :].mean())
    np.testing.assert_allclose(flat[1, 5, 3], field[1, 2, :, 3].mean())
    steps = normal(2, 3, 4)
    assert over_time(steps) is steps


@pytest.mark.parametrize("name", ["hint", "attention", "contrastive"])
def test_gradients_are_finite_differences_and_the_teacher_has_none(name: str) -> None:
    related = share(torch.tensor([[0], [1], [0]]))
    terms: dict[str, Any] = {
        "hint": lambda one, other: hint(over_time(one), over_time(other)),
        "attention": attention,
        "contrastive": lambda one, other: contrastive(one.flatten(1), other.flatten(1), related, temperature=0.5),
    }
    student, teacher = normal(3, 2, 4, 4, seed=1).requires_grad_(), normal(3, 2, 4, 4, seed=2)
    assert torch.autograd.gradcheck(lambda one: terms[name](one, teacher), (student,))
    if name != "contrastive":  # there the teacher's projection is trained; its feature is detached in the heads
        teacher.requires_grad_()
        terms[name](student, teacher).backward()
        assert teacher.grad is None


def test_empty_maps_and_projections_have_finite_gradients() -> None:
    for start in (torch.zeros(3, 2, 4, 4), torch.full((3, 2, 4, 4), 1e-20)):
        field = start.clone().requires_grad_()
        value = attention(field, normal(3, 2, 8).float())
        value = value + contrastive(
            field.flatten(1), normal(3, 32).float(), share(torch.arange(3)[:, None]), temperature=1
        )
        value.backward()  # type: ignore[no-untyped-call]
        assert value.isfinite()
        assert field.grad is not None
        assert field.grad.isfinite().all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"student's hint is \(2, 3, 4\), the teacher's \(2, 5, 4\)"):
        hint(normal(2, 3, 4), normal(2, 5, 4))
    with pytest.raises(DataError, match="student's batch has 2 maps, the teacher's 3"):
        attention(normal(2, 3, 4), normal(3, 3, 4))
    with pytest.raises(DataError, match=r"student's projections are \(2, 3\), the teacher's \(2, 4\)"):
        contrastive(normal(2, 3), normal(2, 4), share(torch.arange(2)[:, None]), temperature=1)


# --- networks -------------------------------------------------------------------------------------------------------


def small_student() -> Student:
    contract = Contract(labels=("a", "b", "c"), window=WindowSpec(samples=64), gaf=GafSpec(fields=("gadf",), size=32))
    torch.manual_seed(0)
    return Student(contract, width=0.125)


def test_a_map_comes_only_where_it_is_asked_for_and_changes_no_bit() -> None:
    student = small_student().eval()
    skeleton = SkeletonTeacher(4, 3, width=0.25).eval()
    trn = Teacher(SmallBackbone(motion=False, width=0.125), 3, segments=4).eval()
    inputs = {
        student: torch.randn(2, 3, 64),
        skeleton: torch.randn(2, 32, 4, 3),
        trn: torch.randint(0, 255, (2, 4, 1, 32, 32), dtype=torch.uint8),
    }
    shapes = {student: (2, student.middle_channels, 4, 4), skeleton: (2, 64, 8), trn: (2, 300, 4)}
    for network, given_input in inputs.items():
        plain, with_map = network(given_input), network.with_middle(given_input)
        assert plain.middle is None
        assert torch.equal(plain.logits, with_map.logits)
        assert torch.equal(plain.feature, with_map.feature)
        assert with_map.middle.shape == shapes[network]


def heads_for(student: Student, **changes: Any) -> FeatureHeads:
    teacher = View(torch.zeros(1, 3), torch.zeros(1, 20), torch.zeros(1, 7, 16))
    return FeatureHeads(student, teacher._replace(**changes), for_hint=True, for_contrast=True)


def test_heads_lead_from_one_side_to_the_other_and_learn() -> None:
    student = small_student()
    heads = heads_for(student)
    view = student.with_middle(torch.randn(6, 3, 64))
    teacher = View(torch.randn(6, 3), torch.randn(6, 20).requires_grad_(), torch.randn(6, 7, 16).requires_grad_())
    weights = LossWeights(ce=0.0, hint=0.5, attention=2.0, contrastive=0.3, contrastive_temperature=0.2)
    recordings = torch.tensor([[0], [1], [2], [0], [3], [4]])
    ids = list("abcdef")
    targets = torch.zeros(6, 3)  # not one label: they take part
    loss, terms = distillation_loss(
        view, teacher, targets, weights, student_ids=ids, teacher_ids=ids, heads=heads, recordings=recordings
    )
    assert view.middle is not None
    assert teacher.middle is not None
    rows = over_time(view.middle).detach().double().numpy()
    weight, bias = (
        value.detach().double().numpy() for value in (heads.regressor.weight[:, :, 0], heads.regressor.bias)
    )
    regressed = np.einsum("oc,bct->bot", weight, rows) + bias[None, :, None]
    theirs = teacher.middle.detach().double().numpy()
    feature = view.feature.detach().double().numpy()
    projected = [
        values @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        for values, layer in (
            (feature, heads.of_student),
            (teacher.feature.detach().double().numpy(), heads.of_teacher),
        )
    ]
    assert projected[0].shape == (6, PROJECTION_SIZE)
    expected = {
        "hint": plain_hint(regressed, theirs),
        "attention": plain_attention(view.middle.detach().double().numpy(), theirs),
        "contrastive": plain_contrast(projected[0], projected[1], [{int(one)} for one in recordings], 0.2),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-4)
    weighed = 0.5 * expected["hint"] + 2.0 * expected["attention"] + 0.3 * expected["contrastive"]
    assert loss.item() == pytest.approx(weighed, rel=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in heads.parameters())
    first = student.trunk.get_submodule("conv1").get_parameter("weight").grad
    assert first is not None
    assert first.abs().max() > 0
    assert teacher.feature.grad is None
    assert teacher.middle.grad is None


def test_heads_are_as_many_as_are_asked_for() -> None:
    student = small_student()
    teacher = View(torch.zeros(1, 3), torch.zeros(1, 20), None)
    assert list(FeatureHeads(student, teacher, for_hint=False, for_contrast=False).parameters()) == []
    with pytest.raises(ConfigError, match=r"loss.hint needs the teacher's map, and it gives none"):
        FeatureHeads(student, teacher, for_hint=True, for_contrast=False)
    nameless = teacher._replace(feature=torch.zeros(1, 0))
    with pytest.raises(ConfigError, match=r"loss.contrastive needs the teacher's feature, and it gives none"):
        FeatureHeads(student, nameless, for_hint=False, for_contrast=True)


def test_terms_without_their_means_are_refused() -> None:
    view = View(torch.zeros(2, 3), torch.zeros(2, 300), None)
    options: dict[str, Any] = {"student_ids": "ab", "teacher_ids": "ab"}
    for weights in (LossWeights(hint=1.0), LossWeights(contrastive=1.0)):
        with pytest.raises(DataError, match="trains heads beside the student, and got a batch without heads"):
            distillation_loss(view, view, torch.zeros(2, 3), weights, **options)
    with pytest.raises(DataError, match="compares intermediate maps, and a view has none"):
        distillation_loss(view, view, torch.zeros(2, 3), LossWeights(attention=1.0), **options)


def test_the_weights_know_what_they_need() -> None:
    needs = {
        name: (weights.needs_teacher, weights.needs_middle, weights.needs_heads)
        for name in ("ce", "hint", "attention", "contrastive")
        for weights in [LossWeights(**{name: 1.0})]
    }
    assert needs == {
        "ce": (False, False, False),
        "hint": (True, True, True),
        "attention": (True, True, False),
        "contrastive": (True, False, True),
    }
    assert LossWeights(hint=1, attention=1, contrastive=1).without_teacher() == LossWeights()
    with pytest.raises(ConfigError, match=r"loss.contrastive_temperature must be above 0, got 0"):
        LossWeights(contrastive_temperature=0)


# --- what is heard --------------------------------------------------------------------------------------------------


def test_maps_are_shuffled_with_the_recordings_and_not_averaged(tiny: Experiment) -> None:
    table = tiny.windows("train")
    number = torch.arange(len(table)).float()
    views = TeacherViews(table.ids, number[:, None], number[:, None], number[:, None, None])
    got = shuffled(views, table, within_class=False, seed=0)
    assert got.middles is not None
    assert torch.equal(got.middles[:, :, 0], got.features)
    assert not torch.equal(got.features, views.features)
    assert averaged([views, views], mean="arithmetic").middles is None
    assert averaged([views], mean="arithmetic").middles is views.middles


def test_mixup_mixes_the_teachers_map_and_remembers_both_recordings(tiny: Experiment) -> None:
    table = tiny.windows("train")
    number = torch.arange(len(table)).float()
    views = TeacherViews(
        table.ids, number[:, None].expand(-1, 12), number[:, None], number[:, None, None].expand(-1, 2, 5)
    )
    how = dataclasses.replace(tiny.config.augment, mixup=0.5)
    task = StudentTask(table, 12, how=how, weights=LossWeights(attention=1.0), teacher=views, seed=0)
    differs = 0
    for batch in task.batches(0, 16):
        assert batch.teacher is not None
        assert batch.teacher.middle is not None
        torch.testing.assert_close(batch.teacher.middle[:, 1, 3], batch.teacher.feature[:, 0])
        own = [int(table.recordings[table.ids.index(name)]) for name in batch.ids]
        assert batch.recordings[:, 0].tolist() == own
        assert sorted(batch.recordings[:, 1].tolist()) == sorted(own)
        differs += int((batch.recordings[:, 1] != batch.recordings[:, 0]).sum())
    assert differs > 5


# --- runs -----------------------------------------------------------------------------------------------------------


def silent(done: int, total: int, parts: dict[str, float]) -> None:
    del done, total, parts


OPTIONS: dict[str, Any] = {"overwrite": False, "resume": False, "progress": silent}
EVERY = {"hint": 0.05, "attention": 1.0, "contrastive": 0.2}


def with_(experiment: Experiment, loss: dict[str, float], **changes: Any) -> Experiment:
    weights = dataclasses.replace(experiment.config.loss, **loss)  # type: ignore[arg-type]
    return dataclasses.replace(experiment, config=dataclasses.replace(experiment.config, loss=weights, **changes))


@pytest.fixture(scope="module")
def teacher(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_teacher(tiny, tmp_path_factory.mktemp("teacher") / "run", **OPTIONS)


@pytest.fixture(scope="module")
def alone(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_student(tiny, tmp_path_factory.mktemp("alone") / "run", teachers=(), **OPTIONS)


def test_a_run_with_heads_leaves_a_plain_student_and_resumes_to_the_bit(
    tiny: Experiment, teacher: Run, alone: Run, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def kill_in_second_epoch(done: int, total: int, parts: dict[str, float]) -> None:
        assert set(EVERY) < set(parts)
        if done > total // 2:
            raise Killed

    taught = with_(tiny, EVERY)
    whole = train_student(taught, tmp_path / "whole", teachers=[teacher], **OPTIONS)
    assert whole.card["parameters"] == alone.card["parameters"]
    model = Student(whole.contract, width=whole.config.student.width)
    whole.load_weights(model)
    options = {**OPTIONS, "progress": kill_in_second_epoch}
    with pytest.raises(Killed):
        train_student(taught, tmp_path / "killed", teachers=[teacher], **options)
    kept = torch.load(tmp_path / "killed" / "resume.pt", weights_only=True)["model"]
    assert {name.partition(".")[0] for name in kept} == {"student", "heads"}
    assert "heads.regressor.weight" in kept
    resumed = train_student(taught, tmp_path / "killed", teachers=[teacher], **{**OPTIONS, "resume": True})
    assert resumed.card["weights_sha256"] == whole.card["weights_sha256"]


@pytest.mark.parametrize("changes", [{"pairing": "shuffled"}, {"consistent": True}])
def test_every_term_works_shuffled_consistent_and_from_a_student(
    tiny: Experiment, teacher: Run, alone: Run, tmp_path: Path, changes: dict[str, Any]
) -> None:
    taught = with_(tiny, EVERY, teaching=TeachingConfig(**changes))
    own = train_student(with_(tiny, EVERY), tmp_path / "own", teachers=[teacher], **OPTIONS)
    other = train_student(taught, tmp_path / "other", teachers=[teacher], **OPTIONS)
    assert other.card["weights_sha256"] != own.card["weights_sha256"]
    train_student(taught, tmp_path / "again", teachers=[alone], **OPTIONS)


def test_the_heads_begin_after_the_student_so_that_arms_begin_alike(
    tiny: Experiment, teacher: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal first weights whatever the loss: the arms of a study are paired."""
    begins: list[dict[str, Tensor]] = []

    class Stopped(BaseException):
        pass

    def stop(model: Any, *_: Any, **__: Any) -> None:
        student = model.student if isinstance(model, InTraining) else model
        begins.append({name: value.clone() for name, value in student.state_dict().items()})
        raise Stopped

    monkeypatch.setattr("vskd_training.loop.train.fit", stop)
    for number, loss in enumerate([{}, EVERY, {"attention": 1.0}]):
        with pytest.raises(Stopped):
            train_student(with_(tiny, loss), tmp_path / str(number), teachers=[teacher], **OPTIONS)
    for other in begins[1:]:
        assert all(torch.equal(begins[0][name], value) for name, value in other.items())


def test_views_carry_maps_only_where_a_loss_asks(tiny: Experiment, teacher: Run) -> None:
    table = tiny.windows("train")
    assert views_for([teacher], tiny, table).middles is None
    assert views_for([teacher], with_(tiny, {"contrastive": 1.0}), table).middles is None
    asked_for = views_for([teacher], with_(tiny, {"attention": 1.0}), table)
    assert asked_for.middles is not None
    assert asked_for.middles.shape == (len(table), 300, tiny.config.teacher.segments)
    assert asked_for.view([3], Change()).middle is not None


def test_several_teachers_have_a_common_contrast_but_no_common_map(
    tiny: Experiment, teacher: Run, tmp_path: Path
) -> None:
    for name in ("hint", "attention"):
        with pytest.raises(ConfigError, match=rf"loss.{name} compares with one teacher's map, and there are 2"):
            train_student(with_(tiny, {name: 1.0}), tmp_path / name, teachers=[teacher, teacher], **OPTIONS)
    train_student(with_(tiny, {"contrastive": 0.5}), tmp_path / "both", teachers=[teacher, teacher], **OPTIONS)
    crossed = TeachingConfig(cross_fitted=True)
    for name in EVERY:
        loss = {"distance": 0.0, name: 1.0}
        with pytest.raises(ConfigError, match=r"have no common features, which loss.*attention, contrastive compare"):
            train_student(
                with_(tiny, loss, teaching=crossed), tmp_path / f"crossed-{name}", teachers=[teacher], **OPTIONS
            )


def test_unlabelled_rows_take_part(tiny_config_file: Path, tiny_cache: Path, tmp_path: Path) -> None:
    changes = ("loss.distance=0", "loss.kd=0", "loss.contrastive=1.0", "data.train_on_validation=true")
    config = dataclasses.replace(load_config(tiny_config_file, changes=changes), labels=LabelsConfig(people=("1",)))
    experiment = Experiment.open(config, root=None, cache=tiny_cache, progress=None)
    teacher = train_teacher(experiment, tmp_path / "teacher", **OPTIONS)
    seen: list[StudentBatch] = []
    real = StudentTask.loss

    def watched(self: StudentTask, model: Any, batch: StudentBatch) -> Any:
        seen.append(batch)
        return real(self, model, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudentTask, "loss", watched)
        train_student(experiment, tmp_path / "student", teachers=[teacher], **OPTIONS)
    assert any(float(batch.targets.sum(dim=1).min()) == 0 for batch in seen)
