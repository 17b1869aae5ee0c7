"""What an experiment decides once for training, evaluation and export."""

from __future__ import annotations

import dataclasses

from vskd_training.data.experiment import Experiment
from vskd_training.datasets.utd_mhad import ACTIONS
from vskd_training.settings import DataConfig


def test_the_wrist_labels_are_the_data_sets_group_among_the_classes(tiny: Experiment) -> None:
    assert tiny.wrist_labels == tiny.contract.labels
    known = tuple(label for label in ACTIONS if label != "wave")
    config = dataclasses.replace(tiny.config, data=DataConfig(dataset="utd-mhad", view="none"))
    contract = dataclasses.replace(tiny.contract, labels=known)
    of_utd = dataclasses.replace(tiny, config=config, contract=contract)
    assert of_utd.wrist_labels == known[:20]
    assert known[20] == "jog", "the first that was recorded at the thigh"
