"""Violations: limits that an exported model exceeds.

The checks return them; an export is refused at the end, unless a degraded bundle is allowed: then every violation goes
into its report. The limits are in ``limits``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vskd.errors import GateError

ViolationCode = Literal[
    "encoder-output",
    "float-logits",
    "macro-f1",
    "class-f1",
    "flip-rate",
    "flip-margin",
    "weights-size",
    "file-size",
    "reference-logits",
    "reference-label",
    "micro-label",
    "variant-values",
]


@dataclass(frozen=True)
class Violation:
    """A limit that is not kept.

    Attributes
    ----------
    code : which limit
    component : what does not keep it, e.g. ``"model.fp32.onnx"`` or ``"the numpy encoder"``
    engine : in which it was seen, with its version; empty where no engine is involved
    value, limit : in the limit's own unit
    message : the same for people, a sentence without its full stop
    """

    code: ViolationCode
    component: str
    engine: str
    value: float
    limit: float
    message: str


def refuse_violations(found: Sequence[Violation]) -> None:
    """Refuse an export that has violations.

    Raises
    ------
    GateError : names the first; counts the others by code
    """
    if found:
        others = sorted({violation.code for violation in found[1:]})
        also = f" ({len(found) - 1} more: {', '.join(others)})" if others else ""
        raise GateError(
            found[0].message + also,
            hint="Nothing was written. Correct it, or --allow-degraded writes the bundle and marks its report",
        )


def refuse_not_finite(values: NDArray[np.float32], what: str, names: Sequence[str]) -> None:
    """Refuse what a model gives if it holds NaN or infinity, which nothing allows.

    Parameters
    ----------
    values : (n, ...)
    what : the model and where it ran
    names : (n,), of the windows

    Raises
    ------
    GateError : names the first such window
    """
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if bad.size:
        raise GateError(
            f"{what} gives NaN or infinity for window {names[bad[0]]!r}",
            hint="Nothing was written, and --allow-degraded does not help: such a model decides nothing",
        )
