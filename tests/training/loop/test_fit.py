"""Optimisers and schedules of the loop, against torch used by hand; and each of them resumed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vskd.errors import ConfigError, DataError
from vskd_training.loop import fit as fit_module
from vskd_training.loop.fit import Training, fit
from vskd_training.settings import TrainingConfig, load_config

STEPS = 5


class StopError(Exception):
    """Ends a training in the middle, as a kill would."""


class Line:
    """Fit a plane through points; five batches an epoch, until so many were given in all."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.left = stop_after

    def batches(self, epoch: int, batch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(STEPS):
            if self.left == 0:
                raise StopError
            self.left = None if self.left is None else self.left - 1
            yield torch.randn(batch, 3, generator=generator)

    def steps(self, batch: int) -> int:
        del batch
        return STEPS

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (model(batch).squeeze(1) - batch.sum(dim=1) - 1).square().mean()
        return loss, {"l": loss.detach()}


def training_of(task: Any, config: TrainingConfig, folder: Path, **more: Any) -> Training:
    torch.manual_seed(0)
    options: Any = {"seed": 1, "validate": lambda _: {}, "progress": lambda done, total, parts: None, **more}
    return Training(nn.Linear(3, 1), task, config, folder=folder, **options)


def trained(config: TrainingConfig, folder: Path, stop_after: int | None = None) -> nn.Linear:
    training = training_of(Line(stop_after), config, folder)
    if stop_after is None:
        fit(training)
    else:
        with pytest.raises(StopError):
            fit(training)
    assert isinstance(training.model, nn.Linear)
    return training.model


def by_hand(
    config: TrainingConfig, optimiser: type[torch.optim.Optimizer], rates: list[float], **more: Any
) -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    groups = [
        {"params": [model.weight], "weight_decay": config.weight_decay},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    made = optimiser(groups, lr=config.learning_rate, **more)  # type: ignore[call-arg]
    batches = (batch for epoch in range(config.epochs) for batch in Line().batches(epoch, config.batch))
    for rate, batch in zip(rates, batches, strict=True):
        for group in made.param_groups:
            group["lr"] = rate
        loss, _ = Line().loss(model, batch)
        made.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        made.step()
    return model


FLAT, STEPPED = [0.01] * 15, [0.01] * 8 + [0.001] * 7
HOW: dict[str, Any] = {"epochs": 3, "batch": 4, "learning_rate": 0.01, "weight_decay": 0.1, "clip_norm": 0.0}


@pytest.mark.parametrize(
    ("optimiser", "schedule", "kind", "rates", "more"),
    [
        ("adamw", "constant", torch.optim.AdamW, FLAT, {}),
        ("adam", "constant", torch.optim.Adam, FLAT, {}),
        ("adam", "step", torch.optim.Adam, STEPPED, {}),
    ],
)
def test_the_loop_is_what_one_would_write(
    optimiser: Any, schedule: Any, kind: Any, rates: list[float], more: Any, tmp_path: Path
) -> None:
    config = TrainingConfig(**HOW, optimiser=optimiser, schedule=schedule)
    model, expected = trained(config, tmp_path), by_hand(config, kind, rates, **more)
    torch.testing.assert_close(model.weight, expected.weight)
    torch.testing.assert_close(model.bias, expected.bias)


def test_the_default_is_adamw_with_one_cycle(tmp_path: Path) -> None:
    config = TrainingConfig(epochs=3, batch=4)
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    made = torch.optim.AdamW(
        [{"params": [model.weight], "weight_decay": 0.05}, {"params": [model.bias], "weight_decay": 0.0}], lr=2e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(made, max_lr=2e-3, total_steps=15, pct_start=0.3)
    for batch in (batch for epoch in range(3) for batch in Line().batches(epoch, 4)):
        loss, _ = Line().loss(model, batch)
        made.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        made.step()
        schedule.step()
    assert torch.equal(trained(config, tmp_path).weight, model.weight)


def test_one_window_alone_is_refused(tmp_path: Path) -> None:
    task = Line()
    task.steps = lambda batch: 0  # type: ignore[method-assign]  # as of a table of one row
    with pytest.raises(DataError, match=r"too few windows to train on: a batch norm needs two, in each process"):
        fit(training_of(task, TrainingConfig(**HOW), tmp_path))


def test_losses_are_read_every_few_steps_and_the_log_holds_their_means(tmp_path: Path) -> None:
    """Against the losses of every step, each read on its own."""

    class Read(Line):
        def __init__(self) -> None:
            super().__init__()
            self.read: list[float] = []

        def steps(self, batch: int) -> int:
            return 25

        def batches(self, epoch: int, batch: int) -> Iterator[Tensor]:
            return itertools.chain.from_iterable(Line.batches(self, 5 * epoch + part, batch) for part in range(5))

        def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            loss, parts = super().loss(model, batch)
            self.read.append(float(loss.detach()))
            return loss, parts

    task = Read()
    shown: list[tuple[int, int, float]] = []

    def progress(done: int, total: int, parts: dict[str, float]) -> None:
        shown.append((done, total, parts["loss"]))

    fit(training_of(task, TrainingConfig(epochs=2, batch=4), tmp_path, progress=progress))
    assert [(done, total) for done, total, _ in shown] == [(done, 50) for done in (10, 20, 25, 35, 45, 50)]
    means = [sum(task.read[begin:end]) / (end - begin) for begin, end in ((0, 10), (0, 20), (0, 25), (25, 35))]
    assert [loss for _, _, loss in shown][:4] == pytest.approx(means, rel=1e-12)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == pytest.approx([sum(task.read[:25]) / 25, sum(task.read[25:]) / 25])


@pytest.mark.parametrize("broken_step", [3, 24])
def test_a_loss_that_is_not_finite_ends_the_run_before_the_next_checkpoint(tmp_path: Path, broken_step: int) -> None:
    class Broken(Line):
        seen = 0

        def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.seen += 1
            loss, parts = super().loss(model, batch)
            return (loss * float("inf") if self.seen == broken_step else loss), parts

    saved = broken_step // STEPS
    with pytest.raises(DataError, match=rf"the loss became (inf|nan) within 5 steps of epoch {saved + 1}"):
        fit(training_of(Broken(), TrainingConfig(epochs=9, batch=4), tmp_path))
    assert len((tmp_path / "log.jsonl").read_text().splitlines() if saved else []) == saved
    assert (tmp_path / "resume.pt").exists() == bool(saved)


@pytest.mark.parametrize("optimiser", ["adamw", "adam"])
@pytest.mark.parametrize("schedule", ["one-cycle", "constant", "step"])
def test_each_can_be_taken_up_again(optimiser: Any, schedule: Any, tmp_path: Path) -> None:
    config = TrainingConfig(**HOW, optimiser=optimiser, schedule=schedule)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = trained(config, tmp_path / "whole")
    trained(config, tmp_path / "cut", stop_after=2 * STEPS + 2)
    resumed = trained(config, tmp_path / "cut")
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_a_run_killed_between_log_and_resume_file_has_each_epoch_once(tmp_path: Path, monkeypatch: Any) -> None:
    config = TrainingConfig(**HOW)

    class KilledError(Exception):
        pass

    def killed(*arguments: Any) -> None:
        raise KilledError

    trained(config, tmp_path, stop_after=STEPS + 1)
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "write_file", killed)
        with pytest.raises(KilledError):
            trained(config, tmp_path)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"epoch": 3, "seco')  # half a line, as of a kill while it was written
    trained(config, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]


def test_a_run_that_starts_again_has_a_log_of_its_own(tmp_path: Path) -> None:
    trained(TrainingConfig(**HOW), tmp_path)
    (tmp_path / "resume.pt").unlink()
    trained(TrainingConfig(**HOW), tmp_path, stop_after=STEPS + 1)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1


def test_another_optimiser_is_refused(tiny_config_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"student_training.optimiser cannot be 'adma'. Did you mean 'adam'"):
        load_config(tiny_config_file, changes=("student_training.optimiser=adma",))
    with pytest.raises(ConfigError, match=r"student_training.schedule cannot be 'steps'. Did you mean 'step'"):
        load_config(tiny_config_file, changes=("student_training.schedule=steps",))


def test_the_papers_recipe_is_the_papers() -> None:
    config = load_config("utd-mhad-paper")
    loss = config.loss
    assert (loss.ce, loss.kd, loss.distance, loss.angle, loss.semantic, loss.temperature) == (1, 0.01, 1, 1, 1, 4)
    assert (config.gaf.fields, config.gaf.scaling, config.gaf.size) == (("gasf",), "minmax", 224)
    training = config.student_training
    assert (training.optimiser, training.schedule) == ("adam", "constant")
    assert (training.learning_rate, training.weight_decay) == (2e-4, 1e-5)
    assert (training.epochs, training.batch, config.augment.mixup, loss.label_smoothing) == (100, 16, 0, 0)
