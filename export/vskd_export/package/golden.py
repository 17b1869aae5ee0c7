"""The golden vectors of a bundle, out of the evidence; ``vskd.checks.golden`` holds their form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vskd.checks.golden import Golden, margins
from vskd.contract import Contract
from vskd.decide import softmax
from vskd_export.judge.engines import EngineRun
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.float64_encoders import reference_encoded


def make_golden(evidence: Evidence, contract: Contract, runs: Mapping[str, EngineRun], *, every: int = 1) -> Golden:
    """The golden vectors.

    Parameters
    ----------
    evidence : windows and the trained network's logits and embeddings
    contract : fixes the image and the temperature
    runs : model file -> its answers in the most preferred engine, for every window of the evidence
    every : 2 takes every second golden window
    """
    rows = evidence.golden_rows()[::every]
    logits = evidence.logits[rows]
    probabilities = softmax(logits, temperature=contract.decision.temperature)
    return Golden(
        names=tuple(evidence.names[row] for row in rows),
        windows=evidence.windows[rows],
        images=reference_encoded(evidence.windows[rows], contract).astype(np.float32),
        logits=logits,
        probabilities=probabilities.astype(np.float32),
        labels=logits.argmax(axis=1).astype(np.int64),
        margins=margins(probabilities),
        embeddings=evidence.embeddings[rows],
        model_logits={file: run.logits[rows] for file, run in runs.items()},
        model_embeddings={file: run.embeddings[rows] for file, run in runs.items()},
    )
