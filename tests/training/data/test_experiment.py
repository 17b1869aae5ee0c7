"""What an experiment decides once for training, evaluation and export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from vskd.contract import Contract, DecisionSpec, SensorSpec
from vskd_training.data import experiment
from vskd_training.data.experiment import Experiment
from vskd_training.datasets.prepared import Prepared, prepare
from vskd_training.datasets.utd_mhad import ACTIONS
from vskd_training.settings import DataConfig
from vskd_training.settings.resampling import todays_resampling


def test_each_recording_that_is_prepared_is_reported(tiny: Experiment, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        steps.append((done, total))

    opened = Experiment.open(tiny.config, root=None, cache=tmp_path, progress=note)
    count = len(opened.prepared)
    assert steps == [(done, count) for done in range(1, count + 1)]


def test_the_contract_is_of_the_config_and_of_the_recordings(
    tiny: Experiment, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kitchen(*words: Any, **more: Any) -> Prepared:
        prepared = prepare(*words, **more)
        prepared.name, prepared.placement, prepared.gravity = "kitchen", "left ankle", "removed"
        return prepared

    monkeypatch.setattr(experiment, "prepare", kitchen)
    config = dataclasses.replace(
        tiny.config,
        sensor=SensorSpec(range_g=4.0),
        decision=DecisionSpec(temperature=2.0, smoothing=0.5),
        data=dataclasses.replace(tiny.config.data, unknown_labels=("jog",)),
    )
    opened = Experiment.open(config, root=None, cache=tiny_cache, progress=None)
    assert opened.contract.signal is not None  # measured, see test_signal_limits
    assert dataclasses.replace(opened.contract, signal=None) == Contract(
        labels=tuple(label for label in tiny.prepared.labels if label != "jog"),
        sensor=SensorSpec(range_g=4.0, placement="left ankle", gravity="removed"),
        window=config.window,
        resampling=todays_resampling(),
        gaf=config.gaf,
        decision=config.decision,
        trained_on="kitchen",
    )


def test_the_wrist_labels_are_the_data_sets_group_among_the_classes(tiny: Experiment) -> None:
    assert tiny.wrist_labels == tiny.contract.labels
    known = tuple(label for label in ACTIONS if label != "wave")
    config = dataclasses.replace(tiny.config, data=DataConfig(dataset="utd-mhad", view="none"))
    contract = dataclasses.replace(tiny.contract, labels=known)
    of_utd = dataclasses.replace(tiny, config=config, contract=contract)
    assert of_utd.wrist_labels == known[:20]
    assert known[20] == "jog", "the first that was recorded at the thigh"
