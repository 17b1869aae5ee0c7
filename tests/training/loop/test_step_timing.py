"""What the benchmark of training times: real steps of both recipes, small where their size is not what is tested."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from research import step_timing
from vskd.errors import ConfigError
from vskd_training.settings import TrainingConfig

#: Parameters of torchvision's ResNet18 without its last layer.
RESNET18 = 11_689_512 - 512 * 1000 - 1000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_timing, "PUBLIC_SIZE_PX", 32)
    monkeypatch.setattr(step_timing, "IMAGES", 3)
    monkeypatch.setattr(step_timing, "RECORDING_SAMPLES", 40)
    monkeypatch.setattr(step_timing, "RECORDINGS", 40)


def test_a_step_of_vskd_is_a_step_of_the_presets(small: None) -> None:
    steps = step_timing.OwnSteps()
    assert steps.config == TrainingConfig(bf16=steps.config.bf16)  # the presets keep the defaults of batch and clipping
    model = steps._model
    assert sum(value.numel() for value in model.parameters()) == RESNET18 + 512 * 300 + 300 + 300 * 27 + 27
    assert model.encoder.spec.size == 64
    seen: list[torch.Size] = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    before = model.classifier.weight.detach().clone()
    found = step_timing.timed(steps, 2)
    # 40 windows are a batch of 32 and one of 8, which is passed over: every step has as many images.
    assert seen == [(32, 3, 128), (32, 3, 128)]
    assert found["images"] == 64
    assert set(found["parts_s"]) == {"augment", "encode"}
    assert 0 < sum(found["parts_s"].values()) < found["elapsed_s"]
    assert found["cpu_s"] > 0
    assert not torch.equal(model.classifier.weight, before)


def test_half_of_the_public_batch_is_zeros(small: None, tmp_path: Path) -> None:
    steps = step_timing.PublicSteps(tmp_path)
    assert len(list(tmp_path.glob("*.jpg"))) == 3
    seen: list[Tensor] = []
    steps._model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    last = steps._model[3]
    assert isinstance(last, nn.Linear)
    before = last.weight.detach().clone()
    found = step_timing.timed(steps, 1)
    (images,) = seen
    assert images.shape == (16, 3, 32, 32)
    assert images[:8].abs().amax(dim=(1, 2, 3)).min() > 0
    assert images[8:].abs().max() == 0
    assert found["images"] == 8
    assert set(found["parts_s"]) == {"load"}
    assert not torch.equal(last.weight, before)


def test_times_are_of_the_steps_asked_for(small: None, tmp_path: Path) -> None:
    steps = step_timing.PublicSteps(tmp_path)
    first, second = step_timing.timed(steps, 3), step_timing.timed(steps, 1)
    assert second["parts_s"]["load"] < first["parts_s"]["load"] + second["elapsed_s"]
    assert (first["images"], second["images"]) == (24, 8)


def test_the_process_answers_line_by_line(
    small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["step_timing", json.dumps({"kind": "public", "threads": 1})])
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"do": "steps", "count": 1}) + "\n"))
    step_timing.main(standalone_mode=False)
    ready, answer = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (ready["ready"]["batch"], ready["ready"]["threads"]) == (16, 1)
    assert answer["images"] == 8


def test_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["step_timing", json.dumps({"kind": "paper", "threads": 1})])
    with pytest.raises(ConfigError, match=r"there is no kind 'paper' of training to time\. vskd or public"):
        step_timing.main(standalone_mode=False)
