"""Training as a whole: deterministic, resumable, paired, and refused where it would not be honest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from vskd.errors import ConfigError, DataError
from vskd_training.data.experiment import Experiment
from vskd_training.evaluation.metrics import fit_temperature
from vskd_training.loop import fit as fit_module
from vskd_training.loop.distributed import Processes
from vskd_training.loop.fit import Training
from vskd_training.loop.train import train_student, train_teacher
from vskd_training.models.student import gaf_resnet
from vskd_training.runs.predict import predict_windows
from vskd_training.runs.run import Run
from vskd_training.runs.trained import trained_student


@pytest.fixture(scope="module")
def teacher(tiny: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("teacher") / "run"
    return train_teacher(tiny, out)


@pytest.fixture(scope="module")
def student(tiny: Experiment, teacher: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("student") / "run"
    return train_student(tiny, out, teachers=[teacher])


def test_a_run_card_says_what_was_done(student: Run, teacher: Run, tiny: Experiment) -> None:
    card = json.loads((student.path / "run.json").read_text())
    assert card["teacher"] == [{"run": "run", "sha256": teacher.card["weights_sha256"]}]
    assert card["data"]["key"] == tiny.prepared.key
    assert card["data"]["split"]["test"] == ["2", "4"]
    assert card["metrics"]["test"]["window"]["all"]["count"] == len(tiny.windows("test"))
    assert card["versions"]["torch"]
    # The labels are balanced, so counts of the confusion matrix add up to the test recordings.
    assert np.sum(card["metrics"]["test"]["confusion"]) == len(tiny.split.test)


def test_the_temperature_is_fitted_on_validation_subjects_only(student: Run, tiny: Experiment) -> None:
    """Fitted again, from the run's own network: on these subjects' windows, and on nobody else's."""
    network = trained_student(student)
    fitted = {}
    for part in ("train", "validation", "test"):
        table = tiny.windows(part)  # type: ignore[arg-type]
        fitted[part] = fit_temperature(predict_windows(network, table).logits.numpy(), table.labels)
    assert set(tiny.windows("validation").subjects) == set(student.card["data"]["split"]["validation"]) == {"3"}
    assert student.contract.decision.temperature == pytest.approx(fitted["validation"], rel=1e-6)
    for other in ("train", "test"):
        assert student.contract.decision.temperature != pytest.approx(fitted[other], rel=1e-3)
    assert student.config.decision.temperature == 1.0


def test_one_seed_gives_the_same_bytes(student: Run, teacher: Run, tiny: Experiment, tmp_path: Path) -> None:
    again = train_student(tiny, tmp_path / "again", teachers=[teacher])
    assert (again.path / "model.safetensors").read_bytes() == (student.path / "model.safetensors").read_bytes()
    assert (again.path / "run.json").read_bytes() == (student.path / "run.json").read_bytes()


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    student: Run, teacher: Run, tiny: Experiment, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def kill_in_second_epoch(done: int, total: int, parts: dict[str, float]) -> None:
        del parts
        if done > total // 2:
            raise Killed

    out = tmp_path / "killed"
    with pytest.raises(Killed):
        train_student(tiny, out, teachers=[teacher], progress=kill_in_second_epoch)
    with pytest.raises(DataError, match="never finished"):
        Run.open(out, role="student")
    resumed = train_student(tiny, out, teachers=[teacher], resume=True)
    assert (resumed.path / "model.safetensors").read_bytes() == (student.path / "model.safetensors").read_bytes()
    assert not (out / "resume.pt").exists()
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]


def test_a_student_alone_has_no_teacher_in_its_config(tiny: Experiment, tmp_path: Path) -> None:
    alone = train_student(tiny, tmp_path / "alone", teachers=())
    assert alone.card["teacher"] is None
    assert not alone.config.loss.needs_teacher
    assert alone.config.seed == tiny.config.seed


def test_training_fits_its_own_windows(tiny: Experiment, tmp_path: Path) -> None:
    """The loop learns: six times the epochs, no augmentation, and the training windows are told apart."""
    config = dataclasses.replace(
        tiny.config,
        augment=dataclasses.replace(
            tiny.config.augment, rotation_rad=0, scale=0, jitter_g=0, crop=0, time_warp=0, mixup=0
        ),
        student_training=dataclasses.replace(tiny.config.student_training, epochs=18),
    )
    experiment = dataclasses.replace(tiny, config=config)
    run = train_student(experiment, tmp_path / "run", teachers=())
    log = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["ce"] < 0.5 * log[0]["ce"]


