"""Optimisers and schedules of the loop, against torch used by hand; and each of them resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vskd.errors import ConfigError, DataError
from vskd_training.loop import fit as fit_module
from vskd_training.loop.fit import fit
from vskd_training.settings import TrainingConfig, load_config

STEPS = 5


class Line:
    """Fit a plane through points; five batches an epoch."""

    def batches(self, epoch: int, batch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(STEPS):
            yield torch.randn(batch, 3, generator=generator)

    def steps(self, batch: int) -> int:
        del batch
        return STEPS

    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (model(batch).squeeze(1) - batch.sum(dim=1) - 1).square().mean()
        return loss, {"l": loss.detach()}


def trained(how: TrainingConfig, run: Path, stop_after: int | None = None) -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)

    class StopError(Exception):
        pass

    def progress(done: int, total: int, parts: dict[str, float]) -> None:
        del total, parts
        if done == stop_after:
            raise StopError

    options: Any = {"seed": 1, "run": run, "validate": lambda _: {}, "progress": progress}
    if stop_after is None:
        fit(model, Line(), how, **options)
    else:
        with pytest.raises(StopError):
            fit(model, Line(), how, **options)
    return model


def by_hand(how: TrainingConfig, optimiser: type[torch.optim.Optimizer], rates: list[float], **more: Any) -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    groups = [
        {"params": [model.weight], "weight_decay": how.weight_decay},
        {"params": [model.bias], "weight_decay": 0.0},
    ]
    made = optimiser(groups, lr=how.learning_rate, **more)  # type: ignore[call-arg]
    batches = (batch for epoch in range(how.epochs) for batch in Line().batches(epoch, how.batch))
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
    how = TrainingConfig(**HOW, optimiser=optimiser, schedule=schedule)
    model, expected = trained(how, tmp_path), by_hand(how, kind, rates, **more)
    torch.testing.assert_close(model.weight, expected.weight)
    torch.testing.assert_close(model.bias, expected.bias)


def test_the_default_is_adamw_with_one_cycle(tmp_path: Path) -> None:
    how = TrainingConfig(epochs=3, batch=4)
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
    assert torch.equal(trained(how, tmp_path).weight, model.weight)


def test_one_window_alone_is_refused(tmp_path: Path) -> None:
    task = Line()
    task.steps = lambda batch: 0  # type: ignore[method-assign]  # as of a table of one row
    with pytest.raises(DataError, match=r"one window alone cannot be trained on"):
        fit(
            nn.Linear(3, 1),
            task,
            TrainingConfig(**HOW),
            seed=0,
            run=tmp_path,
            validate=lambda _: {},
            progress=lambda done, total, parts: None,
        )


@pytest.mark.parametrize("optimiser", ["adamw", "adam"])
@pytest.mark.parametrize("schedule", ["one-cycle", "constant", "step"])
def test_each_can_be_taken_up_again(optimiser: Any, schedule: Any, tmp_path: Path) -> None:
    how = TrainingConfig(**HOW, optimiser=optimiser, schedule=schedule)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = trained(how, tmp_path / "whole")
    trained(how, tmp_path / "cut", stop_after=2 * STEPS + 2)
    resumed = trained(how, tmp_path / "cut")
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_a_run_killed_between_log_and_resume_file_has_each_epoch_once(tmp_path: Path, monkeypatch: Any) -> None:
    how = TrainingConfig(**HOW)

    class KilledError(Exception):
        pass

    def killed(*arguments: Any) -> None:
        raise KilledError

    trained(how, tmp_path, stop_after=STEPS + 1)
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "write_file", killed)
        with pytest.raises(KilledError):
            trained(how, tmp_path)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"epoch": 3, "seco')  # half a line, as of a kill while it was written
    trained(how, tmp_path)
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
    config = load_config(Path(__file__).parents[3] / "training" / "presets" / "utd-mhad-paper.toml")
    loss = config.loss
    assert (loss.ce, loss.kd, loss.distance, loss.angle, loss.semantic, loss.temperature) == (1, 0.01, 1, 1, 1, 4)
    assert (config.gaf.fields, config.gaf.scaling, config.gaf.size) == (("gasf",), "minmax", 224)
    how = config.student_training
    assert (how.optimiser, how.schedule, how.learning_rate, how.weight_decay) == ("adam", "constant", 2e-4, 1e-5)
    assert (how.epochs, how.batch, config.augment.mixup, loss.label_smoothing) == (100, 16, 0, 0)
