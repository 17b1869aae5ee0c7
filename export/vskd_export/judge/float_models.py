"""Float models: every engine must give the trained network's logits and embedding, on every window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.contract import Contract
from vskd_export.judge.engines import EngineRun
from vskd_export.judge.evidence import Evidence
from vskd_export.judge.violations import Violation, ViolationCode
from vskd_training.evaluation.metrics import macro_f1


@dataclass(frozen=True)
class FloatParity:
    """One engine on one float model.

    Attributes
    ----------
    engine, version, file : which
    largest_difference : of a logit from torch's, over all windows
    window : where that is
    embedding_difference : of a feature from torch's, as a share of the window's largest feature where that exceeds 1
    limit : what was allowed of either
    flips : held-out windows whose label is not the trained network's
    accuracy, macro_f1 : on the held-out windows
    """

    engine: str
    version: str
    file: str
    largest_difference: float
    window: str
    embedding_difference: float
    limit: float
    flips: int
    accuracy: float
    macro_f1: float


def check_float(run: EngineRun, contract: Contract, evidence: Evidence) -> tuple[FloatParity, tuple[Violation, ...]]:
    """Compare what an engine gives of a float model with torch's.

    Parameters
    ----------
    run : with finite logits and embeddings, for the windows of ``evidence``

    Returns
    -------
    what was found; a violation where a logit or a feature differs by more than the contract's tolerance
    """
    limit = contract.logit_tolerance
    of_logits = np.abs(run.logits - evidence.logits).max(axis=1)
    of_features = feature_difference(run.embeddings, evidence)
    worst = int(of_logits.argmax())
    recorded = evidence.is_recorded
    predicted = run.logits[recorded].argmax(axis=1)
    parity = FloatParity(
        engine=run.engine,
        version=run.version,
        file=run.model.file,
        largest_difference=float(of_logits[worst]),
        window=evidence.names[worst],
        embedding_difference=float(of_features.max()),
        limit=limit,
        flips=int((predicted != evidence.logits[recorded].argmax(axis=1)).sum()),
        accuracy=float((predicted == evidence.labels[recorded]).mean()),
        macro_f1=macro_f1(evidence.labels[recorded], predicted),
    )
    told: tuple[tuple[ViolationCode, str, NDArray[np.floating[Any]]], ...] = (
        ("float-logits", "logit", of_logits),
        ("float-embedding", "feature", of_features),
    )
    return parity, tuple(
        Violation(
            code=code,
            component=parity.file,
            engine=run.where,
            value=float(difference.max()),
            limit=limit,
            message=f"{run.where} disagrees with torch on {parity.file}: window "
            f"{evidence.names[int(difference.argmax())]!r}, largest {what} difference {difference.max():.2e}, the "
            f"limit is {limit:.0e}",
        )
        for code, what, difference in told
        if difference.max() > limit
    )


def feature_difference(embeddings: NDArray[np.float32], evidence: Evidence) -> NDArray[np.float64]:
    """(n,), a feature's largest difference from torch's, as a share of the window's largest where that exceeds 1."""
    size = np.maximum(1.0, np.abs(evidence.embeddings).max(axis=1))
    share: NDArray[np.float64] = np.abs(embeddings - evidence.embeddings).max(axis=1) / size
    return share


def score_torch(evidence: Evidence) -> Mapping[str, Any]:
    """Accuracy and macro-F1 of the trained network over the held-out windows."""
    recorded = evidence.is_recorded
    truth, predicted = evidence.labels[recorded], evidence.logits[recorded].argmax(axis=1)
    accuracy = float((predicted == truth).mean())
    return {"windows": len(truth), "accuracy": accuracy, "macro_f1": macro_f1(truth, predicted)}
