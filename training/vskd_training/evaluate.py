"""Test an exported model as it ships: the bundle's file, in the engine that runs it, window by window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vskd.bundle import Bundle
from vskd.engines import open_engine
from vskd.errors import ContractError
from vskd_training.experiment import Experiment
from vskd_training.run import Run
from vskd_training.train import report


def evaluate_bundle(
    run: Run,
    experiment: Experiment,
    bundle: Path,
    *,
    engine: str | None,
    recipe: str | None,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Metrics of a bundle's model on the run's test people.

    Parameters
    ----------
    run, experiment : what the bundle was exported from
    bundle : the folder
    engine, recipe : see ``Bundle.select``
    progress : called with (windows done, in all)

    Returns
    -------
    plain values, ready for JSON

    Raises
    ------
    ContractError : the bundle was not exported from this run
    """
    opened = Bundle.open(bundle)
    if opened.contract != run.contract:
        raise ContractError(f"{bundle} keeps another contract than {run.path}", hint="Export this run")
    name, entry = opened.select(engine=engine, recipe=recipe)
    loaded = open_engine(name, opened.model_path(entry))
    table = experiment.windows("test")
    logits = []
    for done, window in enumerate(table.samples, start=1):
        logits.append(loaded.infer(window))
        progress(done, len(table))
    return {
        "engine": name,
        "model": entry.file,
        "bundle_sha256": opened.sha256(),
        "leaky": experiment.split.leaky,
        "metrics": report(experiment, table, np.stack(logits)),
    }