def test_a_teacher_of_another_split_is_refused(tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    card = json.loads(json.dumps(teacher.card))
    card["data"]["split"]["test"] = ["1", "3"]
    other = dataclasses.replace(teacher, card=card)
    with pytest.raises(ConfigError, match="knows another split"):
        train_student(tiny, tmp_path / "run", teachers=[other])
    assert not (tmp_path / "run").exists()


def test_a_teacher_without_weights_in_the_loss_is_refused(tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny.config, loss=dataclasses.replace(tiny.config.loss, kd=0.0, distance=0.0))
    experiment = dataclasses.replace(tiny, config=config)
    with pytest.raises(ConfigError, match=r"weights in \[loss\] are all 0"):
        train_student(experiment, tmp_path / "run", teachers=[teacher])


def test_the_teachers_predict_on_the_device_of_the_training(
    tiny: Experiment, teacher: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another device than the CPU; which one is all that is looked at, so that it need not be there."""
    asked: list[torch.device] = []

    def stop(*_: object, device: torch.device) -> NoReturn:
        asked.append(device)
        raise DataError("far enough")

    monkeypatch.setattr("vskd_training.loop.train.targets_for", stop)
    monkeypatch.setattr("vskd_training.loop.train.torch.use_deterministic_algorithms", lambda _: None)
    processes = Processes(device=torch.device("cuda", 0))
    with pytest.raises(DataError, match="far enough"):
        train_student(tiny, tmp_path / "run", teachers=[teacher], processes=processes)
    assert asked == [processes.device]


def test_an_existing_run_is_not_replaced_unasked(tiny: Experiment, student: Run, teacher: Run) -> None:
    with pytest.raises(DataError, match="exists"):
        train_student(tiny, student.path, teachers=[teacher])


def test_a_folder_that_is_no_run_is_never_replaced(tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(DataError, match="is no run; it is not touched"):
        train_student(tiny, tmp_path, teachers=[teacher], overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_resuming_with_another_config_is_refused(tiny: Experiment, student: Run, teacher: Run) -> None:
    other = dataclasses.replace(tiny, config=dataclasses.replace(tiny.config, seed=99))
    with pytest.raises(DataError, match="started with another config"):
        train_student(other, student.path, teachers=[teacher], resume=True)


def test_a_run_of_the_other_role_is_refused(student: Run) -> None:
    with pytest.raises(DataError, match="holds a student, and a teacher is needed"):
        Run.open(student.path, role="teacher")


def test_changed_weights_are_refused(student: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("run.json", "config.json", "model.safetensors"):
        (copy / name).write_bytes((student.path / name).read_bytes())
    changed = bytearray((copy / "model.safetensors").read_bytes())
    changed[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(changed))
    run = Run.open(copy, role="student")
    with pytest.raises(DataError, match="missing or was changed"):
        run.load_weights(gaf_resnet(run.contract, width=run.config.student.width))


def test_a_broken_resume_file_is_one_sentence(tiny: Experiment, teacher: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_student(tiny, out, teachers=[teacher])
    (out / "run.json").unlink()
    (out / "resume.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match=r"resume\.pt cannot be read"):
        train_student(tiny, out, teachers=[teacher], resume=True)


def test_a_loss_that_is_not_finite_stops_the_run(
    tiny: Experiment, teacher: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exploded(model: Any, task: Any, batch: Any, *rest: Any) -> tuple[Any, dict[str, Any]]:
        loss, _ = task.loss(model, batch)
        return loss * float("nan"), {}

    class Exploding:
        def __init__(self, task: Any) -> None:
            self.steps, self.batches, self._task = task.steps, task.batches, task

        def loss(self, model: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
            return exploded(model, self._task, batch)

    def fit(training: Training) -> None:
        fit_module.fit(dataclasses.replace(training, task=Exploding(training.task)))

    monkeypatch.setattr("vskd_training.loop.train.fit", fit)
    with pytest.raises(DataError, match=r"the loss became nan within 2 steps of epoch 1. Lower the learning rate"):
        train_student(tiny, tmp_path / "run", teachers=[teacher])
    assert not (tmp_path / "run" / "run.json").exists()
    assert not (tmp_path / "run" / "resume.pt").exists()
