"""What a student hears: averages of teachers, another student, and the shuffled control."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.errors import ConfigError, DataError
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import UNLABELLED
from vskd_training.distillation import targets as targets_module
from vskd_training.distillation.targets import DistillationTargets, aggregated, check_configs, shuffled, targets_for
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.models.output import ModelOutput
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_student
from vskd_training.settings import Config, DataConfig, DistillationConfig, StudentConfig


def output(logits: torch.Tensor) -> ModelOutput:
    return ModelOutput(logits, torch.arange(len(logits)).float().unsqueeze(1))


def targets_of(logits: torch.Tensor) -> DistillationTargets:
    return DistillationTargets(tuple(map(str, range(len(logits)))), output(logits))


def test_several_teachers_are_averaged_by_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    each = [output(4 * torch.randn(7, 5, generator=generator)) for _ in range(3)]
    together = aggregated(each, by="arithmetic")
    expected = np.mean([torch.softmax(one.logits.double(), 1).numpy() for one in each], axis=0)
    np.testing.assert_allclose(torch.softmax(together.logits.double(), 1).numpy(), expected, atol=1e-6)
    assert together.feature.shape == (7, 3)
    assert aggregated(each[:1], by="arithmetic") is each[0]


def test_several_teachers_are_averaged_by_the_logarithm() -> None:
    generator = torch.Generator().manual_seed(1)
    each = [output(4 * torch.randn(7, 5, generator=generator)) for _ in range(3)]
    together = aggregated(each, by="geometric")
    product = np.prod([torch.softmax(one.logits.double(), 1).numpy() for one in each], axis=0) ** (1 / 3)
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(torch.softmax(together.logits.double(), 1).numpy(), expected, atol=1e-6)


def test_the_config_chooses_the_mean(tiny: Experiment, teachers: list[Run], tmp_path: Path) -> None:
    table = tiny.windows("train")
    found = {}
    for mean in ("arithmetic", "geometric"):
        experiment = _with(tiny, distillation=DistillationConfig(aggregate=mean))
        targets = targets_for(teachers, experiment, table)
        found[mean] = targets.output.logits
    each = [targets_for([teacher], tiny, table).output for teacher in teachers]
    for mean, logits in found.items():
        torch.testing.assert_close(logits, aggregated(each, by=mean).logits, atol=1e-5, rtol=0)
    assert (found["arithmetic"] - found["geometric"]).abs().max() > 1e-3


def test_teachers_who_are_sure_of_different_classes_stay_finite() -> None:
    one, other = torch.zeros(1, 2), torch.zeros(1, 2)
    one[0, 0], other[0, 1] = 500.0, 500.0
    assert torch.softmax(aggregated([output(one), output(other)], by="arithmetic").logits, 1)[
        0
    ].tolist() == pytest.approx([0.5, 0.5])


def table_of(windows: list[int], labels: list[int]) -> Any:
    """Recording r has ``windows[r]`` windows and the class ``labels[r]``."""
    recordings = np.repeat(np.arange(len(windows)), windows)
    return SimpleTable(recordings=recordings, labels=np.array(labels)[recordings])


class SimpleTable(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.recordings)


TABLES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=2, max_size=12)


@settings(max_examples=60)
@given(TABLES, st.integers(0, 20))
def test_shuffled_targets_come_from_one_other_recording(rows: list[tuple[int, int]], seed: int) -> None:
    table = table_of(*map(list, zip(*rows, strict=True)))
    given_targets = targets_of(torch.arange(len(table)).float().unsqueeze(1).repeat(1, 3))
    got = shuffled(given_targets, table, within_class=False, seed=seed)
    assert got.ids == given_targets.ids
    source = got.output.logits[:, 0].long().numpy()
    np.testing.assert_array_equal(got.output.feature[:, 0].numpy(), source)
    givers = {}
    for taker in np.unique(table.recordings):
        own = source[table.recordings == taker]
        assert len(set(table.recordings[own])) == 1
        assert table.recordings[own[0]] != taker
        assert list(own) == sorted(own)
        givers[taker] = table.recordings[own[0]]
    assert sorted(givers.values()) == sorted(givers)


@settings(max_examples=60)
@given(TABLES, st.integers(0, 20))
def test_within_the_class_only_the_recording_changes(rows: list[tuple[int, int]], seed: int) -> None:
    table = table_of(*map(list, zip(*rows, strict=True)))
    got = shuffled(
        targets_of(torch.arange(len(table)).float().unsqueeze(1).repeat(1, 3)), table, within_class=True, seed=seed
    )
    source = got.output.logits[:, 0].long().numpy()
    np.testing.assert_array_equal(table.labels[source], table.labels)
    per_class = {label: len(set(table.recordings[table.labels == label])) for label in set(table.labels)}
    for row, giver in enumerate(source):
        alone = per_class[table.labels[row]] == 1
        assert (table.recordings[giver] == table.recordings[row]) == alone


def test_an_unlabelled_recording_is_exchanged_by_the_teachers_answer() -> None:
    table = table_of([1] * 6, [0, 1, UNLABELLED, UNLABELLED, UNLABELLED, UNLABELLED])
    says = [0, 1, 0, 1, 0, 1]
    logits = torch.zeros(6, 3)
    logits[range(6), says] = 5.0
    got = shuffled(targets_of(logits), table, within_class=True, seed=0)
    assert got.output.logits.argmax(1).tolist() == says
    assert all(int(feature) != row for row, feature in enumerate(got.output.feature[:, 0]))


def test_the_exchange_repeats_by_seed() -> None:
    table = table_of([1] * 30, [0] * 30)
    one = [
        shuffled(targets_of(torch.eye(30)), table, within_class=False, seed=seed).output.feature for seed in (1, 1, 2)
    ]
    assert torch.equal(one[0], one[1])
    assert not torch.equal(one[0], one[2])


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def teachers(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("teachers")
    return [train_teacher(_with(tiny, seed=seed), folder / str(seed)) for seed in (0, 1)]


def _with(experiment: Experiment, **changes: Any) -> Experiment:
    return dataclasses.replace(experiment, config=dataclasses.replace(experiment.config, **changes))


def student(experiment: Experiment, out: Path, *teachers: Run) -> Run:
    return train_student(experiment, out, teachers=teachers)


def test_two_teachers_teach_together(tiny: Experiment, teachers: list[Run], tmp_path: Path) -> None:
    both = student(tiny, tmp_path / "both", *teachers)
    one = student(tiny, tmp_path / "one", teachers[0])
    assert [known["run"] for known in both.card["teacher"]] == ["0", "1"]
    assert both.card["weights_sha256"] != one.card["weights_sha256"]


def test_a_flag_of_the_teachers_training_is_no_other_data(tiny: Experiment, teachers: list[Run]) -> None:
    """A teacher of whom not every activity was filmed is trained with the flag, its student without."""
    data = dataclasses.replace(tiny.config.data, allow_missing_classes=True)
    check_configs(teachers, dataclasses.replace(tiny.config, data=data))
    with pytest.raises(ConfigError, match=r"has data.frame_height = \d+, this config 99"):
        check_configs(teachers, dataclasses.replace(tiny.config, data=dataclasses.replace(data, frame_height=99)))


def test_a_student_can_teach_the_next(tiny: Experiment, tmp_path: Path) -> None:
    alone = student(tiny, tmp_path / "alone")
    born_again = student(tiny, tmp_path / "again", alone)
    assert born_again.card["teacher"] == [{"run": "alone", "sha256": alone.card["weights_sha256"]}]
    targets = targets_for([alone], tiny, tiny.windows("train"))
    assert targets.ids == tiny.windows("train").ids
    assert targets.output.feature.shape == (len(targets.ids), 300)


@pytest.mark.parametrize("depth", [10, 34])
def test_a_student_of_another_depth_is_trained_and_found_again(tiny: Experiment, tmp_path: Path, depth: int) -> None:
    how = StudentConfig(width=0.125, depth=depth)
    run = student(_with(tiny, student=how), tmp_path / "run")
    again = Run.open(run.path, role="student")
    assert again.config.student == how
    assert sum(value.numel() for value in trained_student(again).parameters()) == run.card["parameters"]
    assert run.card["parameters"] != student(tiny, tmp_path / "18").card["parameters"]


@pytest.mark.parametrize(("role", "refused"), [("teacher", False), ("student", True)])
def test_another_rate_is_nothing_to_a_teacher_and_refused_of_a_student_by_its_key(role: str, refused: bool) -> None:
    config = Config(data=DataConfig(dataset="synthetic", view="rendered"))
    slower = dataclasses.replace(config, window=WindowSpec(rate_hz=25.0))
    run = Run(Path("other"), {"role": role}, slower, Contract(labels=("a", "b")))
    message = r"has window\.rate_hz = 25\.0, this config 50\.0"
    with pytest.raises(ConfigError, match=message) if refused else nullcontext():
        check_configs([run], config)


def _of_contract(experiment: Experiment, **changes: Any) -> Experiment:
    """With another [gaf] or [window]."""
    other = _with(experiment, **changes)
    contract = other.config.contract(other.prepared.labels, other.prepared.name)
    return Experiment(other.config, other.prepared, other.sides, contract)


def test_a_student_of_other_windows_cannot_teach(tiny: Experiment, tmp_path: Path) -> None:
    alone = student(tiny, tmp_path / "alone")
    other = _of_contract(tiny, window=dataclasses.replace(tiny.config.window, hop_samples=16))
    with pytest.raises(ConfigError, match="reads other windows than this one"):
        student(other, tmp_path / "other", alone)


def test_a_student_that_draws_another_image_can_teach(tiny: Experiment, tmp_path: Path) -> None:
    alone = student(tiny, tmp_path / "alone")
    other = _of_contract(tiny, gaf=GafSpec(fields=("gasf", "gadf"), size=24))
    table = other.windows("train")
    np.testing.assert_array_equal(table.samples, tiny.windows("train").samples)
    assert torch.equal(
        targets_for([alone], other, table).output.logits, targets_for([alone], tiny, table).output.logits
    )
    assert student(other, tmp_path / "other", alone).card["teacher"][0]["run"] == "alone"


def test_shuffled_pairs_are_an_arm_of_the_config(tiny: Experiment, teachers: list[Run], tmp_path: Path) -> None:
    control = _with(tiny, distillation=DistillationConfig(pairing="shuffled"))
    run = student(control, tmp_path / "shuffled", teachers[0])
    assert run.config.distillation.pairing == "shuffled"
    assert run.card["weights_sha256"] != student(tiny, tmp_path / "own", teachers[0]).card["weights_sha256"]
    with pytest.raises(ConfigError, match=r"\[distillation\] sets .*'shuffled'.*but there is no teacher"):
        student(control, tmp_path / "alone")


def test_the_semantic_term_needs_one_teacher(tiny: Experiment, teachers: list[Run], tmp_path: Path) -> None:
    loss = dataclasses.replace(tiny.config.loss, semantic=1.0)
    with pytest.raises(ConfigError, match="one teacher's feature, and there are 2 teachers"):
        student(_with(tiny, loss=loss), tmp_path / "student", *teachers)


def test_a_teacher_sees_the_clips_of_its_own_config(tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Experiment] = []

    def stop(experiment: Experiment, table: object) -> NoReturn:
        seen.append(experiment)
        raise DataError("far enough")

    monkeypatch.setattr(targets_module, "trained_network", lambda run: nn.Linear(1, 1))
    monkeypatch.setattr(targets_module, "clips_for", stop)
    config = dataclasses.replace(tiny.config, teacher=dataclasses.replace(tiny.config.teacher, segments=5))
    run = Run(Path("teacher"), {"role": "teacher", "data": tiny.data_card()}, config, tiny.contract)
    with pytest.raises(DataError, match="far enough"):
        targets_for([run], tiny, tiny.windows("train"))
    assert [experiment.config.teacher.segments for experiment in seen] == [5]
