"""What an evaluation asks for logits: a run's network in torch, or an exported model in the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle
from vskd.errors import ContractError
from vskd_training.data.clips import clips_for
from vskd_training.data.experiment import Experiment
from vskd_training.data.windows import WindowTable
from vskd_training.models.student import Student
from vskd_training.runs.predict import predict_clips, predict_windows
from vskd_training.runs.run import WEIGHTS, Run
from vskd_training.runs.trained import trained_forest, trained_network


@dataclass(frozen=True)
class Predictor:
    """Something that predicts, and how a report names it.

    Attributes
    ----------
    engine, model : by name
    sha256 : of the network's weights, or of the bundle
    predict : logits (n, classes) of the n windows of a table
    """

    engine: str
    model: str
    sha256: str
    predict: Callable[[WindowTable], NDArray[np.float32]]


def network_predictor(run: Run, experiment: Experiment) -> Predictor:
    """The run's network, in torch; of a forest its trees, in numpy.

    Raises
    ------
    DataError : its weights are missing or changed
    """
    if run.card["role"] == "forest":
        forest = trained_forest(run)
        return Predictor("numpy", WEIGHTS, run.card["weights_sha256"], lambda table: forest.logits(table.samples))
    network, batch = trained_network(run), run.config.teacher_training.batch

    def predict(table: WindowTable) -> NDArray[np.float32]:
        if isinstance(network, Student):
            return np.asarray(predict_windows(network, table).logits.numpy())
        return np.asarray(predict_clips(network, clips_for(experiment, table), batch=batch).logits.numpy())

    return Predictor("torch", WEIGHTS, run.card["weights_sha256"], predict)


def bundle_of(run: Run, bundle: Path) -> Bundle:
    """Open a bundle that was exported from a run.

    Raises
    ------
    ContractError : its contract is another
    """
    opened = Bundle.open(bundle)
    if opened.contract != run.contract:
        raise ContractError(f"{bundle} has another contract than {run.path}", hint="Export this run")
    return opened


def bundle_predictor(
    run: Run, bundle: Path, *, engine: str | None, recipe: str | None, progress: Callable[[int], None]
) -> Predictor:
    """A bundle's model, window by window.

    Parameters
    ----------
    run : what the bundle was exported from
    bundle : the folder
    engine, recipe : see ``Bundle.select``
    progress : called after every window with how many there were

    Raises
    ------
    ContractError : the bundle was not exported from this run
    """
    opened = bundle_of(run, bundle)
    name, entry = opened.select(engine=engine, recipe=recipe)
    loaded = opened.load(name, entry)
    done = 0

    def predict(table: WindowTable) -> NDArray[np.float32]:
        nonlocal done
        logits = []
        for window in table.samples:
            logits.append(loaded.infer(window))
            done += 1
            progress(done)
        return np.stack(logits)

    return Predictor(name, entry.file, opened.sha256(), predict)
