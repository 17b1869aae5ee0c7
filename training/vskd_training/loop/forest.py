"""Train the baseline that is no network, and leave a finished run like a network's: the same split, tests and card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.evaluation.classes import refuse_missing
from vskd_training.forest.trees import TREES, grow_forest
from vskd_training.loop.distributed import ALONE, Processes
from vskd_training.loop.fit import Progress, silent
from vskd_training.loop.train import tested
from vskd_training.runs.run import Run, finish_run, start_run


def train_forest(
    experiment: Experiment,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = silent,
    processes: Processes = ALONE,
) -> Run:
    """Train a forest on the labelled training windows of a config. It has no teacher, augmentation or steps.

    Parameters
    ----------
    experiment : config and data
    out : the run's folder
    overwrite, resume : what to do with a folder that is there; a forest is small, and grown anew
    progress : not called, it takes seconds
    processes : the first of them trains

    Raises
    ------
    DataError
    """
    del progress

    def train() -> Run:
        config, table = experiment.config, experiment.windows("train")
        refuse_missing(experiment)
        start_run(out, config=config, overwrite=overwrite, resume=resume)
        classes = len(experiment.contract.labels)
        forest = grow_forest(table.samples, table.labels, classes=classes, seed=config.seed, threads=config.threads)

        def predict(part: WindowTable) -> NDArray[np.float32]:
            return forest.logits(part.samples)

        size = {"trees": TREES, "nodes": len(forest.left)}
        finish_run(out, weights=forest.to_tensors(), card={**tested("forest", experiment, predict, None), **size})
        return Run.open(out, role="forest")

    return processes.by_first(train)
