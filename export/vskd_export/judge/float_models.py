"""Float models: every engine must give the trained network's logits, on every window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vskd.contract import Contract
from vskd_export.judge.engines import EngineRun
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.violations import Violation
from vskd_training.evaluation.metrics import macro_f1


@dataclass(frozen=True)
class FloatParity:
    """One engine on one float model.

    Attributes
    ----------
    engine, version, file : which
    largest_difference : of a logit from torch's, over all windows
    window : where that is
    limit : what was allowed
    flips : held-out windows whose label is not the trained network's
    accuracy : on the held-out windows
    """

    engine: str
    version: str
    file: str
    largest_difference: float
    window: str
    limit: float
    flips: int
    accuracy: float


def check_float(run: EngineRun, contract: Contract, evidence: Evidence) -> tuple[FloatParity, tuple[Violation, ...]]:
    """Compare an engine's logits of a float model with torch's.

    Parameters
    ----------
    run : with finite logits, for the windows of ``evidence``

    Returns
    -------
    what was found; a violation where a logit differs by more than the contract's tolerance
    """
    difference = np.abs(run.logits - evidence.logits).max(axis=1)
    worst = int(difference.argmax())
    found, limit = float(difference[worst]), contract.logit_tolerance
    recorded = evidence.is_recorded
    predicted = run.logits[recorded].argmax(axis=1)
    parity = FloatParity(
        engine=run.engine,
        version=run.version,
        file=run.model.file,
        largest_difference=found,
        window=evidence.names[worst],
        limit=limit,
        flips=int((predicted != evidence.logits[recorded].argmax(axis=1)).sum()),
        accuracy=float((predicted == evidence.labels[recorded]).mean()),
    )
    if found <= limit:
        return parity, ()
    message = (
        f"{run.where} disagrees with torch on {parity.file}: window {parity.window!r}, largest logit difference "
        f"{found:.2e}, the limit is {limit:.0e}"
    )
    return parity, (Violation("float-logits", parity.file, run.where, found, limit, message),)


def score_torch(evidence: Evidence) -> Mapping[str, Any]:
    """Accuracy and macro-F1 of the trained network over the held-out windows."""
    recorded = evidence.is_recorded
    truth, predicted = evidence.labels[recorded], evidence.logits[recorded].argmax(axis=1)
    accuracy = float((predicted == truth).mean())
    return {"windows": len(truth), "accuracy": accuracy, "macro_f1": macro_f1(truth, predicted)}
